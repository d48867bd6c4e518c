// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include "kernels/attention/testing/nm_problem.h"
#include "kernels/simt/engine.h"

namespace remeasure::kernels {
namespace {

using remeasure::testing::TestBench;

/// Nibbles, nonzeros and the metadata's order, all bit for bit.
template <class Element, class Target>
void check_exactly(TestBench<Target>& bench, const NmProblem& p, NmPattern pattern, NmTile tile) {
  INFO("tokens " << p.shape.tokens << " dim " << p.shape.dim << " " << to_string(pattern));
  const NmCompressed got = run_sddmm<Element>(bench, p, pattern, tile);
  const std::vector<float> scores = fp32_scores(p);
  const bool same_choice = got.nibbles() == reference_nibbles<Element>(scores, pattern);
  CHECK(same_choice);
  std::vector<float> expected = kept_values(scores, got.plain, p.shape.rows(), kKeysPerWord<Element>);
  for (float& x : expected) x = static_cast<float>(Element(x));
  const bool same_values = got.nonzeros == expected;
  CHECK(same_values);
}

TEST_CASE("sddmm_nm keeps bit for bit what the reference keeps of the same fp32 scores", "[simt]") {
  TestBench<Simt> bench;
  const auto [tokens, dim] = GENERATE(table<int, int>({{32, 32}, {96, 64}, {160, 64}, {128, 32}, {64, 128}}));
  const NmProblem p = gauss_problem({2, 1, tokens, dim});
  check_exactly<bfloat16>(bench, p, NmPattern::two_of_four, NmTile::small);
  check_exactly<bfloat16>(bench, p, NmPattern::one_of_two, NmTile::small);
  check_exactly<float>(bench, p, NmPattern::one_of_two, NmTile::small);
}

TEST_CASE("expanding what sddmm_nm wrote gives the scores with exactly the two largest of each four",
          "[simt]") {
  TestBench<Simt> bench;
  const NmProblem p = gauss_problem({1, 2, 96, 64});
  const NmCompressed got = run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four);
  for (const std::uint8_t nibble : got.nibbles()) REQUIRE(is_nibble(nibble));
  const std::vector<float> dense =
      expand(std::span<const float>(got.nonzeros), std::span<const std::uint16_t>(got.plain), p.shape.rows(),
             kKeysPerWord<bfloat16>);
  const std::vector<float> scores = fp32_scores(p);
  REQUIRE(dense.size() == scores.size());
  for (std::size_t group = 0; group < scores.size(); group += 4) {
    int kept = 0;
    float least_kept = INFINITY, largest_dropped = -INFINITY;
    for (std::size_t i = group; i < group + 4; ++i) {
      if (dense[i] != 0) {  // a score of exactly zero doesn't occur here
        ++kept;
        REQUIRE(dense[i] == rounded(scores[i]));
        least_kept = std::min(least_kept, scores[i]);
      } else {
        largest_dropped = std::max(largest_dropped, scores[i]);
      }
    }
    REQUIRE(kept == 2);
    REQUIRE(least_kept >= largest_dropped);
  }
}

TEST_CASE("sddmm_nm in its GPU tile keeps the same, also where tokens isn't a multiple of the tile",
          "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : {32, 64, 128}) {  // rows of half a slab to four
    const NmProblem p = gauss_problem({1, 1, 160, dim});
    check_exactly<bfloat16>(bench, p, NmPattern::two_of_four, NmTile::large);
    check_exactly<float>(bench, p, NmPattern::one_of_two, NmTile::large);
  }
}

TEST_CASE("of tied scores sddmm_nm keeps the earlier keys", "[simt]") {
  TestBench<Simt> bench;
  SECTION("many ties") {
    const NmProblem p = integer_problem({1, 2, 64, 32});
    check_exactly<bfloat16>(bench, p, NmPattern::two_of_four, NmTile::small);
    check_exactly<bfloat16>(bench, p, NmPattern::one_of_two, NmTile::small);
    check_exactly<float>(bench, p, NmPattern::one_of_two, NmTile::small);
  }
  SECTION("nothing but ties") {
    NmProblem p = gauss_problem({1, 1, 64, 32});
    std::fill(p.query.begin(), p.query.end(), 0.0F);
    for (const std::uint8_t nibble : run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four).nibbles())
      REQUIRE(nibble == 4);
    for (const std::uint8_t nibble : run_sddmm<bfloat16>(bench, p, NmPattern::one_of_two).nibbles())
      REQUIRE(nibble == 8);
    for (const std::uint8_t nibble : run_sddmm<float>(bench, p, NmPattern::one_of_two).nibbles())
      REQUIRE(nibble == 4);
  }
}

TEST_CASE("sddmm_nm keeps by value, not by magnitude", "[simt]") {
  TestBench<Simt> bench;
  // One query (1, 0, ...); key j's first component is its score.
  NmProblem p = gauss_problem({1, 1, 32, 32});
  p.scale = 1;
  std::fill(p.query.begin(), p.query.end(), 0.0F);
  std::fill(p.key.begin(), p.key.end(), 0.0F);
  for (std::size_t row = 0; row < 32; ++row) p.query[row * 32] = 1;
  for (std::size_t j = 0; j < 32; j += 4) {
    p.key[j * 32] = -8;
    p.key[(j + 1) * 32] = 1;
    p.key[(j + 2) * 32] = -4;
    p.key[(j + 3) * 32] = 2;
  }
  const NmCompressed got = run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four);
  for (const std::uint8_t nibble : got.nibbles()) REQUIRE(nibble == 13);  // keys 1 and 3
  for (std::size_t i = 0; i < got.nonzeros.size(); i += 2) {
    REQUIRE(got.nonzeros[i] == 1);
    REQUIRE(got.nonzeros[i + 1] == 2);
  }
}

TEST_CASE("sddmm_nm adds the bias of the batch entry, and keeps masked keys only where it must", "[simt]") {
  TestBench<Simt> bench;
  NmProblem p = gauss_problem({2, 2, 96, 32});
  p.bias.assign(2 * 96, 0.0F);
  for (std::size_t j = 0; j < 96; ++j) {
    if (j % 7 == 0 || (j >= 40 && j < 48)) p.bias[j] = -1e16F;
    p.bias[96 + j] = 0.125F * static_cast<float>(j % 5);
  }
  check_exactly<bfloat16>(bench, p, NmPattern::two_of_four, NmTile::small);
  check_exactly<float>(bench, p, NmPattern::one_of_two, NmTile::small);
  const NmCompressed got = run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four);
  for (std::size_t row = 0; row < 2 * 96; ++row) {  // both heads of the first batch entry
    for (std::size_t i = 0; i < 48; ++i) {
      const bool in_masked_group = i / 2 == 10 || i / 2 == 11;
      REQUIRE((got.nonzeros[row * 48 + i] < -1e15F) == in_masked_group);
    }
  }
}

TEST_CASE("a score that a pair sum would lose in rounding is kept", "[simt]") {
  TestBench<Simt> bench;
  NmProblem p = gauss_problem({1, 1, 32, 32});
  p.scale = 1;
  std::fill(p.query.begin(), p.query.end(), 0.0F);
  std::fill(p.key.begin(), p.key.end(), 0.0F);
  for (std::size_t row = 0; row < 32; ++row) p.query[row * 32] = 1;
  const std::vector<float> group = {0x1p27F, 1, 2, 0};
  for (std::size_t j = 0; j < 32; ++j) p.key[j * 32] = group[j % 4];
  std::vector<std::uint8_t> by_sum(1);
  choose_by_pair_sum<float>(group, by_sum);
  CHECK(by_sum[0] == 4);  // keys 0 and 1: what the paper's implementation would keep
  for (const std::uint8_t nibble : run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four).nibbles())
    REQUIRE(nibble == 8);
}

TEST_CASE("sddmm_nm writes its metadata in the order of mma.sp", "[simt]") {
  TestBench<Simt> bench;
  const NmProblem p = gauss_problem({1, 2, 96, 32});
  const NmCompressed got = run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four);
  // Word by word from the layout of the instruction: lane 4g + 2t + w holds word w of rows 16t + g and 16t +
  // g + 8.
  const std::vector<std::uint8_t> nibbles =
      reference_nibbles<bfloat16>(fp32_scores(p), NmPattern::two_of_four);
  const auto nibble = [&](std::size_t matrix, std::size_t row, std::size_t group) {
    return std::uint32_t{nibbles[(matrix * 96 + row) * 24 + group]};
  };
  for (std::size_t matrix = 0; matrix < 2; ++matrix) {
    for (std::size_t keys = 0; keys < 3; ++keys) {
      for (std::size_t rows = 0; rows < 3; ++rows) {
        for (std::size_t lane = 0; lane < 32; ++lane) {
          const std::size_t row = 32 * rows + 16 * (lane % 4 / 2) + lane / 4;
          std::uint32_t word = 0;
          for (std::size_t g = 0; g < 4; ++g) {
            word |= nibble(matrix, row, 8 * keys + 4 * (lane % 2) + g) << (4 * g);
            word |= nibble(matrix, row + 8, 8 * keys + 4 * (lane % 2) + g) << (16 + 4 * g);
          }
          REQUIRE(got.hardware[matrix * 288 + keys * 96 + rows * 32 + lane] == word);
        }
      }
    }
  }
}

TEST_CASE("sddmm_nm gives the same bits in every schedule, with late and early copies", "[simt]") {
  const NmProblem p = gauss_problem({1, 1, 160, 64});
  TestBench<Simt> usual;
  const NmCompressed expected = run_sddmm<bfloat16>(usual, p, NmPattern::two_of_four);
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    for (const simt::CopyTiming timing : {simt::CopyTiming::late, simt::CopyTiming::early}) {
      simt::EngineOptions options;
      options.schedule_seed = seed;
      options.cp_async = timing;
      TestBench<Simt> bench(options);
      const NmCompressed got = run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four);
      REQUIRE(got.hardware == expected.hardware);
      REQUIRE(got.nonzeros == expected.nonzeros);
    }
  }
}

TEST_CASE("sddmm_nm does and writes exactly what its formulas say", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counted in the checked build only");
  TestBench<Simt> bench;
  const AttentionShape shape{1, 2, 128, 64};
  run_sddmm<bfloat16>(bench, gauss_problem(shape), NmPattern::two_of_four, NmTile::large);
  const simt::LaunchCounts counts = bench.device().engine().counts("sddmm_nm");
  CHECK(counts[simt::Counter::mma_flops] == 2 * shape.scores() * 64);
  CHECK(counts[simt::Counter::global_bytes_written] == shape.scores() + shape.scores() / 8);  // n^2 (1 + 1/8)
  CHECK(counts[simt::Counter::distinct_global_bytes_written] == shape.scores() + shape.scores() / 8);
  CHECK(counts[simt::Counter::async_copy_bytes] == 2 * shape.elements() * 2);
}

TEST_CASE("in a per mille of the groups at most does fp32 keep other keys than fp64", "[simt]") {
  TestBench<Simt> bench;
  const NmProblem p = gauss_problem({1, 2, 128, 64});
  const std::vector<std::uint8_t> got = run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four).nibbles();
  std::vector<double> scores;
  for (int matrix = 0; matrix < 2; ++matrix) {
    const std::vector<double> part = attention_scores<double>(p.view(), matrix);
    scores.insert(scores.end(), part.begin(), part.end());
  }
  const std::vector<std::uint8_t> expected = reference_nibbles<bfloat16>(scores, NmPattern::two_of_four);
  std::size_t differing = 0;
  for (std::size_t i = 0; i < got.size(); ++i) differing += got[i] != expected[i];
  CHECK(static_cast<double>(differing) < 0.001 * static_cast<double>(got.size()));
}

TEST_CASE("sddmm_nm refuses what it can't do and says why", "[simt]") {
  TestBench<Simt> bench;
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(run_sddmm<bfloat16>(bench, gauss_problem({1, 1, 48, 64}), NmPattern::two_of_four),
                    ContainsSubstring("tokens is 48") && ContainsSubstring("multiple of 32"));
  CHECK_THROWS_WITH(run_sddmm<bfloat16>(bench, gauss_problem({1, 1, 32, 48}), NmPattern::two_of_four),
                    ContainsSubstring("dim is 48"));
  CHECK_THROWS_WITH(run_sddmm<float>(bench, gauss_problem({1, 1, 32, 32}), NmPattern::two_of_four),
                    ContainsSubstring("1:2 only"));
  NmProblem short_bias = gauss_problem({2, 1, 32, 32});
  short_bias.bias.assign(32, 0.0F);
  CHECK_THROWS_WITH(run_sddmm<bfloat16>(bench, short_bias, NmPattern::two_of_four),
                    ContainsSubstring("key_bias has 32"));
}

TEST_CASE("on a GPU sddmm_nm keeps what the reference keeps, but for rounding ties", "[gpu]") {
  if constexpr (kBuiltWithCuda) {
    if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
    TestBench<Cuda> bench;
    for (const int tokens : {32, 160, 1024}) {
      for (const int dim : {32, 64, 128}) {
        const NmProblem p = gauss_problem({2, 3, tokens, dim});
        const std::vector<std::uint8_t> got = run_sddmm<bfloat16>(bench, p, NmPattern::two_of_four).nibbles();
        const std::vector<std::uint8_t> expected =
            reference_nibbles<bfloat16>(fp32_scores(p), NmPattern::two_of_four);
        std::size_t differing = 0;
        for (std::size_t i = 0; i < got.size(); ++i) differing += got[i] != expected[i];
        CHECK(static_cast<double>(differing) < 0.005 * static_cast<double>(got.size()));
        check_exactly<bfloat16>(bench, integer_problem({2, 3, tokens, dim}), NmPattern::two_of_four,
                                NmTile::large);
        check_exactly<float>(bench, integer_problem({2, 3, tokens, dim}), NmPattern::one_of_two,
                             NmTile::large);
      }
    }
  } else {
    SKIP_TEST("built without the CUDA toolkit");
  }
}

}  // namespace
}  // namespace remeasure::kernels
