// SPDX-License-Identifier: Apache-2.0
//
// The three kernels together, against the oracle.
#include <testing/catch.h>

#include "kernels/attention/testing/nm_problem.h"
#include "kernels/simt/engine.h"

namespace remeasure::kernels {
namespace {

using remeasure::testing::TestBench;

/// Nibbles per group of four keys from metadata of either element type.
template <class Element>
std::vector<std::uint8_t> nibbles_of_four(const std::vector<std::uint16_t>& plain) {
  std::vector<std::uint8_t> result;
  for (const std::uint16_t word : plain) {
    for (int g = 0; g < 4; g += sizeof(Element) == 2 ? 1 : 2) {
      if (sizeof(Element) == 2) {
        result.push_back(static_cast<std::uint8_t>(nibble_at(word, g)));
      } else {
        result.push_back(nibble_of({nibble_at(word, g) == 14, 2 + (nibble_at(word, g + 1) == 14)}));
      }
    }
  }
  return result;
}

/// bf16: scores are rounded before the softmax and weights after it, 2^-8 each. TF32: weights to 2^-11.
template <class Element>
constexpr double kLimit = sizeof(Element) == 2 ? 2e-2 : 2e-3;

template <class Element, class Target>
void check(TestBench<Target>& bench, const NmProblem& p, NmPattern pattern, NmTile tile = NmTile::automatic) {
  INFO("tokens " << p.shape.tokens << " dim " << p.shape.dim << " " << to_string(pattern) << " element "
                 << sizeof(Element));
  const NmAttention got = run_attention<Element>(bench, p, pattern, tile);
  std::vector<double> same_mask(p.shape.elements());
  nm_sparse_reference_given<double>(p.view(), nibbles_of_four<Element>(got.plain), same_mask);
  const double error = worst(got.out, same_mask);
  CHECK(error < kLimit<Element>);
  CHECK(error >
        kLimit<Element> * 1e-3);  // better than the element type can be: then something else was compared
}

TEST_CASE("nm_sparse_attention equals the oracle with the same mask", "[simt]") {
  TestBench<Simt> bench;
  const auto [tokens, dim] = GENERATE(table<int, int>({{64, 32}, {96, 64}, {160, 128}}));
  const NmProblem p = gauss_problem({1, 2, tokens, dim});
  check<bfloat16>(bench, p, NmPattern::two_of_four);
  check<bfloat16>(bench, p, NmPattern::one_of_two);
  check<float>(bench, p, NmPattern::one_of_two);
}

TEST_CASE("nm_sparse_attention ignores masked keys", "[simt]") {
  TestBench<Simt> bench;
  NmProblem p = gauss_problem({2, 1, 64, 32});
  p.bias.assign(128, 0.0F);
  for (std::size_t j = 20; j < 50; ++j) p.bias[64 + j] = -1e16F;
  check<bfloat16>(bench, p, NmPattern::two_of_four);
  const NmAttention before = run_attention<bfloat16>(bench, p, NmPattern::two_of_four);
  for (std::size_t j = 20; j < 50; ++j) {  // what masked keys say doesn't matter
    for (std::size_t c = 0; c < 32; ++c) p.value[(64 + j) * 32 + c] = 1000;
  }
  CHECK(run_attention<bfloat16>(bench, p, NmPattern::two_of_four).out == before.out);
}

TEST_CASE("rows of the weights sum to one, and equal values come out unchanged", "[simt]") {
  TestBench<Simt> bench;
  NmProblem p = gauss_problem({1, 2, 96, 64});
  for (std::size_t i = 0; i < p.value.size(); ++i) p.value[i] = rounded(std::sin(static_cast<float>(i % 64)));
  for (const NmPattern pattern : {NmPattern::two_of_four, NmPattern::one_of_two}) {
    const NmAttention got = run_attention<bfloat16>(bench, p, pattern);
    double mean_deviation = 0;
    for (std::size_t row = 0; row < p.shape.rows(); ++row) {
      double sum = 0;
      for (std::size_t i = 0; i < 48; ++i) sum += static_cast<double>(got.weights[row * 48 + i]);
      REQUIRE(std::abs(sum - 1) < 0x1p-8);  // each weight is rounded by 2^-8 of itself
      mean_deviation += std::abs(sum - 1) / static_cast<double>(p.shape.rows());
    }
    CHECK(mean_deviation < 1e-3);
    for (std::size_t i = 0; i < got.out.size(); ++i) {
      REQUIRE(std::abs(got.out[i] - p.value[i]) <= 5e-3F * std::abs(p.value[i]));
    }
  }
}

TEST_CASE("the attention matrix takes 9/16 of the dense one's bytes", "[simt]") {
  const AttentionShape shape{2, 3, 256, 64};
  CHECK(2 * nonzeros_size(shape) + 4 * metadata_size<bfloat16>(shape) == 2 * shape.scores() * 9 / 16);
  CHECK(4 * nonzeros_size(shape) + 4 * metadata_size<float>(shape) == 4 * shape.scores() * 9 / 16);
}

TEST_CASE("on a GPU nm_sparse_attention equals the oracle with the same mask", "[gpu]") {
  if constexpr (kBuiltWithCuda) {
    if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
    TestBench<Cuda> bench;
    for (const int tokens : {64, 384, 1024}) {
      for (const int dim : {32, 64, 128}) {
        const NmProblem p = gauss_problem({2, 2, tokens, dim});
        check<bfloat16>(bench, p, NmPattern::two_of_four);
        check<bfloat16>(bench, p, NmPattern::one_of_two);
        check<float>(bench, p, NmPattern::one_of_two);
      }
    }
  } else {
    SKIP_TEST("built without the CUDA toolkit");
  }
}

}  // namespace
}  // namespace remeasure::kernels
