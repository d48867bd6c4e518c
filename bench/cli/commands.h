// SPDX-License-Identifier: Apache-2.0
//
// One function per subcommand. Each returns the exit code; what it can't do, it throws (CommandError for the
// user's part, any std::exception for the tool's).
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/cli/console.h"
#include "bench/cli/options.h"
#include "bench/experiment.h"
#include "bench/gpu_ceilings.h"
#include "datasets/dataset.h"

namespace remeasure::bench::cli {

/// What a program offers. The real one has the generated registry; tests have their own.
struct Program {
  std::span<const Registered> experiments;
  std::span<const datasets::Definition* const> catalogue;
  OpenGpuProbes gpu_probes = {};       ///< empty: no ceilings of a GPU
  std::string_view ptxas_output = {};  ///< of its kernels: see kernels/ptxas_output.h
};

int list(const ListOptions& options, const Program& program, Console& console);
int describe(const DescribeOptions& options, const Program& program, Console& console);
int run(const RunCommand& options, const Program& program, Console& console);
int data(const DataOptions& options, const Program& program, Console& console);
int report(const ReportOptions& options, const Program& program, Console& console);
int check(const CheckOptions& options, const Program& program, Console& console);
int doctor(const DoctorOptions& options, const Program& program, Console& console);
int kernels(const KernelsOptions& options, const Program& program, Console& console);
int engine(const EngineOptions& options, Console& console);
int ceilings(const CeilingsOptions& options, const Program& program, Console& console);
int help(const HelpOptions& options, Console& console);
int version(Console& console);

// --- shared by the commands ---

std::vector<std::string> ids_of(std::span<const Registered> experiments);
/// Throws CommandError with the nearest ids.
const Registered& find_experiment(const std::string& id, const Program& program);
/// Throws CommandError with the nearest datasets.
const datasets::Definition& find_dataset(const std::string& name, const Program& program);
/// --data, else $REMEASURE_DATA, else "data".
std::filesystem::path data_folder(const std::string& option);
/// The committed reference records: where $REMEASURE_RECORDED says, in the sources that this program was
/// built from, or beside the program (a bundle that was moved to another machine). Empty if there is none.
std::filesystem::path recorded_folder();
/// "4 smoke, 12 paper" needs the number of cases; an experiment whose own code throws has none.
struct CaseCount {
  std::size_t all = 0, left_out = 0;
  std::string error;
};
CaseCount count_cases(const Experiment& experiment, Size size);

}  // namespace remeasure::bench::cli
