// SPDX-License-Identifier: Apache-2.0
//
// The stand-in for accuracy: two stacked layers learn a teacher that mixes all channels. Grouped layers can
// hold only the diagonal blocks of a map, whatever is trained; windows that slide pass channels on.
#pragma once

#include <cmath>
#include <numbers>

#include "bench/statistics.h"
#include "datasets/convolution/sliding_channel_mixing.h"
#include "experiments/convolution/dsxplore_problem.h"
#include "kernels/device/philox.h"
#include "kernels/learning/layers.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::experiments::dsxplore_mixing {

using bench::Trial;
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

/// Residuals over the seeds.
struct Residual {
  double mean = 0, error = 0, least = 1e300, most = 0;
  int parameters = 0;
};

inline std::vector<Residual> fit_all(const MixingPlan& plan, bool with_relu,
                                     const std::vector<datasets::ChannelMixing>& data) {
  constexpr int kCount = static_cast<int>(std::size(kMixers));
  const int seeds = static_cast<int>(data.size());
  std::vector<double> values(static_cast<std::size_t>(kCount * seeds));
  kernels::for_each_row_block(kCount * seeds, 1, 0, [&](int task, int, int) {
    const int seed = task % seeds;
    values[static_cast<std::size_t>(task)] =
        fitted_residual(plan, kMixers[task / seeds].mixer, with_relu, data[static_cast<std::size_t>(seed)],
                        static_cast<std::uint64_t>(seed) + 1);
  });
  std::vector<Residual> result;
  for (int mixer = 0; mixer < kCount; ++mixer) {
    Residual residual;
    double squares = 0;
    for (int seed = 0; seed < seeds; ++seed) {
      const double value = values[static_cast<std::size_t>(mixer * seeds + seed)];
      residual.mean += value / seeds;
      squares += value * value / seeds;
      residual.least = std::min(residual.least, value);
      residual.most = std::max(residual.most, value);
    }
    if (seeds > 1)
      residual.error = std::sqrt(std::max(0.0, squares - residual.mean * residual.mean) / (seeds - 1));
    residual.parameters =
        MaskedStack(kMixers[mixer].mixer, plan.channels, plan.groups, plan.overlap, false, 1)
            .parameter_count();
    result.push_back(residual);
  }
  return result;
}

inline const Residual& of(const std::vector<Residual>& residuals, Mixer mixer) {
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    if (kMixers[i].mixer == mixer) return residuals[i];
  }
  throw std::logic_error("a Mixer that isn't in the list");
}

/// Share of the teachers' energy outside of the diagonal blocks: what grouped layers can't hold, whatever is
/// trained. 1 - 1/g in expectation; of one orthogonal 32 x 32 matrix it varies by 0.02 (one deviation).
inline double energy_outside_blocks(const MixingPlan& plan,
                                    const std::vector<datasets::ChannelMixing>& data) {
  const auto channels = static_cast<std::size_t>(plan.channels),
             block = channels / static_cast<std::size_t>(plan.groups);
  double outside = 0, all = 0;
  for (const datasets::ChannelMixing& mixing : data) {
    for (std::size_t i = 0; i < mixing.a.size(); ++i) {
      const double square = static_cast<double>(mixing.a[i]) * static_cast<double>(mixing.a[i]);
      all += square;
      if (i / channels / block != i % channels / block) outside += square;
    }
  }
  return outside / all;
}

/// "Must hold" of the linear fit: grouped layers miss the energy outside of their blocks, one window for all
/// the energy of the channels that nobody reads, exactly 1 - 1/g.
inline bool mixes_as_stated(const MixingPlan& plan, const std::vector<Residual>& linear, double outside) {
  return std::abs(of(linear, Mixer::grouped).mean - outside) <= 0.05 &&
         of(linear, Mixer::sliding).most <= 0.1 &&
         of(linear, Mixer::same_window).least >= 1 - 1.0 / plan.groups - 0.02;
}

inline void measure_mixing(Trial& t, const MixingPlan& plan, int seeds) {
  std::vector<datasets::ChannelMixing> data;
  for (int i = 0; i < seeds; ++i) {
    const datasets::Opened opened = t.open(
        datasets::sliding_channel_mixing_definition,
        datasets::sliding_channel_mixing(plan.train + plan.test, static_cast<std::size_t>(plan.channels),
                                         t.seed() + static_cast<std::uint64_t>(i)));
    data.push_back(read_sliding_channel_mixing(*opened.reader));
  }
  const std::vector<Residual> linear = fit_all(plan, false, data), nonlinear = fit_all(plan, true, data);
  reports::Table table{
      .name = "mixing",
      .title =
          fmt::format("Residual energy after {} steps of Adam, {} channels, g = {}, overlap {}, {} seed(s)",
                      plan.steps, plan.channels, plan.groups, plan.overlap, seeds),
      .columns = {"two layers", "weights", "y = A x", "y = A relu(B x)"},
      .rows = {}};
  for (std::size_t i = 0; i < linear.size(); ++i) {
    const auto text = [](const Residual& r) { return fmt::format("{:.4f} ± {:.4f}", r.mean, r.error); };
    table.rows.push_back(
        {kMixers[i].name, std::to_string(linear[i].parameters), text(linear[i]), text(nonlinear[i])});
    for (const auto& [residuals, teacher] : {std::pair{&linear, "linear"}, std::pair{&nonlinear, "ReLU"}}) {
      t.metric({.name = fmt::format("residual energy, {}, {} teacher", kMixers[i].name, teacher),
                .value = (*residuals)[i].mean,
                .unit = "",
                .error = (*residuals)[i].error,
                .tolerance = 0.2});
    }
  }
  t.table(std::move(table));
  const double outside = energy_outside_blocks(plan, data);
  t.metric({.name = "energy of the linear teacher outside of GPW's blocks",
            .value = outside,
            .unit = "",
            .tolerance = 1e-6});
  t.check("GPW misses the energy outside of its blocks, SCC at most 0.1, the control with step 0 1 - 1/g",
          mixes_as_stated(plan, linear, outside),
          fmt::format(
              "GPW {:.3f} of {:.3f} outside, SCC at most {:.3f}, step 0 at least {:.3f}; 1 - 1/g = {:.3f}",
              of(linear, Mixer::grouped).mean, outside, of(linear, Mixer::sliding).most,
              of(linear, Mixer::same_window).least, 1 - 1.0 / plan.groups));
  t.check("with ReLU between the layers SCC's residual is below GPW's in every seed",
          of(nonlinear, Mixer::sliding).most < of(nonlinear, Mixer::grouped).least,
          fmt::format("SCC at most {:.3f}, GPW at least {:.3f}", of(nonlinear, Mixer::sliding).most,
                      of(nonlinear, Mixer::grouped).least));
}

}  // namespace remeasure::experiments::dsxplore_mixing
