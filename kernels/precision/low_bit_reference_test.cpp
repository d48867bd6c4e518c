// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/low_bit_reference.h"

#include <testing/catch.h>
#include <bit>

#include "kernels/precision/testing/low_bit_problem.h"

using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

TEST_CASE("a hand-made convolution: a corner sees four taps, the middle nine", "[cpu]") {
  const LowBitShape shape = low_bit_convolution(1, 3, 1, 1, 3, 1, 2, 2, Encoding::unsigned_codes);
  const std::vector<std::uint8_t> ones(9, 1), twos(9, 2);
  CHECK(low_bit_sums<double>(shape, {ones, twos}) == std::vector<double>{8, 12, 8, 12, 18, 12, 8, 12, 8});
  const LowBitShape signs = low_bit_convolution(1, 3, 1, 1, 3, 1, 1, 2, Encoding::signed_weights);
  const std::vector<std::uint8_t> minus(9, 0);
  CHECK(low_bit_sums<double>(signs, {twos, minus})[4] == -18);
}

TEST_CASE("sizes of convolutions: kept up to the stride, as AlexNet's first layer needs", "[cpu]") {
  const LowBitShape first = low_bit_convolution(8, 224, 3, 64, 11, 4, 1, 2, Encoding::signed_weights);
  CHECK(first.out_height == 56);
  CHECK(first.pad == 3);
  CHECK(low_bit_convolution(1, 16, 128, 128, 3, 1, 1, 2, Encoding::signed_weights).pad == 1);
  CHECK(product_of_patches(first).inner() == 363);
  CHECK(product_of_patches(first).channel_words() == 12);
  CHECK(low_bit_over_map(8, 7, 256, 4096, 1, 2, Encoding::signed_weights).inner() == 12544);
}

TEST_CASE("popcounts of planes give the integers of the values, all bits, encodings and borders", "[cpu]") {
  std::vector<LowBitShape> shapes;
  for (int p = 1; p <= 8; ++p) {
    for (int q = 1; q <= 8; ++q)
      shapes.push_back(low_bit_product(19, 70, 200, p, q, Encoding::unsigned_codes));
    shapes.push_back(low_bit_product(5, 7, 130, 1, p, Encoding::signed_weights));
    shapes.push_back(low_bit_convolution(2, 6, 70, 9, 3, 1, 1, p, Encoding::signed_weights));
    shapes.push_back(low_bit_convolution(1, 7, 20, 9, 5, 2, p, 3, Encoding::unsigned_codes));
  }
  for (const Encoding signs : {Encoding::signs, Encoding::signs_by_and})
    shapes.push_back(low_bit_product(9, 11, 333, 1, 1, signs));
  for (const LowBitShape& shape : shapes) {
    INFO(in_words(shape));
    const LowBitProblem problem(shape);
    CHECK(mismatches(problem.by_popcount(), problem.oracle()) == 0);
    const std::vector<float> single = low_bit_sums<float>(shape, problem.codes());
    CHECK(std::vector<std::int32_t>(single.begin(), single.end()) == problem.oracle());
  }
}

TEST_CASE("popc(a ^ b) = popc(a) + popc(b) - 2 popc(a & b)", "[cpu]") {
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const std::uint32_t a = remeasure::philox(1, i).word[0], b = remeasure::philox(1, i).word[1];
    REQUIRE(std::popcount(a ^ b) == std::popcount(a) + std::popcount(b) - 2 * std::popcount(a & b));
  }
}

TEST_CASE("wrong weights of planes, and signed weights without their correction, are wrong nearly everywhere",
          "[cpu]") {
  for (const LowBitShape& shape : {low_bit_product(40, 50, 500, 1, 2, Encoding::signed_weights),
                                   low_bit_product(40, 50, 500, 2, 2, Encoding::unsigned_codes),
                                   low_bit_product(40, 50, 500, 1, 8, Encoding::unsigned_codes)}) {
    INFO(in_words(shape));
    const LowBitProblem problem(shape);
    const double all = static_cast<double>(shape.sums());
    CHECK(static_cast<double>(mismatches(problem.by_popcount(PlaneWeights::weights_only), problem.oracle())) >
          0.9 * all);
    if (shape.encoding == Encoding::signed_weights) {
      CHECK(static_cast<double>(
                mismatches(problem.by_popcount(PlaneWeights::no_correction), problem.oracle())) > 0.9 * all);
    }
  }
}

TEST_CASE("some rows of a layer are those rows of all of it", "[cpu]") {
  const LowBitProblem problem(low_bit_convolution(2, 9, 20, 6, 3, 2, 2, 2, Encoding::unsigned_codes));
  const std::vector<std::size_t> rows = {0, 3, 29, 49};
  std::vector<double> some(rows.size() * 6);
  low_bit_sums_of<double>(problem.shape, problem.codes(), rows, some);
  const std::vector<std::int32_t> all = problem.oracle();
  for (std::size_t i = 0; i < some.size(); ++i) CHECK(some[i] == all[rows[i / 6] * 6 + i % 6]);
}
