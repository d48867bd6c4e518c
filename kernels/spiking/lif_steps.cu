// SPDX-License-Identifier: Apache-2.0
//
// Leaky integrate-and-fire neurons a time step per launch, as frameworks run them (the baseline that Yarga
// and Wood, IJCNN 2023, arXiv 2306.12666, report against). The linear parts of a step are a library's; these
// are the rest.
//
//   fire:      membrane[b, t, h] = m;  spikes[b, t, h] = m > threshold;  if (m > threshold) m = 0;
//   gradient:  dm = spike_gradient[b, t, h] / (100 |membrane[b, t, h] - threshold| + 1)^2 + (membrane[b, t,
//   h] > threshold ? 0 : beta dm)
//
// A thread per neuron and batch entry, T launches. Bytes per value: 8 read and written of the state, 8 of the
// traces. Limits: batch * neurons < 2^31.
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/spiking/lif_surrogate.h"
#include "kernels/spiking/membrane.h"

namespace remeasure::kernels {
namespace {

/// Place of a batch entry's neuron in a trace.
RM_DEVICE std::size_t trace_place(int i, int t, int steps, int neurons) {
  const std::size_t row =
      static_cast<std::size_t>(i / neurons) * static_cast<std::size_t>(steps) + static_cast<std::size_t>(t);
  return row * static_cast<std::size_t>(neurons) + static_cast<std::size_t>(i % neurons);
}

__global__ void fire_kernel(int count, int t, int steps, int neurons, float threshold,
                            float* __restrict__ state, float* __restrict__ membrane,
                            float* __restrict__ spikes) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  const float m = state[i];
  const bool fires = m > threshold;
  const std::size_t place = trace_place(i, t, steps, neurons);
  membrane[place] = m;
  spikes[place] = fires ? 1.0f : 0.0f;
  if (fires) state[i] = 0;
}

__global__ void gradient_kernel(int count, int t, int steps, int neurons, float beta, float threshold,
                                const float* __restrict__ membrane, const float* __restrict__ spike_gradient,
                                float* __restrict__ membrane_gradient) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= count) return;
  const std::size_t place = trace_place(i, t, steps, neurons);
  const float m = membrane[place], dz = spike_gradient[place], after = membrane_gradient[i];
  membrane_gradient[i] = membrane_gradient_before(m, dz, after, beta, threshold);
}

/// Neurons of all batch entries.
int checked_count(const char* what, const SpikingShape& shape, int t, std::size_t state, std::size_t first,
                  std::size_t second) {
  const std::size_t count = static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.neurons);
  if (t < 0 || t >= shape.steps || state != count || count >= std::size_t{1} << 31 ||
      first != shape.values() || second != shape.values()) {
    throw std::invalid_argument(std::string(what) + ": step " + std::to_string(t) + " of " +
                                std::to_string(shape.steps) + ", state of " + std::to_string(state) +
                                " (batch * neurons is " + std::to_string(count) + "), traces of " +
                                std::to_string(first) + " and " + std::to_string(second) +
                                " (batch * steps * neurons is " + std::to_string(shape.values()) + ")");
  }
  return static_cast<int>(count);
}

}  // namespace

template <class Target>
void lif_step_fire(Stream<Target>& stream, const SpikingShape& shape, int t, float threshold,
                   DeviceSpan<Target, float> state, DeviceSpan<Target, float> membrane,
                   DeviceSpan<Target, float> spikes) {
  const int count = checked_count("lif_step_fire", shape, t, state.size(), membrane.size(), spikes.size());
  launch({.name = "lif_step_fire", .grid = blocks_for(count, 256), .block = 256}, stream, fire_kernel, count,
         t, shape.steps, shape.neurons, threshold, state.data(), membrane.data(), spikes.data());
}

template <class Target>
void lif_step_gradient(Stream<Target>& stream, const SpikingShape& shape, int t, const Decay& decay,
                       float threshold, DeviceSpan<Target, const float> membrane,
                       DeviceSpan<Target, const float> spike_gradient,
                       DeviceSpan<Target, float> membrane_gradient) {
  const int count = checked_count("lif_step_gradient", shape, t, membrane_gradient.size(), membrane.size(),
                                  spike_gradient.size());
  launch({.name = "lif_step_gradient", .grid = blocks_for(count, 256), .block = 256}, stream, gradient_kernel,
         count, t, shape.steps, shape.neurons, static_cast<float>(decay.beta), threshold, membrane.data(),
         spike_gradient.data(), membrane_gradient.data());
}

template void lif_step_fire(Stream<CompiledTarget>&, const SpikingShape&, int, float,
                            DeviceSpan<CompiledTarget, float>, DeviceSpan<CompiledTarget, float>,
                            DeviceSpan<CompiledTarget, float>);
template void lif_step_gradient(Stream<CompiledTarget>&, const SpikingShape&, int, const Decay&, float,
                                DeviceSpan<CompiledTarget, const float>,
                                DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
