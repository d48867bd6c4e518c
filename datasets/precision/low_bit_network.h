// SPDX-License-Identifier: Apache-2.0
//
// Whole networks of low-bit layers: signs as weights, activations of a few bits, and pictures.
// low_bit_alexnet and low_bit_vgg are made of this.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// A layer: `kernel` 0 is fully connected over what is left of the map. All but the last are requantised,
/// some pooled 2 x 2.
struct NetworkLayer {
  const char* name;
  int outputs, kernel, stride;
  bool pool;
};
using NetworkLayers = std::span<const NetworkLayer>;
/// Outputs of a layer in a network `divide` times as narrow; the classes stay.
constexpr int network_outputs(NetworkLayers layers, std::size_t layer, int divide) {
  return layer + 1 == layers.size() ? layers[layer].outputs : layers[layer].outputs / divide;
}

struct LowBitNetworkData {
  struct Layer {
    std::vector<std::uint8_t> weights;  ///< [outputs, kernel, kernel, channels], signs: 1 is +1
    std::vector<float> alpha, beta;     ///< [outputs]; empty behind the last layer
  };
  std::vector<float> pictures;  ///< [sets, images, extent, extent, 3] in [0, 1], of 8 bits each
  std::vector<Layer> layers;
};

/// Parameters sets, images, extent (a multiple of 32), divide, activation_bits. Weights are random signs and
/// pictures noise; each layer's affine map uses the next one's codes about equally, as training does.
/// `layers` outlives the Definition.
Definition network_definition(const std::string& name, const std::string& title,
                              const std::string& stands_for, NetworkLayers layers);
Parameters network_parameters(int sets, int images, int extent, int divide, int activation_bits,
                              std::uint64_t seed);
LowBitNetworkData read_network(Reader& reader, NetworkLayers layers);

}  // namespace remeasure::datasets
