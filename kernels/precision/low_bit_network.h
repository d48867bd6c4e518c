// SPDX-License-Identifier: Apache-2.0
//
// Low-bit layers one behind the other: a picture, convolutions, fully connected layers. Between two of them
// there are bit planes and nothing else.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/precision/apnn.h"
#include "kernels/precision/bit_planes.h"
#include "kernels/precision/low_bit_layer.h"

namespace remeasure::kernels {

/// layers[0] reads the picture; layer i is followed by between[i], the last by nothing.
struct LowBitNetwork {
  std::vector<LowBitShape> layers;
  std::vector<Requantise> between;
  PictureRange range;
};
/// What the network multiplies: the first layer as a product of patches.
std::vector<LowBitShape> multiplied_layers(const LowBitNetwork& network);
/// Throws std::invalid_argument where a layer doesn't take what the one before it gives.
void check_low_bit_network(const char* what, const LowBitNetwork& network);

/// Of one layer, codes as in LowBitCodes, alpha and beta empty behind the last.
struct LowBitLayerData {
  std::span<const std::uint8_t> weights;
  std::span<const float> alpha, beta;
};

/// sums of the last layer, [images, outputs], by values in Scalar: in double the oracle. `used`: how often
/// each code of each requantised layer occurred, [between][code].
template <class Scalar>
std::vector<Scalar> low_bit_network_sums(const LowBitNetwork& network,
                                         std::span<const LowBitLayerData> layers,
                                         std::span<const float> picture,
                                         std::vector<std::vector<std::size_t>>* used = nullptr);

/// The same by popcounts. `weights`: planes of each of multiplied_layers(network).
std::vector<std::int32_t> low_bit_network_popcount(const LowBitNetwork& network,
                                                   std::span<const std::vector<std::uint32_t>> weights,
                                                   std::span<const LowBitLayerData> layers,
                                                   std::span<const float> picture, int threads = 0);

/// The network on a device: one launch packs the patches of the picture, one each is a layer with all that
/// follows it.
template <class Target>
class LowBitChain {
 public:
  struct Layer {
    DeviceSpan<Target, const std::uint32_t> weights;
    DeviceSpan<Target, const float> alpha, beta;
  };

  LowBitChain(Stream<Target>& stream, const LowBitNetwork& network, std::vector<Layer> layers)
      : stream_(stream), network_(network), shapes_(multiplied_layers(network)), layers_(std::move(layers)) {
    check_low_bit_network("LowBitChain", network);
    for (const LowBitShape& shape : shapes_) {
      planes_.emplace_back(stream.device(), shape.activation_words(), MemoryUse::workspace, "planes");
    }
  }
  void operator()(DeviceSpan<Target, const float> picture, DeviceSpan<Target, std::int32_t> sums) {
    pack_picture_patches<Target>(stream_, network_.layers[0], network_.range, picture, planes_[0]);
    for (std::size_t i = 0; i + 1 < shapes_.size(); ++i) {
      low_bit_layer_fused<Target>(stream_, shapes_[i], network_.between[i], std::as_const(planes_[i]),
                                  layers_[i].weights, layers_[i].alpha, layers_[i].beta, planes_[i + 1]);
    }
    low_bit_layer<Target>(stream_, shapes_.back(), std::as_const(planes_.back()), layers_.back().weights,
                          sums);
  }

 private:
  Stream<Target>& stream_;
  LowBitNetwork network_;
  std::vector<LowBitShape> shapes_;
  std::vector<Layer> layers_;
  std::vector<DeviceBuffer<Target, std::uint32_t>> planes_;
};

}  // namespace remeasure::kernels
