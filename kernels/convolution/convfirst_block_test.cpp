// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/convfirst_block.h"

#include <testing/catch.h>
#include <cstring>

#include "kernels/convolution/residual_block_reference.h"
#include "kernels/convolution/testing/block_problem.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/schedules.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using simt::Counter;

namespace {

template <class Target, class Element>
std::vector<Element> fused(Device<Target>& device, const BlockShape& shape, const ConvFirstTiling& tiling,
                           const BlockArrays<float>& a) {
  DeviceBlock<Target, Element> block(device, a);
  convfirst_block<Target, Element>(block.stream, shape, tiling, block.x,
                                   block.template weights<DeviceBlockWeights<Target, Element>>(), block.y);
  return block.result();
}

std::vector<double> oracle(const BlockShape& shape, const BlockArrays<float>& a) {
  return block_pixels(Block::convfirst, shape, a.weights(), a.x, all_pixels(shape));
}

/// Largest differences over the scale of the oracle, of half: 11 bits of z, h and y; bfloat16: 8; fp32: sums.
template <class Element>
constexpr double limit() {
  return sizeof(Element) == 4 ? 1e-5 : std::is_same_v<Element, half> ? 3e-3 : 2e-2;
}

/// Every tiling that differs: one row a step and all of them, bands that end in the middle, narrow columns.
std::vector<ConvFirstTiling> tilings(const BlockShape& shape, std::size_t element_bytes) {
  const ConvFirstTiling own = convfirst_tiling(shape, element_bytes);
  return {own, {shape.width, 1, 3}, {shape.width, 2, 2}, {(shape.width + 1) / 2, 3, 1}};
}

template <class Element>
void check_channels(const std::vector<int>& channels) {
  Device<Simt> device;
  for (const int c : channels) {
    const BlockShape shape{2, 7, 9, c, 2, 3};
    const BlockArrays<float> a = block_arrays<Element>(Block::convfirst, shape);
    const std::vector<double> must = oracle(shape, a);
    for (const ConvFirstTiling& tiling : tilings(shape, sizeof(Element))) {
      INFO(in_words(shape) << "; steps of " << tiling.rows << " x " << tiling.columns << ", "
                           << tiling.band_steps << " a band");
      CHECK(relative_l2(fused<Simt, Element>(device, shape, tiling, a), must) < limit<Element>());
    }
  }
}

}  // namespace

TEST_CASE("a fused ConvFirst block in fp32 is the oracle, whatever the bands", "[simt]") {
  check_channels<float>({32, 64, 128});
}

TEST_CASE("a fused ConvFirst block in half is the oracle, whatever the bands", "[simt]") {
  check_channels<half>({32, 64, 128});
}

TEST_CASE("a fused ConvFirst block takes bfloat16, 256 and 512 channels", "[simt]") {
  check_channels<bfloat16>({32});
  Device<Simt> device;
  for (const int c : {256, 512}) {
    const BlockShape shape{1, 3, 5, c, 1, 3};
    const BlockArrays<float> a = block_arrays<half>(Block::convfirst, shape);
    const ConvFirstTiling tiling = convfirst_tiling(shape, 2);
    CHECK(relative_l2(fused<Simt, half>(device, shape, tiling, a), oracle(shape, a)) < limit<half>());
  }
}

TEST_CASE("expansions of 2, 4 and 6, and pictures of one pixel, one row, one column", "[simt]") {
  Device<Simt> device;
  for (const BlockShape& shape : {BlockShape{1, 1, 1, 32, 2}, BlockShape{1, 1, 70, 32, 4},
                                  BlockShape{1, 19, 1, 32, 6}, BlockShape{1, 2, 2, 32, 2}}) {
    INFO(in_words(shape));
    const BlockArrays<float> a = block_arrays<float>(Block::convfirst, shape);
    CHECK(relative_l2(fused<Simt, float>(device, shape, convfirst_tiling(shape, 4), a), oracle(shape, a)) <
          1e-5);
  }
}

TEST_CASE("with W2 and its bias zero a block is the identity, bit for bit", "[simt]") {
  Device<Simt> device;
  const BlockShape shape{2, 6, 5, 32, 2, 3};
  BlockArrays<float> a = block_arrays<half>(Block::convfirst, shape);
  std::fill(a.project.begin(), a.project.end(), 0.0f);
  std::fill(a.project_bias.begin(), a.project_bias.end(), 0.0f);
  const std::vector<half> y = fused<Simt, half>(device, shape, {5, 2, 2}, a);
  for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(y[i].bits == half(a.x[i]).bits);
  const std::vector<float> single = fused<Simt, float>(device, shape, {5, 2, 2}, a);
  CHECK(single == a.x);
}

TEST_CASE("bands without the rows beside them are wrong at their borders, and only there", "[simt]") {
  Device<Simt> device;
  const BlockShape shape{1, 8, 6, 32, 2, 3}, alone{4, 2, 6, 32, 2, 3};  // bands of two rows as pictures
  const BlockArrays<float> a = block_arrays<float>(Block::convfirst, shape);
  const std::vector<double> must = oracle(shape, a);
  const std::vector<float> cut = fused<Simt, float>(device, alone, {6, 2, 1}, a);
  CHECK(relative_l2(cut, must) > 0.1);
  const std::size_t row = 6 * 32;
  const auto of_row = [&](std::size_t r) {
    return relative_l2(std::vector<float>(cut.begin() + static_cast<std::ptrdiff_t>(r * row),
                                          cut.begin() + static_cast<std::ptrdiff_t>((r + 1) * row)),
                       std::vector<double>(must.begin() + static_cast<std::ptrdiff_t>(r * row),
                                           must.begin() + static_cast<std::ptrdiff_t>((r + 1) * row)));
  };
  CHECK(of_row(0) < 1e-5);  // the picture's own border
  CHECK(of_row(7) < 1e-5);
  for (std::size_t r = 1; r < 7; ++r) CHECK(of_row(r) > 0.1);
  CHECK(relative_l2(fused<Simt, float>(device, shape, {6, 2, 1}, a), must) < 1e-5);
}

TEST_CASE("the convolution alone is the first layer of the block", "[simt]") {
  Device<Simt> device;
  const BlockShape shape{2, 7, 5, 64, 1, 3};
  BlockArrays<float> a = block_arrays<float>(Block::convfirst, shape);
  DeviceBlock<Simt, float> block(device, a);
  for (const ConvFirstTiling& tiling : {ConvFirstTiling{5, 3, 2}, ConvFirstTiling{3, 2, 1}}) {
    grouped_convolution<Simt, float>(block.stream, shape, tiling, block.x,
                                     block.weights<DeviceBlockWeights<Simt, float>>(), block.y);
    const std::vector<float> z = block.result();
    // y of the oracle with unit W1 and W2 is x + gelu(z): held against gelu of the kernel's z.
    BlockArrays<float> unit = a;
    std::fill(unit.expand.begin(), unit.expand.end(), 0.0f);
    std::fill(unit.project.begin(), unit.project.end(), 0.0f);
    std::fill(unit.expand_bias.begin(), unit.expand_bias.end(), 0.0f);
    std::fill(unit.project_bias.begin(), unit.project_bias.end(), 0.0f);
    for (std::size_t c = 0; c < 64; ++c) unit.expand[c * 65] = unit.project[c * 65] = 1;
    const std::vector<double> y = oracle(shape, unit);
    std::vector<float> activated;
    for (std::size_t i = 0; i < z.size(); ++i) {
      const double x = static_cast<double>(z[i]);
      activated.push_back(
          a.x[i] +
          static_cast<float>(x / 2 * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))));
    }
    CHECK(relative_l2(activated, y) < 1e-5);
  }
}

TEST_CASE("activations are read (1 + 2 / Th) times at most and written once; nothing else is written",
          "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counts need the checked build");
  Device<Simt> device;
  for (const BlockShape& shape : {BlockShape{1, 14, 14, 32, 4}, BlockShape{2, 13, 11, 64, 2}}) {
    const BlockArrays<float> a = block_arrays<half>(Block::convfirst, shape);
    const BlockSizes sizes = block_sizes(Block::convfirst, shape);
    const auto nhwc = static_cast<double>(shape.elements());
    for (const ConvFirstTiling& tiling :
         {ConvFirstTiling{shape.width, 2, 2}, ConvFirstTiling{shape.width, 3, 1},
          ConvFirstTiling{shape.width, 1, shape.height}}) {
      INFO(in_words(shape) << "; steps of " << tiling.rows << ", " << tiling.band_steps << " a band");
      device.engine().reset_counts();
      fused<Simt, half>(device, shape, tiling, a);
      const simt::LaunchCounts counts = device.engine().counts("convfirst_block");
      const BlockWork work = convfirst_work(shape, tiling, 2);
      // Reads that aren't activations: W1 and W2 in each step; filters (9 words a lane), biases (2 words a
      // lane), b1 and b2.
      double steps = 0, others = 0;
      for (int band = 0; band < shape.height; band += tiling.band_rows()) {
        for (int y = band; y < std::min(band + tiling.band_rows(), shape.height); y += tiling.rows) {
          const int pixels =
              std::min({tiling.rows, shape.height - y, band + tiling.band_rows() - y}) * shape.width;
          const double tiles = (pixels + 15) / 16;
          ++steps;
          others +=
              kGroupWidth * shape.channels / 8 / kGroupWidth * std::max(1, 64 / shape.channels) * 32 * 11 * 4;
          others += tiles * shape.hidden() / 8 * 32 * 2 * 4;           // b1
          others += static_cast<double>(pixels) * shape.channels * 4;  // b2
        }
      }
      others = shape.batch * (others + steps * 2 * 2 * static_cast<double>(sizes.dense));
      const double activations = (static_cast<double>(counts[Counter::global_bytes_read]) - others) / 2;
      CHECK(activations == work.activations_read);
      CHECK(activations <= (1 + 2.0 / tiling.band_rows()) * nhwc);
      CHECK(static_cast<double>(counts[Counter::global_bytes_written]) / 2 == nhwc);
      CHECK(static_cast<double>(counts[Counter::distinct_global_bytes_read]) == work.bytes - 2 * nhwc);
      CHECK(static_cast<double>(counts[Counter::distinct_global_bytes_written]) == 2 * nhwc);
    }
  }
}

TEST_CASE("a fused ConvFirst block has the same bits in every schedule, with late and early copies",
          "[simt]") {
  Device<Simt> device;
  const BlockShape shape{1, 7, 6, 32, 4, 3};
  const BlockArrays<float> a = block_arrays<half>(Block::convfirst, shape);
  const std::uint64_t seeds[] = {0, 1, 2};
  CHECK_NOTHROW(simt::expect_schedule_independent(device.engine(), seeds, [&] {
    const std::vector<half> y = fused<Simt, half>(device, shape, {6, 2, 2}, a);
    std::vector<std::byte> bytes(y.size() * 2);
    std::memcpy(bytes.data(), y.data(), bytes.size());
    return bytes;
  }));
}

TEST_CASE("tilings fit into shared memory, and cover each picture with the fewest steps", "[cpu]") {
  for (const auto& [channels, side] :
       {std::pair{64, 56}, {128, 28}, {256, 14}, {512, 7}, {32, 14}, {64, 224}}) {
    for (const int batch : {1, 128}) {
      const BlockShape shape{batch, side, side, channels, 4, 3};
      const ConvFirstTiling tiling = convfirst_tiling(shape, 2);
      INFO(in_words(shape) << ": " << tiling.rows << " x " << tiling.columns << ", " << tiling.band_steps);
      CHECK_NOTHROW(check_convfirst_tiling("test", shape, tiling, 2));
      CHECK(tiling.column_tiles(shape) * tiling.columns >= side);
      CHECK(tiling.bands(shape) * tiling.band_rows() >= side);
      if (batch == 128 && side <= 56) CHECK(tiling.columns == side);
      const BlockWork work = convfirst_work(shape, tiling, 2);
      if (batch == 128 && side <= 56) CHECK(work.activations_read < 1.15 * work.activations_written);
      CHECK(work.flops > 2 * block_macs(Block::convfirst, shape));
    }
  }
}

TEST_CASE("a fused ConvFirst block refuses what it can't do", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(convfirst_tiling({1, 8, 8, 96}, 2), ContainsSubstring("96 channels of 2 bytes"));
  CHECK_THROWS_WITH(convfirst_tiling({1, 8, 8, 256}, 4), ContainsSubstring("256 channels of 4 bytes"));
  CHECK_THROWS_WITH(convfirst_tiling({1, 8, 8, 32, 4, 5}, 2), ContainsSubstring("a kernel of 5"));
  CHECK_THROWS_WITH(convfirst_tiling({1, 8, 8, 32, 1}, 2), ContainsSubstring("32 hidden channels"));
  Device<Simt> device;
  const BlockShape shape{1, 8, 8, 32, 2, 3};
  const BlockArrays<float> a = block_arrays<half>(Block::convfirst, shape);
  CHECK_THROWS_WITH((fused<Simt, half>(device, shape, {8, 17, 1}, a)),
                    ContainsSubstring("steps of 17 x 8 pixels"));
  BlockShape larger = shape;
  larger.batch = 2;
  CHECK_THROWS_WITH((fused<Simt, half>(device, larger, {8, 2, 1}, a)),
                    ContainsSubstring("x has 2048 elements"));
}

TEST_CASE("On a GPU a fused ConvFirst block agrees with the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    for (const int c : {32, 64, 128, 256, 512}) {
      const BlockShape shape{2, 7, 9, c, 2, 3};
      const BlockArrays<float> a = block_arrays<half>(Block::convfirst, shape);
      INFO(in_words(shape));
      CHECK(relative_l2(fused<Cuda, half>(device, shape, convfirst_tiling(shape, 2), a), oracle(shape, a)) <
            limit<half>());
      if (c > 128) continue;
      CHECK(relative_l2(fused<Cuda, float>(device, shape, convfirst_tiling(shape, 4), a), oracle(shape, a)) <
            1e-5);
    }
  }
}
