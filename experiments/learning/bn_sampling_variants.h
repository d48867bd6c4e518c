// SPDX-License-Identifier: Apache-2.0
//
// The variants of a layer of bn-sampling: full and sampled, forward and backward, on every device.
#pragma once

#include "experiments/learning/bn_sampling_layer.h"

namespace remeasure::experiments::bn_sampling_parts {

enum class Precision { f16, f32 };

inline std::vector<Accept> accept_mean(const std::string& name) {
  return {{.output = "mean " + name,
           .metric = ErrorMetric::max_scaled,
           .limit = 2e-5,
           .reason = "f32 sums of up to a million values in a tree, in deviations of the channel"}};
}
inline std::vector<Accept> accept_forward(const std::string& name, Precision precision) {
  std::vector<Accept> accept = accept_mean(name);
  if (precision == Precision::f16)
    accept.push_back({.output = "y " + name,
                      .limit = 6e-4,
                      .at_least = 2e-5,
                      .reason = "a result rounded to f16, 2^-11 of it; sums in f32"});
  else
    accept.push_back({.output = "y " + name, .limit = 1e-5, .reason = "f32"});
  return accept;
}
inline std::vector<Accept> accept_backward(const std::string& name, Precision precision) {
  std::vector<Accept> accept = {
      {.output = "gamma gradient " + name, .limit = 1e-4, .reason = "f32 sums over the rows"},
      {.output = "beta gradient " + name, .limit = 1e-4, .reason = "f32 sums over the rows"}};
  if (precision == Precision::f16)
    accept.push_back({.output = "x gradient " + name,
                      .limit = 1e-3,
                      .at_least = 2e-5,
                      .reason =
                          "a result rounded to f16, after a difference of like terms; a ReLU that opens at "
                          "zero may be rounded to either side"});
  else
    accept.push_back({.output = "x gradient " + name,
                      .limit = 5e-4,
                      .reason = "f32; a ReLU that opens at zero may be rounded to either side"});
  return accept;
}

inline bench::Work work_of(const BatchNormWork& work) {
  return {.flops = work.flops, .bytes = work.bytes};
}

// --- on a CPU ---

inline void declare_host(Trial& t, const LayerCase& c) {
  const auto values = static_cast<double>(c.shape.values());
  t.host({.name = "eigen",
          .what = "full batch normalisation and ReLU",
          .dtype = "f32",
          .accept = accept_forward("full", Precision::f32),
          .work = {.flops = 8 * values, .bytes = 16 * values}},
         [&c](HostBench& b) -> Run {
           const LayerInputs& in = c.in[b.set()];
           const auto x = b.input(in.x_wide), gamma = b.input(in.gamma), beta = b.input(in.beta);
           const auto y = b.output<float>("y full", x.size());
           const auto mean = b.output<float>("mean full", gamma.size());
           const auto inverse = b.workspace<float>(gamma.size());
           return [=, &c] { baselines::batch_norm_eigen(c.shape, gamma, beta, x, y, mean, inverse); };
         });
  t.host({.name = "eigen/backward",
          .what = "its gradient",
          .dtype = "f32",
          .accept = accept_backward("full", Precision::f32),
          .work = {.flops = 16 * values, .bytes = 32 * values}},
         [&c](HostBench& b) -> Run {
           const LayerInputs& in = c.in[b.set()];
           const auto x = b.input(in.x_wide), g = b.input(in.gradient_wide);
           const auto gamma = b.input(in.gamma), beta = b.input(in.beta);
           const auto mean = b.input(in.mean[0]), inverse = b.input(in.inverse_deviation[0]);
           const baselines::BatchNormGradientSpans out{b.output<float>("x gradient full", x.size()),
                                                       b.output<float>("gamma gradient full", gamma.size()),
                                                       b.output<float>("beta gradient full", gamma.size())};
           return [=, &c] {
             baselines::batch_norm_backward_eigen(c.shape, gamma, beta, mean, inverse, x, g, out);
           };
         });
  t.host({.name = "method",
          .what = fmt::format("statistics of {} of {} rows (features), all rows normalised",
                              c.samples[1].box.rows(), c.shape.rows()),
          .dtype = "f32",
          .accept = accept_forward("features", Precision::f32)},
         [&c](HostBench& b) -> Run {
           const LayerInputs& in = c.in[b.set()];
           const auto x = b.input(in.x_wide), gamma = b.input(in.gamma), beta = b.input(in.beta);
           const auto y = b.output<float>("y features", x.size());
           const auto mean = b.output<float>("mean features", gamma.size());
           return [=, &c, sample = c.samples[1].sample(c.shape)] {
             const auto statistics = kernels::statistics_reference<float>(c.shape, sample, x, 0);
             kernels::normalize_reference<float>(c.shape, statistics, {gamma, beta, true}, x, y, 0);
             std::copy(statistics.mean.begin(), statistics.mean.end(), mean.begin());
           };
         });
  t.host({.name = "method/backward",
          .what = "the statistics' share from the sampled rows, then the gradient of all",
          .dtype = "f32",
          .accept = accept_backward("features", Precision::f32)},
         [&c](HostBench& b) -> Run {
           const LayerInputs& in = c.in[b.set()];
           const auto x = b.input(in.x_wide), g = b.input(in.gradient_wide);
           const auto gamma = b.input(in.gamma), beta = b.input(in.beta);
           const auto dx = b.output<float>("x gradient features", x.size());
           const auto of_gamma = b.output<float>("gamma gradient features", gamma.size()),
                      of_beta = b.output<float>("beta gradient features", gamma.size());
           const auto sample = c.samples[1].sample(c.shape);
           const auto statistics = kernels::statistics_reference<float>(c.shape, sample, x, 0);
           return [=, &c] {
             const auto gradients = kernels::backward_reference<float>(
                 c.shape, sample, c.samples[1].gradient, statistics, {gamma, beta, true}, x, g, 0);
             std::copy(gradients.x.begin(), gradients.x.end(), dx.begin());
             std::copy(gradients.gamma.begin(), gradients.gamma.end(), of_gamma.begin());
             std::copy(gradients.beta.begin(), gradients.beta.end(), of_beta.begin());
           };
         });
}

// --- on a GPU (and the kernels on Simt) ---

inline VariantInfo on_device(const LayerCase& c, std::string name, std::string what,
                             std::vector<Accept> accept, const BatchNormWork& work) {
  return {.name = std::move(name),
          .what = std::move(what),
          .dtype = "f16",
          .accept = std::move(accept),
          .work = work_of(work),
          .simt = c.simt,
          .simt_left_out = "too many values for the SIMT engine; checked at the smaller shapes"};
}

template <class Target>
kernels::BatchNormScratch<Target> scratch_of(DeviceBench<Target>& b, const BatchNormShape& shape) {
  const kernels::BatchNormWorkspace size = batch_norm_workspace(shape);
  const kernels::BatchNormScratch<Target> scratch{b.template workspace<float>(size.partial_sums),
                                                  b.template workspace<unsigned int>(size.tickets)};
  b.stream().fill_bytes(scratch.tickets, 0);
  return scratch;
}

template <class Target>
kernels::BatchNormStatistics<Target> statistics_of(DeviceBench<Target>& b, const LayerCase& c,
                                                   const std::string& name) {
  const auto channels = static_cast<std::size_t>(c.shape.channels);
  const kernels::BatchNormStatistics<Target> statistics{
      b.template output<float>("mean " + name, channels), b.template workspace<float>(channels),
      b.template workspace<float>(channels), b.template workspace<float>(channels)};
  b.stream().fill_bytes(statistics.running_mean, 0);
  b.stream().fill_bytes(statistics.running_variance, 0);
  return statistics;
}

inline void declare_forward(Trial& t, const LayerCase& c, std::size_t k, const std::string& variant) {
  const LayerSample& sample = c.samples[k];
  t.kernel(on_device(c, variant, fmt::format("statistics of {} rows, then normalised", sample.box.rows()),
                     accept_forward(sample.name, Precision::f16),
                     statistics_work(c.shape, sample.box.rows(), true) + normalize_work(c.shape)),
           [&c, &sample]<class Target>(DeviceBench<Target>& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const auto x = b.input(in.x);
             const auto gamma = b.input(in.gamma), beta = b.input(in.beta);
             const auto y = b.template output<half>("y " + sample.name, x.size());
             const auto statistics = statistics_of(b, c, sample.name);
             const auto scratch = scratch_of(b, c.shape);
             const kernels::BatchNormLayer<Target> layer{statistics.mean, statistics.inverse_deviation, gamma,
                                                         beta};
             auto& stream = b.stream();
             return [=, &stream, &c, &sample] {
               kernels::sampled_statistics<Target>(stream, c.shape, sample.box, x, statistics, scratch);
               kernels::normalize<Target>(stream, c.shape, layer, x, y);
             };
           });
}

inline void declare_backward(Trial& t, const LayerCase& c, std::size_t k, const std::string& variant) {
  const LayerSample& sample = c.samples[k];
  const bool exact = sample.gradient == StatisticsGradient::exact;
  const SampleBox reduced = exact ? every_row(c.shape) : sample.box;
  t.kernel(on_device(c, variant, fmt::format("sums of {} rows, then the gradient of all", reduced.rows()),
                     accept_backward(sample.name, Precision::f16),
                     gradient_sums_work(c.shape, reduced.rows(), true) +
                         input_gradient_work(c.shape, sample.box.rows(), sample.gradient, true)),
           [&c, &sample, k, exact, reduced]<class Target>(DeviceBench<Target>& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const auto x = b.input(in.x), g = b.input(in.gradient);
             const kernels::BatchNormLayer<Target> layer{
                 b.input(in.mean[k]), b.input(in.inverse_deviation[k]), b.input(in.gamma), b.input(in.beta)};
             const auto dx = b.template output<half>("x gradient " + sample.name, x.size());
             const kernels::GradientSums<Target> parameters{
                 b.template output<float>("beta gradient " + sample.name, in.beta.size()),
                 b.template output<float>("gamma gradient " + sample.name, in.gamma.size())};
             // Over all rows the sums are the parameters' gradients.
             const kernels::GradientSums<Target> sums =
                 exact ? parameters
                       : kernels::GradientSums<Target>{b.template workspace<float>(in.beta.size()),
                                                       b.template workspace<float>(in.gamma.size())};
             const auto scratch = scratch_of(b, c.shape);
             auto& stream = b.stream();
             return [=, &stream, &c, &sample] {
               kernels::gradient_sums<Target>(stream, c.shape, reduced, layer, x, g, sums, scratch);
               kernels::input_gradient<Target>(stream, c.shape, sample.box, sample.gradient, layer, x, g,
                                               sums, dx, parameters, scratch);
             };
           });
}

/// Statistics alone: a regular sample against an irregular one of as many rows.
inline void declare_scattered(Trial& t, const LayerCase& c) {
  const std::size_t rows = c.in[0].scattered.size();
  t.kernel(on_device(c, "statistics/scattered", fmt::format("of {} rows anywhere, from a list", rows),
                     accept_mean("scattered"), statistics_work(c.shape, rows, true, true)),
           [&c]<class Target>(DeviceBench<Target>& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const auto x = b.input(in.x);
             const auto listed = b.input(in.scattered);
             const auto statistics = statistics_of(b, c, "scattered");
             const auto scratch = scratch_of(b, c.shape);
             auto& stream = b.stream();
             return [=, &stream, &c] {
               kernels::scattered_statistics<Target>(stream, c.shape, listed, x, statistics, scratch);
             };
           });
  const LayerSample& features = c.samples[1];
  t.kernel(on_device(c, "statistics/features", fmt::format("of {} rows in rectangles", features.box.rows()),
                     accept_mean("features"), statistics_work(c.shape, features.box.rows(), true)),
           [&c, &features]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const auto statistics = statistics_of(b, c, "features");
             const auto scratch = scratch_of(b, c.shape);
             auto& stream = b.stream();
             return [=, &stream, &c, &features] {
               kernels::sampled_statistics<Target>(stream, c.shape, features.box, x, statistics, scratch);
             };
           });
}

inline void declare_vendor(Trial& t, const LayerCase& c) {
  const auto values = static_cast<double>(c.shape.values());
  const auto info = [&](const char* name, const char* what, std::vector<Accept> accept, double bytes) {
    VariantInfo variant = on_device(c, name, what, std::move(accept), {0, bytes * values});
    variant.not_supported = baselines::BatchNormCudnn::why_not();
    return variant;
  };
  t.vendor(info("vendor", "cuDNN, spatial persistent, channels last, ReLU fused",
                accept_forward("full", Precision::f16), 4),
           [&c]<class Target>(DeviceBench<Target>& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const auto x = b.input(in.x);
             const baselines::BatchNormCudnn::Parameters parameters{b.input(in.gamma), b.input(in.beta)};
             const auto y = b.template output<half>("y full", x.size());
             const auto mean = b.template output<float>("mean full", in.gamma.size());
             const auto inverse = b.template workspace<float>(in.gamma.size());
             auto& layer = b.template own<baselines::BatchNormCudnn>(b.stream(), c.shape);
             b.setting(layer.setting());
             return [=, &layer] { layer.forward(parameters, x, y, mean, inverse); };
           });
  t.vendor(info("vendor/backward", "cuDNN's gradient, from what its forward pass kept",
                accept_backward("full", Precision::f16), 6),
           [&c]<class Target>(DeviceBench<Target>& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const auto x = b.input(in.x), g = b.input(in.gradient);
             const baselines::BatchNormCudnn::Parameters parameters{b.input(in.gamma), b.input(in.beta)};
             const auto y = b.template workspace<half>(x.size());
             const auto mean = b.template workspace<float>(in.gamma.size()),
                        inverse = b.template workspace<float>(in.gamma.size());
             const auto dx = b.template output<half>("x gradient full", x.size());
             const auto of_gamma = b.template output<float>("gamma gradient full", in.gamma.size()),
                        of_beta = b.template output<float>("beta gradient full", in.gamma.size());
             auto& layer = b.template own<baselines::BatchNormCudnn>(b.stream(), c.shape);
             b.setting(layer.setting());
             layer.forward(parameters, x, y, mean, inverse);
             return
                 [=, &layer] { layer.backward(parameters, x, y, mean, inverse, g, dx, of_gamma, of_beta); };
           });
}

}  // namespace remeasure::experiments::bn_sampling_parts
