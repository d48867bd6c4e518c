// SPDX-License-Identifier: Apache-2.0
#include "reports/sample_parts.h"
#include "reports/sample_records.h"

namespace remeasure::reports::samples {

Record bessel() {
  Record record = header("log-bessel", "science",
                         "Accurate Computation of the Logarithm of Modified Bessel Functions on GPUs");
  record.venue = "ICS 2024";
  record.arxiv = "2409.08729";
  record.summary = "log I and log K without overflow, by a choice of series and expansions.";
  record.system = cpu_machine();
  record.ceilings = {{"triad", 1.9e10}};
  CaseResult test;
  test.name = "function=log_k v<=10 <x> & \"y\"";  // characters that every format has to escape
  test.dataset = "bessel-arguments";
  test.dataset_sha256 = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";
  test.seed = 7;
  VariantResult method =
      variant("method", "piecewise expansions, Eigen arrays", Where::cpu, "Intel Xeon Gold 6348", "f64");
  method.status = Status::passed;
  method.accuracy = {within("log_k", 1.2e-15, 1e-13, "f64; the series ends at 1e-16")};
  method.time = time_of(1.84e-3);
  method.time->mode = "cpu";
  VariantResult standard =
      variant("std", "std::cyl_bessel_k, then log", Where::cpu, "Intel Xeon Gold 6348", "f64");
  standard.status = Status::passed;
  standard.accuracy = {within("log_k", 8.8e-15, 1e-12, "f64, where it is finite")};
  standard.time = time_of(61.2e-3, 0.05);
  standard.time->mode = "cpu";
  VariantResult gsl = variant("gsl", "gsl_sf_bessel_lnKnu", Where::cpu, "", "f64");
  gsl.status = Status::not_supported;
  gsl.reason = "built without GSL";
  VariantResult simt = variant("kernel", "one thread per argument", Where::simt, "SIMT engine", "f64");
  simt.status = Status::passed;
  simt.accuracy = {within("log_k", 1.2e-15, 1e-13, "f64; the series ends at 1e-16")};
  test.variants = {not_run("kernel", "one thread per argument", "no CUDA device"),
                   simt,
                   not_run("vendor", "CUDA's cyl_bessel, v = 0 and 1", "no CUDA device"),
                   method,
                   standard,
                   gsl};
  test.speedups = {{.variant = "method",
                    .base = "std",
                    .ratio = {33.3, 31.9, 34.8},
                    .withheld = "above 10x without an explanation"}};
  test.checks = {{.name = "monotone in x", .passed = true, .detail = "0 of 4096 steps go up"},
                 {.name = "recurrence", .passed = false, .detail = "largest residual 3.0e-12, limit 1e-12"}};
  test.tables = {{.name = "regions",
                  .title = "Arguments by expansion",
                  .columns = {"expansion", "share", "largest error"},
                  .rows = {{"power series", "31 %", "1.1e-15"}, {"large order", "69 %", "1.2e-15"}}}};
  test.elapsed_seconds = 1.25;
  record.cases = {test};
  record.claims = {{.id = "precision",
                    .text = "relative error near machine precision",
                    .reported = {1e-16, 1e-14},
                    .reported_is_range = true,
                    .reported_text = "",
                    .unit = "",
                    .reported_on = "all tested (v, x)",
                    .source = "abstract",
                    .tolerance = "10 %",
                    .measured = Interval{1.2e-15, 1.2e-15},
                    .measured_text = "",
                    .measured_on = "Intel Xeon Gold 6348",
                    .verdict = Verdict::reproduced,
                    .why = "inside the reported range",
                    .modelled = false,
                    .is_time = false},
                   {.id = "cpu-speedup",
                    .text = "median speedup over C++ libraries on a CPU",
                    .reported = {17, 17},
                    .reported_is_range = false,
                    .reported_text = "",
                    .unit = "x",
                    .reported_on = "a CPU",
                    .source = "abstract",
                    .tolerance = "10 %",
                    .measured = Interval{0.85, 0.92},
                    .measured_text = "",
                    .measured_on = "Intel Xeon Gold 6348",
                    .verdict = Verdict::not_reproduced,
                    .why = "slower than the libraries",
                    .modelled = false,
                    .is_time = true},
                   {.id = "gpu-speedup",
                    .text = "median speedup over CUDA libraries",
                    .reported = {45, 45},
                    .reported_is_range = false,
                    .reported_text = "",
                    .unit = "x",
                    .reported_on = "a GPU",
                    .source = "abstract",
                    .tolerance = "10 %",
                    .measured = {},
                    .measured_text = "",
                    .measured_on = "",
                    .verdict = Verdict::not_measured,
                    .why = "no CUDA device",
                    .modelled = false,
                    .is_time = true}};
  record.elapsed_seconds = 1.5;
  return record;
}

}  // namespace remeasure::reports::samples
