// SPDX-License-Identifier: Apache-2.0
//
// The oracle of residual blocks against the order of a fused block in Eigen, which shares no code with it,
// and by hand.
#include "kernels/convolution/residual_block.h"

#include <testing/catch.h>

#include "kernels/convolution/residual_block_reference.h"
#include "kernels/convolution/testing/block_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

const Block kBlocks[] = {Block::convfirst, Block::mbconv, Block::convnext};

}  // namespace

TEST_CASE("bands of any height give the oracle's blocks, borders included", "[cpu]") {
  for (const Block block : kBlocks) {
    for (const int kernel : {3, 5, 7}) {
      const BlockShape shape{2, 9, 7, 16, 2, kernel};
      const BlockArrays<float> a = block_arrays<float>(block, shape);
      const BlockArrays<double> wide = in_double(a);
      const std::vector<double> must = block_oracle(block, shape, a);
      for (const int rows : {1, 2, 4, 9}) {
        INFO(to_string(block) << ", " << in_words(shape) << ", bands of " << rows);
        std::vector<double> y(shape.elements());
        block_depth_first<double>(block, shape, wide.weights(), wide.x, y, rows, 2);
        double largest = 0;
        for (std::size_t i = 0; i < y.size(); ++i) largest = std::max(largest, std::abs(y[i] - must[i]));
        CHECK(largest < 1e-12);
        std::vector<float> single(shape.elements());
        block_depth_first<float>(block, shape, a.weights(), a.x, single, rows, 1);
        CHECK(relative_l2(single, must) < 1e-6);
      }
    }
  }
}

TEST_CASE("a block of one weight in each layer by hand", "[cpu]") {
  const BlockShape shape{1, 2, 2, 8, 1, 3};
  const auto gelu = [](double x) {
    return x / 2 * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
  };
  BlockArrays<float> a = block_arrays<float>(Block::convfirst, shape);
  for (auto* values : {&a.filter, &a.filter_bias, &a.expand, &a.expand_bias, &a.project, &a.project_bias})
    std::fill(values->begin(), values->end(), 0.0f);
  // Output channel 3 of the filter sees channel 5 of the pixel above and to the left.
  a.filter[(3 * 9 + 0) * 8 + 5] = 2;
  a.filter_bias[3] = 0.25f;
  a.expand[6 * 8 + 3] = -1;  // hidden 6 from channel 3
  a.expand_bias[6] = 0.5f;
  a.project[1 * 8 + 6] = 3;  // channel 1 from hidden 6
  a.project_bias[1] = 0.125f;
  const std::vector<double> y = block_oracle(Block::convfirst, shape, a);
  const double x5 = static_cast<double>(a.x[5]);  // of pixel (0, 0), above and left of (1, 1)
  CHECK(std::abs(y[3 * 8 + 1] -
                 (static_cast<double>(a.x[3 * 8 + 1]) + 0.125 + 3 * gelu(0.5 - (0.25 + 2 * x5)))) < 1e-6);
  CHECK(std::abs(y[1] - (static_cast<double>(a.x[1]) + 0.125 + 3 * gelu(0.25))) < 1e-6);  // zeros beyond
  CHECK(y[3 * 8 + 2] == static_cast<double>(a.x[3 * 8 + 2]));
}

TEST_CASE("channels of other groups, other channels of a depthwise filter and other pictures don't mix",
          "[cpu]") {
  for (const Block block : kBlocks) {
    const BlockShape shape{2, 4, 4, 16, 2, 3};
    BlockArrays<float> a = block_arrays<float>(block, shape);
    const std::vector<double> before = block_oracle(block, shape, a);
    a.x[shape.elements() / 2 + 5] += 1;  // pixel (0, 0) of the second picture
    const std::vector<double> after = block_oracle(block, shape, a);
    for (std::size_t pixel = 0; pixel < shape.pixels(); ++pixel) {
      bool same = true;
      for (std::size_t c = 0; c < 16; ++c) same = same && before[pixel * 16 + c] == after[pixel * 16 + c];
      const bool near = pixel == 16 || pixel == 17 || pixel == 20 || pixel == 21;
      CHECK(same != near);
    }
  }
}

TEST_CASE("multiply-adds of a pixel are the sums of the definition", "[cpu]") {
  const double c = 96;
  CHECK(block_macs_per_pixel(Block::convfirst, {1, 56, 56, 96, 4, 3}) == 9 * 8 * c + 8 * c * c);
  CHECK(block_macs_per_pixel(Block::mbconv, {1, 56, 56, 96, 6, 5}) == 12 * c * c + 25 * 6 * c);
  CHECK(block_macs_per_pixel(Block::convnext, {1, 56, 56, 96, 4, 7}) == 49 * c + 8 * c * c);
}

TEST_CASE("unfused blocks read and write 5 + 2 e times their input", "[cpu]") {
  CHECK(unfused_traffic(Block::convfirst, 4, false) == 13);
  CHECK(unfused_traffic(Block::convfirst, 4, true) == 21);
  CHECK(unfused_traffic(Block::mbconv, 4, false) == 19);  // 1 + e, 2 e, e + 2
  CHECK(unfused_traffic(Block::convnext, 4, false) == 15);
}

TEST_CASE("blocks refuse shapes and sizes that don't fit", "[cpu]") {
  using Catch::Matchers::ContainsSubstring;
  const BlockShape shape{1, 3, 3, 12, 2, 3};
  const BlockArrays<float> a = block_arrays<float>(Block::convfirst, shape);
  CHECK_THROWS_WITH(block_oracle(Block::convfirst, shape, a),
                    ContainsSubstring("12 channels aren't whole groups of 8"));
  const BlockShape even{1, 3, 3, 8, 2, 4};
  CHECK_THROWS_WITH(block_oracle(Block::convnext, even, block_arrays<float>(Block::convnext, even)),
                    ContainsSubstring("a kernel of 4 has no middle"));
  BlockArrays<float> fewer = block_arrays<float>(Block::mbconv, shape);
  fewer.project_bias.pop_back();
  CHECK_THROWS_WITH(block_oracle(Block::mbconv, shape, fewer),
                    ContainsSubstring("W2's bias has 11 elements, the MBConv block of this shape 12"));
}
