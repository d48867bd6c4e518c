// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace remeasure::kernels {

/// Events of samples, one after another: sample i has events [offset[i], offset[i + 1]), sorted by time.
struct SpikeEvents {
  std::span<const std::uint16_t> time, unit;
  std::span<const std::int64_t> offset;  ///< [samples + 1]
  std::span<const std::uint8_t> label;   ///< [samples]

  std::size_t samples() const { return label.size(); }
};

/// Adds to row t of `out` ([steps, neurons], row-major) the rows of `weights` ([units, neurons]) of the
/// sample's events at step t: binary spikes times weights, without the zeros. Events at `steps` and later are
/// left out.
void add_event_currents(const SpikeEvents& events, std::size_t sample, std::size_t steps,
                        std::span<const float> weights, std::size_t neurons, std::span<float> out);

/// Its adjoint: adds row t of `current_gradient` to the rows of `weight_gradient` of the events at step t.
void add_event_gradients(const SpikeEvents& events, std::size_t sample, std::size_t steps,
                         std::span<const float> current_gradient, std::size_t neurons,
                         std::span<float> weight_gradient);

}  // namespace remeasure::kernels
