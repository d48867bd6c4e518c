// SPDX-License-Identifier: Apache-2.0
//
// Membranes of stochastic parallelizable spiking neurons (Yarga and Wood, "Accelerating SNN Training with
// Stochastic Parallelizable Spiking Neurons", IJCNN 2023, arXiv 2306.12666, section III): without a reset the
// membrane is linear in the current, so time needs no loop.
//
//   for (b) for (h) {
//     s = m = 0;
//     for (t = 0; t < steps; ++t) {
//       s = alpha * s + x[b, t, h];
//       m = beta * m + (1 - beta) * s;
//       z[b, t, h] = uniform(seed, b, t, h) < sigmoid(m);
//     }
//   }
//
// Optimisation: the paper convolves by Fourier transforms of length 2 T, O(T log T) and at least seven passes
// over memory. The two chained recurrences are one linear recurrence of two values, so a scan does it in O(T)
// with one pass: a block holds 32 neurons, its warps chunks of time, inputs stay in registers
// (kernels/sequences/chunked_scan.h). Sigmoid, the draw and the packing of 32 spikes into a word by a ballot
// happen before anything is written.
//
// Launch: (neurons / 32, batch) blocks of 32 x 4, 8 or 16 threads; tiles of 16 steps per warp, one after the
// other. Per value: 10 flops (the recurrence runs twice) and 6 per chunk and round; bytes 4 read, 4 and 1/8
// written. A draw of Philox serves four steps. Limits: batch <= 65535.
#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/device/philox.h"
#include "kernels/sequences/chunked_scan.h"
#include "kernels/spiking/membrane.h"
#include "kernels/spiking/spike_draw.h"

namespace remeasure::kernels {
namespace {

constexpr int kSteps = kScanSteps;  // of one thread in a tile
constexpr int kMostLevels = 5;

/// s' = alpha s + x;  m' = beta m + gain s'
struct Membrane {
  struct State {
    float current = 0;
    float membrane = 0;
  };
  struct Power {  // of the transition over 2^level chunks: lower triangular
    float alpha, mixed, beta;
  };
  float alpha, beta, gain;
  Power power[kMostLevels];

  RM_DEVICE State step(State before, float input) const {
    const float current = alpha * before.current + input;
    return {current, beta * before.membrane + gain * current};
  }
  RM_DEVICE State across(State before, int level) const {
    const Power& p = power[level];
    return {p.alpha * before.current, p.mixed * before.current + p.beta * before.membrane};
  }
  RM_DEVICE static State sum(State a, State b) { return {a.current + b.current, a.membrane + b.membrane}; }
};

/// Entries of [[alpha, 0], [(1 - beta) alpha, beta]]^n, in double.
Membrane::Power transition_power(const Decay& decay, int n) {
  double alpha = 1, mixed = 0, beta = 1;
  for (int i = 0; i < n; ++i) {
    mixed = decay.beta * mixed + (1 - decay.beta) * decay.alpha * alpha;
    alpha *= decay.alpha;
    beta *= decay.beta;
  }
  return {static_cast<float>(alpha), static_cast<float>(mixed), static_cast<float>(beta)};
}

Membrane recurrence_of(const Decay& decay) {
  Membrane result{static_cast<float>(decay.alpha),
                  static_cast<float>(decay.beta),
                  static_cast<float>(1 - decay.beta),
                  {}};
  for (int level = 0; level < kMostLevels; ++level)
    result.power[level] = transition_power(decay, kSteps << level);
  return result;
}

/// What one launch reads and writes; null where it isn't wanted.
struct Arrays {
  const float* input;     // currents; backward: gradients of the spikes
  const float* membrane;  // backward only
  float* output;          // membranes; backward: gradients of the currents
  std::uint32_t* spikes;
};

template <int kWarps, bool kReverse, Spiking kSpiking>
__global__ void __launch_bounds__(32 * kWarps)
    membrane_kernel(int steps, int neurons, Membrane recurrence, std::uint64_t seed, Arrays arrays) {
  using Scan = ChunkedScan<Membrane, kSteps, kWarps>;
  const int lane = lane_id();
  const int neuron = 32 * static_cast<int>(blockIdx.x) + lane;
  const bool exists = neuron < neurons;
  const std::size_t entry = blockIdx.y;
  const std::size_t first = entry * static_cast<std::size_t>(steps);
  const auto place = [&](int t) {  // of time step t, counted in the direction of the scan
    const int step = kReverse ? steps - 1 - t : t;
    return (first + static_cast<std::size_t>(step)) * static_cast<std::size_t>(neurons) +
           static_cast<std::size_t>(neuron);
  };
  typename Scan::State carry{};
  for (int tile = 0; tile < steps; tile += Scan::kTile) {
    const int begin = tile + kSteps * warp_id();
    float inputs[kSteps];
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      const int t = begin + i;
      inputs[i] = exists && t < steps ? arrays.input[place(t)] : 0.0f;
      if constexpr (kReverse && kSpiking != Spiking::none) {
        if (exists && t < steps) {
          const float membrane = arrays.membrane[place(t)];
          inputs[i] *= spike_slope<kSpiking>(membrane, seed, entry, steps - 1 - t, neuron);
        }
      }
    }
    Philox4 random{};
    Scan::run(recurrence, inputs, carry, [&](int i, typename Scan::State state) {
      const int t = begin + i;
      const bool inside = t < steps;
      if (exists && inside && arrays.output != nullptr) arrays.output[place(t)] = state.membrane;
      if constexpr (!kReverse && kSpiking != Spiking::none) {
        if (i % kDrawsPerPhilox<kSpiking> == 0) random = spike_random<kSpiking>(seed, entry, t, neuron);
        const bool spike =
            exists && draw_spike<kSpiking>(state.membrane, random, i % kDrawsPerPhilox<kSpiking>);
        const std::uint32_t word = __ballot_sync(kFullWarp, spike);
        const std::size_t words = (static_cast<std::size_t>(neurons) + 31) / 32;
        if (lane == 0 && inside)
          arrays.spikes[(first + static_cast<std::size_t>(t)) * words + blockIdx.x] = word;
      }
    });
  }
}

template <class Target, int kWarps, bool kReverse, Spiking kSpiking>
void launch_tiles(Stream<Target>& stream, const SpikingShape& shape, const Membrane& recurrence,
                  std::uint64_t seed, const Arrays& arrays) {
  launch({.name = kReverse ? "spsn_membrane_backward" : "spsn_membrane",
          .grid = dim3(blocks_for(shape.neurons, 32), static_cast<unsigned>(shape.batch)),
          .block = 32 * kWarps},
         stream, membrane_kernel<kWarps, kReverse, kSpiking>, shape.steps, shape.neurons, recurrence, seed,
         arrays);
}

/// As many warps as there are chunks, up to 16: short sequences waste no threads, long ones have tiles of 256
/// steps.
template <class Target, bool kReverse, Spiking kSpiking>
void launch_scan(Stream<Target>& stream, const SpikingShape& shape, const Membrane& recurrence,
                 std::uint64_t seed, const Arrays& arrays) {
  const int warps = scan_plan(shape.steps).warps;
  if (warps == 4)
    launch_tiles<Target, 4, kReverse, kSpiking>(stream, shape, recurrence, seed, arrays);
  else if (warps == 8)
    launch_tiles<Target, 8, kReverse, kSpiking>(stream, shape, recurrence, seed, arrays);
  else
    launch_tiles<Target, 16, kReverse, kSpiking>(stream, shape, recurrence, seed, arrays);
}

template <class Target, bool kReverse>
void launch_spiking(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay, Spiking spiking,
                    const SpikeNoise& noise, const Arrays& arrays) {
  const Membrane recurrence = recurrence_of(decay);
  switch (spiking) {
    case Spiking::none:
      return launch_scan<Target, kReverse, Spiking::none>(stream, shape, recurrence, noise.seed, arrays);
    case Spiking::sigmoid_bernoulli:
      return launch_scan<Target, kReverse, Spiking::sigmoid_bernoulli>(stream, shape, recurrence, noise.seed,
                                                                       arrays);
    case Spiking::gumbel_softmax:
      return launch_scan<Target, kReverse, Spiking::gumbel_softmax>(stream, shape, recurrence, noise.seed,
                                                                    arrays);
  }
}

void check(const char* what, const SpikingShape& shape, const Decay& decay, std::size_t input,
           std::size_t output) {
  if (shape.batch <= 0 || shape.batch > 65'535 || shape.steps <= 0 || shape.neurons <= 0) {
    throw std::invalid_argument(std::string(what) + ": batch " + std::to_string(shape.batch) +
                                " (1 to 65535), steps " + std::to_string(shape.steps) + " and neurons " +
                                std::to_string(shape.neurons) + " (positive)");
  }
  if (!(decay.alpha >= 0 && decay.alpha < 1 && decay.beta >= 0 && decay.beta < 1)) {
    throw std::invalid_argument(std::string(what) + ": decays " + std::to_string(decay.alpha) + " and " +
                                std::to_string(decay.beta) + " must be in [0, 1)");
  }
  if (input != shape.values() || (output != 0 && output != shape.values())) {
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(input) + " values in, " +
                                std::to_string(output) + " out; batch * steps * neurons is " +
                                std::to_string(shape.values()));
  }
}

}  // namespace

template <class Target>
void spsn_membrane(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay, Spiking spiking,
                   const SpikeNoise& noise, DeviceSpan<Target, const float> current,
                   DeviceSpan<Target, float> membrane, DeviceSpan<Target, std::uint32_t> spikes) {
  check("spsn_membrane", shape, decay, current.size(), membrane.size());
  const std::size_t words = spiking == Spiking::none ? 0 : shape.spike_words();
  if (spikes.size() != words) {
    throw std::invalid_argument("spsn_membrane: " + std::to_string(spikes.size()) +
                                " words of spikes; it writes " + std::to_string(words));
  }
  launch_spiking<Target, false>(
      stream, shape, decay, spiking, noise,
      {current.data(), nullptr, membrane.empty() ? nullptr : membrane.data(), spikes.data()});
}

template <class Target>
void spsn_membrane_backward(Stream<Target>& stream, const SpikingShape& shape, const Decay& decay,
                            Spiking spiking, const SpikeNoise& noise,
                            DeviceSpan<Target, const float> membrane,
                            DeviceSpan<Target, const float> spike_gradient,
                            DeviceSpan<Target, float> current_gradient) {
  check("spsn_membrane_backward", shape, decay, spike_gradient.size(), current_gradient.size());
  if (spiking != Spiking::none && membrane.size() != shape.values()) {
    throw std::invalid_argument("spsn_membrane_backward: " + std::to_string(membrane.size()) +
                                " membranes; batch * steps * neurons is " + std::to_string(shape.values()));
  }
  launch_spiking<Target, true>(stream, shape, decay, spiking, noise,
                               {spike_gradient.data(), membrane.data(), current_gradient.data(), nullptr});
}

template void spsn_membrane(Stream<CompiledTarget>&, const SpikingShape&, const Decay&, Spiking,
                            const SpikeNoise&, DeviceSpan<CompiledTarget, const float>,
                            DeviceSpan<CompiledTarget, float>, DeviceSpan<CompiledTarget, std::uint32_t>);
template void spsn_membrane_backward(Stream<CompiledTarget>&, const SpikingShape&, const Decay&, Spiking,
                                     const SpikeNoise&, DeviceSpan<CompiledTarget, const float>,
                                     DeviceSpan<CompiledTarget, const float>,
                                     DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
