// SPDX-License-Identifier: Apache-2.0
#include "kernels/spiking/spike_events.h"

namespace remeasure::kernels {
namespace {

/// use(event, step) for a sample's events below `steps`.
template <class Use>
void for_each_event(const SpikeEvents& events, std::size_t sample, std::size_t steps, Use use) {
  const auto end = static_cast<std::size_t>(events.offset[sample + 1]);
  for (auto i = static_cast<std::size_t>(events.offset[sample]); i < end && events.time[i] < steps; ++i)
    use(i, events.time[i]);
}

}  // namespace

void add_event_currents(const SpikeEvents& events, std::size_t sample, std::size_t steps,
                        std::span<const float> weights, std::size_t neurons, std::span<float> out) {
  for_each_event(events, sample, steps, [&](std::size_t i, std::size_t step) {
    const float* row = weights.data() + events.unit[i] * neurons;
    float* to = out.data() + step * neurons;
    for (std::size_t neuron = 0; neuron < neurons; ++neuron) to[neuron] += row[neuron];
  });
}

void add_event_gradients(const SpikeEvents& events, std::size_t sample, std::size_t steps,
                         std::span<const float> current_gradient, std::size_t neurons,
                         std::span<float> weight_gradient) {
  for_each_event(events, sample, steps, [&](std::size_t i, std::size_t step) {
    const float* row = current_gradient.data() + step * neurons;
    float* to = weight_gradient.data() + events.unit[i] * neurons;
    for (std::size_t neuron = 0; neuron < neurons; ++neuron) to[neuron] += row[neuron];
  });
}

}  // namespace remeasure::kernels
