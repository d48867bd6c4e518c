// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/low_bit_network.h"

#include <testing/catch.h>

#include "kernels/precision/testing/low_bit_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

constexpr Encoding kMixed = Encoding::signed_weights;

/// Picture, pooled convolution with a stride, convolution, fully connected over the map, fully connected.
LowBitNetwork small_network() {
  return {{low_bit_convolution(2, 16, 3, 20, 5, 2, 1, 2, kMixed),
           low_bit_convolution(2, 4, 20, 40, 3, 1, 1, 2, kMixed),
           low_bit_over_map(2, 4, 40, 150, 1, 2, kMixed), low_bit_product(2, 11, 150, 1, 2, kMixed)},
          {{2, true}, {2, false}, {2, false}},
          {0, 1}};
}

struct NetworkData {
  explicit NetworkData(const LowBitNetwork& network) {
    const std::vector<LowBitShape> shapes = multiplied_layers(network);
    for (const std::uint8_t value : random_codes(network.layers[0].activation_codes(), 8, 1))
      picture.push_back(static_cast<float>(value) / 255);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      weights.push_back(random_codes(shapes[i].weight_codes(), 1, 100 + i));
      planes.push_back(weight_planes(shapes[i], weights[i]));
      // Sums of K signs times codes of mean 1.5: about 1.4 sqrt(K) around a mean of the same size.
      const auto outputs = static_cast<std::size_t>(shapes[i].outputs);
      const float step = std::ldexp(1.0f, -static_cast<int>(std::log2(1.4 * std::sqrt(shapes[i].inner()))));
      alpha.emplace_back(outputs, step);
      beta.emplace_back(outputs, 2.0f);
    }
  }
  std::vector<LowBitLayerData> layers() const {
    std::vector<LowBitLayerData> result;
    for (std::size_t i = 0; i < weights.size(); ++i) result.push_back({weights[i], alpha[i], beta[i]});
    return result;
  }
  std::vector<float> picture;
  std::vector<std::vector<std::uint8_t>> weights;
  std::vector<std::vector<std::uint32_t>> planes;
  std::vector<std::vector<float>> alpha, beta;
};

}  // namespace

TEST_CASE("a chain of fused layers gives the integers of the network in double", "[simt]") {
  const LowBitNetwork network = small_network();
  const NetworkData data(network);
  const auto layers = data.layers();
  std::vector<std::vector<std::size_t>> used;
  const std::vector<double> exact = low_bit_network_sums<double>(network, layers, data.picture, &used);
  const std::vector<std::int32_t> expected(exact.begin(), exact.end());
  REQUIRE(expected.size() == 2 * 11);
  REQUIRE(used.size() == 3);
  for (const auto& counts : used)
    CHECK(std::count(counts.begin(), counts.end(), 0u) == 0);  // the network isn't stuck
  CHECK(low_bit_network_popcount(network, data.planes, layers, data.picture, 1) == expected);

  remeasure::testing::TestBench<Simt> bench;
  std::vector<DeviceBuffer<Simt, std::uint32_t>> planes;
  std::vector<DeviceBuffer<Simt, float>> scales;
  std::vector<LowBitChain<Simt>::Layer> on_device;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    planes.push_back(bench.upload(data.planes[i]));
    scales.push_back(bench.upload(data.alpha[i]));
    scales.push_back(bench.upload(data.beta[i]));
    on_device.push_back(
        {std::as_const(planes.back()), std::as_const(scales[2 * i]), std::as_const(scales[2 * i + 1])});
  }
  LowBitChain<Simt> chain(bench.stream(), network, on_device);
  const auto picture = bench.upload(data.picture);
  auto sums = bench.output<std::int32_t>(expected.size());
  chain(picture, sums);
  CHECK(bench.download(sums) == expected);
}

TEST_CASE("a network whose layers don't fit is refused", "[cpu]") {
  LowBitNetwork network = small_network();
  network.between[0].pool = false;
  CHECK_THROWS_WITH(check_low_bit_network("net", network),
                    Catch::Matchers::ContainsSubstring("layer 1 doesn't take what layer 0 gives"));
  network = small_network();
  network.between.pop_back();
  CHECK_THROWS_WITH(check_low_bit_network("net", network),
                    Catch::Matchers::ContainsSubstring("4 layers with 2 requantisations"));
}
