// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <array>
#include <cmath>

#include "datasets/precision/low_bit_alexnet.h"
#include "datasets/precision/low_bit_calibration.h"
#include "datasets/precision/low_bit_codes.h"
#include "datasets/precision/low_bit_vgg.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

LowBitCodesData generated(const LowBitLayerSize& size, std::uint64_t seed = 1) {
  const TemporaryFolder folder;
  return read_low_bit_codes(
      *Store(folder.path()).open(low_bit_codes_definition, low_bit_codes(size, seed)).reader);
}

/// Share of each code among clip(floor(alpha y + beta)), y summed by plain loops.
std::vector<double> use_of_codes(const LowBitLayerSize& size, const LowBitCodesData& data) {
  const auto channels = static_cast<std::size_t>(size.channels),
             outputs = static_cast<std::size_t>(size.outputs);
  std::vector<double> use(std::size_t{1} << size.activation_bits, 0.0);
  const std::size_t rows = data.activations.size() / channels;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t output = 0; output < outputs; ++output) {
      int sum = 0;
      for (std::size_t k = 0; k < channels; ++k) {
        const int w = data.weights[output * channels + k], x = data.activations[row * channels + k];
        sum += (size.encoding == "and" ? w : 2 * w - 1) * (size.encoding == "xor" ? 2 * x - 1 : x);
      }
      const double exact =
          static_cast<double>(data.alpha[output]) * sum + static_cast<double>(data.beta[output]);
      const double top = static_cast<double>(use.size() - 1);
      // What the calibration promises: one code, however it is computed.
      REQUIRE(std::clamp(std::floor(std::fma(data.alpha[output], static_cast<float>(sum), data.beta[output])),
                         0.0f, static_cast<float>(top)) ==
              static_cast<float>(std::clamp(std::floor(exact), 0.0, top)));
      use[static_cast<std::size_t>(std::clamp(std::floor(exact), 0.0, top))] +=
          1 / static_cast<double>(rows * outputs);
    }
  }
  return use;
}

}  // namespace

TEST_CASE("low-bit codes are uniform and differ between seeds", "[cpu]") {
  const LowBitLayerSize size{
      .images = 50, .channels = 200, .outputs = 30, .weight_bits = 2, .activation_bits = 3};
  const LowBitCodesData data = generated(size);
  REQUIRE(data.weights.size() == 30 * 200);
  REQUIRE(data.activations.size() == 50 * 200);
  std::array<double, 8> count{};
  for (const std::uint8_t code : data.activations) count.at(code) += 1;
  for (const double each : count) CHECK(std::abs(each - 1250) < 5 * std::sqrt(1250));
  CHECK(generated(size, 2).weights != data.weights);
  CHECK(generated(size, 1).activations == data.activations);
}

TEST_CASE("alpha and beta use the next layer's codes about equally, in float as in double", "[cpu]") {
  for (const LowBitLayerSize& size :
       {LowBitLayerSize{
            .images = 60, .channels = 300, .outputs = 50, .activation_bits = 2, .encoding = "mixed"},
        LowBitLayerSize{.images = 60, .channels = 300, .outputs = 50, .encoding = "xor"},
        LowBitLayerSize{
            .images = 60, .channels = 300, .outputs = 50, .weight_bits = 4, .activation_bits = 4}}) {
    INFO(size.encoding << " " << size.activation_bits);
    const std::vector<double> use = use_of_codes(size, generated(size));
    const double equal = 1 / static_cast<double>(use.size());
    for (const double share : use) {
      CHECK(share > 0.3 * equal);
      CHECK(share < 2 * equal);
    }
  }
}

TEST_CASE("moments: uniform codes, signs, pooled codes, a picture's", "[cpu]") {
  CHECK(moments_of(equal_use(2)).mean == 1.5);
  CHECK(moments_of(equal_use(2)).variance == 1.25);
  CHECK(moments_of(equal_use(1), true).mean == 0.0);
  CHECK(moments_of(equal_use(1), true).variance == 1.0);
  CHECK(pooled_use(equal_use(1)) == std::vector<double>{1.0 / 16, 15.0 / 16});
  const std::vector<double> picture = picture_use(2);
  CHECK(picture[0] == 43 / 256.0);  // 0 to 42: below half of 85
  CHECK(picture[1] == 85 / 256.0);
}

TEST_CASE("low-bit codes refuse signs of two bits and encodings that there aren't", "[cpu]") {
  CHECK_THROWS_WITH(
      generated({.images = 2, .channels = 8, .outputs = 2, .weight_bits = 2, .encoding = "mixed"}),
      ContainsSubstring("signs have 1 bit"));
  CHECK_THROWS_WITH(generated({.images = 2, .channels = 8, .outputs = 2, .encoding = "or"}),
                    ContainsSubstring("encoding is 'or'"));
  CHECK_THROWS_WITH(generated({.images = 2, .channels = 8, .outputs = 2, .weight_bits = 9}),
                    ContainsSubstring("weight_bits is 9"));
}

TEST_CASE("codes of a trained layer are imported, and what is no code is refused", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  const Parameters parameters =
      low_bit_codes({.images = 1, .channels = 3, .outputs = 2, .activation_bits = 2, .encoding = "mixed"}, 1);
  write_npy(folder.path() / "w_codes.npy", {2, 1, 1, 3}, {0, 1, 1, 0, 0, 1});
  write_npy(folder.path() / "alpha.npy", {2}, {0.5f, 1});
  write_npy(folder.path() / "beta.npy", {2}, {0, -1});
  SECTION("right") {
    write_npy(folder.path() / "x_codes.npy", {1, 1, 1, 3}, {3, 0, 2});
    store.import(low_bit_codes_definition, folder.path(), parameters);
    const Opened opened = store.open(low_bit_codes_definition, parameters);
    CHECK_FALSE(opened.provenance.synthetic);
    const LowBitCodesData data = read_low_bit_codes(*opened.reader);
    CHECK(data.weights == std::vector<std::uint8_t>{0, 1, 1, 0, 0, 1});
    CHECK(data.activations == std::vector<std::uint8_t>{3, 0, 2});
    CHECK(data.beta == std::vector<float>{0, -1});
  }
  SECTION("wrong") {
    write_npy(folder.path() / "x_codes.npy", {1, 1, 1, 3}, {3, 0.5f, 2});
    CHECK_THROWS_WITH(store.import(low_bit_codes_definition, folder.path(), parameters),
                      ContainsSubstring("0.5, which is no code of 2 bits"));
  }
}

TEST_CASE("the AlexNet variant and VGG-16 have the paper's layers, or narrower ones", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const LowBitNetworkData net = read_network(
      *store.open(low_bit_alexnet_definition, network_parameters(2, 1, 64, 16, 2, 1)).reader, kAlexnetLayers);
  CHECK(net.pictures.size() == 2 * 64 * 64 * 3);
  REQUIRE(net.layers.size() == 8);
  CHECK(net.layers[0].weights.size() == 4 * 11 * 11 * 3);
  CHECK(net.layers[1].weights.size() == 12 * 5 * 5 * 4);
  CHECK(net.layers[5].weights.size() == 256 * 2 * 2 * 16);  // 64 -> 16 -> 8 -> 4 -> 2
  CHECK(net.layers[7].weights.size() == 1000 * 256);
  CHECK(net.layers[6].beta.size() == 256);
  CHECK(net.layers[7].alpha.empty());
  const Extents full = low_bit_alexnet_definition.extents(network_parameters(3, 8, 224, 1, 2, 1));
  CHECK(full.at("fc1 kernel_x") * full.at("fc1 kernel_y") * full.at("fc1 channel") == 12544);
  const Extents vgg = low_bit_vgg_definition.extents(network_parameters(3, 8, 224, 1, 2, 1));
  CHECK(vgg.at("fc1 kernel_x") * vgg.at("fc1 kernel_y") * vgg.at("fc1 channel") == 25088);
  CHECK(vgg.at("conv13 channel") == 512);
  const auto refused = [&] {
    store.make(low_bit_alexnet_definition, network_parameters(1, 1, 48, 16, 2, 1));
  };
  CHECK(message_of(refused).find("a multiple of 32") != std::string::npos);
}
