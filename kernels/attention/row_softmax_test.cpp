// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include <algorithm>
#include <random>

#include "kernels/attention/row_softmax.h"
#include "kernels/attention/testing/nm_problem.h"
#include "kernels/simt/engine.h"

namespace remeasure::kernels {
namespace {

using remeasure::testing::TestBench;

std::vector<double> softmax(const std::vector<float>& input, std::size_t columns) {
  std::vector<double> result(input.begin(), input.end());
  for (auto row = result.begin(); row != result.end(); row += static_cast<std::ptrdiff_t>(columns)) {
    const auto end = row + static_cast<std::ptrdiff_t>(columns);
    const double largest = *std::max_element(row, end);
    double sum = 0;
    for (auto x = row; x != end; ++x) sum += * x = std::exp(*x - largest);
    for (auto x = row; x != end; ++x) *x /= sum;
  }
  return result;
}

std::vector<float> random_rows(std::size_t size, float spread) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> values(size);
  for (float& x : values) x = rounded(normal(random));
  return values;
}

template <class Element, class Target>
std::vector<float> run(TestBench<Target>& bench, std::size_t rows, int columns,
                       const std::vector<float>& input) {
  const auto from = bench.upload(cast<Element>(input));
  auto to = bench.template output<Element>(input.size());
  row_softmax<Target, Element>(bench.stream(), rows, columns, from, to);
  return to_float(bench.download(to));
}

/// bf16 rounds a result by 2^-8; in fp32 the exponential and the sum leave some units in the last place.
template <class Element>
constexpr double kRounding = sizeof(Element) == 2 ? 0x1.01p-8 : 2e-6;

template <class Element>
void check(TestBench<Simt>& bench, std::size_t rows, int columns) {
  INFO(rows << " rows of " << columns);
  const std::vector<float> input = random_rows(rows * static_cast<std::size_t>(columns), 3);
  const std::vector<double> expected = softmax(input, static_cast<std::size_t>(columns));
  const std::vector<float> got = run<Element>(bench, rows, columns, input);
  double worst_relative = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst_relative =
        std::max(worst_relative, std::abs(static_cast<double>(got[i]) - expected[i]) / expected[i]);
  }
  CHECK(worst_relative < kRounding<Element>);
}

TEST_CASE("row_softmax is the softmax, whatever the length of the rows", "[simt]") {
  TestBench<Simt> bench;
  SECTION("one warp per row") {
    for (const int columns : {8, 16, 248, 256, 264, 512, 1000, 2048}) check<bfloat16>(bench, 11, columns);
    for (const int columns : {4, 16, 132, 256, 260, 500, 1024}) check<float>(bench, 9, columns);
  }
  SECTION("one block per row") {
    for (const int columns : {2056, 4096, 5000, 16384}) check<bfloat16>(bench, 2, columns);
    for (const int columns : {1028, 2052, 4000, 8192}) check<float>(bench, 2, columns);
  }
}

TEST_CASE("rows of row_softmax sum to one", "[simt]") {
  TestBench<Simt> bench;
  for (const int columns : {128, 2048, 4096}) {
    const auto width = static_cast<std::size_t>(columns);
    const std::vector<float> got = run<bfloat16>(bench, 8, columns, random_rows(8 * width, 1));
    for (std::size_t row = 0; row < 8; ++row) {
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) sum += static_cast<double>(got[row * width + i]);
      CHECK(std::abs(sum - 1) < 1e-3);
    }
  }
}

TEST_CASE("row_softmax gives masked scores no weight, and a row of nothing else equal weights", "[simt]") {
  TestBench<Simt> bench;
  std::vector<float> input(3 * 16, -1e16F);
  for (std::size_t i = 0; i < 16; ++i) {
    input[i] = i % 4 == 0 ? 1.0F : -1e16F;
    input[16 + i] = i == 15 ? 300.0F : -300.0F;
  }
  const std::vector<float> got = run<bfloat16>(bench, 3, 16, input);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(got[i] == (i % 4 == 0 ? 0.25F : 0.0F));
    CHECK(got[16 + i] == (i == 15 ? 1.0F : 0.0F));
    CHECK(got[32 + i] == 0.0625F);
  }
}

TEST_CASE("row_softmax works in place and in every schedule", "[simt]") {
  const std::vector<float> input = random_rows(3 * 4096, 2);
  TestBench<Simt> usual;
  const std::vector<float> expected = run<bfloat16>(usual, 3, 4096, input);
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    simt::EngineOptions options;
    options.schedule_seed = seed;
    TestBench<Simt> bench(options);
    auto buffer = bench.upload(cast<bfloat16>(input));
    row_softmax<Simt, bfloat16>(bench.stream(), 3, 4096, std::as_const(buffer).span(), buffer.span());
    CHECK(to_float(bench.download(buffer)) == expected);
  }
}

TEST_CASE("row_softmax reads and writes each element once", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counted in the checked build only");
  TestBench<Simt> bench;
  run<bfloat16>(bench, 9, 512, random_rows(9 * 512, 1));
  const simt::LaunchCounts counts = bench.device().engine().counts("row_softmax");
  CHECK(counts[simt::Counter::global_bytes_read] == 9 * 512 * 2);
  CHECK(counts[simt::Counter::global_bytes_written] == 9 * 512 * 2);
}

TEST_CASE("row_softmax refuses rows that it can't hold", "[simt]") {
  TestBench<Simt> bench;
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(run<bfloat16>(bench, 1, 12, std::vector<float>(12)), ContainsSubstring("multiples of 8"));
  CHECK_THROWS_WITH(run<bfloat16>(bench, 1, 16392, std::vector<float>(16392)),
                    ContainsSubstring("up to 16384"));
  CHECK_THROWS_WITH(run<bfloat16>(bench, 2, 16, std::vector<float>(16)),
                    ContainsSubstring("rows * columns is 32"));
}

TEST_CASE("on a GPU row_softmax is the softmax", "[gpu]") {
  if constexpr (kBuiltWithCuda) {
    if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
    TestBench<Cuda> bench;
    for (const int columns : {16, 264, 2048, 4096, 16384}) {
      const std::vector<float> input = random_rows(40 * static_cast<std::size_t>(columns), 3);
      CHECK(worst(run<bfloat16>(bench, 40, columns, input),
                  softmax(input, static_cast<std::size_t>(columns))) < kRounding<bfloat16>);
    }
    for (const int columns : {16, 132, 260, 1024, 1028, 2052, 8192}) {
      const std::vector<float> input = random_rows(40 * static_cast<std::size_t>(columns), 3);
      CHECK(worst(run<float>(bench, 40, columns, input), softmax(input, static_cast<std::size_t>(columns))) <
            kRounding<float>);
    }
  } else {
    SKIP_TEST("built without the CUDA toolkit");
  }
}

}  // namespace
}  // namespace remeasure::kernels
