// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/device/testing/reduce_kernels.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/schedules.h"

namespace remeasure {
namespace {

using kernels::kColumnValues;
using testing::TestBench;

/// Negative, and largest at another place in every row and column; `whole` numbers add without rounding.
std::vector<float> values_of(std::size_t size, bool whole) {
  std::mt19937 random(5);
  std::vector<float> values(size);
  for (float& value : values) {
    const auto number = static_cast<float>(random() % 4096) - 5000;
    value = whole ? number : number / 7;
  }
  return values;
}

template <class Target>
std::vector<float> rows(TestBench<Target>& bench, int threads, int row_threads, bool whole) {
  const auto in = bench.upload(values_of(static_cast<std::size_t>(threads), whole));
  auto out = bench.template output<float>(2 * in.size());
  kernels::reduce_rows(bench.stream(), row_threads, in.span(), out.span());
  return bench.download(out);
}

/// sums, then maxima
template <class Target>
std::vector<float> columns(TestBench<Target>& bench, int threads, int columns, bool whole) {
  const auto in = bench.upload(values_of(static_cast<std::size_t>(threads * kColumnValues), whole));
  const auto results = static_cast<std::size_t>(columns * kColumnValues);
  auto sums = bench.template output<float>(results), maxima = bench.template output<float>(results);
  kernels::reduce_columns(bench.stream(), threads, columns, in.span(), sums.span(), maxima.span());
  std::vector<float> all = bench.download(sums);
  const std::vector<float> largest = bench.download(maxima);
  all.insert(all.end(), largest.begin(), largest.end());
  return all;
}

const std::pair<int, int> kRowShapes[] = {{32, 4}, {96, 32}, {64, 64}, {192, 64}, {256, 256}, {1024, 256}};
const std::pair<int, int> kColumnShapes[] = {{32, 1},   {32, 32},  {96, 2},    {96, 8},     {256, 16},
                                             {256, 32}, {256, 64}, {256, 256}, {1024, 128}, {192, 64}};

TEST_CASE("every thread of a row gets the row's sum and maximum", "[simt]") {
  TestBench<Simt> bench;
  for (const auto& [threads, row_threads] : kRowShapes) {
    INFO(threads << " threads, " << row_threads << " a row");
    const std::vector<float> values = values_of(static_cast<std::size_t>(threads), true);
    const std::vector<float> got = rows(bench, threads, row_threads, true);
    for (int t = 0; t < threads; ++t) {
      const auto first = values.begin() + t / row_threads * row_threads, last = first + row_threads;
      float sum = 0;
      for (auto value = first; value != last; ++value) sum += *value;
      CHECK(got[static_cast<std::size_t>(2 * t)] == sum);
      CHECK(got[static_cast<std::size_t>(2 * t + 1)] == *std::max_element(first, last));
    }
  }
}

TEST_CASE("each column's sums and maxima are of its threads alone", "[simt]") {
  TestBench<Simt> bench;
  for (const auto& [threads, count] : kColumnShapes) {
    INFO(threads << " threads, " << count << " columns");
    const std::vector<float> values = values_of(static_cast<std::size_t>(threads * kColumnValues), true);
    const std::vector<float> got = columns(bench, threads, count, true);
    for (int column = 0; column < count; ++column) {
      for (int k = 0; k < kColumnValues; ++k) {
        float sum = 0, largest = -1e9f;
        for (int t = column; t < threads; t += count) {
          const float value = values[static_cast<std::size_t>(t * kColumnValues + k)];
          sum += value;
          largest = std::max(largest, value);
        }
        CHECK(got[static_cast<std::size_t>(k * count + column)] == sum);
        CHECK(got[static_cast<std::size_t>((kColumnValues + k) * count + column)] == largest);
      }
    }
  }
}

TEST_CASE("sums of rows and columns round alike in every schedule", "[simt]") {
  TestBench<Simt> bench;
  const std::uint64_t seeds[] = {0, 1, 2, 3};
  const auto bytes = [](const std::vector<float>& values) {
    std::vector<std::byte> result(values.size() * sizeof(float));
    std::memcpy(result.data(), values.data(), result.size());
    return result;
  };
  for (const auto& [threads, row_threads] : kRowShapes) {
    const int t = threads, r = row_threads;
    simt::expect_schedule_independent(bench.device().engine(), seeds,
                                      [&] { return bytes(rows(bench, t, r, false)); });
  }
  for (const auto& [threads, count] : kColumnShapes) {
    const int t = threads, c = count;
    simt::expect_schedule_independent(bench.device().engine(), seeds,
                                      [&] { return bytes(columns(bench, t, c, false)); });
  }
}

TEST_CASE("a GPU rounds sums of rows and columns as Simt does", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  for (const auto& [threads, row_threads] : kRowShapes) {
    const int t = threads, r = row_threads;
    CHECK(testing::same_on_gpu([&](auto& bench) { return rows(bench, t, r, false); }));
  }
  for (const auto& [threads, count] : kColumnShapes) {
    const int t = threads, c = count;
    CHECK(testing::same_on_gpu([&](auto& bench) { return columns(bench, t, c, false); }));
  }
}

}  // namespace
}  // namespace remeasure
