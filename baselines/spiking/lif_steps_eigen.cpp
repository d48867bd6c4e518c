// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <stdexcept>
#include <string>

#include "baselines/spiking/lif_steps.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Stride = Eigen::OuterStride<>;

/// Step t of batch entries [first, first + count): [count, neurons] with a stride of steps * neurons.
template <class Float>
auto step_of(Float* data, const SpikingShape& shape, int first, int count, int t) {
  using Plain = std::conditional_t<std::is_const_v<Float>, const Rows, Rows>;
  const Eigen::Index each = static_cast<Eigen::Index>(shape.steps) * shape.neurons;
  return Eigen::Map<Plain, 0, Stride>(data + first * each + static_cast<Eigen::Index>(t) * shape.neurons,
                                      count, shape.neurons, Stride(each));
}

}  // namespace

void lif_steps_eigen(const SpikingShape& shape, const Decay& decay, float threshold,
                     std::span<const float> current, std::span<float> membrane, std::span<float> spikes,
                     int threads) {
  for (const std::size_t size : {current.size(), membrane.size(), spikes.size()}) {
    if (size == shape.values()) continue;
    throw std::invalid_argument("lif_steps_eigen: an array of " + std::to_string(size) +
                                " values; batch * steps * neurons is " + std::to_string(shape.values()));
  }
  const auto alpha = static_cast<float>(decay.alpha), beta = static_cast<float>(decay.beta);
  const auto gain = static_cast<float>(1 - decay.beta);
  kernels::for_each_row_block(1, shape.batch, threads, [&](int, int first, int count) {
    Rows s = Rows::Zero(count, shape.neurons), m = s;
    for (int t = 0; t < shape.steps; ++t) {
      auto fired = step_of(spikes.data(), shape, first, count, t);
      s = alpha * s + step_of(current.data(), shape, first, count, t);
      m = beta * m + gain * s;
      step_of(membrane.data(), shape, first, count, t) = m;
      fired = (m > threshold).cast<float>();
      m *= 1.0f - fired;
    }
  });
}

}  // namespace remeasure::baselines
