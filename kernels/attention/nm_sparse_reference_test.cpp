// SPDX-License-Identifier: Apache-2.0
//
// The reference against loops that are written once more here, and on cases whose answer is known.
#include <testing/catch.h>

#include <algorithm>
#include <array>

#include "kernels/attention/testing/nm_problem.h"

namespace remeasure::kernels {
namespace {

std::uint8_t choice(std::array<float, 4> scores, NmPattern pattern, Keep keep = Keep::largest) {
  std::array<std::uint8_t, 1> nibble{};
  choose_kept<float>(scores, pattern, nibble, keep);
  return nibble[0];
}

/// Softmax over what `keeps(row, key)` lets through, in plain loops.
template <class Keeps>
std::vector<double> masked_attention(const NmProblem& p, Keeps keeps) {
  const auto tokens = static_cast<std::size_t>(p.shape.tokens), dim = static_cast<std::size_t>(p.shape.dim);
  const auto heads = static_cast<std::size_t>(p.shape.heads);
  std::vector<double> out(p.shape.elements(), 0.0);
  for (std::size_t row = 0; row < p.shape.rows(); ++row) {
    const std::size_t matrix = row / tokens;
    double sum = 0;
    for (std::size_t j = 0; j < tokens; ++j) {
      if (!keeps(row, j)) continue;
      double score = 0;
      for (std::size_t c = 0; c < dim; ++c) {
        score += static_cast<double>(p.query[row * dim + c]) *
                 static_cast<double>(p.key[(matrix * tokens + j) * dim + c]);
      }
      score = score * static_cast<double>(p.scale) +
              (p.bias.empty() ? 0.0 : static_cast<double>(p.bias[matrix / heads * tokens + j]));
      const double weight = std::exp(score);
      sum += weight;
      for (std::size_t c = 0; c < dim; ++c) {
        out[row * dim + c] += weight * static_cast<double>(p.value[(matrix * tokens + j) * dim + c]);
      }
    }
    for (std::size_t c = 0; c < dim; ++c) out[row * dim + c] /= sum;
  }
  return out;
}

double worst_of(const std::vector<double>& a, const std::vector<double>& b) {
  double result = 0;
  for (std::size_t i = 0; i < b.size(); ++i) result = std::max(result, std::abs(a[i] - b[i]));
  return result;
}

TEST_CASE("the two largest of four are kept, of ties the earlier", "[cpu]") {
  CHECK(choice({4, 3, 2, 1}, NmPattern::two_of_four) == 4);
  CHECK(choice({4, 1, 3, 2}, NmPattern::two_of_four) == 8);
  CHECK(choice({4, 1, 2, 3}, NmPattern::two_of_four) == 12);
  CHECK(choice({1, 3, 4, 2}, NmPattern::two_of_four) == 9);
  CHECK(choice({1, 4, 2, 3}, NmPattern::two_of_four) == 13);
  CHECK(choice({1, 2, 3, 4}, NmPattern::two_of_four) == 14);
  CHECK(choice({0, 0, 0, 0}, NmPattern::two_of_four) == 4);
  CHECK(choice({0, 1, 2, 1}, NmPattern::two_of_four) == 9);
  CHECK(choice({1, 2, 1, 2}, NmPattern::two_of_four) == 13);
  CHECK(choice({1, 2, 1, 0}, NmPattern::two_of_four) == 4);
  CHECK(choice({-1e16F, -1e16F, -1e16F, 5}, NmPattern::two_of_four) == 12);
}

TEST_CASE("the larger of each pair is kept, of ties the first", "[cpu]") {
  CHECK(choice({4, 3, 2, 1}, NmPattern::one_of_two) == 8);
  CHECK(choice({1, 3, 2, 1}, NmPattern::one_of_two) == 9);
  CHECK(choice({4, 3, 1, 2}, NmPattern::one_of_two) == 12);
  CHECK(choice({3, 4, 1, 2}, NmPattern::one_of_two) == 13);
  CHECK(choice({1, 1, 2, 2}, NmPattern::one_of_two) == 8);
}

TEST_CASE("in exact arithmetic comparing agrees with the largest pair sum on every order and tie", "[cpu]") {
  for (int code = 0; code < 256; ++code) {
    const std::array<float, 4> scores = {static_cast<float>(code % 4), static_cast<float>(code / 4 % 4),
                                         static_cast<float>(code / 16 % 4), static_cast<float>(code / 64)};
    std::array<std::uint8_t, 1> by_sum{};
    choose_by_pair_sum<float>(scores, by_sum);
    REQUIRE(choice(scores, NmPattern::two_of_four) == by_sum[0]);
  }
}

TEST_CASE("the controls keep what they say", "[cpu]") {
  CHECK(choice({-8, 1, -4, 2}, NmPattern::two_of_four) == 13);
  CHECK(choice({-8, 1, -4, 2}, NmPattern::two_of_four, Keep::largest_magnitude) == 8);
  CHECK(choice({-8, 1, -4, 2}, NmPattern::two_of_four, Keep::smallest) == 8);
  std::array<int, 16> seen{};
  std::vector<float> zeros(4 * 600);
  std::vector<std::uint8_t> nibbles(600);
  choose_kept<float>(zeros, NmPattern::two_of_four, nibbles, Keep::random, 3);
  for (const std::uint8_t nibble : nibbles) ++seen[nibble];
  for (const std::uint8_t nibble : kNibbles) CHECK(seen[nibble] > 60);
}

TEST_CASE("the reference is attention over the kept keys alone", "[cpu]") {
  NmProblem p = gauss_problem({2, 2, 48, 20});
  SECTION("without a mask") {}
  SECTION("with one") {
    p.bias.assign(96, 0.0F);
    for (std::size_t j = 0; j < 96; j += 5) p.bias[j] = -1e16F;
  }
  for (const NmPattern pattern : {NmPattern::two_of_four, NmPattern::one_of_two}) {
    std::vector<std::uint8_t> nibbles;
    for (int matrix = 0; matrix < 4; ++matrix) {
      const std::vector<double> scores = attention_scores<double>(p.view(), matrix);
      const std::vector<std::uint8_t> part = reference_nibbles<bfloat16>(scores, pattern);
      nibbles.insert(nibbles.end(), part.begin(), part.end());
    }
    const std::vector<double> expected = masked_attention(p, [&](std::size_t row, std::size_t key) {
      const KeptPair kept = kept_by(nibbles[row * 12 + key / 4]);
      return static_cast<int>(key % 4) == kept.first || static_cast<int>(key % 4) == kept.second;
    });
    std::vector<double> got(p.shape.elements()), given(p.shape.elements());
    nm_sparse_reference<double>(p.view(), pattern, got, 3);
    nm_sparse_reference_given<double>(p.view(), nibbles, given, 1);
    CHECK(worst_of(got, expected) < 1e-13);
    CHECK(worst_of(given, expected) < 1e-13);
    std::vector<float> in_float(p.shape.elements());
    nm_sparse_reference<float>(p.view(), pattern, in_float);
    CHECK(worst(in_float, expected) < 1e-5);
  }
}

TEST_CASE("sampled rows are rows of the whole, full attention included", "[cpu]") {
  const NmProblem p = gauss_problem({1, 3, 32, 64});
  const NmPattern pattern = NmPattern::two_of_four;
  const std::vector<std::size_t> rows = {0, 31, 32, 70, 95};
  std::vector<double> whole(p.shape.elements());
  nm_sparse_reference<double>(p.view(), pattern, whole);
  const std::vector<double> full = masked_attention(p, [](std::size_t, std::size_t) { return true; });
  const SampledAttention sparse_rows = sampled_attention(p.view(), &pattern, rows);
  const SampledAttention full_rows = sampled_attention(p.view(), nullptr, rows);
  for (std::size_t i = 0; i < rows.size() * 64; ++i) {
    const std::size_t at = rows[i / 64] * 64 + i % 64;
    REQUIRE(std::abs(sparse_rows.values[i] - whole[at]) < 1e-13);
    REQUIRE(std::abs(full_rows.values[i] - full[at]) < 1e-13);
    REQUIRE(full_rows.scales[i] >= std::abs(full_rows.values[i]));
  }
}

TEST_CASE("keeping everything that matters retains all mass, keeping none of it nothing", "[cpu]") {
  // Query (1, 0, ...): keys 0 and 1 of each group have score 40, the others 0.
  NmProblem p = gauss_problem({1, 1, 32, 32});
  p.scale = 1;
  std::fill(p.query.begin(), p.query.end(), 0.0F);
  std::fill(p.key.begin(), p.key.end(), 0.0F);
  for (std::size_t row = 0; row < 32; ++row) {
    p.query[row * 32] = 1;
    if (row % 4 < 2) p.key[row * 32] = 40;
  }
  const ApproximationQuality good = approximation_quality(p.view(), NmPattern::two_of_four);
  CHECK(std::abs(good.retained_mass - 1) < 1e-12);
  CHECK(good.output_error < 1e-12);
  CHECK(good.differing_groups == 0);
  const ApproximationQuality bad = approximation_quality(p.view(), NmPattern::two_of_four, Keep::smallest);
  CHECK(bad.retained_mass < 1e-12);
  CHECK(bad.differing_groups == 1);
  CHECK(std::abs(approximation_quality(p.view(), NmPattern::one_of_two).retained_mass - 0.5) < 1e-12);
}

TEST_CASE("the result doesn't depend on the number of threads", "[cpu]") {
  const NmProblem p = gauss_problem({1, 1, 64, 64});
  std::vector<double> one(p.shape.elements()), four(p.shape.elements());
  nm_sparse_reference<double>(p.view(), NmPattern::two_of_four, one, 1);
  nm_sparse_reference<double>(p.view(), NmPattern::two_of_four, four, 4);
  CHECK(worst_of(one, four) < 1e-14);
}

}  // namespace
}  // namespace remeasure::kernels
