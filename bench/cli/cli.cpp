// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "bench/cli/exit_codes.h"
#include "bench/cli/nearest.h"
#include "bench/runner/worker.h"

namespace remeasure::bench::cli {
namespace {

int complain(std::string_view text) {
  std::fflush(stdout);
  std::fprintf(stderr, "remeasure: %.*s\n", static_cast<int>(text.size()), text.data());
  return kUsageOrToolError;
}

struct Dispatch {
  const Program& program;
  Console& console;
  int operator()(const ListOptions& options) const { return list(options, program, console); }
  int operator()(const DescribeOptions& options) const { return describe(options, program, console); }
  int operator()(const RunCommand& options) const { return run(options, program, console); }
  int operator()(const DataOptions& options) const { return data(options, program, console); }
  int operator()(const ReportOptions& options) const { return report(options, program, console); }
  int operator()(const CheckOptions& options) const { return check(options, program, console); }
  int operator()(const DoctorOptions& options) const { return doctor(options, program, console); }
  int operator()(const KernelsOptions& options) const { return kernels(options, program, console); }
  int operator()(const EngineOptions& options) const { return engine(options, console); }
  int operator()(const CeilingsOptions& options) const { return ceilings(options, program, console); }
  int operator()(const HelpOptions& options) const { return help(options, console); }
  int operator()(const VersionOptions&) const { return version(console); }
};

}  // namespace

int run_program(int argc, const char* const* argv, const Program& program) {
  prepare_standard_streams();
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  Console console;
  try {
    if (arguments.size() == 2 && arguments[0] == "worker") {
      return runner::run_worker(arguments[1], program.experiments, program.gpu_probes, program.ptxas_output);
    }
    const auto parsed = parse(arguments);
    if (const auto* wrong = std::get_if<UsageError>(&parsed)) return complain(wrong->text);
    if (const auto* text = std::get_if<HelpText>(&parsed)) {
      console.print(text->text);
      return console.finish(kFine);
    }
    return console.finish(std::visit(Dispatch{program, console}, std::get<Command>(parsed)));
  } catch (const std::bad_alloc&) {
    return complain("out of memory");
  } catch (const std::exception& error) {
    return complain(error.what());
  }
}

std::vector<std::string> ids_of(std::span<const Registered> experiments) {
  std::vector<std::string> ids;
  for (const auto& entry : experiments) ids.push_back(entry.experiment->paper.id);
  return ids;
}

const Registered& find_experiment(const std::string& id, const Program& program) {
  for (const auto& entry : program.experiments) {
    if (entry.experiment->paper.id == id) return entry;
  }
  throw CommandError(unknown_name("experiment", id, ids_of(program.experiments),
                                  fmt::format("`remeasure list` shows all {}", program.experiments.size())));
}

const datasets::Definition& find_dataset(const std::string& name, const Program& program) {
  std::vector<std::string> names;
  for (const auto* definition : program.catalogue) {
    if (definition->name == name) return *definition;
    names.push_back(definition->name);
  }
  throw CommandError(
      unknown_name("dataset", name, names, fmt::format("`remeasure data list` shows all {}", names.size())));
}

std::filesystem::path data_folder(const std::string& option) {
  if (!option.empty()) return option;
  const char* variable = std::getenv("REMEASURE_DATA");
  return variable != nullptr && *variable != '\0' ? variable : "data";
}

CaseCount count_cases(const Experiment& experiment, Size size) {
  CaseCount count;
  try {
    for (const auto& definition : experiment.cases(size)) {
      ++count.all;
      count.left_out += definition.left_out.empty() ? 0 : 1;
    }
  } catch (const std::exception& error) {
    count.error = error.what();
  }
  return count;
}

}  // namespace remeasure::bench::cli
