// SPDX-License-Identifier: Apache-2.0
//
// A low-bit layer, and a network of them, as libraries without low bits compute it: codes widened to int8,
// half or float, a matrix product of patches, and the requantisation behind it. Shapes as in
// kernels/precision/low_bit_layer.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/precision/low_bit_layer.h"
#include "kernels/precision/low_bit_network.h"
#include "kernels/precision/unfused_layer.h"

namespace remeasure::baselines {

using kernels::LowBitNetwork;
using kernels::LowBitShape;

/// Eigen: MatrixXf of the values; patches of a convolution are gathered a block at a time. Eigen's own
/// threads. activations: [images, height, width, channels] values, weights: [outputs, inner] values, sums:
/// [rows, outputs].
void low_bit_layer_eigen(const LowBitShape& shape, std::span<const float> activations,
                         std::span<const float> weights, std::span<float> sums);
/// The network: pictures in, sums of the last layer out. `weights`: values of each layer.
void low_bit_network_eigen(const LowBitNetwork& network, std::span<const std::vector<float>> weights,
                           std::span<const kernels::LowBitLayerData> layers, std::span<const float> picture,
                           std::span<float> sums);

/// Weight values as the matrix that the products take, [outputs][patch_row], the padding 0. Element:
/// std::int8_t, half, float.
template <class Element>
std::vector<Element> padded_weights(const LowBitShape& shape, std::span<const std::uint8_t> codes);
/// Activation values less `offset` likewise, [rows][patch_row]; for a product (a convolution's are gathered
/// on the device).
template <class Element>
std::vector<Element> padded_activations(const LowBitShape& shape, std::span<const std::uint8_t> codes,
                                        int offset);

/// What the product of Elements gives: int32 of int8, else the Element.
template <class Element>
struct SumOf {
  using Type = Element;
};
template <>
struct SumOf<std::int8_t> {
  using Type = std::int32_t;
};

/// Why cuBLAS can't multiply this in int8; empty if it can.
std::string why_no_int8_product(const LowBitShape& shape);

/// cuBLAS(Lt), the fastest of its algorithms, A transposed and both contiguous along K, which int8 asks for.
/// Only where the CUDA toolkit is.
template <class Element>
class LowBitLayerCublas {
 public:
  using Sum = typename SumOf<Element>::Type;
  LowBitLayerCublas(Stream<Cuda>& stream, const LowBitShape& shape);
  ~LowBitLayerCublas();

  /// sums[rows][outputs] of matrices with rows of patch_row.
  void product(DeviceSpan<Cuda, const Element> activations, DeviceSpan<Cuda, const Element> weights,
               DeviceSpan<Cuda, Sum> sums);
  /// The same from codes: patches to memory, then the product.
  void convolution(DeviceSpan<Cuda, const std::uint8_t> codes, DeviceSpan<Cuda, const Element> weights,
                   DeviceSpan<Cuda, Sum> sums);
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The network by these: per layer patches, product and requantisation.
template <class Element>
class LowBitNetworkCublas {
 public:
  using Sum = typename SumOf<Element>::Type;
  struct Layer {
    DeviceSpan<Cuda, const Element> weights;
    DeviceSpan<Cuda, const float> alpha, beta;
  };
  LowBitNetworkCublas(Stream<Cuda>& stream, const LowBitNetwork& network, std::vector<Layer> layers);
  ~LowBitNetworkCublas();
  void operator()(DeviceSpan<Cuda, const float> picture, DeviceSpan<Cuda, Sum> sums);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
