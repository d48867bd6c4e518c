// SPDX-License-Identifier: Apache-2.0
//
// The logarithms of the modified Bessel functions, computed as logarithms: seven expressions chosen by
// thresholds, none of which overflows. Without them a von Mises-Fisher distribution in thousands of
// dimensions can't be fitted.
#include <fmt/format.h>

#include "bench/system.h"
#include "experiments/science/log_bessel_points.h"
#include "experiments/science/log_bessel_reports.h"
#include "experiments/science/log_bessel_variants.h"
#include "experiments/science/vmf_fits.h"
#include "kernels/science/bessel_series.h"

namespace remeasure::experiments {

using namespace bench;
using namespace log_bessel_points;
using namespace log_bessel_variants;

namespace {

constexpr std::size_t kReferencePoints = 1024;

void run_region(Trial& t, Function function, const std::string& region, std::size_t n, bool on_cpu) {
  const InputSets<BesselPoints> in = open_points(t, n, region);
  const BesselPoints& points = in[0];
  const Reference reference = reference_at(function, points, kReferencePoints);
  std::vector<double> expected(n);
  evaluate(function, points.v, points.x, expected, kFull, usable_cores());
  t.oracle("log", 1, [&] {
    OracleOutput output{.values = reference.values, .scale = {}, .indices = reference.indices};
    for (const double value : output.values) output.scale.push_back(std::max(1.0, std::abs(value)));
    return output;
  });
  declare_kernel(t, function, region, in);
  if (function == Function::i) declare_series(t, in, expected);
  std::vector<Answers> libraries;
  if (on_cpu) {
    declare_method(t, function, region, in);
    for (const BesselLibrary& library : baselines::bessel_libraries()) {
      if (!library.missing.empty())
        declare_library(t, function, {.library = &library, .right = {}}, in);
      else
        declare_library(t, function, libraries.emplace_back(answers_of(library, function, points, expected)),
                        in);
    }
  }
  t.measure();

  report_errors(t, function, region, points, reference);
  const bool finite =
      std::all_of(expected.begin(), expected.end(), [](double value) { return std::isfinite(value); });
  t.check("all outputs finite", finite, fmt::format("{} points", n));
  if (region == "small")
    t.metric({.name = "constants",
              .value = static_cast<double>(kernels::log_bessel_constant_bytes()),
              .unit = "bytes",
              .exact = true});
  for (const Answers& answers : libraries) {
    t.metric({.name = fmt::format("{}: fails", answers.library->name),
              .value = answers.failing,
              .unit = "fraction",
              .tolerance = 0.02});
    if (region == "mixed" && answers.library->name == "std") {
      t.check("control: std::cyl_bessel fails on 30 % and more", answers.failing >= 0.3,
              fmt::format("{:.1f} % are inf, 0 or nan", 100 * answers.failing));
    }
  }
  if (on_cpu) compare_boxes(t, function, region, points, libraries);
  if (function == Function::i && region == "small") {
    const Measured ratio = t.speedup("kernel", "vendor");
    t.claim("gpu-speedup-libs", ratio);
    t.claim("gpu-speedup-libs-max", ratio);
  }
}

/// Orders 0 and 1, the only ones of CUDA's library and of Eigen.
void run_low_order(Trial& t, Function function, int order, std::size_t n) {
  const InputSets<BesselPoints> in = t.inputs([&](std::uint64_t seed) {
    const datasets::Opened opened = t.open(datasets::bessel_grid_definition, datasets::bessel_grid(n, seed));
    BesselPoints points = read_bessel_grid(*opened.reader, "small");
    std::fill(points.v.begin(), points.v.end(), order);
    return points;
  });
  const Reference reference = reference_at(function, in[0], kReferencePoints);
  t.oracle("log", 1, [&] {
    OracleOutput output{.values = reference.values, .scale = {}, .indices = reference.indices};
    for (const double value : output.values) output.scale.push_back(std::max(1.0, std::abs(value)));
    return output;
  });
  declare_kernel(t, function, "small", in);
  declare_method(t, function, "small", in);
  const Accept accept{.output = "log",
                      .metric = ErrorMetric::max_scaled,
                      .limit = 2e-14,
                      .reason = "a polynomial fit in f64, then a logarithm"};
  t.host({.name = "eigen",
          .what = "Eigen (unsupported) bessel_i0e, i1e, k0e, k1e; ln after; vectorised",
          .dtype = "f64",
          .accept = {accept},
          .threads = 1},
         [&in, function, order](HostBench& bench) -> Run {
           const auto x = bench.input(in[bench.set()].x);
           const auto out = bench.output<double>("log", x.size());
           return [=] {
             if (function == Function::i)
               baselines::eigen_log_iv(order, x, out);
             else
               baselines::eigen_log_kv(order, x, out);
           };
         });
  if (function == Function::i) {
    t.kernel({.name = "vendor",
              .what = "CUDA cyl_bessel_i0, cyl_bessel_i1; ln after",
              .dtype = "f64",
              .accept = {accept},
              .work = {.bytes = 16.0 * static_cast<double>(n), .special = 2.0 * static_cast<double>(n)}},
             [&in, order, n]<class Target>(DeviceBench<Target>& bench) -> Run {
               const auto x = bench.input(in[bench.set()].x);
               const auto out = bench.template output<double>("log", n);
               auto& stream = bench.stream();
               return [=, &stream] { kernels::bessel_order_0_1<Target>(stream, order, x, out); };
             });
  }
  t.measure();
}

std::vector<CaseDefinition> cases(Size size) {
  std::vector<CaseDefinition> list;
  const std::size_t cpu_points = size == Size::smoke ? 1024 : 16'384;
  constexpr std::size_t kGpuPoints = 1 << 20;
  const auto add_regions = [&](std::size_t n, bool on_cpu, const std::string& left_out) {
    for (const auto& [name, function] : {std::pair{"I", Function::i}, {"K", Function::k}}) {
      for (const datasets::BesselRegion& region : datasets::bessel_regions()) {
        list.push_back(
            {.name = {{"function", name}, {"region", region.name}, {"points", fmt::format("{}", n)}},
             .run = [=, which = function,
                     where = region.name](Trial& t) { run_region(t, which, where, n, on_cpu); },
             .left_out = left_out});
      }
    }
  };
  add_regions(cpu_points, true, "");
  if (size == Size::paper) {
    add_regions(
        kGpuPoints, false,
        Device<Cuda>::count() > 0 ? "" : fmt::format("for the GPU's kernels; here: {}", why_no_gpu()));
  }
  for (const auto& [name, function] : {std::pair{"I", Function::i}, {"K", Function::k}}) {
    for (const int order : size == Size::smoke ? std::vector<int>{0} : std::vector<int>{0, 1}) {
      list.push_back(
          {.name = {{"function", name},
                    {"order", fmt::format("{}", order)},
                    {"points", fmt::format("{}", cpu_points)}},
           .run = [=, which = function](Trial& t) { run_low_order(t, which, order, cpu_points); }});
    }
  }
  for (const std::size_t d : std::initializer_list<std::size_t>{2048, 8192, 32'768}) {
    const std::size_t rows = size == Size::smoke ? std::max<std::size_t>(16, 64 * 2048 / d) : 4096 * 2048 / d;
    list.push_back({.name = {{"vmf", fmt::format("d={}", d)}, {"rows", fmt::format("{}", rows)}},
                    .run = [=](Trial& t) { run_vmf_fits(t, d, rows); }});
  }
  return list;
}

const char* const kCpuSetting = "CPU, f64; ranges, libraries and threads aren't in the abstract";

}  // namespace

extern const Experiment log_bessel;
const Experiment log_bessel = {
    .paper = {.id = "log-bessel",
              .title = "Accurate Computation of the Logarithm of Modified Bessel Functions on GPUs",
              .authors = "A. Plesner, H. H. B. Sorensen, S. Hauberg",
              .venue = "ICS 2024",
              .arxiv = "2409.08729",
              .summary =
                  "ln I_v(x) and ln K_v(x) by seven expressions chosen by thresholds, without overflow"},
    .claims = {{.id = "gpu-speedup-libs",
                .text = "median speedup over third-party CUDA code",
                .reported = {45, 45},
                .tolerance_reason =
                    "baseline differs: no CUDA library has a general order, a straight series stands in",
                .on = "NVIDIA GPU, f64",
                .source = "abstract",
                .needs = Needs::gpu,
                .over = Over::median,
                .is_time = true},
               {.id = "gpu-speedup-libs-max",
                .text = "largest speedup over third-party CUDA code",
                .reported = {6150, 6150},
                .tolerance_reason =
                    "baseline differs: no CUDA library has a general order, a straight series stands in",
                .on = "NVIDIA GPU, f64",
                .source = "abstract",
                .needs = Needs::gpu,
                .over = Over::largest,
                .is_time = true},
               {.id = "cpu-speedup-libs",
                .text = "median speedup over third-party C++ libraries on a CPU",
                .reported = {17, 17},
                .on = kCpuSetting,
                .source = "abstract",
                .over = Over::median,
                .is_time = true},
               {.id = "cpu-speedup-libs-max",
                .text = "largest speedup over third-party C++ libraries on a CPU",
                .reported = {3403, 3403},
                .on = kCpuSetting,
                .source = "abstract",
                .over = Over::largest,
                .is_time = true},
               {.id = "scipy-gpu",
                .text = "speedup over SciPy (median and largest), GPU",
                .reported = {77, 300},
                .on = "NVIDIA GPU",
                .source = "abstract",
                .needs = Needs::elsewhere,
                .instead =
                    "SciPy is Python; scipy.special.ive and kve timed beside the kernel on a GPU machine",
                .is_time = true},
               {.id = "scipy-cpu",
                .text = "speedup over SciPy (median and largest), CPU",
                .reported = {35, 98},
                .on = "CPU",
                .source = "abstract",
                .needs = Needs::elsewhere,
                .instead = "SciPy is Python; scipy.special.ive and kve timed beside the method",
                .is_time = true},
               {.id = "precision",
                .text = "relative error near machine precision, no under- or overflow",
                .reported = {1e-16, 1e-14},
                .unit = "",
                .better = Better::lower,
                .no_effect = 1,
                .tolerance = 0.1,
                .tolerance_reason = "of the largest error over all points, scale max(1, |reference|)",
                .on = "all tested (v, x)",
                .source = "abstract",
                .over = Over::largest,
                .any_size = true},
               {.id = "vmf-fit",
                .text = "a von Mises-Fisher fit succeeds (that SciPy and mpmath fail there isn't measured)",
                .reported_text = "success at d = 2048, 8192, 32768",
                .unit = "",
                .on = "ResNet50 features of CIFAR10",
                .source = "abstract",
                .any_size = true,
                .real_data = true}},
    .cases = cases,
    .notes = {"CPU speedups compare one thread with one thread over 50 sub-boxes each of the regions small "
              "and large, of boxes in which the library gives a number at every point. The tables and "
              "metrics also count boxes where it fails, as a comparison of mere run times would: in the "
              "large region std and Boost then lose by factors of 200 to 2,000, for answers that are inf, 0 "
              "or nan. The mixed region is left out of the claim: its largest ratio (GSL's and Boost's "
              "recurrence over orders up to 1e5) depends on the bound that we chose.",
              "Where v < 12.7 and x < 20 Boost, GSL and std beat this method by 10 to 100 times for ln K: "
              "600 nodes of an integral.",
              "The precision verdict rests on the largest error. ln I stays near rounding but where its "
              "value crosses 0: v eta of size hypot(v, x) is rounded there, which no double arithmetic "
              "avoids. ln K carries the 6e-10 of Simpson's rule with 600 intervals in the fallback.",
              "With the paper's thresholds the large-argument branches lose up to 1e-7 (absolute) where v^2 "
              "> 2x; relative to |ln I| this is 7e-13. The guards of a public port remove it (rows "
              "'guarded').",
              "The card's error of 2e-10 for K's fallback is 6e-10; its bound of 1e-13 for ln I holds but "
              "near a zero of ln I and at the smallest orders of the 9-term branch (1.1e-13); its trapezoid "
              "step needs a bound of 1/8 besides, else the reference itself is wrong by 1e-6 and more for "
              "small v and x.",
              "The reference values lie in the oracle cache, not in the data file: datasets and kernels "
              "don't know each other.",
              "That SciPy and mpmath fail on the fits isn't measured here; of the C++ libraries it is, in "
              "the table of fits.",
              "vMF features are generated, so the claim about CIFAR10 features is not comparable until real "
              "ones are imported (remeasure data import); the fits must hold on them all the same. R is "
              "estimated from 5,000 exact cosines per class."}};

}  // namespace remeasure::experiments
