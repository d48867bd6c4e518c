// SPDX-License-Identifier: Apache-2.0
//
// What is measured at each point of log-bessel: kernel, method, the series in the place of a vendor's
// function, and the libraries of a CPU, each with its work and the errors that it may have.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/experiment.h"
#include "bench/system.h"
#include "experiments/science/log_bessel_points.h"
#include "kernels/science/bessel_series.h"

namespace remeasure::experiments::log_bessel_variants {

using namespace bench;
using namespace log_bessel_points;
using baselines::BesselLibrary;

using Run = std::function<void()>;

/// Largest error that the method's own expressions allow, in this region.
inline Accept largest_error(Function function, const std::string& region) {
  if (function == Function::k && region != "large") {
    return {.output = "log",
            .metric = ErrorMetric::max_scaled,
            .limit = 1e-9,
            .reason = "Simpson's rule with 600 intervals in the fallback: 6e-10 at v = 0, x = 0.5"};
  }
  return {.output = "log",
          .metric = ErrorMetric::max_scaled,
          .limit = region == "small" ? 2e-13 : 3e-12,
          .reason = region == "small" ? "9 polynomials leave 1.1e-13 at v = 20.2"
                                      : "rounding of v eta where the logarithm crosses 0: eps hypot(v, x)"};
}
inline Accept median_error(Function function) {
  return {.output = "log",
          .metric = ErrorMetric::median_scaled,
          .limit = function == Function::i ? 1e-15 : 1e-14,
          .reason = "near machine precision in the median, as reported"};
}

/// v, x and the result once; operations by each point's own branch. For the CPU's loops the kernel's count
/// stands.
inline Work work_of(Function function, LogBesselTable table, const BesselPoints& points) {
  Work work{.bytes = 24.0 * static_cast<double>(points.v.size()), .rate = "gemm-f64"};
  const kernels::LogBesselOptions options{table.table, table.guard};
  const auto operations = function == Function::i ? kernels::log_iv_operations : kernels::log_kv_operations;
  for (std::size_t i = 0; i < points.v.size(); ++i) {
    const kernels::BesselOperations of_point = operations(options, points.v[i], points.x[i]);
    work.flops += of_point.flops;
    work.special += of_point.special;
  }
  return work;
}

inline InputSets<BesselPoints> open_points(Trial& t, std::size_t points, const std::string& region) {
  return t.inputs([&](std::uint64_t seed) {
    const datasets::Opened opened =
        t.open(datasets::bessel_grid_definition, datasets::bessel_grid(points, seed));
    return read_bessel_grid(*opened.reader, region);
  });
}

inline void declare_kernel(Trial& t, Function function, const std::string& region,
                           const InputSets<BesselPoints>& in) {
  const std::size_t n = in[0].v.size();
  t.kernel(
      {.name = "kernel",
       .what = "reduced table; K's fallback by a warp per point",
       .dtype = "f64",
       .accept = {largest_error(function, region), median_error(function)},
       .work = work_of(function, kReduced, in[0]),
       .formula_bytes = 24.0 * static_cast<double>(n),
       .simt = n <= 20'000,
       .simt_left_out = "a million points; checked at the smaller sizes",
       .explain_speedup = "the vendor has no function of general order; the series it is compared with has "
                          "x/2 + 10 sqrt(x) terms, the expansions at most 20"},
      [&in, function, n]<class Target>(DeviceBench<Target>& bench) -> Run {
        const auto v = bench.input(in[bench.set()].v), x = bench.input(in[bench.set()].x);
        const auto out = bench.template output<double>("log", n);
        auto& stream = bench.stream();
        return [=, &stream] {
          if (function == Function::i)
            kernels::log_iv<Target>(stream, {}, v, x, out);
          else
            kernels::log_kv<Target>(stream, {}, v, x, out);
        };
      });
}

inline Work series_work(const BesselPoints& points) {
  Work work{.bytes = 24.0 * static_cast<double>(points.v.size())};
  for (std::size_t i = 0; i < points.v.size(); ++i) {
    const kernels::BesselOperations of_point = kernels::bessel_series_operations(points.v[i], points.x[i]);
    work.flops += of_point.flops;
    work.special += of_point.special;
  }
  return work;
}

/// The device port of the unscaled series; only for I. Points that it can hold: I and all terms inside the
/// range of a double.
inline void declare_series(Trial& t, const InputSets<BesselPoints>& in, std::span<const double> expected) {
  const std::size_t n = in[0].v.size();
  std::vector<char> holds(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double first = in[0].v[i] * std::log(in[0].x[i] / 2) - std::lgamma(in[0].v[i] + 1);
    holds[i] = first > -700 && expected[i] < 709;
  }
  const double failing =
      1 - static_cast<double>(std::count(holds.begin(), holds.end(), 1)) / static_cast<double>(n);
  t.metric(
      {.name = "vendor: points outside its range", .value = failing, .unit = "fraction", .tolerance = 0.01});
  t.kernel(
      {.name = "vendor",
       .what = "unscaled power series on the device, ln after",
       .dtype = "f64",
       .accept = {{.output = "log",
                   .metric = ErrorMetric::max_scaled,
                   .limit = 2e-12,
                   .reason = "the first term is an exponential of up to 700",
                   .only = [holds](std::size_t i) { return holds[i] != 0; }}},
       .work = series_work(in[0]),
       .not_supported =
           failing > kMostFailing ? fmt::format("inf or 0 on {:.0f} % of the points", 100 * failing) : "",
       .simt = n <= 20'000,
       .simt_left_out = "a million points; checked at the smaller sizes"},
      [&in, n]<class Target>(DeviceBench<Target>& bench) -> Run {
        const auto v = bench.input(in[bench.set()].v), x = bench.input(in[bench.set()].x);
        const auto out = bench.template output<double>("log", n);
        auto& stream = bench.stream();
        return [=, &stream] { kernels::bessel_series<Target>(stream, v, x, out); };
      });
}

inline void declare_method(Trial& t, Function function, const std::string& region,
                           const InputSets<BesselPoints>& in) {
  const int cores = usable_cores();
  for (const auto& [name, threads] : {std::pair{"method", 1}, {"method/all-cores", cores}}) {
    if (threads == 1 && std::string(name) != "method") continue;
    t.host({.name = name,
            .what = fmt::format("all seven branches, scalar loops, {} thread(s)", threads),
            .dtype = "f64",
            .accept = {largest_error(function, region), median_error(function)},
            .work = work_of(function, kFull, in[0]),
            .threads = threads},
           [&in, function, workers = threads](HostBench& bench) -> Run {
             const auto v = bench.input(in[bench.set()].v), x = bench.input(in[bench.set()].x);
             const auto out = bench.output<double>("log", v.size());
             return [=] { evaluate(function, v, x, out, kFull, workers); };
           });
  }
}

inline void declare_library(Trial& t, Function function, const Answers& answers,
                            const InputSets<BesselPoints>& in) {
  const BesselLibrary& library = *answers.library;
  std::string why_not(library.missing);
  if (why_not.empty() && answers.failing + answers.wrong > kMostFailing) {
    why_not = fmt::format("inf, 0 or nan on {:.1f} % of the points, wrong on {:.1f} %", 100 * answers.failing,
                          100 * answers.wrong);
  }
  t.host({.name = std::string(library.name),
          .what = std::string(library.what),
          .dtype = "f64",
          .accept = {{.output = "log",
                      .metric = ErrorMetric::max_scaled,
                      .limit = kLibraryError,
                      .reason = "whether it computes this function; points where it gives no number are left "
                                "out and counted",
                      .only = [right = answers.right](std::size_t i) { return right[i] != 0; }}},
          .threads = 1,
          .not_supported = why_not},
         [&in, compute = function_of(library, function)](HostBench& bench) -> Run {
           const auto v = bench.input(in[bench.set()].v), x = bench.input(in[bench.set()].x);
           const auto out = bench.output<double>("log", v.size());
           return [=] { compute(v, x, out); };
         });
}

}  // namespace remeasure::experiments::log_bessel_variants
