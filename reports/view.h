// SPDX-License-Identifier: Apache-2.0
//
// What the reports for people (terminal, Markdown, HTML) show of a record, as text, before any layout. What
// is said here is said the same in all of them.
#pragma once

#include <string>
#include <vector>

#include "reports/record.h"

namespace remeasure::reports {

enum class Tone { plain, good, fair, bad, dim };

/// One row of the table of variants. Empty text: there is nothing to show.
struct VariantRow {
  std::string variant, where, dtype, status;
  Tone tone = Tone::plain;  ///< of the status
  std::string time;
  std::vector<std::string> speedups;  ///< "1.59× vendor"
  std::string floor;                  ///< "62 %"
  std::string error;                  ///< "3.1e-3 / 2e-2": the output nearest to its limit
  std::string memory;
};

struct CaseRows {
  const CaseResult* test = nullptr;
  std::string heading;  ///< name, generated or real
  std::vector<VariantRow> rows;
};

struct VariantsView {
  std::vector<CaseRows> cases;
  std::vector<std::string>
      left_out;  ///< "kernel, vendor on gpu: not run: no CUDA device": true of every case
  std::vector<std::string> footnotes;  ///< "[1] ...": in the order of their numbers
  std::vector<std::string> legend;     ///< what the columns mean: ceilings of the floor, sampled, simt
  bool any_speedup = false, any_floor = false, any_memory = false, any_row = false;
};

VariantsView view_variants(const Record& record);

struct ClaimRow {
  std::string id, text;
  std::string reported, reported_on;  ///< "1.27–1.89×"; "A100, abstract"
  std::string measured, measured_on;  ///< "–" and "" where nothing was
  std::string verdict, why;
  Tone tone = Tone::plain;
};

ClaimRow view_claim(const ClaimResult& claim);

struct MetricRow {
  std::string test, metric, value, reported;
};
std::vector<MetricRow> view_metrics(const Record& record);

struct MemoryRow {
  std::string test, variant, where, device_peak, inputs, outputs, workspace, host_peak, driver, formula;
};
std::vector<MemoryRow> view_memory(const Record& record);

/// What libraries chose where they were asked for their best.
struct SettingRow {
  std::string test, variant, setting;
};
std::vector<SettingRow> view_settings(const Record& record);
/// Static figures of one kernel for one architecture.
struct KernelRow {
  std::string kernel, source, architecture, registers, spilled, stack, shared;
  std::string block, occupancy;  ///< "256"; "25 % (registers)": empty where it wasn't launched
  Tone tone = Tone::plain;       ///< bad where registers spill
};
KernelRow view_kernel(const KernelFigures& figures);

struct KernelsView {
  std::vector<KernelRow> rows;     ///< launched, or spilling; all where none was launched
  std::string summary;             ///< "76 compiled, 18 launched here, none with spills"
  std::vector<std::string> least;  ///< the lowest occupancy of each architecture
  std::vector<std::string> spills;
  std::string others;  ///< how many have no row; may be empty
};
KernelsView view_kernels(const Record& record);

/// How many claims got each verdict: "3 reproduced, 1 partly, ...", in the order of the verdicts; none are
/// left out.
std::string verdict_totals(const std::vector<Record>& records);
int count_verdict(const std::vector<Record>& records, Verdict verdict);

/// "n=512 · real data".
std::string data_kind(const CaseResult& test);

/// "NVIDIA H200 · AMD EPYC 9554, 16 cores".
std::string machine_line(const System& system);

/// "remeasure 0.1.0 (0123456789, modified) · GNU 12.2.0 · CUDA 13.0".
std::string build_line(const Build& build);

/// "crashed: killed by signal 11"; empty for a complete run.
std::string state_line(const Record& record);

/// Experiment and case of everything that went wrong with a case as a whole.
std::vector<std::string> case_errors(const Record& record);

}  // namespace remeasure::reports
