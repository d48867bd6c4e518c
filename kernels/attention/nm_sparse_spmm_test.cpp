// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include "kernels/attention/testing/nm_problem.h"
#include "kernels/simt/engine.h"

namespace remeasure::kernels {
namespace {

using remeasure::testing::TestBench;

/// Random weights at random places: all nibbles occur.
struct SparseProblem {
  AttentionShape shape;
  std::vector<float> weights, value;
  std::vector<std::uint16_t> plain;
};

template <class Element>
SparseProblem random_sparse(const AttentionShape& shape, unsigned seed = 3) {
  std::mt19937 random(seed);
  SparseProblem p{shape, std::vector<float>(nonzeros_size(shape)), gauss_problem(shape, seed).value,
                  std::vector<std::uint16_t>(2 * metadata_size<Element>(shape))};
  std::uniform_int_distribution<int> digit(-128, 128);
  for (float& w : p.weights) w = static_cast<float>(digit(random)) / 64;
  for (std::uint16_t& word : p.plain) {
    const auto nibble = [&]() -> std::uint8_t {
      return sizeof(Element) == 2 ? kNibbles[random() % kNibbles.size()]
                                  : std::uint8_t(random() % 2 == 0 ? 4 : 14);
    };
    word = pack_word({nibble(), nibble(), nibble(), nibble()});
  }
  return p;
}

/// The product of the expanded weights, in double.
std::vector<double> expanded_product(const SparseProblem& p, int keys_per_word) {
  const std::vector<float> dense =
      expand(std::span<const float>(p.weights), std::span<const std::uint16_t>(p.plain), p.shape.rows(),
             keys_per_word);
  const auto tokens = static_cast<std::size_t>(p.shape.tokens), dim = static_cast<std::size_t>(p.shape.dim);
  std::vector<double> out(p.shape.elements(), 0.0);
  for (std::size_t row = 0; row < p.shape.rows(); ++row) {
    for (std::size_t j = 0; j < tokens; ++j) {
      const double weight = static_cast<double>(dense[row * tokens + j]);
      const std::size_t key = row / tokens * tokens + j;
      for (std::size_t c = 0; c < dim; ++c)
        out[row * dim + c] += weight * static_cast<double>(p.value[key * dim + c]);
    }
  }
  return out;
}

/// Products are exact; bf16 rounds the result by 2^-8 of itself, fp32 the sums.
template <class Element>
constexpr double kLimit = sizeof(Element) == 2 ? 0x1.1p-8 : 1e-6;

template <class Element, class Target>
void check(TestBench<Target>& bench, const AttentionShape& shape, NmTile tile) {
  INFO("tokens " << shape.tokens << " dim " << shape.dim << " element " << sizeof(Element));
  const SparseProblem p = random_sparse<Element>(shape);
  const std::vector<float> got = run_spmm<Element>(bench, p.shape, p.weights, p.plain, p.value, tile);
  CHECK(worst(got, expanded_product(p, kKeysPerWord<Element>)) < kLimit<Element>);
}

TEST_CASE("spmm_nm is the product of the expanded weights", "[simt]") {
  TestBench<Simt> bench;
  const auto [tokens, dim] = GENERATE(table<int, int>({{32, 32}, {96, 64}, {160, 32}, {288, 64}, {64, 128}}));
  check<bfloat16>(bench, {1, 2, tokens, dim}, NmTile::small);
  check<float>(bench, {1, 2, tokens, dim}, NmTile::small);
}

TEST_CASE("spmm_nm in its GPU tile is the same product, also where tokens isn't a multiple of the tile",
          "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : {32, 64, 128}) {
    check<bfloat16>(bench, {1, 1, 160, dim}, NmTile::large);
    check<float>(bench, {1, 1, 160, dim}, NmTile::large);
  }
}

TEST_CASE("spmm_nm gives the same bits in every schedule, with late and early copies", "[simt]") {
  const SparseProblem p = random_sparse<bfloat16>({1, 1, 352, 64});  // more stages than the ring has
  TestBench<Simt> usual;
  const std::vector<float> expected = run_spmm<bfloat16>(usual, p.shape, p.weights, p.plain, p.value);
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    for (const simt::CopyTiming timing : {simt::CopyTiming::late, simt::CopyTiming::early}) {
      simt::EngineOptions options;
      options.schedule_seed = seed;
      options.cp_async = timing;
      TestBench<Simt> bench(options);
      REQUIRE(run_spmm<bfloat16>(bench, p.shape, p.weights, p.plain, p.value) == expected);
    }
  }
}

TEST_CASE("spmm_nm multiplies half of the dense product and reads the compressed weights once", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counted in the checked build only");
  TestBench<Simt> bench;
  const SparseProblem p = random_sparse<bfloat16>({1, 2, 128, 64});
  run_spmm<bfloat16>(bench, p.shape, p.weights, p.plain, p.value, NmTile::large);
  const simt::LaunchCounts counts = bench.device().engine().counts("spmm_nm");
  CHECK(counts[simt::Counter::mma_flops] == p.shape.scores() * 64);
  CHECK(counts[simt::Counter::async_copy_bytes] ==
        p.shape.scores() + p.shape.scores() / 8 + 2 * p.shape.elements());  // n^2 (1 + 1/8), and the values
  CHECK(counts[simt::Counter::global_bytes_written] == 2 * p.shape.elements());
}

TEST_CASE("spmm_nm refuses sizes that don't follow from the shape", "[simt]") {
  TestBench<Simt> bench;
  SparseProblem p = random_sparse<bfloat16>({1, 1, 32, 32});
  p.weights.resize(100);
  CHECK_THROWS_WITH(run_spmm<bfloat16>(bench, p.shape, p.weights, p.plain, p.value),
                    Catch::Matchers::ContainsSubstring("probabilities has 100"));
}

TEST_CASE("on a GPU spmm_nm is the product of the expanded weights", "[gpu]") {
  if constexpr (kBuiltWithCuda) {
    if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
    TestBench<Cuda> bench;
    for (const int tokens : {32, 160, 512}) {
      for (const int dim : {32, 64, 128}) {
        check<bfloat16>(bench, {2, 2, tokens, dim}, NmTile::large);
        check<float>(bench, {2, 2, tokens, dim}, NmTile::large);
      }
    }
  } else {
    SKIP_TEST("built without the CUDA toolkit");
  }
}

}  // namespace
}  // namespace remeasure::kernels
