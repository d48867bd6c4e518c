// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "baselines/matmul/matmul.h"
#include "baselines/precision/low_bit_layer.h"

namespace remeasure::baselines {
namespace {

template <class Element>
constexpr MatmulType type_of() {
  if constexpr (std::is_same_v<Element, std::int8_t>)
    return MatmulType::i8;
  else if constexpr (std::is_same_v<Element, half>)
    return MatmulType::f16;
  else
    return MatmulType::f32;
}

/// sums[rows][outputs] = activations weights^T: in cuBLAS's order of columns c[outputs, rows] = (weights as
/// [K, outputs])^T times [K, rows].
template <class Element>
MatmulProblem problem_of(const LowBitShape& shape) {
  return {.type = type_of<Element>(),
          .transpose_a = true,
          .rows = shape.outputs,
          .columns = shape.rows(),
          .inner = kernels::patch_row(shape)};
}

std::size_t patch_elements(const LowBitShape& shape) {
  return static_cast<std::size_t>(shape.rows()) * static_cast<std::size_t>(kernels::patch_row(shape));
}

}  // namespace

template <class Element>
struct LowBitLayerCublas<Element>::State {
  State(Stream<Cuda>& on, const LowBitShape& of)
      : stream(on), shape(of), library(on), matmul(library, problem_of<Element>(of)) {}

  Stream<Cuda>& stream;
  LowBitShape shape;
  MatmulLibrary library;
  Matmul matmul;
  DeviceBuffer<Cuda, Element> patches;  // of a convolution
};

template <class Element>
LowBitLayerCublas<Element>::LowBitLayerCublas(Stream<Cuda>& stream, const LowBitShape& shape)
    : state_(std::make_unique<State>(stream, shape)) {}
template <class Element>
LowBitLayerCublas<Element>::~LowBitLayerCublas() = default;

template <class Element>
void LowBitLayerCublas<Element>::product(DeviceSpan<Cuda, const Element> activations,
                                         DeviceSpan<Cuda, const Element> weights,
                                         DeviceSpan<Cuda, Sum> sums) {
  const LowBitShape& shape = state_->shape;
  kernels::check_low_bit_sizes(
      "LowBitLayerCublas",
      {{"activations", activations.size(), patch_elements(shape)},
       {"weights", weights.size(),
        static_cast<std::size_t>(shape.outputs) * static_cast<std::size_t>(kernels::patch_row(shape))},
       {"sums", sums.size(), shape.sums()}});
  state_->matmul(weights.data(), activations.data(), sums.data());
}

template <class Element>
void LowBitLayerCublas<Element>::convolution(DeviceSpan<Cuda, const std::uint8_t> codes,
                                             DeviceSpan<Cuda, const Element> weights,
                                             DeviceSpan<Cuda, Sum> sums) {
  State& s = *state_;
  if (s.patches.size() == 0) {
    s.patches = DeviceBuffer<Cuda, Element>(s.stream.device(), patch_elements(s.shape), MemoryUse::workspace,
                                            "patches");
  }
  kernels::layer_patches<Cuda, Element>(s.stream, s.shape, 0, codes, s.patches);
  product(std::as_const(s.patches), weights, sums);
}

template <class Element>
std::string LowBitLayerCublas<Element>::setting() const {
  return state_->matmul.setting();
}

template <class Element>
struct LowBitNetworkCublas<Element>::State {
  State(Stream<Cuda>& on, const LowBitNetwork& of, std::vector<Layer> with)
      : stream(on), network(of), layers(std::move(with)), library(on) {
    kernels::check_low_bit_network("LowBitNetworkCublas", network);
    kernels::check_low_bit_sizes("LowBitNetworkCublas",
                                 {{"the layers' data", layers.size(), network.layers.size()}});
    std::size_t most_patches = 0, most_sums = 0;
    for (const LowBitShape& shape : network.layers) {
      products.emplace_back(library, problem_of<Element>(shape));
      most_patches = std::max(most_patches, patch_elements(shape));
      most_sums = std::max(most_sums, shape.sums());
      codes.emplace_back(on.device(), shape.activation_codes(), MemoryUse::workspace, "codes");
    }
    patches = DeviceBuffer<Cuda, Element>(on.device(), most_patches, MemoryUse::workspace, "patches");
    sums = DeviceBuffer<Cuda, Sum>(on.device(), most_sums, MemoryUse::workspace, "sums");
  }

  Stream<Cuda>& stream;
  LowBitNetwork network;
  std::vector<Layer> layers;
  MatmulLibrary library;
  std::vector<Matmul> products;
  std::vector<DeviceBuffer<Cuda, std::uint8_t>> codes;  // what each layer reads
  DeviceBuffer<Cuda, Element> patches;
  DeviceBuffer<Cuda, Sum> sums;
};

template <class Element>
LowBitNetworkCublas<Element>::LowBitNetworkCublas(Stream<Cuda>& stream, const LowBitNetwork& network,
                                                  std::vector<Layer> layers)
    : state_(std::make_unique<State>(stream, network, std::move(layers))) {}
template <class Element>
LowBitNetworkCublas<Element>::~LowBitNetworkCublas() = default;

template <class Element>
void LowBitNetworkCublas<Element>::operator()(DeviceSpan<Cuda, const float> picture,
                                              DeviceSpan<Cuda, Sum> sums) {
  State& s = *state_;
  const LowBitNetwork& net = s.network;
  kernels::quantise_picture<Cuda>(s.stream, net.range.low, net.range.high, net.layers[0].activation_bits,
                                  picture, s.codes[0]);
  for (std::size_t i = 0; i < net.layers.size(); ++i) {
    const LowBitShape& shape = net.layers[i];
    const DeviceSpan<Cuda, Element> patches = s.patches.span().subspan(0, patch_elements(shape));
    kernels::layer_patches<Cuda, Element>(s.stream, shape, 0, std::as_const(s.codes[i]), patches);
    if (i + 1 == net.layers.size()) {
      s.products[i](s.layers[i].weights.data(), patches.data(), sums.data());
      return;
    }
    const DeviceSpan<Cuda, Sum> between = s.sums.span().subspan(0, shape.sums());
    s.products[i](s.layers[i].weights.data(), patches.data(), between.data());
    kernels::requantise_sums<Cuda, Sum>(s.stream, shape, net.between[i], between, s.layers[i].alpha,
                                        s.layers[i].beta, s.codes[i + 1]);
  }
}

template class LowBitLayerCublas<std::int8_t>;
template class LowBitLayerCublas<half>;
template class LowBitLayerCublas<float>;
template class LowBitNetworkCublas<std::int8_t>;
template class LowBitNetworkCublas<half>;
template class LowBitNetworkCublas<float>;

}  // namespace remeasure::baselines
