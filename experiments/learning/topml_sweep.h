// SPDX-License-Identifier: Apache-2.0
//
// The timed case of topml: all (trial, p) of a sweep by the kernels, the libraries and Eigen.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>

#include "baselines/learning/least_squares.h"
#include "experiments/learning/topml_curves.h"
#include "kernels/learning/minnorm_sweep.h"

namespace remeasure::experiments::double_descent {

using kernels::SweepData;
using kernels::SweepShape;

inline std::vector<int> timed_sizes(Size size) {
  if (size == Size::smoke) return {4, 12, 16, 20, 23, 24, 25, 32, 48, 64, 80, 96};
  std::vector<int> sizes;  // 64 values from 8 to 2048
  for (int p = 8; p <= 120; p += 8) sizes.push_back(p);
  for (const int p : {127, 128, 129, 136}) sizes.push_back(p);
  for (int p = 144; p <= 416; p += 16) sizes.push_back(p);
  for (int p = 448; p <= 1024; p += 48) sizes.push_back(p);
  for (const int p : {1088, 1152, 1216, 1280, 1344, 1408, 1472, 1536, 1600, 1664, 1728, 1824, 1920, 2048})
    sizes.push_back(p);
  return sizes;
}

/// All trials of a problem, made when a variant that runs first asks for them: a thousand trials are a
/// gigabyte.
class Trials {
 public:
  Trials(LinearRegression stored, int trials) : stored_(std::move(stored)), trials_(trials) {}
  const LinearRegression& all() const {
    std::call_once(once_, [&] { all_ = datasets::with_trials(stored_, trials_); });
    return all_;
  }
  const LinearRegression& stored() const { return stored_; }

 private:
  LinearRegression stored_;
  int trials_;
  mutable std::once_flag once_;
  mutable LinearRegression all_;
};

struct SweepCase {
  RegressionChoice choice;
  int trials = 0;
  bool gpu_only = false;
};

/// f32 against double by distance from p = n: what the Gram matrix's squared condition number costs.
inline void float_error_table(Trial& t, const SweepShape& full, const std::vector<int>& sizes,
                              const LinearRegression& problem, const kernels::SweepOracle& oracle) {
  SweepShape shape = full;
  shape.double_band = -1;
  std::vector<float> risk(oracle.risk.size());
  kernels::minnorm_sweep_reference<float>(shape, sizes,
                                          {problem.x, problem.y, problem.beta, problem.variance}, risk);
  reports::Table table{
      .name = "float-error",
      .title = "Error of the risk with Gram matrices in float, relative to the oracle's terms",
      .columns = {"p", "|p - n|", "median", "largest"},
      .rows = {}};
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    std::vector<double> errors;
    for (std::size_t i = s; i < risk.size(); i += sizes.size()) {
      const double error = std::fabs(static_cast<double>(risk[i]) - oracle.risk[i]) / oracle.scale[i];
      errors.push_back(std::isfinite(error) ? error : 1e30);
    }
    std::sort(errors.begin(), errors.end());
    if (std::abs(sizes[s] - shape.samples) > 48 && s % 4 != 0) continue;  // far away every fourth is enough
    const std::string largest = errors.back() >= 1e30 ? "no factor" : fmt::format("{:.1e}", errors.back());
    table.rows.push_back({fmt::format("{}", sizes[s]), fmt::format("{}", std::abs(sizes[s] - shape.samples)),
                          fmt::format("{:.1e}", errors[errors.size() / 2]), largest});
  }
  t.table(std::move(table));
}

template <class Target>
SweepData<Target> data_on(DeviceBench<Target>& b, const LinearRegression& problem) {
  return {b.input(problem.x), b.input(problem.y), b.input(problem.beta), b.input(problem.variance)};
}

inline void run_sweep(const SweepCase& c, Trial& t) {
  const std::vector<int> sizes = timed_sizes(t.size());
  const auto inputs = t.inputs([&](std::uint64_t seed) {
    return std::make_shared<const Trials>(open_problem(t, c.choice, seed), c.trials);
  });
  const SweepShape shape{.trials = c.trials,
                         .samples = c.choice.samples,
                         .features = c.choice.features,
                         .noise = c.choice.noise};
  const std::size_t count = static_cast<std::size_t>(c.trials) * sizes.size();

  // The whole oracle where it is affordable, else all sizes of the first trials: at least 1,000 elements.
  const int checked = c.gpu_only ? static_cast<int>(1000 / sizes.size()) + 1 : c.trials;
  t.oracle("risk", 1, [=] {
    SweepShape part = shape;
    part.trials = checked;
    const LinearRegression problem = datasets::with_trials(inputs[0]->stored(), checked);
    kernels::SweepOracle o = kernels::minnorm_sweep_oracle(
        part, sizes, {problem.x, problem.y, problem.beta, problem.variance}, checked);
    OracleOutput out{.values = o.risk, .scale = o.scale};
    if (c.gpu_only) {
      for (std::size_t i = 0; i < o.risk.size(); ++i) out.indices.push_back(i);
    }
    return out;
  });

  // Float rounds at 6e-8; the Gram matrix's condition number reaches 1e4 just outside the double band.
  const Accept risk{
      .output = "risk",
      .metric = ErrorMetric::max_scaled,
      .limit = 2e-3,
      .at_least = 1e-9,
      .reason = "float: 6e-8 times the Gram matrix's condition number, 1e4 at the edge of the double band"};
  Accept beyond_band = risk;
  beyond_band.only = [shape, sizes](std::size_t i) { return !shape.in_double(sizes[i % sizes.size()]); };
  beyond_band.reason += "; |p - n| <= 4 isn't claimed";
  const Work textbook{.flops = kernels::minnorm_sweep_flops(shape, sizes),
                      .bytes = kernels::minnorm_sweep_bytes(shape, sizes)};
  const Work nested{.flops = kernels::minnorm_nested_flops(shape, sizes), .bytes = textbook.bytes};
  // The libraries and Eigen are held against the textbook; of our kernels we know what they execute.
  const kernels::SweepWork by_kernel = kernels::minnorm_sweep_work(shape, sizes),
                           by_naive = kernels::minnorm_naive_work(shape, sizes);
  double gram_bytes = 0;
  for (const int p : sizes)
    gram_bytes += 4.0 * c.trials * std::min(p, shape.samples) * std::min(p, shape.samples);
  const bool simt = t.size() == Size::smoke;
  const std::string no_simt =
      simt ? "" : "a sweep of the paper's size takes minutes on SIMT; smoke checks it";
  const std::string no_cpu = c.gpu_only ? "64,000 problems: the case with 8 trials has the CPU's rows" : "";

  t.kernel({.name = "kernel",
            .what = "nested sweep: a block per trial, K in registers, Cholesky in shared memory",
            .dtype = "f32",
            .accept = {risk},
            .work = {.flops = by_kernel.flops, .bytes = by_kernel.bytes},
            .formula_bytes = textbook.bytes,
            .simt = simt,
            .simt_left_out = no_simt,
            .explain_speedup = "features are nested: one Gram matrix grows instead of one for each p, and "
                               "one factorisation serves all p <= n; the library solves each problem anew"},
           [=](auto& b) -> std::function<void()> {
             const auto data = data_on(b, inputs[b.set()]->all());
             auto out = b.template output<float>("risk", count);
             return [=, &b] { kernels::minnorm_sweep(b.stream(), shape, sizes, data, out); };
           });
  t.kernel({.name = "kernel-naive",
            .what = "a block per problem: Gram matrix, Cholesky, risk",
            .dtype = "f32",
            .accept = {risk},
            .work = {.flops = by_naive.flops, .bytes = by_naive.bytes},
            .formula_bytes = textbook.bytes,
            .simt = simt,
            .simt_left_out = no_simt,
            .explain_speedup = "one launch for all problems; the library needs seven for each p"},
           [=](auto& b) -> std::function<void()> {
             const auto data = data_on(b, inputs[b.set()]->all());
             auto out = b.template output<float>("risk", count);
             return [=, &b] { kernels::minnorm_sweep_naive(b.stream(), shape, sizes, data, out); };
           });
  const auto library = [&](const char* name, const char* what, const Accept& accept,
                           baselines::LibrarySolver solver) {
    t.vendor({.name = name,
              .what = what,
              .dtype = "f32",
              .accept = {accept},
              .work = textbook,
              .formula_bytes = textbook.bytes + gram_bytes / static_cast<double>(sizes.size())},
             [=](auto& b) -> std::function<void()> {
               const auto data = data_on(b, inputs[b.set()]->all());
               auto out = b.template output<float>("risk", count);
               auto& sweep = b.template own<baselines::LeastSquaresCuda>(b.stream(), shape, sizes, solver);
               sweep.run(data, out);  // chooses the algorithms
               b.setting(sweep.setting());
               return [=, &sweep] { sweep.run(data, out); };
             });
  };
  library("vendor", "cuBLAS's fastest batched products, cusolverDnSpotrfBatched, potrsBatched for each p",
          beyond_band, baselines::LibrarySolver::cholesky);
  library("vendor/gels", "cublasSgelsBatched (QR) for each p <= n; beyond as vendor", beyond_band,
          baselines::LibrarySolver::qr);
  const auto host = [&](VariantInfo info, auto solve) {
    info.not_supported = no_cpu;
    t.host(std::move(info), [=](HostBench& b) -> std::function<void()> {
      const LinearRegression& p = inputs[b.set()]->all();
      const kernels::SweepHostData data{b.input(p.x), b.input(p.y), b.input(p.beta), b.input(p.variance)};
      const auto out = b.output<float>("risk", count);
      return [=] { solve(data, out); };
    });
  };
  const auto eigen = [=](baselines::EigenSolver solver) {
    return [=](const kernels::SweepHostData& d, std::span<float> out) {
      baselines::least_squares_eigen(shape, sizes, d.x, d.y, d.beta, d.variance, solver, out);
    };
  };
  host({.name = "eigen",
        .what = "LLT of the Gram matrix for each problem; QR in double near p = n",
        .dtype = "f32",
        .accept = {risk},
        .work = textbook,
        .formula_bytes = gram_bytes / static_cast<double>(count)},
       eigen(baselines::EigenSolver::cholesky));
  host({.name = "eigen/cod",
        .what = "CompleteOrthogonalDecomposition of X for each problem",
        .dtype = "f32",
        .accept = {risk},
        .work = textbook},
       eigen(baselines::EigenSolver::orthogonal));
  host({.name = "method",
        .what = "nested sweep: growing Gram matrix, shared factor below n; QR in double near p = n",
        .dtype = "f32",
        .accept = {risk},
        .work = nested,
        .formula_bytes = 8.0 * shape.samples * shape.samples},
       [=](const kernels::SweepHostData& d, std::span<float> out) {
         kernels::minnorm_sweep_reference<float>(shape, sizes, d, out);
       });
  t.measure();

  if (const Measured time = t.time("method"); time.value) {
    t.metric({.name = "problems per second (method)",
              .value = static_cast<double>(count) / time.value->median,
              .unit = "1/s",
              .tolerance = 10});
  }
  if (!c.gpu_only) {
    const LinearRegression& problem = inputs[0]->all();
    const auto oracle = kernels::minnorm_sweep_oracle(
        shape, sizes, {problem.x, problem.y, problem.beta, problem.variance}, c.trials);
    float_error_table(t, shape, sizes, problem, oracle);
  }
}

}  // namespace remeasure::experiments::double_descent
