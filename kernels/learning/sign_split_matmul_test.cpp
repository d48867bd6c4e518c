// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/sign_split_matmul.h"

#include <testing/catch.h>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/testing/bound_problem.h"
#include "kernels/simt/counts.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Problem {
  BoundArrays<float> in;
  int columns;
  std::vector<float> matrix, offset;
};

Problem problem_of(const BoundShape& shape, int columns, std::uint64_t seed = 1) {
  const float scale = 1 / std::sqrt(static_cast<float>(shape.channels));
  return {random_bounds(shape, seed), columns,
          normal_values(static_cast<std::size_t>(columns) * static_cast<std::size_t>(shape.channels),
                        seed + 100, scale),
          normal_values(static_cast<std::size_t>(columns), seed + 200)};
}

BoundArrays<double> expected(const Problem& p) {
  return oracle::matmul(p.in.as<double>(), p.columns, wide(p.matrix), wide(p.offset));
}

template <class Target>
BoundArrays<float> run(Stream<Target>& stream, const Problem& p, SplitForm form = SplitForm::centre,
                       SplitTile tile = SplitTile::automatic) {
  DeviceBounds<Target> in(stream, p.in), out(stream, p.in.shape.with_channels(p.columns));
  const auto matrix = on_device(stream, p.matrix), offset = on_device(stream, p.offset);
  bound_matmul<Target>(stream, p.in.shape, p.columns, in.in(), matrix.span(), offset.span(), out.out(), form,
                       tile);
  return out.get();
}

/// Sizes that divide tiles, that don't, that aren't multiples of four, and single ones.
const std::vector<std::pair<BoundShape, int>> kSizes = {{{2, 32, 16}, 32}, {{3, 17, 20}, 36},
                                                        {{1, 5, 7}, 3},    {{2, 33, 33}, 65},
                                                        {{1, 1, 1}, 1},    {{5, 13, 48}, 130}};
const SplitTile kTiles[] = {SplitTile::rows32, SplitTile::rows64, SplitTile::rows128};
const SplitForm kForms[] = {SplitForm::centre, SplitForm::select};

}  // namespace

TEST_CASE("the sign-split product is the oracle in every tile, form and size", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const auto& [shape, columns] : kSizes) {
    const Problem p = problem_of(shape, columns);
    const BoundArrays<double> oracle = expected(p);
    for (const SplitTile tile : kTiles) {
      for (const SplitForm form : kForms) {
        INFO(shape.rows << " x " << shape.inputs << " x " << shape.channels << " -> " << columns << ", tile "
                        << static_cast<int>(tile) << ", form " << static_cast<int>(form));
        REQUIRE(worst_error(run(stream, p, form, tile), oracle) < 1e-5);
      }
    }
  }
}

TEST_CASE("interval propagation is the same product", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  const Problem p = problem_of({3, 4, 20}, 9);
  const auto lower = on_device(stream, p.in.lower_bias), upper = on_device(stream, p.in.upper_bias),
             matrix = on_device(stream, p.matrix), offset = on_device(stream, p.offset);
  DeviceBuffer<Simt, float> low(device, 27), high(device, 27);
  interval_matmul<Simt>(stream, {3, 20, 9}, lower.span(), upper.span(), matrix.span(), offset.span(), low,
                        high);
  const BoundArrays<double> oracle = expected(p);
  std::vector<float> values(27);
  stream.download(std::as_const(low).span(), std::span<float>(values));
  for (std::size_t i = 0; i < 27; ++i)
    CHECK(static_cast<double>(values[i]) == Approx(oracle.lower_bias[i]).margin(1e-5));
  stream.download(std::as_const(high).span(), std::span<float>(values));
  for (std::size_t i = 0; i < 27; ++i)
    CHECK(static_cast<double>(values[i]) == Approx(oracle.upper_bias[i]).margin(1e-5));
}

TEST_CASE("bounds that coincide stay together, and those that don't keep their order", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  Problem p = problem_of({2, 9, 40}, 24);
  const BoundArrays<float> apart = run(stream, p);
  for (std::size_t i = 0; i < apart.lower_weight.size(); ++i)
    REQUIRE(apart.lower_weight[i] <= apart.upper_weight[i]);
  p.in.upper_weight = p.in.lower_weight;
  p.in.upper_bias = p.in.lower_bias;
  for (const SplitForm form : kForms) {
    const BoundArrays<float> out = run(stream, p, form);
    CHECK(out.lower_weight == out.upper_weight);
    CHECK(out.lower_bias == out.upper_bias);
  }
}

TEST_CASE("the sign-split product has the same bits in every schedule", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  const Problem p = problem_of({2, 33, 40}, 70);
  const BoundArrays<float> first = run(stream, p);
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    device.engine().set_schedule(seed);
    for (const SplitTile tile : kTiles)
      CHECK(worst_error(run(stream, p, SplitForm::centre, tile), first.as<double>()) < 1e-6);
    CHECK(same_bits(run(stream, p), first));
  }
}

TEST_CASE("the formula of the sign-split product is what it executes and moves", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const auto& [shape, columns] : kSizes) {
    const Problem p = problem_of(shape, columns);
    for (const SplitTile tile : kTiles) {
      for (const SplitForm form : kForms) {
        device.engine().reset_counts();
        run(stream, p, form, tile);
        const auto counts = device.engine().counts("sign_split_matmul");
        const BoundWork work = bound_matmul_work(shape, columns, true, form, tile);
        INFO(shape.channels << " -> " << columns << ", tile " << static_cast<int>(tile) << ", form "
                            << static_cast<int>(form));
        CHECK(static_cast<double>(counts[simt::Counter::scalar_flops]) == work.flops);
        CHECK(static_cast<double>(counts[simt::Counter::distinct_global_bytes_read] +
                                  counts[simt::Counter::distinct_global_bytes_written]) == work.bytes);
      }
    }
  }
}

TEST_CASE("fused bounds take at most 0.6 of the bytes and multiplies of four products", "[cpu]") {
  for (const auto& [shape, columns] :
       {std::pair(BoundShape{8, 64, 64}, 64), std::pair(BoundShape{128, 128, 128}, 128),
        std::pair(BoundShape{16, 640, 640}, 640)}) {
    const BoundWork fused = bound_matmul_work(shape, columns, true),
                    products = four_product_work(shape, columns);
    CHECK(fused.bytes <= 0.6 * products.bytes);
    CHECK(split_multiplies(shape, columns, true) <= 0.6 * split_multiplies(shape, columns, false));
    // Without padding: the product's bytes as the paper's table has them, and the biases.
    CHECK(fused.bytes == 4.0 * (2.0 * shape.rows * (shape.inputs + 1) * (shape.channels + columns) +
                                shape.channels * columns + columns));
  }
}

TEST_CASE("large problems take large tiles, small ones fill the machine", "[cpu]") {
  CHECK(split_tile({128 * 128, 128, 128}) == SplitTile::rows128);  // 128 x 2 tiles
  CHECK(split_tile({64 * 128, 128, 128}) ==
        SplitTile::rows64);  // 64 x 2 tiles of 128 rows are fewer than two a multiprocessor
  CHECK(split_tile({32 * 256, 256, 768}) == SplitTile::rows128);
  CHECK(split_tile({2 * 128, 128, 128}) == SplitTile::rows32);
}

TEST_CASE("the sign-split product refuses sizes that don't fit", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  Problem p = problem_of({2, 3, 4}, 5);
  p.matrix.pop_back();
  CHECK_THROWS_WITH(run(stream, p), ContainsSubstring("the matrix has 19 values; 20 follow from the shape"));
  p = problem_of({2, 3, 4}, 5);
  p.offset.push_back(0);
  CHECK_THROWS_WITH(run(stream, p), ContainsSubstring("the offset has 6 values; 5 follow from the shape"));
}

TEST_CASE("On a GPU the sign-split product agrees with the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    for (const auto& [shape, columns] : kSizes) {
      const Problem p = problem_of(shape, columns);
      for (const SplitTile tile : kTiles) {
        for (const SplitForm form : kForms)
          CHECK(worst_error(run(bench.stream(), p, form, tile), expected(p)) < 1e-5);
      }
    }
  });
}
