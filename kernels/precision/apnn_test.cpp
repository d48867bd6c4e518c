// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/apnn.h"

#include <testing/catch.h>

#include "kernels/precision/testing/low_bit_problem.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;
using remeasure::testing::TestBench;

namespace {

constexpr Encoding kMixed = Encoding::signed_weights, kAnd = Encoding::unsigned_codes;

/// Maps whose borders, strides and channels don't fit into tiles.
std::vector<LowBitShape> maps(int p, int q, Encoding encoding) {
  return {low_bit_convolution(2, 7, 20, 33, 3, 1, p, q, encoding),
          low_bit_convolution(1, 9, 130, 17, 5, 2, p, q, encoding),
          low_bit_convolution(1, 15, 3, 9, 11, 4, p, q, encoding),
          low_bit_convolution(3, 5, 140, 40, 1, 1, p, q, encoding),
          low_bit_over_map(5, 3, 70, 50, p, q, encoding)};
}

}  // namespace

TEST_CASE("every low-bit product is the oracle's integers, K padded or not", "[simt]") {
  TestBench<Simt> bench;
  for (const int inner : {128, 200, 256, 1152}) {
    for (const LowBitShape& shape : all_low_bits(low_bit_product(37, 45, inner, 1, 1, kAnd))) {
      INFO(in_words(shape));
      const LowBitProblem problem(shape, static_cast<std::uint64_t>(inner));
      CHECK(mismatches(LowBitDevice<Simt>(bench, problem).sums(), problem.oracle()) == 0);
    }
  }
}

TEST_CASE("low-bit products longer than the ring of stages, and of large tiles", "[simt]") {
  TestBench<Simt> bench;
  for (const LowBitShape& shape :
       {low_bit_product(20, 30, 3000, 1, 2, kMixed), low_bit_product(20, 30, 3000, 2, 8, kAnd),
        low_bit_product(470, 1000, 130, 1, 1, Encoding::signs),
        low_bit_product(470, 1001, 600, 1, 2, kMixed)}) {
    INFO(in_words(shape));
    const LowBitProblem problem(shape);
    CHECK(mismatches(LowBitDevice<Simt>(bench, problem).sums(), problem.oracle()) == 0);
  }
  CHECK(low_bit_tiling(low_bit_product(470, 1000, 130, 1, 1, kAnd), false).rows() == 64);
  CHECK(low_bit_tiling(low_bit_product(64, 1024, 1024, 1, 2, kAnd), false).rows() == 32);
}

TEST_CASE(
    "every low-bit convolution is the oracle's integers: borders, strides, channels, maps as one kernel",
    "[simt]") {
  TestBench<Simt> bench;
  for (const LowBitShape& like : maps(1, 2, kMixed)) {
    for (const LowBitShape& shape : all_low_bits(like, false)) {
      INFO(in_words(shape));
      const LowBitProblem problem(shape, 5);
      CHECK(mismatches(LowBitDevice<Simt>(bench, problem).sums(), problem.oracle()) == 0);
    }
  }
}

TEST_CASE("signs by exclusive or and by and are the same sums", "[simt]") {
  TestBench<Simt> bench;
  LowBitProblem problem(low_bit_product(50, 70, 333, 1, 1, Encoding::signs));
  const std::vector<std::int32_t> by_xor = LowBitDevice<Simt>(bench, problem).sums();
  problem.shape.encoding = Encoding::signs_by_and;
  CHECK(LowBitDevice<Simt>(bench, problem).sums() == by_xor);
}

TEST_CASE("a fused layer's planes are the codes of the unfused one, pooled and padded", "[simt]") {
  TestBench<Simt> bench;
  std::vector<LowBitShape> shapes = maps(1, 2, kMixed);
  for (const int outputs : {40, 128, 200}) shapes.push_back(low_bit_product(33, outputs, 300, 2, 2, kAnd));
  for (const LowBitShape& shape : all_low_bits(low_bit_product(33, 40, 300, 1, 1, kAnd)))
    shapes.push_back(shape);
  int bits = 0;
  for (const LowBitShape& shape : shapes) {
    const LowBitProblem problem(shape, 9);
    const std::vector<std::int32_t> sums = problem.oracle();
    for (const bool pool : {false, true}) {
      if (pool && shape.out_width < 2) continue;
      const Requantise to{bits++ % 8 + 1, pool};
      INFO(in_words(shape) << " to " << to.bits << " bits, pool " << pool);
      const Scaling scaling = scaling_of(shape, to, sums);
      const std::vector<std::uint8_t> codes =
          requantised_codes<float>(shape, to, sums, scaling.alpha, scaling.beta);
      const auto [least, most] = std::minmax_element(codes.begin(), codes.end());
      CHECK(2 * (*most - *least) >= (1 << to.bits) - 1);  // the codes are in use
      const std::vector<std::uint32_t> planes = LowBitDevice<Simt>(bench, problem).fused(to, scaling);
      CHECK(mismatches(planes, bit_planes(requantised_rows(shape, to), shape.outputs, to.bits, codes)) == 0);
    }
  }
}

TEST_CASE("large tiles are fused too", "[simt]") {
  TestBench<Simt> bench;
  const LowBitShape shape = low_bit_convolution(2, 16, 70, 1000, 1, 1, 1, 2, kMixed);
  const Requantise to{2, true};
  REQUIRE(low_bit_tiling(shape, true).rows() == 64);
  const LowBitProblem problem(shape);
  const std::vector<std::int32_t> sums = problem.oracle();
  const Scaling scaling = scaling_of(shape, to, sums);
  const std::vector<std::uint8_t> codes =
      requantised_codes<float>(shape, to, sums, scaling.alpha, scaling.beta);
  CHECK(LowBitDevice<Simt>(bench, problem).fused(to, scaling) ==
        bit_planes(requantised_rows(shape, to), shape.outputs, to.bits, codes));
}

TEST_CASE("low-bit kernels have the same bits in every schedule, with late and early copies", "[simt]") {
  TestBench<Simt> bench;
  const Requantise to{3, true};
  for (const LowBitShape& shape : {low_bit_convolution(1, 8, 300, 40, 3, 1, 1, 2, kMixed),
                                   low_bit_convolution(1, 6, 520, 40, 3, 1, 4, 4, kAnd)}) {
    INFO(in_words(shape));
    const LowBitProblem problem(shape);
    const Scaling scaling = scaling_of(shape, to, problem.oracle());
    LowBitDevice<Simt> device(bench, problem);
    const std::vector<std::int32_t> sums = device.sums();
    const std::vector<std::uint32_t> planes = device.fused(to, scaling);
    CHECK(mismatches(sums, problem.oracle()) == 0);
    for (const simt::CopyTiming timing : {simt::CopyTiming::late, simt::CopyTiming::early}) {
      bench.device().engine().set_copy_timing(timing);
      for (const std::uint64_t seed : {1u, 2u}) {
        bench.device().engine().set_schedule(seed);
        CHECK(device.sums() == sums);
        CHECK(device.fused(to, scaling) == planes);
      }
    }
  }
}

TEST_CASE("the operations counted are those of whole tiles and of 256 bits", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counted in the checked build only");
  TestBench<Simt> bench;
  std::vector<LowBitShape> shapes = maps(2, 2, kAnd);
  shapes.push_back(low_bit_product(470, 1001, 130, 1, 1, Encoding::signs));
  for (const LowBitShape& shape : shapes) {
    INFO(in_words(shape));
    const LowBitProblem problem(shape);
    LowBitDevice<Simt> device(bench, problem);
    device.sums();
    CHECK(static_cast<double>(bench.device().engine().last_launch()[simt::Counter::mma_flops]) ==
          low_bit_operations(shape, false));
  }
}

TEST_CASE("low-bit layers refuse what they can't do", "[simt]") {
  TestBench<Simt> bench;
  const auto run = [&](const LowBitShape& shape) { LowBitDevice<Simt>(bench, LowBitProblem(shape)).sums(); };
  CHECK_THROWS_WITH(run(low_bit_product(4, 4, 64, 3, 3, kAnd)),
                    ContainsSubstring("no kernel for w3a3 with encoding and"));
  CHECK_THROWS_WITH(run(low_bit_product(4, 4, 64, 2, 2, kMixed)), ContainsSubstring("have 1 bit, not 2"));
  CHECK_THROWS_WITH(run(low_bit_convolution(1, 4, 64, 4, 3, 1, 1, 1, Encoding::signs)),
                    ContainsSubstring("a zero beside the map is no sign"));
  CHECK_THROWS_WITH(check_low_bit_shape("layer", low_bit_product(4, 0, 64, 1, 1, kAnd)),
                    ContainsSubstring("a size is 0"));
  CHECK_THROWS_WITH(check_low_bit_shape("layer", low_bit_product(1, 1, 70'000, 8, 8, kAnd)),
                    ContainsSubstring("may not fit into 31 bits"));
  CHECK_THROWS_WITH(check_requantise("layer", low_bit_product(1, 1, 30'000, 4, 8, kAnd), {.bits = 2}),
                    ContainsSubstring("may reach 2^24"));
  CHECK_THROWS_WITH(
      check_requantise("layer", low_bit_product(1, 1, 64, 1, 1, kAnd), {.bits = 2, .pool = true}),
      ContainsSubstring("no window of 2 x 2"));
  LowBitProblem problem(low_bit_product(4, 4, 64, 1, 2, kAnd));
  LowBitDevice<Simt> device(bench, problem);
  problem.shape.outputs = 5;
  CHECK_THROWS_WITH(device.sums(), ContainsSubstring("weights has 16 elements; 20 follow from the shape"));
}

TEST_CASE("On a GPU low-bit layers are the oracle's integers", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([]<class Bench>(Bench& bench) {
    const auto check = [&](const LowBitShape& shape) {
      INFO(in_words(shape));
      const LowBitProblem problem(shape);
      const std::vector<std::int32_t> sums = problem.oracle();
      LowBitDevice<Cuda> device(bench, problem);
      CHECK(mismatches(device.sums(), sums) == 0);
      const Requantise to{2, shape.out_width > 1};
      const Scaling scaling = scaling_of(shape, to, sums);
      CHECK(device.fused(to, scaling) ==
            bit_planes(requantised_rows(shape, to), shape.outputs, 2,
                       requantised_codes<float>(shape, to, sums, scaling.alpha, scaling.beta)));
    };
    for (const LowBitShape& shape : all_low_bits(low_bit_product(137, 145, 1200, 1, 1, kAnd))) check(shape);
    for (const LowBitShape& like : maps(1, 2, kMixed)) {
      for (const LowBitShape& shape : all_low_bits(like, false)) check(shape);
    }
    check(low_bit_product(1000, 1001, 600, 1, 2, kMixed));
  });
}
