// SPDX-License-Identifier: Apache-2.0
#include "datasets/attention/attention_inputs.h"

#include <testing/catch.h>
#include <cmath>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

AttentionInputs generated(const std::string& generator, std::uint64_t seed, int heads = 2, int tokens = 256) {
  const TemporaryFolder folder;
  return read_attention_inputs(
      *Store(folder.path())
           .open(attention_inputs_definition, attention_inputs(1, heads, tokens, 64, generator, seed))
           .reader);
}

double mean_product(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum / static_cast<double>(a.size());
}

/// Variance of the scores q.k / sqrt(dim) of the first head.
double score_variance(const AttentionInputs& in) {
  double squares = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    for (std::size_t j = 0; j < 256; ++j) {
      double dot = 0;
      for (std::size_t c = 0; c < 64; ++c) {
        dot += static_cast<double>(in.query[i * 64 + c]) * static_cast<double>(in.key[j * 64 + c]);
      }
      squares += dot * dot / 64;
    }
  }
  return squares / (256 * 256);
}

}  // namespace

TEST_CASE("gauss inputs are independent and their scores N(0, 1)", "[cpu]") {
  const AttentionInputs in = generated("gauss", 1);
  CHECK(in.heads == 2);
  CHECK(in.tokens == 256);
  REQUIRE(in.query.size() == 2 * 256 * 64);
  const double error = 5 * std::sqrt(2.0 / static_cast<double>(in.query.size()));
  for (const auto* tensor : {&in.query, &in.key, &in.value})
    CHECK(std::fabs(mean_product(*tensor, *tensor) - 1) < error);
  CHECK(std::fabs(mean_product(in.query, in.key)) < error);
  CHECK(std::fabs(mean_product(in.query, in.value)) < error);
  CHECK(std::fabs(mean_product(in.key, in.value)) < error);
  CHECK(std::fabs(score_variance(in) - 1) < 0.1);
}

TEST_CASE("clustered queries and keys share centres, so scores spread further", "[cpu]") {
  const AttentionInputs in = generated("clustered", 1);
  CHECK(std::fabs(mean_product(in.query, in.query) - 2) < 0.1);  // centre + noise
  CHECK(std::fabs(mean_product(in.value, in.value) - 1) < 0.05);
  CHECK(score_variance(in) > 4);  // 1/32 of the pairs have a score of sqrt(dim), the others variance 4
  CHECK(score_variance(in) < 9);
}

TEST_CASE("another seed gives other attention inputs, the same seed the same", "[cpu]") {
  CHECK(generated("gauss", 1).query == generated("gauss", 1).query);
  CHECK(generated("gauss", 1).query != generated("gauss", 2).query);
}

TEST_CASE("an unknown generator of attention inputs is named", "[cpu]") {
  CHECK_THROWS_WITH(generated("uniform", 1),
                    ContainsSubstring("'uniform'") && ContainsSubstring("'clustered'"));
}

TEST_CASE("dumps of a real layer are imported, and one of another shape is refused", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  const Parameters parameters = attention_inputs(1, 2, 32, 4, "gauss", 1);
  const auto ramp = [](float first) {
    std::vector<float> values(1 * 2 * 32 * 4);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i) / 256;
    return values;
  };
  write_npy(folder.path() / "q.npy", {1, 2, 32, 4}, ramp(0));
  write_npy(folder.path() / "k.npy", {1, 2, 32, 4}, ramp(1));
  SECTION("right") {
    write_npy(folder.path() / "v.npy", {1, 2, 32, 4}, ramp(2));
    store.import(attention_inputs_definition, folder.path(), parameters);
    const Opened opened = store.open(attention_inputs_definition, parameters);
    CHECK(!opened.provenance.synthetic);
    const AttentionInputs in = read_attention_inputs(*opened.reader);
    CHECK(in.query == ramp(0));
    CHECK(in.key == ramp(1));
    CHECK(in.value == ramp(2));
  }
  SECTION("wrong") {
    write_npy(folder.path() / "v.npy", {2, 1, 32, 4}, ramp(2));
    CHECK_THROWS_WITH(store.import(attention_inputs_definition, folder.path(), parameters),
                      ContainsSubstring("v.npy") && ContainsSubstring("[2, 1, 32, 4]") &&
                          ContainsSubstring("[1, 2, 32, 4]"));
  }
}
