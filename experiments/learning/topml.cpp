// SPDX-License-Identifier: Apache-2.0
//
// Double descent in linear regression. Dar, Muthukumar, Baraniuk, "A Farewell to the Bias-Variance Tradeoff? An Overview of the
// Theory of Overparameterized Machine Learning", 2021. An overview: its claims are about curves, none about time; the
// timed rows are ours. Curves come from the double reference, which is checked against the same oracle as the kernels.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>

#include "baselines/learning/least_squares.h"
#include "bench/trial.h"
#include "experiments/learning/double_descent.h"
#include "kernels/learning/minnorm_sweep.h"

namespace remeasure::experiments {

using namespace bench;
using datasets::RegressionChoice;
using kernels::SweepData;
using kernels::SweepShape;

namespace {

std::vector<int> timed_sizes(Size size) {
  if (size == Size::smoke) return {4, 12, 16, 20, 23, 24, 25, 32, 48, 64, 80, 96};
  std::vector<int> sizes;  // 64 values from 8 to 2048
  for (int p = 8; p <= 120; p += 8) sizes.push_back(p);
  for (const int p : {127, 128, 129, 136}) sizes.push_back(p);
  for (int p = 144; p <= 416; p += 16) sizes.push_back(p);
  for (int p = 448; p <= 1024; p += 48) sizes.push_back(p);
  for (const int p : {1088, 1152, 1216, 1280, 1344, 1408, 1472, 1536, 1600, 1664, 1728, 1824, 1920, 2048}) sizes.push_back(p);
  return sizes;
}

std::vector<int> curve_sizes(Size size) {
  if (size == Size::smoke) return {0, 2, 4, 8, 12, 16, 18, 20, 22, 23, 24, 25, 26, 28, 32, 40, 48, 56, 64, 80, 96};
  return {0,   1,   2,   4,   8,   16,  24,  32,  48,  64,  80,  96,  104, 112, 116, 120, 124, 126, 127, 128, 129,
          130, 132, 136, 140, 144, 152, 160, 176, 192, 224, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 1792, 2048};
}

LinearRegression open_problem(Trial& t, const RegressionChoice& choice, std::uint64_t seed) {
  return datasets::read_linear_regression(*t.open(datasets::linear_regression_definition,
                                                  datasets::linear_regression(choice, seed)).reader);
}

/// All trials of a problem, made when a variant that runs first asks for them: a thousand trials are a gigabyte.
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

// --- the timed sweep ---

struct SweepCase {
  RegressionChoice choice;
  int trials = 0;
  bool gpu_only = false;
};

/// f32 against double by distance from p = n: what the Gram matrix's squared condition number costs.
void float_error_table(Trial& t, const SweepShape& full, const std::vector<int>& sizes, const LinearRegression& problem,
                       const kernels::SweepOracle& oracle) {
  SweepShape shape = full;
  shape.double_band = -1;
  std::vector<float> risk(oracle.risk.size());
  kernels::minnorm_sweep_reference<float>(shape, sizes, {problem.x, problem.y, problem.beta, problem.variance}, risk);
  reports::Table table{.name = "float-error", .title = "Error of the risk with Gram matrices in float, relative to the oracle's terms",
                       .columns = {"p", "|p - n|", "median", "largest"}, .rows = {}};
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

void run_sweep(const SweepCase& c, Trial& t) {
  const std::vector<int> sizes = timed_sizes(t.size());
  const auto inputs = t.inputs([&](std::uint64_t seed) { return std::make_shared<const Trials>(open_problem(t, c.choice, seed), c.trials); });
  const SweepShape shape{.trials = c.trials, .samples = c.choice.samples, .features = c.choice.features, .noise = c.choice.noise};
  const std::size_t count = static_cast<std::size_t>(c.trials) * sizes.size();

  // The whole oracle where it is affordable, else all sizes of the first trials: at least 1,000 elements.
  const int checked = c.gpu_only ? static_cast<int>(1000 / sizes.size()) + 1 : c.trials;
  t.oracle("risk", 1, [=] {
    SweepShape part = shape;
    part.trials = checked;
    const LinearRegression problem = datasets::with_trials(inputs[0]->stored(), checked);
    kernels::SweepOracle o = kernels::minnorm_sweep_oracle(part, sizes, {problem.x, problem.y, problem.beta, problem.variance}, checked);
    OracleOutput out{.values = o.risk, .scale = o.scale};
    if (c.gpu_only) {
      for (std::size_t i = 0; i < o.risk.size(); ++i) out.indices.push_back(i);
    }
    return out;
  });

  // Float rounds at 6e-8; the Gram matrix's condition number reaches 1e4 just outside the double band.
  const Accept risk{.output = "risk", .metric = ErrorMetric::max_scaled, .limit = 2e-3, .at_least = 1e-9,
                    .reason = "float: 6e-8 times the Gram matrix's condition number, 1e4 at the edge of the double band"};
  Accept beyond_band = risk;
  beyond_band.only = [shape, sizes](std::size_t i) { return !shape.in_double(sizes[i % sizes.size()]); };
  beyond_band.reason += "; |p - n| <= 4 isn't claimed";
  const Work textbook{.flops = kernels::minnorm_sweep_flops(shape, sizes), .bytes = kernels::minnorm_sweep_bytes(shape, sizes)};
  const Work nested{.flops = kernels::minnorm_nested_flops(shape, sizes), .bytes = textbook.bytes};
  double gram_bytes = 0;
  for (const int p : sizes) gram_bytes += 4.0 * c.trials * std::min(p, shape.samples) * std::min(p, shape.samples);
  const bool simt = t.size() == Size::smoke;
  const std::string no_simt = simt ? "" : "a sweep of the paper's size takes minutes on SIMT; smoke checks it";
  const std::string no_cpu = c.gpu_only ? "64,000 problems: the case with 8 trials has the CPU's rows" : "";

  t.kernel({.name = "kernel", .what = "nested sweep: a block per trial, K in registers, Cholesky in shared memory", .dtype = "f32",
            .accept = {risk}, .work = nested, .formula_bytes = textbook.bytes, .simt = simt, .simt_left_out = no_simt,
            .explain_speedup = "features are nested: one Gram matrix grows instead of one for each p, and one factorisation serves "
                               "all p <= n; the library solves each problem anew"},
           [=](auto& b) -> std::function<void()> {
             const auto data = data_on(b, inputs[b.set()]->all());
             auto out = b.template output<float>("risk", count);
             return [=, &b] { kernels::minnorm_sweep(b.stream(), shape, sizes, data, out); };
           });
  t.kernel({.name = "kernel-naive", .what = "a block per problem: Gram matrix, Cholesky, risk", .dtype = "f32", .accept = {risk},
            .work = textbook, .formula_bytes = textbook.bytes, .simt = simt, .simt_left_out = no_simt,
            .explain_speedup = "one launch for all problems; the library needs seven for each p"},
           [=](auto& b) -> std::function<void()> {
             const auto data = data_on(b, inputs[b.set()]->all());
             auto out = b.template output<float>("risk", count);
             return [=, &b] { kernels::minnorm_sweep_naive(b.stream(), shape, sizes, data, out); };
           });
  t.vendor({.name = "vendor", .what = "cublasSgemmStridedBatched, cusolverDnSpotrfBatched, potrsBatched for each p", .dtype = "f32",
            .accept = {beyond_band}, .work = textbook, .formula_bytes = textbook.bytes + gram_bytes / static_cast<double>(sizes.size())},
           [=](auto& b) -> std::function<void()> {
             const auto data = data_on(b, inputs[b.set()]->all());
             auto out = b.template output<float>("risk", count);
             auto& solver = b.template own<baselines::LeastSquaresCuda>(b.stream(), shape, sizes);
             return [=, &solver] { solver.run(data, out); };
           });
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
  host({.name = "eigen", .what = "LLT of the Gram matrix for each problem; QR in double near p = n", .dtype = "f32", .accept = {risk},
        .work = textbook, .formula_bytes = gram_bytes / static_cast<double>(count)},
       eigen(baselines::EigenSolver::cholesky));
  host({.name = "eigen/cod", .what = "CompleteOrthogonalDecomposition of X for each problem", .dtype = "f32", .accept = {risk},
        .work = textbook},
       eigen(baselines::EigenSolver::orthogonal));
  host({.name = "method", .what = "nested sweep: growing Gram matrix, shared factor below n; QR in double near p = n", .dtype = "f32",
        .accept = {risk}, .work = nested, .formula_bytes = 8.0 * shape.samples * shape.samples},
       [=](const kernels::SweepHostData& d, std::span<float> out) { kernels::minnorm_sweep_reference<float>(shape, sizes, d, out); });
  t.measure();

  if (const Measured time = t.time("method"); time.value) {
    t.metric({.name = "problems per second (method)", .value = static_cast<double>(count) / time.value->median, .unit = "1/s", .tolerance = 10});
  }
  if (!c.gpu_only) {
    const LinearRegression& problem = inputs[0]->all();
    const auto oracle = kernels::minnorm_sweep_oracle(shape, sizes, {problem.x, problem.y, problem.beta, problem.variance}, c.trials);
    float_error_table(t, shape, sizes, problem, oracle);
  }
}

// --- the curves ---

struct CurveCase {
  RegressionChoice choice;
  int trials = 0;
};

void add_curve(Trial& t, const LinearRegression& problem, const std::vector<CurvePoint>& curve, const std::vector<CurvePoint>& ridge) {
  const int n = problem.samples;
  const bool isotropic = shape_of(problem).isotropic;
  reports::Curve exact{.label = "exact", .reference = true}, mean{.label = "mean, 1 s.e."}, median{.label = "median near p = n"},
      control{.label = "ridge, best penalty"};
  reports::Table table{.name = "risk", .title = "Test error against the number of features", .columns = {"p", "mean", "s.e.", "exact", "median"}, .rows = {}};
  for (const CurvePoint& point : curve) {
    const auto formula = isotropic ? exact_risk(problem, point.p) : std::nullopt;
    const bool near = std::abs(point.p - n) < 8;  // the variance is infinite for |p - n| <= 3: never averaged here
    (near ? median : mean).x.push_back(point.p);
    (near ? median : mean).y.push_back(near ? point.median : point.mean);
    if (!near) mean.error.push_back(point.error);
    if (formula && !near) {
      exact.x.push_back(point.p);
      exact.y.push_back(*formula);
    }
    table.rows.push_back({fmt::format("{}", point.p), near ? "-" : fmt::format("{:.4f}", point.mean), near ? "-" : fmt::format("{:.4f}", point.error),
                          formula ? fmt::format("{:.4f}", *formula) : "-", fmt::format("{:.4f}", point.median)});
  }
  for (const CurvePoint& point : ridge) {
    control.x.push_back(point.p);
    control.y.push_back(point.mean);
    control.error.push_back(point.error);
  }
  reports::Plot plot{.name = "double-descent", .title = fmt::format("Test error, n = {}", n), .x_label = "features p", .y_label = "test error", .log_y = true};
  for (reports::Curve* curve_part : {&exact, &mean, &median, &control}) {
    if (!curve_part->x.empty()) plot.curves.push_back(std::move(*curve_part));
  }
  t.plot(std::move(plot));
  if (!ridge.empty() && problem.noise < 1) t.table(std::move(table));  // the other cases have their plots
}

struct Extremes {
  CurvePoint peak, best_under, best_over;
};
Extremes extremes_of(const std::vector<CurvePoint>& curve, int n) {
  Extremes e{.peak = curve.front(), .best_under = curve.front(), .best_over = curve.back()};
  for (const CurvePoint& point : curve) {
    if (point.median > e.peak.median) e.peak = point;
    if (point.p <= n - 8 && point.mean < e.best_under.mean) e.best_under = point;
    if (point.p >= n + 8 && point.mean < e.best_over.mean) e.best_over = point;
  }
  return e;
}

void run_curve(const CurveCase& c, Trial& t) {
  const int n = c.choice.samples;
  const LinearRegression problem = open_problem(t, c.choice, t.seed());
  const std::vector<CurvePoint> curve = simulate(problem, curve_sizes(t.size()), c.trials);
  const Extremes e = extremes_of(curve, n);
  const bool random = c.choice.order == "random" && c.choice.spectrum == "isotropic";

  std::vector<CurvePoint> ridge;
  if (random) {
    const int step = n / 8;
    ridge = simulate_ridge(problem, {n - 2 * step, n - step, n - 1, n, n + 1, n + step, n + 2 * step}, std::min(c.trials, 200));
    double largest_ratio = 1;
    for (std::size_t i = 1; i < ridge.size(); ++i) {
      largest_ratio = std::max({largest_ratio, ridge[i].mean / ridge[i - 1].mean, ridge[i - 1].mean / ridge[i].mean});
    }
    t.check("ridge with the best penalty has no peak", largest_ratio < 1.3,
            fmt::format("neighbours around p = n differ by at most {:.3f}x; limit 1.3x", largest_ratio));
  }
  add_curve(t, problem, curve, ridge);

  const bool at_n = std::abs(e.peak.p - n) <= 1;
  const CurvePoint& last = curve.back();
  t.metric({.name = "peak at p", .value = static_cast<double>(e.peak.p), .unit = "features", .tolerance = 0.05});
  t.metric({.name = "best test error, p < n", .value = e.best_under.mean, .unit = "", .error = e.best_under.error, .tolerance = 0.02});
  t.metric({.name = "best test error, p > n", .value = e.best_over.mean, .unit = "", .error = e.best_over.error, .tolerance = 0.02});
  t.check("the median error peaks at p in {n-1, n, n+1}", at_n, fmt::format("largest median {:.3g} at p = {}, n = {}", e.peak.median, e.peak.p, n));
  t.claim("double-descent", at_n && last.mean < e.peak.median,
          fmt::format("{}: median {:.3g} at p = {}, mean {:.3g} at p = {}", c.choice.spectrum == "dct" ? "dct" : c.choice.order, e.peak.median,
                      e.peak.p, last.mean, last.p));

  if (c.choice.spectrum == "isotropic") {
    double worst = 0;
    int worst_p = 0;
    for (const CurvePoint& point : curve) {
      if (std::abs(point.p - n) < 8 || point.p == 0) continue;
      const double deviation = std::fabs(point.mean - *exact_risk(problem, point.p)) / point.error;
      if (deviation > worst) worst = deviation, worst_p = point.p;
    }
    const std::string detail = fmt::format("largest deviation {:.2f} s.e. at p = {}; limit 4, |p - n| >= 8, {} trials", worst, worst_p, c.trials);
    t.check("mean error within 4 s.e. of the exact formula", worst < 4, detail);
    t.claim("exact-risk", worst < 4, detail);
  }
  if (!random) return;

  const double margin = (e.best_under.mean - last.mean) / std::hypot(last.error, e.best_under.error);
  const std::string detail = fmt::format("noise {}: {:.4f} at p = {}, best below n {:.4f} at p = {}: {:.1f} s.e.", c.choice.noise, last.mean,
                                         last.p, e.best_under.mean, e.best_under.p, margin);
  if (c.choice.noise > 1) {
    t.check("control: with four times more noise than signal the best small model wins", margin < -4, detail);
    return;
  }
  t.check("the interpolator of all features beats every p <= n - 8", margin > 4, detail);
  t.claim("over-beats-under", margin > 4, detail);

  const InterpolatorFacts under = interpolator_facts(problem, n / 2, 8), over = interpolator_facts(problem, n + 8, 40),
                          far = interpolator_facts(problem, problem.features, 40);
  t.check("interpolation above n only", over.train_error < 1e-10 && under.smallest_train_error > c.choice.noise * 0.25,
          fmt::format("training error {:.1e} at p = {}, at least {:.3f} at p = {}", over.train_error, n + 8, under.smallest_train_error, n / 2));
  t.check("estimates lie in the row space and shrink as p grows", std::max(over.outside_row_space, far.outside_row_space) < 1e-10 && far.norm < over.norm,
          fmt::format("outside {:.1e}; mean squared norm {:.3f} at p = {}, {:.3f} at p = {}", over.outside_row_space, over.norm, n + 8, far.norm, problem.features));
  const CurvePoint& cost = far.null_vector_cost;
  t.check("control: a unit vector of the null space costs its squared norm", std::fabs(cost.mean - 1) < 4 * cost.error && cost.mean > 0.5,
          fmt::format("{:.3f} +- {:.3f}; expected 1", cost.mean, cost.error));
}

/// What noise alone costs the interpolator of all features, for three spectra.
void run_noise(const CurveCase& c, Trial& t) {
  std::vector<double> variance;
  std::optional<double> theory;
  reports::Table table{.name = "noise", .title = "Error of the interpolator of pure noise of variance 1", .columns = {"spectrum", "measured", "s.e.", "k*/n + n/R"}, .rows = {}};
  for (const char* spectrum : {"benign", "isotropic", "steep"}) {
    RegressionChoice choice = c.choice;
    choice.spectrum = spectrum;
    const LinearRegression problem = open_problem(t, choice, t.seed());
    const CurvePoint point = simulate(problem, {choice.features}, c.trials).front();
    variance.push_back(point.mean - choice.noise);
    const auto bound = benign_variance(problem.variance, choice.samples);
    if (variance.size() == 1) theory = bound;
    table.rows.push_back({spectrum, fmt::format("{:.4f}", variance.back()), fmt::format("{:.4f}", point.error), bound ? fmt::format("{:.4f}", *bound) : "no k*"});
    t.metric({.name = fmt::format("noise error, {}", spectrum), .value = variance.back(), .unit = "", .error = point.error, .tolerance = 0.1});
  }
  t.table(std::move(table));
  const bool holds = theory && variance[0] < 3 * *theory && variance[0] > *theory / 3 && variance[2] > 3 * variance[0];
  const std::string detail = fmt::format("benign spectrum {:.3f} of the noise (theory {:.3f}), steep {:.3f}", variance[0], theory.value_or(0), variance[2]);
  t.check("noise is absorbed by many small eigenvalues, and by nothing else", holds, detail);
  t.claim("harmless-noise", holds, detail);
}

std::vector<CaseDefinition> cases(Size size) {
  const bool smoke = size == Size::smoke;
  const RegressionChoice base{.samples = smoke ? 24 : 128, .features = smoke ? 96 : 2048, .trials = 8};
  const auto name = [](const std::string& what, const RegressionChoice& c, int trials) -> CaseName {
    return {{"case", what}, {"n", fmt::format("{}", c.samples)}, {"D", fmt::format("{}", c.features)}, {"T", fmt::format("{}", trials)}};
  };
  std::vector<CaseDefinition> all;
  const auto sweep_case = [&](SweepCase c) {
    all.push_back({name("sweep", c.choice, c.trials), [c](Trial& t) { run_sweep(c, t); }});
  };
  sweep_case({.choice = base, .trials = smoke ? 64 : 8});
  if (!smoke) sweep_case({.choice = base, .trials = 1000, .gpu_only = true});
  const auto curve_case = [&](const std::string& what, RegressionChoice c, int trials) {
    all.push_back({name(what, c, trials), [=](Trial& t) { run_curve({c, trials}, t); }});
  };
  RegressionChoice noisy = base, aligned = base, misaligned = base, dct = base;
  noisy.noise = 4;
  aligned.signal = misaligned.signal = "decaying";
  aligned.order = "natural";
  misaligned.order = "reversed";
  dct.spectrum = "dct";
  dct.order = "natural";
  curve_case("random", base, smoke ? 200 : 1000);
  curve_case("random-noisy", noisy, smoke ? 200 : 400);
  curve_case("aligned", aligned, smoke ? 200 : 400);
  curve_case("misaligned", misaligned, smoke ? 200 : 400);
  curve_case("dct", dct, smoke ? 200 : 400);
  RegressionChoice noise = base;
  noise.signal = "none";
  noise.noise = 1;
  noise.order = "natural";
  noise.trials = 1;
  if (smoke) noise.samples = 64, noise.features = 1024;
  const int trials = smoke ? 48 : 200;
  all.push_back({name("pure-noise", noise, trials), [=](Trial& t) { run_noise({noise, trials}, t); }});
  return all;
}

}  // namespace

extern const Experiment topml;
const Experiment topml = {
    .paper = {.id = "topml",
              .title = "A Farewell to the Bias-Variance Tradeoff? An Overview of the Theory of Overparameterized Machine Learning",
              .authors = "Dar, Muthukumar, Baraniuk",
              .venue = "arXiv 2021",
              .arxiv = "2109.02355",
              .summary = "Double descent of minimum-norm least squares, by thousands of small solves"},
    .claims = {{.id = "double-descent", .text = "test error peaks at p = n and descends again for p > n",
                .reported_text = "a peak at p = n, then a second descent", .on = "minimum-norm least squares", .source = "abstract", .any_size = true},
               {.id = "over-beats-under", .text = "a highly overparameterised interpolator can beat the best underparameterised model",
                .reported_text = "such settings exist", .on = "linear model", .source = "abstract", .any_size = true},
               {.id = "exact-risk", .text = "the risk has exact formulas for isotropic Gaussian features",
                .reported_text = "c (1 + p/(n-p-1)); a (1 - n/p) + c (1 + n/(p-n-1))", .on = "isotropic Gaussian features", .source = "recalled", .any_size = true},
               {.id = "harmless-noise", .text = "interpolating noise is harmless when the spectrum has many small, comparable eigenvalues",
                .reported_text = "about k*/n + n/R_k* of the noise", .on = "linear model", .source = "recalled", .any_size = true}},
    .cases = cases,
    .notes = {"Means are given for |p - n| >= 8 only: the mean doesn't exist at n-1, n, n+1, and the variance is infinite for |p - n| <= 3.",
              "Aligned features (beta_j^2 ~ 1/j^2 taken in order) favour the small model when all variances are 1: there the best p < n "
              "wins. The interpolator wins with random or misaligned features.",
              "Double descent needs no depth: this is the paper's own simplest case."},
};

}  // namespace remeasure::experiments
