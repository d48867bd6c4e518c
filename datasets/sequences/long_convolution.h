// SPDX-License-Identifier: Apache-2.0
//
// Inputs of a gated long convolution, and filters like those of trained Hyena models.
#pragma once

#include <cstddef>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// [batch, channels, length] and [channels, length]; `lowpass` is [3, channels, length]: the filter behind a
/// Gaussian low-pass, exp(-(f / fc)^2 / 2), fc in fractions of the Nyquist frequency (kLowpassCutoffs).
struct LongConvolution {
  std::size_t batch = 0, channels = 0, length = 0;
  std::vector<float> u, pregate, postgate, filter, lowpass;
};

inline constexpr double kLowpassCutoffs[] = {0.05, 0.1, 0.2};

/// "long_convolution": parameters batch, channels, length. Signals and gates are N(0, 1), white. A channel's
/// filter is exp(-a t) times the mean of eight sines of random frequency and phase, a log-spaced from 1 to
/// 100 over the length: memory from a hundredth of the sequence to all of it. Imported: filters from a .npy
/// of [channels, length].
extern const Definition long_convolution_definition;

Parameters long_convolution(std::size_t batch, std::size_t channels, std::size_t length, std::uint64_t seed);
LongConvolution read_long_convolution(Reader& reader);

/// One period of `filter` behind the low-pass of cutoff `fc`, circularly.
std::vector<float> gaussian_lowpass(std::span<const float> filter, double fc);

}  // namespace remeasure::datasets
