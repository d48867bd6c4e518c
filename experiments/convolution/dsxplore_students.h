// SPDX-License-Identifier: Apache-2.0
//
// Students of the channel-mixing fit: two stacked layers whose weights exist where a pattern allows, trained
// with Adam.
#pragma once

#include <cmath>
#include <numbers>

#include "datasets/convolution/sliding_channel_mixing.h"
#include "experiments/convolution/dsxplore_problem.h"
#include "kernels/device/philox.h"
#include "kernels/learning/layers.h"

namespace remeasure::experiments::dsxplore_mixing {

using kernels::SlidingChannelShape;
using Matrix = kernels::layers::Matrix<float>;

enum class Mixer { sliding, grouped, same_window, dense, one_dense };
struct MixerName {
  Mixer mixer;
  const char* name;
};
inline constexpr MixerName kMixers[] = {{Mixer::sliding, "SCC"},
                                        {Mixer::grouped, "GPW"},
                                        {Mixer::same_window, "SCC, step 0 (control)"},
                                        {Mixer::dense, "standard, two layers"},
                                        {Mixer::one_dense, "standard, one layer"}};

/// Two layers (or one) of which only the weights that the pattern allows exist: the others stay zero.
class MaskedStack {
 public:
  MaskedStack(Mixer mixer, int channels, int groups, double overlap, bool with_relu, std::uint64_t seed)
      : relu_(with_relu) {
    SlidingChannelShape shape = SlidingChannelShape::of(1, channels, channels, 1, 1, groups, overlap);
    if (mixer == Mixer::same_window) shape.step = 0;
    if (mixer == Mixer::dense || mixer == Mixer::one_dense)
      shape = {1, channels, channels, 1, 1, channels, 0};
    const kernels::Reach reach = mixer == Mixer::grouped ? kernels::grouped_reach(channels, channels, groups)
                                                         : kernels::reach_of(shape);
    mask_.resize(channels, channels);
    for (Eigen::Index i = 0; i < mask_.size(); ++i)
      mask_.data()[i] = static_cast<float>(reach[static_cast<std::size_t>(i)]);
    const int layers = mixer == Mixer::one_dense ? 1 : 2;
    for (int layer = 0; layer < layers; ++layer) {
      layers_.emplace_back(channels, channels, false);
      // Uniform within 1 / sqrt(window), as the public code does.
      initialise_uniform(layers_.back().weight, 1 / std::sqrt(static_cast<double>(shape.window)), seed,
                         static_cast<std::uint64_t>(layer));
      layers_.back().weight.value.array() *= mask_.array();
    }
  }

  const Matrix& forward(const Matrix& x) {
    input_ = &x;
    layers_[0].forward(x, outputs_[0]);
    if (layers_.size() == 1) return outputs_[0];
    if (relu_) kernels::layers::relu(outputs_[0]);
    layers_[1].forward(outputs_[0], outputs_[1]);
    return outputs_[1];
  }
  void backward(const Matrix& gradient) {
    if (layers_.size() == 1) {
      layers_[0].backward(*input_, gradient, nullptr);
    } else {
      layers_[1].backward(outputs_[0], gradient, &hidden_gradient_);
      if (relu_) kernels::layers::relu_backward(outputs_[0], hidden_gradient_);
      layers_[0].backward(*input_, hidden_gradient_, nullptr);
    }
    for (auto& layer : layers_) layer.weight.gradient.array() *= mask_.array();
  }
  std::vector<kernels::layers::Parameter<float>*> parameters() {
    std::vector<kernels::layers::Parameter<float>*> list;
    for (auto& layer : layers_) list.push_back(&layer.weight);
    return list;
  }
  /// Weights that exist.
  int parameter_count() const { return static_cast<int>(layers_.size()) * static_cast<int>(mask_.sum()); }

 private:
  bool relu_;
  Matrix mask_;
  std::vector<kernels::layers::Linear<float>> layers_;
  const Matrix* input_ = nullptr;
  Matrix outputs_[2], hidden_gradient_;
};

struct MixingPlan {
  int channels = 32, groups = 2;
  double overlap = 0.5;
  std::size_t train = 2000, test = 500;
  int steps = 1500, batch = 100;
  double learning_rate = 1e-2;
};

/// Energy of the test samples' residuals over that of their targets, after training with Adam on minibatches;
/// the learning rate falls as half a cosine.
inline double fitted_residual(const MixingPlan& plan, Mixer mixer, bool with_relu,
                              const datasets::ChannelMixing& data, std::uint64_t seed) {
  using Rows = Eigen::Map<const Matrix>;
  const std::vector<float>& target = with_relu ? data.nonlinear : data.linear;
  const Eigen::Index channels = plan.channels, batch = plan.batch;
  const auto rows = [&](const std::vector<float>& from, std::size_t first, std::size_t count) {
    return Rows(from.data() + first * static_cast<std::size_t>(channels), static_cast<Eigen::Index>(count),
                channels);
  };
  MaskedStack model(mixer, plan.channels, plan.groups, plan.overlap, with_relu, seed);
  kernels::layers::AdamW<float> optimizer({.learning_rate = plan.learning_rate});
  const auto parameters = model.parameters();
  Matrix x(batch, channels), y(batch, channels), gradient;
  for (int step = 0; step < plan.steps; ++step) {
    for (Eigen::Index i = 0; i < batch; ++i) {
      const Philox4 random = philox(seed, static_cast<std::uint64_t>(step * batch + i), 7);
      const std::size_t sample = random.word[0] % plan.train;
      x.row(i) = rows(data.x, sample, 1);
      y.row(i) = rows(target, sample, 1);
    }
    gradient = (model.forward(x) - y) * (2.0f / static_cast<float>(batch));
    model.backward(gradient);
    optimizer.settings().learning_rate =
        plan.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * step / plan.steps));
    optimizer.step(parameters);
  }
  const Matrix test_x = rows(data.x, plan.train, plan.test), test_y = rows(target, plan.train, plan.test);
  const Matrix& out = model.forward(test_x);
  return static_cast<double>((out - test_y).squaredNorm()) / static_cast<double>(test_y.squaredNorm());
}

}  // namespace remeasure::experiments::dsxplore_mixing
