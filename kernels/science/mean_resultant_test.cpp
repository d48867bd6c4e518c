// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/mean_resultant.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/science/mean_resultant_shape.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;

namespace {

struct Result {
  std::vector<double> mean;
  double length = 0;
};

std::vector<float> features(std::size_t rows, std::size_t columns) {
  std::vector<float> values(rows * columns);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(std::fmod(static_cast<double>(i + 1) * 0.6180339887498949, 1.0) - 0.3);
  }
  return values;
}

Result expected(std::size_t rows, std::size_t columns, const std::vector<float>& values) {
  Result result{std::vector<double>(columns, 0.0)};
  for (std::size_t column = 0; column < columns; ++column) {
    for (std::size_t row = 0; row < rows; ++row)
      result.mean[column] += static_cast<double>(values[row * columns + column]);
    result.mean[column] /= static_cast<double>(rows);
    result.length += result.mean[column] * result.mean[column];
  }
  result.length = std::sqrt(result.length);
  return result;
}

template <class Target>
Result run(Device<Target>& device, std::size_t rows, std::size_t columns, const std::vector<float>& values) {
  Stream<Target> stream(device);
  DeviceBuffer<Target, float> input(device, values.size());
  DeviceBuffer<Target, double> mean(device, columns), length(device, 1);
  DeviceBuffer<Target, double> workspace(device, mean_resultant_workspace(rows, columns));
  stream.upload(std::span<const float>(values), input.span());
  mean_resultant<Target>(stream, rows, columns, input, mean, length, workspace);
  Result result{std::vector<double>(columns)};
  stream.download(std::as_const(mean).span(), std::span<double>(result.mean));
  stream.download(std::as_const(length).span(), std::span<double>(&result.length, 1));
  return result;
}

void check(const Result& result, const Result& reference) {
  for (std::size_t i = 0; i < result.mean.size(); ++i) {
    INFO("column " << i);
    REQUIRE(std::abs(result.mean[i] - reference.mean[i]) <= 1e-14);
  }
  CHECK(std::abs(result.length - reference.length) <= 1e-13 * reference.length);
}

}  // namespace

TEST_CASE("mean_resultant sums every row and column at sizes around its blocks and chunks", "[simt]") {
  Device<Simt> device;
  for (const std::size_t rows : std::initializer_list<std::size_t>{1, 3, 4, 63, 64, 65, 131, 257}) {
    for (const std::size_t columns : std::initializer_list<std::size_t>{1, 127, 128, 129, 300}) {
      INFO(rows << " rows, " << columns << " columns");
      const std::vector<float> values = features(rows, columns);
      check(run(device, rows, columns, values), expected(rows, columns, values));
    }
  }
}

TEST_CASE("mean_resultant has one chunk's row as its mean", "[simt]") {
  Device<Simt> device;
  const Result result = run(device, 1, 2, {3.0f, 4.0f});
  CHECK(result.mean == std::vector<double>{3, 4});
  CHECK(result.length == 5);
}

TEST_CASE("mean_resultant has the same bits under every schedule", "[simt]") {
  Device<Simt> device;
  const std::vector<float> values = features(300, 200);
  const Result first = run(device, 300, 200, values);
  for (const std::uint64_t seed : std::initializer_list<std::uint64_t>{1, 2, 3}) {
    device.engine().set_schedule(seed);
    const Result other = run(device, 300, 200, values);
    CHECK(other.mean == first.mean);
    CHECK(other.length == first.length);
  }
}

TEST_CASE("mean_resultant reads each feature once", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("bytes are counted in the checked build only");
  Device<Simt> device;
  run(device, 200, 150, features(200, 150));
  CHECK(device.engine().counts("mean_resultant_partial")[simt::Counter::global_bytes_read] == 4 * 200 * 150);
}

TEST_CASE("mean_resultant splits rows into chunks that cover them", "[cpu]") {
  for (const std::size_t rows : std::initializer_list<std::size_t>{1, 64, 65, 1000, 50'000}) {
    for (const std::size_t columns : std::initializer_list<std::size_t>{1, 128, 2048, 100'000}) {
      const MeanResultantShape shape = mean_resultant_shape(rows, columns);
      const auto chunks = static_cast<std::size_t>(shape.chunks),
                 each = static_cast<std::size_t>(shape.rows_per_chunk);
      CHECK(chunks * each >= rows);
      CHECK((chunks - 1) * each < rows);
    }
  }
  CHECK(mean_resultant_shape(50'000, 2048).chunks > 10);
  REQUIRE_THROWS_AS(mean_resultant_shape(0, 5), std::invalid_argument);
}

TEST_CASE("mean_resultant refuses sizes that don't fit", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, float> input(device, 6);
  DeviceBuffer<Simt, double> mean(device, 3), length(device, 1), workspace(device, 2);
  REQUIRE_THROWS_WITH(mean_resultant<Simt>(stream, 2, 3, input, mean, length, workspace),
                      Catch::Matchers::ContainsSubstring("workspace of 2 (needs 3)"));
}

TEST_CASE("On a GPU mean_resultant agrees with plain loops", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    const std::vector<float> values = features(5000, 2048);
    check(run(device, 5000, 2048, values), expected(5000, 2048, values));
  }
}
