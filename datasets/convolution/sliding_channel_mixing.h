// SPDX-License-Identifier: Apache-2.0
//
// Teachers that mix all channels: what a stack of grouped convolutions can't learn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

struct ChannelMixing {
  std::size_t samples = 0, channels = 0;
  std::vector<float> x;          ///< [samples, channels], N(0, 1)
  std::vector<float> linear;     ///< [samples, channels]: A x
  std::vector<float> nonlinear;  ///< [samples, channels]: A relu(B x)
  std::vector<float> a;          ///< [channels, channels], orthogonal; B another one
};

/// "sliding_channel_mixing": parameters samples, channels. A and B are random orthogonal matrices: the energy
/// of A outside of any g diagonal blocks is 1 - 1/g in expectation.
extern const Definition sliding_channel_mixing_definition;

Parameters sliding_channel_mixing(std::size_t samples, std::size_t channels, std::uint64_t seed);
ChannelMixing read_sliding_channel_mixing(Reader& reader);

}  // namespace remeasure::datasets
