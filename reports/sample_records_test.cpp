// SPDX-License-Identifier: Apache-2.0
#include "reports/sample_records.h"

#include "reports/sample_parts.h"

namespace remeasure::reports::samples {
namespace {

Build build() {
  return {.version = "0.1.0",
          .git_commit = "0123456789abcdef0123456789abcdef01234567",
          .git_dirty = true,
          .compiler = "GNU 12.2.0",
          .flags = "-O3 -march=native",
          .cuda_toolkit = "13.0",
          .simd = "AVX2"};
}

}  // namespace

System gpu_machine() {
  return {.host = "node7",
          .os = "Debian GNU/Linux 12",
          .cpu = "AMD EPYC 9554",
          .cores = 16,
          .governor = "performance",
          .memory_bytes = 137438953472,
          .gpu = "NVIDIA H200",
          .gpu_driver = "580.65",
          .more = {{"ECC", "on"}, {"SM clock", "1980 MHz"}, {"cuBLAS", "13.0.2"}},
          .id = "h200-4f2a"};
}

System cpu_machine() {
  return {.host = "runner",
          .os = "Debian GNU/Linux 13",
          .cpu = "Intel Xeon Gold 6348",
          .cores = 2,
          .governor = "",
          .memory_bytes = 8589934592,
          .gpu = "",
          .gpu_driver = "",
          .more = {},
          .id = "xeon-77c1"};
}

Accuracy within(const char* output, double value, double limit, const char* reason) {
  return {.output = output,
          .metric = "relative l2",
          .value = value,
          .limit = limit,
          .at_least = {},
          .reason = reason,
          .worst_index = 17,
          .compared = 4096,
          .sampled = false,
          .passed = value <= limit};
}

Record header(const char* id, const char* theme, const char* title) {
  Record record;
  record.run_id = "00000000-0000-4000-8000-000000000001";
  record.started = "2025-01-31T12:00:00Z";
  record.command = std::string("remeasure run ") + id;
  record.state = RunState::complete;
  record.experiment = id;
  record.theme = theme;
  record.title = title;
  record.size = "smoke";
  record.build = build();
  return record;
}

VariantResult variant(const char* name, const char* what, Where where, const char* device,
                      const char* dtype) {
  VariantResult result;
  result.name = name;
  result.what = what;
  result.where = where;
  result.device = device;
  result.dtype = dtype;
  result.determinism = "bitwise";
  return result;
}

VariantResult not_run(const char* name, const char* what, const char* reason) {
  VariantResult result = variant(name, what, Where::gpu, "", "f64");
  result.reason = reason;
  return result;
}

TimeResult time_of(double seconds, double spread) {
  TimeResult time;
  time.mode = "cold";
  time.stop_reason = "interval below 1 %";
  for (int i = -5; i <= 5; ++i) {
    time.samples.push_back(seconds * (1 + spread * i / 5.0));
  }
  time.seconds = {seconds, seconds * (1 - spread / 2), seconds * (1 + spread / 2)};
  return time;
}

Record double_descent() {
  Record record = header("topml", "learning", "A Farewell to the Bias-Variance Tradeoff?");
  record.arxiv = "2109.02355";
  record.summary = "Test error peaks where parameters equal samples, and descends again.";
  record.system = cpu_machine();
  CaseResult test;
  test.name = "n=24 d=96";
  test.dataset = "linear-regression";
  test.seed = 1;
  VariantResult eigen =
      variant("eigen", "complete orthogonal decomposition", Where::cpu, "Intel Xeon Gold 6348", "f64");
  eigen.status = Status::passed;
  eigen.accuracy = {within("risk", 2.2e-13, 1e-10, "f64, condition up to 1e4")};
  eigen.time = time_of(0.731);
  eigen.time->mode = "cpu";
  test.variants = {eigen};
  test.metrics = {{.name = "peak",
                   .value = 24,
                   .unit = "parameters",
                   .reported = Interval{23, 25},
                   .error = {},
                   .exact = true,
                   .tolerance = 0}};
  test.checks = {{.name = "interpolates", .passed = true, .detail = "training error 3e-28, limit 1e-10"}};
  test.plots = {{.name = "risk",
                 .title = "Test error of the minimum-norm solution",
                 .x_label = "parameters p",
                 .y_label = "risk",
                 .log_x = true,
                 .log_y = true,
                 .curves = {{.label = "measured",
                             .x = {4, 12, 16, 32, 48, 64, 96},
                             .y = {1.201, 1.894, 2.874, 3.209, 1.368, 1.009, 0.807},
                             .error = {0.02, 0.04, 0.1, 0.1, 0.03, 0.02, 0.01},
                             .reference = false},
                            {.label = "exact",
                             .x = {4, 12, 16, 32, 48, 64, 96},
                             .y = {1.209, 1.913, 2.870, 3.213, 1.353, 1.020, 0.804},
                             .error = {},
                             .reference = true}}}};
  test.elapsed_seconds = 0.8;
  record.cases = {test};
  record.claims = {{.id = "double-descent",
                    .text = "test error peaks at p = n and descends again",
                    .reported = {},
                    .reported_is_range = false,
                    .reported_text = "peak at p = n",
                    .unit = "",
                    .reported_on = "",
                    .source = "abstract",
                    .tolerance = "p within 1 of n",
                    .measured = {},
                    .measured_text = "peak at p = 24 = n",
                    .measured_on = "Intel Xeon Gold 6348",
                    .verdict = Verdict::reproduced,
                    .why = "holds in every case",
                    .modelled = false,
                    .is_time = false}};
  record.elapsed_seconds = 0.9;
  return record;
}

Record crashed() {
  Record record = header("unlucky", "systems", "An experiment that ends with a signal");
  record.system = cpu_machine();
  record.state = RunState::crashed;
  record.error = "killed by signal 11 (segmentation fault) in case n=64";
  record.claims = {{.id = "anything",
                    .text = "a claim that nobody got to",
                    .reported = {2, 3},
                    .reported_is_range = true,
                    .reported_text = "",
                    .unit = "x",
                    .reported_on = "V100",
                    .source = "recalled",
                    .tolerance = "10 %",
                    .measured = {},
                    .measured_text = "",
                    .measured_on = "",
                    .verdict = Verdict::not_measured,
                    .why = "the experiment crashed",
                    .modelled = true,
                    .is_time = true}};
  record.elapsed_seconds = 0.2;
  return record;
}

std::vector<Record> all() {
  return {attention(), bessel(), double_descent(), crashed()};
}

}  // namespace remeasure::reports::samples
