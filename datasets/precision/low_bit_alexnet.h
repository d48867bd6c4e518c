// SPDX-License-Identifier: Apache-2.0
//
// The AlexNet variant of APNN-TC as a whole: signs as weights, activations of a few bits, and pictures.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// A layer: `kernel` 0 is fully connected over what is left of the map. All but the last are requantised,
/// some pooled 2 x 2.
struct AlexnetLayer {
  const char* name;
  int outputs, kernel, stride;
  bool pool;
};
inline constexpr std::array<AlexnetLayer, 8> kAlexnetLayers = {{{"conv1", 64, 11, 4, true},
                                                                {"conv2", 192, 5, 1, true},
                                                                {"conv3", 384, 3, 1, false},
                                                                {"conv4", 256, 3, 1, false},
                                                                {"conv5", 256, 3, 1, true},
                                                                {"fc1", 4096, 0, 1, false},
                                                                {"fc2", 4096, 0, 1, false},
                                                                {"fc3", 1000, 0, 1, false}}};
/// Outputs of a layer in a network `divide` times as narrow; the classes stay.
constexpr int alexnet_outputs(std::size_t layer, int divide) {
  return layer + 1 == kAlexnetLayers.size() ? kAlexnetLayers[layer].outputs
                                            : kAlexnetLayers[layer].outputs / divide;
}

struct LowBitAlexnet {
  struct Layer {
    std::vector<std::uint8_t> weights;  ///< [outputs, kernel, kernel, channels], signs: 1 is +1
    std::vector<float> alpha, beta;     ///< [outputs]; empty behind the last layer
  };
  std::vector<float> pictures;  ///< [sets, images, extent, extent, 3] in [0, 1], of 8 bits each
  std::vector<Layer> layers;
};

/// "low_bit_alexnet": parameters sets, images, extent (a multiple of 32), divide, activation_bits.
extern const Definition low_bit_alexnet_definition;

Parameters low_bit_alexnet(int sets, int images, int extent, int divide, int activation_bits,
                           std::uint64_t seed);
LowBitAlexnet read_low_bit_alexnet(Reader& reader);

}  // namespace remeasure::datasets
