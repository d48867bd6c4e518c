// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// A layer of neurons over time.  Currents and membranes: [batch, steps, neurons] row-major, f32;
/// spikes: [batch, steps, ceil(neurons / 32)], bit h % 32 of word h / 32 for neuron h.
struct SpikingShape {
  int batch = 0;
  int steps = 0;
  int neurons = 0;

  std::size_t values() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(steps) *
           static_cast<std::size_t>(neurons);
  }
  std::size_t words_per_step() const { return (static_cast<std::size_t>(neurons) + 31) / 32; }
  std::size_t spike_words() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(steps) * words_per_step();
  }
};

/// Decay per time step of the synaptic current (alpha = exp(-dt / tau_syn)) and of the membrane (beta =
/// exp(-dt / tau_mem)).
struct Decay {
  double alpha = 0;
  double beta = 0;
};

/// How a membrane becomes a spike (Yarga and Wood, IJCNN 2023, section III).
enum class Spiking {
  none,               ///< membrane only: the output layer
  sigmoid_bernoulli,  ///< z ~ Bernoulli(sigmoid(m))
  gumbel_softmax,     ///< z = [m + g1 > -m + g2], g1, g2 standard Gumbel: P(z) = sigmoid(2 m)
};

/// Which random numbers: neuron h at step t of batch entry b uses a function of (seed, b, t, h) alone.
struct SpikeNoise {
  std::uint64_t seed = 0;
};

/// How the scan of spsn_membrane covers time: tiles of `warps` chunks of kScanSteps steps, one tile after
/// another.
inline constexpr int kScanSteps = 16;
struct ScanPlan {
  int warps = 1;  ///< 4, 8 or 16
  int tiles = 1;
  int rounds = 0;  ///< log2(warps)
  /// Steps that wait for one another, of which a loop has as many as there are time steps.
  int dependent_steps() const { return tiles * (2 * kScanSteps + rounds); }
};
inline ScanPlan scan_plan(int steps) {
  const int chunks = (steps + kScanSteps - 1) / kScanSteps;
  const int warps = chunks <= 4 ? 4 : chunks <= 8 ? 8 : 16;
  return {warps, (chunks + warps - 1) / warps, warps == 4 ? 2 : warps == 8 ? 3 : 4};
}

/// Membranes without reset, m = l * k * x with l_t = alpha^t, k_t = (1 - beta) beta^t, by a scan over time:
///   s_t = alpha s_{t-1} + x_t;  m_t = beta m_{t-1} + (1 - beta) s_t
/// and the spikes drawn from them. `membrane` may be empty if only spikes are wanted, `spikes` must be empty
/// for Spiking::none. Bitwise deterministic. Throws std::invalid_argument for sizes that don't fit and decays
/// outside [0, 1).
template <class Target>
void spsn_membrane(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay, Spiking spiking,
                   const SpikeNoise& noise, DeviceSpan<Target, const float> current,
                   DeviceSpan<Target, float> membrane, DeviceSpan<Target, std::uint32_t> spikes);

/// The adjoint: with dm = spike_gradient * dz/dm (kernels/spiking/spike_draw.h; for Spiking::none dm =
/// spike_gradient), current_gradient_t = sum_{u >= t} h_{u-t} dm_u, h = l * k, by the same scan from the last
/// step to the first. `membrane` is what the forward pass wrote (not read for Spiking::none, may then be
/// empty); all [batch, steps, neurons].
template <class Target>
void spsn_membrane_backward(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay,
                            Spiking spiking, const SpikeNoise& noise,
                            DeviceSpan<Target, const float> membrane,
                            DeviceSpan<Target, const float> spike_gradient,
                            DeviceSpan<Target, float> current_gradient);

/// The sequential neuron it is compared with: leaky integrate-and-fire with hard reset, one thread per
/// neuron, time in a loop.
///   s = alpha s + x_t;  m = beta m + (1 - beta) s;  z_t = [m > threshold];  m = m (1 - z_t)
/// `membrane` holds m before the reset; it may be empty.
template <class Target>
void lif_fused(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay, float threshold,
               DeviceSpan<Target, const float> current, DeviceSpan<Target, float> membrane,
               DeviceSpan<Target, std::uint32_t> spikes);

/// Its gradient by backpropagation through time with the surrogate dz/dm = 1 / (100 |m - threshold| + 1)^2;
/// the reset is a constant, as in the authors' code.
///   dm = spike_gradient_t / (100 |m_t - threshold| + 1)^2 + beta dm (1 - z_t);  ds = alpha ds + (1 - beta)
///   dm;  current_gradient_t = ds
template <class Target>
void lif_fused_backward(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay,
                        float threshold, DeviceSpan<Target, const float> membrane,
                        DeviceSpan<Target, const float> spike_gradient,
                        DeviceSpan<Target, float> current_gradient);

/// What is left of a step of the same neuron when a library does the linear parts, as frameworks run it:
/// `state` ([batch, neurons]) holds m after the currents were added; fires and resets it, and keeps m and z
/// (0 or 1) of step `t` in the traces
/// ([batch, steps, neurons]).
template <class Target>
void lif_step_fire(Stream<Target>& stream, const SpikingShape& shape, int t, float threshold,
                   DeviceSpan<Target, float> state, DeviceSpan<Target, float> membrane,
                   DeviceSpan<Target, float> spikes);

/// The same of a step back: membrane_gradient ([batch, neurons]) is dm of step t + 1 before, and of step t
/// after.
template <class Target>
void lif_step_gradient(Stream<Target>& stream, const SpikingShape& shape, int t, const Decay& decay,
                       float threshold, DeviceSpan<Target, const float> membrane,
                       DeviceSpan<Target, const float> spike_gradient,
                       DeviceSpan<Target, float> membrane_gradient);

}  // namespace remeasure::kernels
