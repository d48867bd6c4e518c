// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/low_bit_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/precision/low_bit_reference.h"

namespace remeasure::kernels {

std::vector<LowBitShape> multiplied_layers(const LowBitNetwork& network) {
  std::vector<LowBitShape> shapes = network.layers;
  if (!shapes.empty()) shapes.front() = product_of_patches(shapes.front());
  return shapes;
}

void check_low_bit_network(const char* what, const LowBitNetwork& network) {
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument(fmt::format("{}: {}", what, why));
  };
  if (network.layers.empty() || network.between.size() + 1 != network.layers.size()) {
    refuse(fmt::format("{} layers with {} requantisations between them", network.layers.size(),
                       network.between.size()));
  }
  for (std::size_t i = 0; i < network.between.size(); ++i) {
    const LowBitShape &from = network.layers[i], &to = network.layers[i + 1];
    check_low_bit_shape(what, from);
    check_low_bit_shape(what, to);
    check_requantise(what, from, network.between[i]);
    const int divide = network.between[i].pool ? 2 : 1;
    if (to.images != from.images || to.height != from.out_height / divide ||
        to.width != from.out_width / divide || to.channels != from.outputs ||
        to.activation_bits != network.between[i].bits) {
      refuse(fmt::format("layer {} doesn't take what layer {} gives", i + 1, i));
    }
  }
}

namespace {

/// What must hold of a layer's data before it is used.
void check_layers(const LowBitNetwork& network, std::span<const LowBitLayerData> layers) {
  check_low_bit_network("low_bit_network", network);
  check_low_bit_sizes("low_bit_network", {{"the layers' data", layers.size(), network.layers.size()}});
}

}  // namespace

template <class Scalar>
std::vector<Scalar> low_bit_network_sums(const LowBitNetwork& network,
                                         std::span<const LowBitLayerData> layers,
                                         std::span<const float> picture,
                                         std::vector<std::vector<std::size_t>>* used) {
  check_layers(network, layers);
  std::vector<std::uint8_t> codes = picture_codes<Scalar>(picture, network.range.low, network.range.high,
                                                          network.layers[0].activation_bits);
  for (std::size_t i = 0;; ++i) {
    const std::vector<Scalar> sums = low_bit_sums<Scalar>(network.layers[i], {codes, layers[i].weights});
    if (i + 1 == network.layers.size()) return sums;
    const std::vector<std::int32_t> whole(sums.begin(), sums.end());
    codes = requantised_codes<Scalar>(network.layers[i], network.between[i], whole, layers[i].alpha,
                                      layers[i].beta);
    if (used == nullptr) continue;
    used->emplace_back(std::size_t{1} << network.between[i].bits, 0);
    for (const std::uint8_t code : codes) ++used->back()[code];
  }
}

std::vector<std::int32_t> low_bit_network_popcount(const LowBitNetwork& network,
                                                   std::span<const std::vector<std::uint32_t>> weights,
                                                   std::span<const LowBitLayerData> layers,
                                                   std::span<const float> picture, int threads) {
  check_layers(network, layers);
  check_low_bit_sizes("low_bit_network", {{"the weights' planes", weights.size(), network.layers.size()}});
  const std::vector<LowBitShape> shapes = multiplied_layers(network);
  const LowBitShape& first = network.layers[0];
  const std::vector<std::uint8_t> of_picture =
      picture_codes<float>(picture, network.range.low, network.range.high, first.activation_bits);
  // The patches of the picture as codes: they have few channels, and would be padded to 128 at each tap.
  std::vector<std::uint8_t> codes(shapes[0].activation_codes());
  std::vector<float> patch(static_cast<std::size_t>(first.inner()));
  for (std::size_t row = 0; row < static_cast<std::size_t>(first.rows()); ++row) {
    low_bit_patch<float>(first, of_picture, row, patch.data());
    std::transform(patch.begin(), patch.end(),
                   codes.begin() + static_cast<std::ptrdiff_t>(row * patch.size()),
                   [](float value) { return static_cast<std::uint8_t>(value); });
  }
  for (std::size_t i = 0;; ++i) {
    std::vector<std::int32_t> sums(shapes[i].sums());
    low_bit_popcount(shapes[i], activation_planes(shapes[i], codes), weights[i], sums, threads);
    if (i + 1 == shapes.size()) return sums;
    codes = requantised_codes<float>(shapes[i], network.between[i], sums, layers[i].alpha, layers[i].beta);
  }
}

template std::vector<float> low_bit_network_sums<float>(const LowBitNetwork&,
                                                        std::span<const LowBitLayerData>,
                                                        std::span<const float>,
                                                        std::vector<std::vector<std::size_t>>*);
template std::vector<double> low_bit_network_sums<double>(const LowBitNetwork&,
                                                          std::span<const LowBitLayerData>,
                                                          std::span<const float>,
                                                          std::vector<std::vector<std::size_t>>*);

}  // namespace remeasure::kernels
