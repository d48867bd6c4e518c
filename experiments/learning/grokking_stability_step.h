// SPDX-License-Identifier: Apache-2.0
//
// The timed part of grokking-stability: one epoch of full-batch training by the kernels, the libraries and
// Eigen.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "baselines/learning/grokking_step.h"
#include "bench/trial.h"
#include "datasets/learning/modular_arithmetic.h"
#include "kernels/learning/grokking_step.h"

namespace remeasure::experiments::grokking {

using namespace bench;
using kernels::GrokkingLoss;
using kernels::GrokkingShape;
using kernels::PerpAdamW;
using Run = std::function<void()>;

/// Rows [first, last) of a task.
inline kernels::GrokkingSamples<float> rows_of(const datasets::GrokkingTask& task, std::size_t first,
                                               std::size_t last) {
  const auto part = [&](const auto& values, std::size_t each) {
    using Values = std::decay_t<decltype(values)>;
    return values.empty() ? Values{}
                          : Values(values.begin() + static_cast<std::ptrdiff_t>(first * each),
                                   values.begin() + static_cast<std::ptrdiff_t>(last * each));
  };
  kernels::GrokkingSamples<float> samples{
      .pairs = part(task.pairs, 2), .features = {}, .labels = part(task.labels, 1)};
  if (task.bits.empty()) return samples;
  const auto inputs = static_cast<std::size_t>(task.inputs);
  const std::vector<std::uint8_t> bits = part(task.bits, inputs);
  samples.features.resize(static_cast<Eigen::Index>(last - first), task.inputs);
  std::copy(bits.begin(), bits.end(), samples.features.data());
  return samples;
}

/// A state of training that a step continues: the moments of the first step would make every update the
/// learning rate itself, whatever the gradient.
struct StepInputs {
  GrokkingShape shape;
  kernels::GrokkingSamples<float> samples;
  kernels::PairSegments segments;
  std::vector<float> weights, mean, square, one_hot;
};

inline constexpr int kWarmUp = 5;

inline StepInputs load_step(Trial& t, int modulus, int hidden, double fraction, std::uint64_t seed) {
  const datasets::Opened opened = t.open(datasets::modular_arithmetic_definition,
                                         datasets::modular_arithmetic(modulus, hidden, "add", seed));
  const datasets::GrokkingTask task = read_modular_arithmetic(*opened.reader);
  const auto rows = static_cast<std::size_t>(fraction * static_cast<double>(task.rows()));
  StepInputs in{{static_cast<int>(rows), modulus, hidden}, rows_of(task, 0, rows), {}, {}, {}, {}, {}};
  in.segments = kernels::pair_segments(modulus, in.samples.pairs);
  in.one_hot = baselines::one_hot_pairs(in.shape, in.samples.pairs);
  for (const std::vector<float>* tensor : {&task.first, &task.second, &task.third})
    in.weights.insert(in.weights.end(), tensor->begin(), tensor->end());
  in.mean.resize(in.weights.size());
  in.square.resize(in.weights.size());
  std::vector<float> gradient(in.weights.size());
  kernels::GrokkingNetwork<float> network(2 * modulus, hidden, modulus);
  for (int step = 1; step <= kWarmUp; ++step)
    kernels::grokking_step_reference<float>(network, in.samples, GrokkingLoss::ce32, {.project = false}, step,
                                            in.weights, in.mean, in.square, gradient, {});
  return in;
}

struct StepOracle {
  std::vector<double> gradient, weights, losses;
};
inline StepOracle step_in_double(const StepInputs& in, GrokkingLoss loss, const PerpAdamW& optimizer) {
  const auto wide = [](const std::vector<float>& x) { return std::vector<double>(x.begin(), x.end()); };
  StepOracle exact{std::vector<double>(in.weights.size()), wide(in.weights),
                   std::vector<double>(in.samples.labels.size())};
  std::vector<double> mean = wide(in.mean), square = wide(in.square);
  kernels::GrokkingNetwork<double> network(2 * in.shape.modulus, in.shape.hidden, in.shape.modulus);
  const kernels::GrokkingSamples<double> samples{
      .pairs = in.samples.pairs, .features = {}, .labels = in.samples.labels};
  kernels::grokking_step_reference<double>(network, samples, loss, optimizer, kWarmUp + 1, exact.weights,
                                           mean, square, exact.gradient, exact.losses);
  return exact;
}

struct StepCase {
  GrokkingLoss loss = GrokkingLoss::ce32;
  PerpAdamW optimizer = {};
  GrokkingShape shape = {};
  const InputSets<StepInputs>& in;
  bool simt = true;

  std::vector<Accept> accept(bool own_rounding) const {
    const bool half = loss == GrokkingLoss::ce16;
    // Logits differ in their last bits, and half rounds some of them to its next number; another order of
    // sums in half is worth a unit of its 11 bits.
    const double limit = !half ? 1e-5 : own_rounding ? 2e-3 : 1e-2;
    const char* const reason = half ? "half has 11 bits; the oracle rounds the logits in double to it"
                                    : "f32 sums of up to 5,000 terms";
    return {{.output = "gradient", .metric = ErrorMetric::relative_l2, .limit = limit, .reason = reason},
            {.output = "weights",
             .metric = ErrorMetric::relative_l2,
             .limit = half ? limit / 10 : 1e-5,
             .reason = "a step changes weights by some percent: a hundredth of a step would be 1e-4"},
            {.output = "losses", .metric = ErrorMetric::relative_l2, .limit = limit, .reason = reason}};
  }
};

inline double textbook_flops(const GrokkingShape& s) {
  const double n = s.rows, p = s.modulus, h = s.hidden;
  return 6 * n * (h * h + h * p);
}

inline void declare_host(Trial& t, const StepCase& c) {
  const auto total = static_cast<std::size_t>(c.shape.tensors().total());
  const auto rows = static_cast<std::size_t>(c.shape.rows);
  const double dense = textbook_flops(c.shape) + 8.0 * c.shape.rows * c.shape.modulus * c.shape.hidden;
  // Products this small can lose more by a team of threads than they gain.
  for (const bool all_cores : {true, false}) {
    t.host({.name = all_cores ? "eigen" : "eigen/one-thread",
            .what = fmt::format("one-hot matrix, dense products, arrays, {}",
                                all_cores ? "all cores" : "one thread"),
            .dtype = "f32",
            .accept = c.accept(false),
            .work = {.flops = dense},
            .determinism = Determinism::order_dependent,
            .threads = all_cores ? 0 : 1},
           [c, total, rows](HostBench& b) -> Run {
             const StepInputs& in = c.in[b.set()];
             const baselines::HostTraining arrays{b.input(in.one_hot),
                                                  b.input(in.samples.labels),
                                                  b.input(in.weights),
                                                  b.input(in.mean),
                                                  b.input(in.square),
                                                  b.output<float>("weights", total),
                                                  b.output<float>("mean", total),
                                                  b.output<float>("square", total),
                                                  b.output<float>("gradient", total),
                                                  b.output<float>("losses", rows)};
             return
                 [=] { baselines::grokking_step_eigen(c.shape, c.loss, c.optimizer, kWarmUp + 1, arrays); };
           });
  }
  t.host({.name = "method",
          .what = "gathered first layer, losses row by row, one thread",
          .dtype = "f32",
          .accept = c.accept(true),
          .work = {.flops = textbook_flops(c.shape)},
          .threads = 1},
         [c, total, rows](HostBench& b) -> Run {
           const StepInputs& in = c.in[b.set()];
           const auto before = b.input(in.weights), mean = b.input(in.mean), square = b.input(in.square);
           const auto weights = b.output<float>("weights", total), new_mean = b.output<float>("mean", total),
                      new_square = b.output<float>("square", total),
                      gradient = b.output<float>("gradient", total);
           const auto losses = b.output<double>("losses", rows);
           auto& network =
               b.own<kernels::GrokkingNetwork<float>>(2 * c.shape.modulus, c.shape.hidden, c.shape.modulus);
           return [=, &in, &network] {
             std::copy(before.begin(), before.end(), weights.begin());
             std::copy(mean.begin(), mean.end(), new_mean.begin());
             std::copy(square.begin(), square.end(), new_square.begin());
             kernels::grokking_step_reference<float>(network, in.samples, c.loss, c.optimizer, kWarmUp + 1,
                                                     weights, new_mean, new_square, gradient, losses);
           };
         });
}

inline void declare_device(Trial& t, const StepCase& c) {
  const auto total = static_cast<std::size_t>(c.shape.tensors().total());
  const auto rows = static_cast<std::size_t>(c.shape.rows);
  const double n = c.shape.rows, h = c.shape.hidden, p = c.shape.modulus;
  const kernels::GrokkingWork work = kernels::grokking_work(c.shape, c.loss, c.optimizer.project);
  const double states = 4.0 * 7 * static_cast<double>(total), activations = 4 * (4 * n * h + 2 * n * p);
  t.kernel(
      {.name = "kernel",
       .what = fmt::format("gather, fused products, loss rows, {}AdamW: {} launches and the parts' sums",
                           c.optimizer.project ? "projected " : "", c.optimizer.project ? 11 : 10),
       .dtype = "f32",
       .accept = c.accept(true),
       .work = {.flops = work.flops, .bytes = work.bytes, .special = work.special},
       .formula_bytes = states + activations + 14 * n,
       .simt = c.simt,
       .simt_left_out = "2 GFLOP a step take minutes on the SIMT engine; smoke checks it",
       .explain_speedup = "the library's projection brings scalars to the host five times a tensor"},
      [c, total, rows]<class Target>(DeviceBench<Target>& b) -> Run {
        const StepInputs& in = c.in[b.set()];
        const kernels::GrokkingBatch<Target> batch{b.input(in.samples.pairs), b.input(in.samples.labels),
                                                   b.input(in.segments.begin), b.input(in.segments.rows)};
        const kernels::AdamWState<Target> state{b.input(in.weights),
                                                b.input(in.mean),
                                                b.input(in.square),
                                                b.template output<float>("weights", total),
                                                b.template output<float>("mean", total),
                                                b.template output<float>("square", total)};
        const kernels::GrokkingOutputs<Target> out{
            b.template output<float>("gradient", total), b.template output<float>("losses", rows),
            b.template output<std::uint32_t>("collapsed", c.shape.losses().mask_words())};
        auto& step = b.template own<kernels::GrokkingStep<Target>>(b.stream(), c.shape, c.loss, c.optimizer);
        return [=, &step] { step(kWarmUp + 1, batch, state, out); };
      });
  if (c.loss != GrokkingLoss::ce32) return;  // no library has the others' losses
  VariantInfo info{.name = "vendor",
                   .what = "one-hot matrix, cuBLAS products, cuDNN ReLU and log-softmax, cuBLAS projection",
                   .dtype = "f32",
                   .accept = c.accept(false),
                   .work = {.flops = textbook_flops(c.shape) + 8 * n * p * h},
                   .formula_bytes = states + activations + 4 * n * 2 * p + 8 * n * p};
  info.accept.back() = {.output = "loss",
                        .metric = ErrorMetric::relative_l2,
                        .limit = 1e-5,
                        .reason = "the mean of f32 losses"};
  if (c.optimizer.project) info.synchronises = "cublasSdot and cublasSnrm2 give their results to the host";
  if constexpr (kBuiltWithCuda) info.not_supported = baselines::LibraryGrokkingStep::why_not();
  t.vendor(std::move(info), [c, total]<class Target>(DeviceBench<Target>& b) -> Run {
    const StepInputs& in = c.in[b.set()];
    const baselines::DeviceTraining arrays{b.input(in.one_hot),
                                           b.input(in.weights),
                                           b.input(in.mean),
                                           b.input(in.square),
                                           b.template output<float>("weights", total),
                                           b.template output<float>("mean", total),
                                           b.template output<float>("square", total),
                                           b.template output<float>("gradient", total)};
    const auto loss = b.template output<float>("loss", 1);
    auto& step = b.template own<baselines::LibraryGrokkingStep>(b.stream(), c.shape, c.optimizer,
                                                                std::span(in.samples.labels));
    step(kWarmUp + 1, arrays, loss);  // chooses the products
    b.setting(step.setting());
    return [=, &step] { step(kWarmUp + 1, arrays, loss); };
  });
}

inline void run_step(Trial& t, int modulus, int hidden, double fraction, GrokkingLoss loss, bool project) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load_step(t, modulus, hidden, fraction, seed); });
  const StepCase c{loss, {.project = project}, in[0].shape, in, t.size() == Size::smoke};
  const StepOracle exact = step_in_double(in[0], loss, c.optimizer);
  const auto oracle = [&](const char* name, const std::vector<double>& values) {
    t.oracle(name, 1, [values] { return OracleOutput{.values = values, .scale = {}, .indices = {}}; });
  };
  double mean = 0;
  for (const double each : exact.losses) mean += each / static_cast<double>(exact.losses.size());
  oracle("gradient", exact.gradient);
  oracle("weights", exact.weights);
  oracle("losses", exact.losses);
  oracle("loss", {mean});
  declare_host(t, c);
  declare_device(t, c);
  t.measure();
  t.speedup("method", "eigen");
  t.speedup("method", "eigen/one-thread");
  if (loss == GrokkingLoss::ce32) t.speedup("kernel", "vendor");
  for (const char* variant : {"eigen", "eigen/one-thread", "method"}) {
    if (const Measured time = t.time(variant); time.value)
      t.metric({.name = fmt::format("epochs per second, {}", variant),
                .value = 1 / time.value->median,
                .unit = "1/s",
                .tolerance = 10});
  }
  t.metric({.name = "one-hot input that isn't stored",
            .value = 4.0 * c.shape.rows * 2 * modulus,
            .unit = "B",
            .exact = true});
}

}  // namespace remeasure::experiments::grokking
