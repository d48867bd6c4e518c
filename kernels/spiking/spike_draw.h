// SPDX-License-Identifier: Apache-2.0
//
// Random spikes as functions of (seed, batch entry, time step, neuron), the same draws on every target and in
// any order. One Philox call gives four words; sigmoid-Bernoulli takes one a step, Gumbel-softmax two, so a
// call serves a group of four or two neighbouring steps.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/device/philox.h"
#include "kernels/spiking/membrane.h"

namespace remeasure::kernels {

template <Spiking kSpiking>
inline constexpr int kDrawsPerPhilox = kSpiking == Spiking::gumbel_softmax ? 2 : 4;

/// Words of the group of steps that holds `step`.
template <Spiking kSpiking>
RM_HOST_DEVICE inline Philox4 spike_random(std::uint64_t seed, std::size_t entry, int step, int neuron) {
  const auto group = static_cast<std::uint64_t>(step / kDrawsPerPhilox<kSpiking>);
  return philox(seed, group << 32 | static_cast<std::uint64_t>(static_cast<std::uint32_t>(neuron)), entry);
}

/// -log(-log(u)): the standard Gumbel distribution.
RM_HOST_DEVICE inline float gumbel(std::uint32_t word) {
  return -std::log(-std::log(uniform_float(word)));
}

/// The spike of the `place`-th step of the group whose words are `random`.
template <Spiking kSpiking>
RM_HOST_DEVICE inline bool draw_spike(float membrane, const Philox4& random, int place) {
  if constexpr (kSpiking == Spiking::gumbel_softmax) {
    return membrane + gumbel(random.word[2 * place]) > -membrane + gumbel(random.word[2 * place + 1]);
  } else {
    return uniform_float(random.word[place]) < 1.0f / (1.0f + std::exp(-membrane));
  }
}

/// dz/dm as the authors' code takes it. Sigmoid-Bernoulli: p from the draw (its gradient is multiplied by its
/// input), sigmoid' after it; Gumbel-softmax: straight through, the derivative of the soft sample at
/// temperature 1, its noise drawn again.
template <Spiking kSpiking>
RM_HOST_DEVICE inline float spike_slope(float membrane, std::uint64_t seed, std::size_t entry, int step,
                                        int neuron) {
  if constexpr (kSpiking == Spiking::sigmoid_bernoulli) {
    const float p = 1.0f / (1.0f + std::exp(-membrane));
    return p * p * (1.0f - p);
  } else if constexpr (kSpiking == Spiking::gumbel_softmax) {
    const Philox4 random = spike_random<kSpiking>(seed, entry, step, neuron);
    const int place = step % kDrawsPerPhilox<kSpiking>;
    const float noise = gumbel(random.word[2 * place]) - gumbel(random.word[2 * place + 1]);
    const float soft = 1.0f / (1.0f + std::exp(-(2.0f * membrane + noise)));
    return 2.0f * soft * (1.0f - soft);
  } else {
    return 1.0f;
  }
}

}  // namespace remeasure::kernels
