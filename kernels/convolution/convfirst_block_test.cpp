// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/convfirst_block.h"

#include <testing/catch.h>

#include "kernels/convolution/convolution_reference.h"
#include "kernels/convolution/testing/fused_block.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using simt::Counter;

namespace {

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
    check_fused<Element>(device, shape, tilings(shape, sizeof(Element)));
  }
}

template <class Element>
void check_wide() {
  Device<Simt> device;
  for (const int c : {256, 512}) {
    const BlockShape shape{1, 3, 5, c, 1, 3};
    check_fused<Element>(device, shape, std::vector{convfirst_tiling(shape, 2), ConvFirstTiling{3, 1, 2}});
  }
}

/// Sums are float, and z is rounded once; fp32: by three products of TF32.
template <class Element, class Target>
void check_convolution(Device<Target>& device, const std::vector<int>& channels) {
  for (const int c : channels) {
    const BlockShape shape{2, 7, 5, c, std::max(1, 64 / c), 3};  // 64 hidden channels at least
    const BlockArrays<float> a = block_arrays<Element>(Block::convfirst, shape);
    const BlockArrays<double> wide = in_double(a);
    std::vector<double> must(shape.elements());
    convolution_forward_reference<double>({.batch = 2,
                                           .height = 7,
                                           .width = 5,
                                           .in_channels = c,
                                           .out_channels = c,
                                           .kernel = 3,
                                           .pad = 1,
                                           .groups = c / kGroupWidth},
                                          Layout::nhwc, wide.x, wide.filter, must,
                                          {.bias = wide.filter_bias});
    for (const ConvFirstTiling& tiling : {ConvFirstTiling{5, 3, 2}, ConvFirstTiling{3, 2, 1}}) {
      DeviceBlock<Target, Element> block(device, a);
      INFO(in_words(shape) << "; " << sizeof(Element) << " bytes, " << tiling.rows << " x " << tiling.columns
                           << " pixels at a time");
      grouped_convolution<Target, Element>(block.stream, shape, tiling, block.x,
                                           block.template weights<DeviceBlockWeights<Target, Element>>(),
                                           block.y);
      CHECK(relative_l2(block.result(), must) < (sizeof(Element) == 4 ? 1e-5 : unit_roundoff<Element>()));
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
  check_channels<bfloat16>({32, 64, 128});
  check_wide<half>();
  check_wide<bfloat16>();
}

TEST_CASE("expansions of 2, 4 and 6, and pictures of one pixel, one row, one column", "[simt]") {
  Device<Simt> device;
  for (const BlockShape& shape : {BlockShape{1, 1, 1, 32, 2}, BlockShape{1, 1, 70, 32, 4},
                                  BlockShape{1, 19, 1, 32, 6}, BlockShape{1, 2, 2, 32, 2}}) {
    check_fused<float>(device, shape, std::vector{convfirst_tiling(shape, 4)});
  }
}

TEST_CASE("with W2 and its bias zero a block is the identity, bit for bit", "[simt]") {
  Device<Simt> device;
  const BlockShape shape{2, 6, 5, 32, 2, 3};
  check_identity<half>(device, shape, ConvFirstTiling{5, 2, 2});
  check_identity<float>(device, shape, ConvFirstTiling{5, 2, 2});
}

TEST_CASE("bands without the rows beside them are wrong at their borders, and only there", "[simt]") {
  Device<Simt> device;
  const BlockShape shape{1, 8, 6, 32, 2, 3}, alone{4, 2, 6, 32, 2, 3};  // bands of two rows as pictures
  const BlockArrays<float> a = block_arrays<float>(Block::convfirst, shape);
  const std::vector<double> must = block_oracle(Block::convfirst, shape, a);
  const std::vector<float> cut = fused<Simt, float>(device, alone, ConvFirstTiling{6, 2, 1}, a);
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
  CHECK(relative_l2(fused<Simt, float>(device, shape, ConvFirstTiling{6, 2, 1}, a), must) < 1e-5);
}

TEST_CASE("the convolution alone is the first layer of the block", "[simt]") {
  Device<Simt> device;
  check_convolution<float>(device, {32, 64, 128});
  check_convolution<half>(device, {32, 64, 128, 256, 512});
  check_convolution<bfloat16>(device, {32, 64, 128, 256, 512});
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
          const int tiles = (pixels + 15) / 16, parts = std::max(1, 64 / shape.channels);
          const int of_filters = shape.channels * parts / kGroupWidth * 32 * 11 * 4;
          const int of_expansion = tiles * shape.hidden() / 8 * 32 * 2 * 4;  // b1
          ++steps;
          others += of_filters + of_expansion;
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
  check_schedules<half>(device, {1, 7, 6, 32, 4, 3}, ConvFirstTiling{6, 2, 2});
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
  CHECK_THROWS_WITH((fused<Simt, half>(device, shape, ConvFirstTiling{8, 17, 1}, a)),
                    ContainsSubstring("steps of 17 x 8 pixels"));
  BlockShape larger = shape;
  larger.batch = 2;
  CHECK_THROWS_WITH((fused<Simt, half>(device, larger, ConvFirstTiling{8, 2, 1}, a)),
                    ContainsSubstring("x has 2048 elements"));
}

TEST_CASE("On a GPU a fused ConvFirst block agrees with the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    for (const int c : {32, 64, 128, 256, 512}) {
      const BlockShape shape{2, 7, 9, c, 2, 3};
      check_fused<half>(device, shape, std::vector{convfirst_tiling(shape, 2)});
      check_fused<bfloat16>(device, shape, std::vector{convfirst_tiling(shape, 2)});
      check_convolution<half>(device, {c});
      check_convolution<bfloat16>(device, {c});
      if (c > 128) continue;
      check_fused<float>(device, shape, std::vector{convfirst_tiling(shape, 4)});
      check_convolution<float>(device, {c});
    }
  }
}
