// SPDX-License-Identifier: Apache-2.0
//
// Leaky integrate-and-fire neurons with a hard reset (the baseline of Yarga and Wood, IJCNN 2023, arXiv
// 2306.12666, section II): the reset makes the membrane nonlinear in the past, so time is a loop.
//
//   for (b) for (h) {
//     s = m = 0;
//     for (t = 0; t < steps; ++t) {
//       s = alpha * s + x[b, t, h];
//       m = beta * m + (1 - beta) * s;
//       z[b, t, h] = m > threshold;
//       if (z[b, t, h]) m = 0;
//     }
//   }
//
// Optimisation: what a framework does in several launches per step is one launch: a thread per neuron keeps s
// and m in registers, neighbouring lanes read neighbouring neurons, and the loads of eight steps are issued
// before they are used, because they don't depend on the state. 32 spikes leave as one word. This is the
// honest sequential baseline.
//
// Launch: (neurons / 32, batch) blocks of a warp. Per value: 5 flops forward, 10 backward; bytes 4 read, 4
// and 1/8 written forward; 8 read and 4 written backward. Dependent steps: T. Limits: batch <= 65535.
#include <initializer_list>
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/spiking/lif_surrogate.h"
#include "kernels/spiking/membrane.h"

namespace remeasure::kernels {
namespace {

constexpr int kAhead = 8;  // loads in flight
struct Coefficients {
  float alpha, beta, gain, threshold;
};

Coefficients coefficients_of(const Decay& decay, float threshold) {
  return {static_cast<float>(decay.alpha), static_cast<float>(decay.beta), static_cast<float>(1 - decay.beta),
          threshold};
}

/// Row of neurons at time step t of this block's batch entry.
RM_DEVICE std::size_t row_of(int steps, int t) {
  return static_cast<std::size_t>(blockIdx.y) * static_cast<std::size_t>(steps) + static_cast<std::size_t>(t);
}

__global__ void __launch_bounds__(32)
    lif_kernel(int steps, int neurons, Coefficients c, const float* __restrict__ current,
               float* __restrict__ membrane, std::uint32_t* __restrict__ spikes) {
  const int neuron = 32 * static_cast<int>(blockIdx.x) + lane_id();
  const bool exists = neuron < neurons;
  const auto place = [&](int t) {
    return row_of(steps, t) * static_cast<std::size_t>(neurons) + static_cast<std::size_t>(neuron);
  };
  float s = 0, m = 0;
  for (int begin = 0; begin < steps; begin += kAhead) {
    float inputs[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i)
      inputs[i] = exists && begin + i < steps ? current[place(begin + i)] : 0.0f;
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int t = begin + i;
      if (t >= steps) break;
      s = c.alpha * s + inputs[i];
      m = c.beta * m + c.gain * s;
      const bool spike = exists && m > c.threshold;
      if (exists && membrane != nullptr) membrane[place(t)] = m;
      if (spike) m = 0;
      const std::uint32_t word = __ballot_sync(kFullWarp, spike);
      if (lane_id() == 0) spikes[row_of(steps, t) * gridDim.x + blockIdx.x] = word;
    }
  }
}

__global__ void __launch_bounds__(32)
    lif_backward_kernel(int steps, int neurons, Coefficients c, const float* __restrict__ membrane,
                        const float* __restrict__ spike_gradient, float* __restrict__ current_gradient) {
  const int neuron = 32 * static_cast<int>(blockIdx.x) + lane_id();
  if (neuron >= neurons) return;
  const auto place = [&](int t) {
    return row_of(steps, t) * static_cast<std::size_t>(neurons) + static_cast<std::size_t>(neuron);
  };
  float dm = 0, ds = 0;
  for (int end = steps; end > 0; end -= kAhead) {
    float m[kAhead], dz[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int t = end - 1 - i;
      m[i] = t >= 0 ? membrane[place(t)] : 0.0f;
      dz[i] = t >= 0 ? spike_gradient[place(t)] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int t = end - 1 - i;
      if (t < 0) break;
      dm = membrane_gradient_before(m[i], dz[i], dm, c.beta, c.threshold);
      ds = c.alpha * ds + c.gain * dm;
      current_gradient[place(t)] = ds;
    }
  }
}

void check(const char* what, const SpikingShape& shape, std::initializer_list<std::size_t> sizes) {
  if (shape.batch <= 0 || shape.batch > 65'535 || shape.steps <= 0 || shape.neurons <= 0) {
    throw std::invalid_argument(std::string(what) + ": batch " + std::to_string(shape.batch) +
                                " (1 to 65535), steps " + std::to_string(shape.steps) + " and neurons " +
                                std::to_string(shape.neurons) + " (positive)");
  }
  for (const std::size_t size : sizes) {
    if (size == shape.values()) continue;
    throw std::invalid_argument(std::string(what) + ": an array of " + std::to_string(size) +
                                " values; batch * steps * neurons is " + std::to_string(shape.values()));
  }
}

}  // namespace

template <class Target>
void lif_fused(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay, float threshold,
               DeviceSpan<Target, const float> current, DeviceSpan<Target, float> membrane,
               DeviceSpan<Target, std::uint32_t> spikes) {
  check("lif_fused", shape, {current.size(), membrane.empty() ? shape.values() : membrane.size()});
  if (spikes.size() != shape.spike_words()) {
    throw std::invalid_argument("lif_fused: " + std::to_string(spikes.size()) +
                                " words of spikes; it writes " + std::to_string(shape.spike_words()));
  }
  launch({.name = "lif_fused",
          .grid = dim3(blocks_for(shape.neurons, 32), static_cast<unsigned>(shape.batch)),
          .block = 32},
         stream, lif_kernel, shape.steps, shape.neurons, coefficients_of(decay, threshold), current.data(),
         membrane.empty() ? nullptr : membrane.data(), spikes.data());
}

template <class Target>
void lif_fused_backward(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay,
                        float threshold, DeviceSpan<Target, const float> membrane,
                        DeviceSpan<Target, const float> spike_gradient,
                        DeviceSpan<Target, float> current_gradient) {
  check("lif_fused_backward", shape, {membrane.size(), spike_gradient.size(), current_gradient.size()});
  launch({.name = "lif_fused_backward",
          .grid = dim3(blocks_for(shape.neurons, 32), static_cast<unsigned>(shape.batch)),
          .block = 32},
         stream, lif_backward_kernel, shape.steps, shape.neurons, coefficients_of(decay, threshold),
         membrane.data(), spike_gradient.data(), current_gradient.data());
}

template void lif_fused(Stream<CompiledTarget>&, const SpikingShape&, const Decay&, float,
                        DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>,
                        DeviceSpan<CompiledTarget, std::uint32_t>);
template void lif_fused_backward(Stream<CompiledTarget>&, const SpikingShape&, const Decay&, float,
                                 DeviceSpan<CompiledTarget, const float>,
                                 DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
