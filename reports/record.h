// SPDX-License-Identifier: Apache-2.0
//
// What a result is. One Record per experiment and run, one JSON file per Record: the only thing that passes
// from measuring to reporting. Plain data; the writers and the comparison read it, bench/ fills it in.
// Optional means "does not exist", never "zero". The JSON form is record.schema.json.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/units.h"

namespace remeasure::reports {

inline constexpr int kRecordVersion = 1;

/// Status of one variant of one case. Time, speedup and memory exist only where it is `passed`.
enum class Status { passed, incorrect, not_verified, not_supported, not_run, failed, timed_out };

/// Judgement of one claim (rules: bench/verdict.h).
enum class Verdict { reproduced, partly, not_reproduced, not_comparable, not_measured };

/// Where a variant ran. `simt` never yields a time.
enum class Where { gpu, cpu, simt };

/// Spread of a set of samples. `low`/`high` bound the median with 95 % confidence.
struct Estimate {
  double median = 0;
  double low = 0;
  double high = 0;
};

/// What a GPU says of itself (NVML) at one moment. What it doesn't say is absent.
struct GpuCondition {
  std::optional<double> sm_mhz = {}, memory_mhz = {}, celsius = {}, watts = {};
  std::string limited_by =
      {};                    ///< what holds the clock down: "power cap", "hardware thermal"; empty: nothing
  std::string missing = {};  ///< why nothing is known: "no NVML: ..."
};

/// The same launch timed in another way than the quoted one. It has seconds, or says why not.
struct OtherMode {
  std::string mode = {};  ///< "cold", "hot", "graph"
  std::optional<Estimate> seconds = {};
  int launches = 1;  ///< in each sample
  std::vector<double> samples = {};
  std::vector<std::size_t> throttled = {};  ///< as in TimeResult
  std::string missing = {};
};

/// Wall or GPU time of one variant, in seconds.
struct TimeResult {
  Estimate seconds = {};
  std::string mode = {};                    ///< "cold", "hot", "graph" on a GPU; "cpu"
  std::string stop_reason = {};             ///< which rule ended the sampling
  int threads = 1;                          ///< CPU threads in use
  bool launch_bound = false;                ///< a GPU time under 10 us
  std::string disturbed = {};               ///< on a CPU: "others kept 1.3 of 2 cores busy"; then it is
                                            ///< compared with nothing and judges no claim
  std::vector<double> samples = {};         ///< all of them, in the order taken
  std::vector<std::size_t> throttled = {};  ///< indices of samples taken while the clock was limited
  std::string quoted_because = {};          ///< why `mode` isn't the cold one, on a GPU
  std::string cache = {};                   ///< how L2 was kept cold: "flushed: ...", "rotated: ..."
  std::string unhidden = {};                ///< why the launch's latency is in the time; empty: it isn't
  std::vector<double> sm_mhz = {};          ///< SM clock at each sample
  std::optional<GpuCondition> before = {}, after = {};  ///< the first cold sample, and the last
  std::vector<OtherMode> other_modes = {};
};

/// Position of a variant against the ceilings of this machine (Record::ceilings).
struct Roofline {
  double flops = 0;                              ///< formula, per run
  double bytes = 0;                              ///< formula, per run
  std::optional<double> floor_seconds = {};      ///< max(bytes/bandwidth, flops/rate)
  std::optional<double> fraction_of_floor = {};  ///< floor / time; above 1 makes the sample invalid
  std::string bound = {};                        ///< "memory" or "compute"
  std::string ceilings = {};  ///< names of the two ceilings used, e.g. "read-dram, gemm-f64"
};

/// One comparison of an output with the oracle.
struct Accuracy {
  std::string output = {};  ///< name of the output
  std::string metric = {};  ///< "relative l2", "max scaled error", ...
  double value = 0;         ///< infinite (absent in JSON) where the output has NaN or Inf; then not passed
  double limit = 0;         ///< value must be <= limit ...
  std::optional<double> at_least = {};  ///< ... and >= this (a result too good for its dtype is suspicious)
  std::string reason = {};              ///< why this limit
  std::int64_t worst_index = -1;
  std::int64_t compared = 0;  ///< elements compared; fewer than the output's size means `sampled`
  bool sampled = false;
  bool passed = false;
};

/// Exact bytes of one variant.
struct Memory {
  std::optional<double> device_peak = {};  ///< allocator's high-water mark after set-up
  std::optional<double> inputs = {};
  std::optional<double> outputs = {};
  std::optional<double> workspace = {};  ///< library and kernel scratch
  std::optional<double> host_peak = {};  ///< heap high-water mark of one run above what was held before it
  std::optional<double> device_used =
      {};  ///< what the driver counts for this variant after one run: libraries' own allocations too
  std::string device_note = {};  ///< where the driver and our count disagree by more than its granularity
  std::optional<double> formula = {};  ///< the paper's or the experiment's formula
};

/// Static figures of one kernel instantiation, from ptxas. The last four exist where the run launched it.
struct KernelFigures {
  std::string kernel = {};  ///< name and template arguments: "sddmm_nm_kernel<SddmmTile<half, 64, 1, 1>>"
  std::string architecture = {};  ///< "sm_90"
  int registers = 0;              ///< per thread
  int spill_bytes = 0;            ///< bytes of spill stores and of spill loads
  int shared_bytes = 0;           ///< static
  int stack_bytes = 0;
  std::string source = {};                ///< "kernels/attention/nm_sparse_sddmm.cu"
  std::optional<int> block_threads = {};  ///< of several launch shapes the one of lowest occupancy
  std::optional<int> dynamic_shared_bytes = {};
  std::optional<double> occupancy =
      {};                       ///< theoretical: warps that fit on a multiprocessor / warps that it can hold
  std::string limited_by = {};  ///< what keeps the occupancy there: "registers", "shared memory", ...
};

struct VariantResult {
  std::string name = {};     ///< "kernel", "vendor", "eigen", "method", "spmm/cusparse", ...
  std::string what = {};     ///< one line: library, algorithm, setting
  std::string setting = {};  ///< what a library chose for this case when it was asked for its best
  Where where = Where::cpu;
  std::string device = {};  ///< e.g. "NVIDIA H200"; the CPU's model name
  std::string dtype = {};
  Status status = Status::not_run;
  std::string reason = {};       ///< for every status but passed
  std::string determinism = {};  ///< "bitwise" or "order dependent"
  std::vector<Accuracy> accuracy = {};
  std::optional<TimeResult> time = {};  ///< only where passed, and never for simt
  std::optional<Roofline> roofline = {};
  std::optional<Memory> memory = {};
};

/// Ratio of two variants' times of one case: base.median / variant.median.
struct Speedup {
  std::string variant = {};
  std::string base = {};
  Estimate ratio = {};        ///< interval by bootstrap
  std::string withheld = {};  ///< why no verdict may rest on it (e.g. above 10x unexplained); else empty
};

/// One number that isn't a time: retained mass, peak location, ...
struct Metric {
  std::string name = {};
  double value = 0;
  std::string unit = {};
  std::optional<Interval> reported = {};  ///< what the paper or its card says
  std::optional<double> error = {};       ///< standard error, where it is an average
  bool exact = false;                     ///< same on any machine, bit for bit
  double tolerance = 0;                   ///< relative; by how much it may move between machines (`check`)
};

/// One "must hold" of the experiment.
struct Check {
  std::string name = {};
  bool passed = false;
  std::string detail = {};  ///< measured value and limit, in words
};

/// One curve of a plot.
struct Curve {
  std::string label = {};
  std::vector<double> x = {}, y = {};
  std::vector<double> error = {};  ///< one standard error each; empty = none
  bool reference = false;          ///< reported or exact: drawn as a line, without markers
};
struct Plot {
  std::string name = {};  ///< unique in its case; file-name safe
  std::string title = {}, x_label = {}, y_label = {};
  bool log_x = false, log_y = false;
  std::vector<Curve> curves = {};
};

/// A table of the paper's own kind, beside the standard ones. Cells are formatted by the experiment.
struct Table {
  std::string name = {}, title = {};
  std::vector<std::string> columns = {};
  std::vector<std::vector<std::string>> rows = {};
};

/// What one case contributes to a claim. Claims are judged on the samples of all cases (bench/verdict.h).
struct ClaimSample {
  std::string claim = {};
  std::optional<Estimate> value = {};  ///< for a claim that is a number
  std::optional<bool> holds = {};      ///< for a claim that is a statement
  std::string text = {};               ///< evidence in words
  std::string on = {};                 ///< device
  std::string missing = {};            ///< why there is neither: "no CUDA device"
};

struct CaseResult {
  std::string name = {};  ///< "n=512 pattern=2:4"; unique in the experiment
  std::map<std::string, std::string> parameters = {};
  std::string dataset = {};  ///< catalogue name
  std::string dataset_sha256 = {};
  bool synthetic = true;  ///< "generated" or "real" in every report
  std::uint64_t seed = 0;
  std::vector<VariantResult> variants = {};
  std::vector<Speedup> speedups = {};
  std::vector<Metric> metrics = {};
  std::vector<Check> checks = {};
  std::vector<Plot> plots = {};
  std::vector<Table> tables = {};
  std::vector<ClaimSample> claim_samples = {};
  double elapsed_seconds = 0;
  std::string error = {};     ///< an exception, crash or timeout that ended the case; else empty
  std::string left_out = {};  ///< why the case was not run at all, by its author's decision; else empty
  std::string not_reached =
      {};  ///< why its turn never came (a spent time budget): --resume runs it; else empty
};

/// One claim of the paper with what was measured beside it.
struct ClaimResult {
  std::string id = {}, text = {};
  Interval reported = {};
  bool reported_is_range = false;  ///< false: a single value, or a statement (then `reported_text`)
  std::string reported_text = {};  ///< for claims that aren't a number: "peak at p = n"
  std::string unit = {};
  std::string reported_on = {};           ///< hardware, model, size
  std::string source = {};                ///< "abstract", "table 2", "recalled", ...
  std::string tolerance = {};             ///< the rule in words
  std::optional<Interval> measured = {};  ///< range over the cases
  std::string measured_text = {};
  std::string measured_on = {};
  Verdict verdict = Verdict::not_measured;
  std::string why = {};  ///< the rule that decided, or what is missing
  bool modelled = false;
  bool is_time = false;  ///< a time or ratio of times: compared on the same device only (`check`)
};

struct Build {
  std::string version = {}, git_commit = {};
  bool git_dirty = false;
  std::string compiler = {}, flags = {}, cuda_toolkit = {}, simd = {};
};

struct System {
  std::string host = {}, os = {}, cpu = {};
  int cores = 0;
  std::string governor = {};
  double memory_bytes = 0;
  std::string gpu = {}, gpu_driver = {};
  std::map<std::string, std::string> more = {};  ///< clocks, power limit, ECC, library versions
  std::string id = {};  ///< hash of the stable part: what `check` calls the same device
};

enum class RunState { complete, partial, interrupted, crashed, timed_out };

struct Record {
  int version = kRecordVersion;
  std::string run_id = {};   ///< UUID
  std::string started = {};  ///< ISO 8601, UTC
  std::string command = {};
  RunState state = RunState::partial;
  std::string error = {};  ///< for crashed, timed_out, interrupted
  std::string experiment = {}, theme = {}, title = {}, authors = {}, venue = {}, arxiv = {}, summary = {};
  std::string size = {};  ///< "smoke" or "paper"
  Build build = {};
  System system = {};
  std::map<std::string, double> ceilings =
      {};  ///< "read-dram" bytes/s; "gemm-f64" flop/s; "gpu-launch" s; ...
  std::vector<KernelFigures> kernels = {};
  std::vector<CaseResult> cases = {};
  std::vector<ClaimResult> claims = {};
  std::vector<std::string> notes = {};  ///< findings, deviations, limits: printed under the tables
  double elapsed_seconds = 0;
};

const char* to_string(Status);
const char* to_string(Verdict);
const char* to_string(Where);
const char* to_string(RunState);

}  // namespace remeasure::reports
