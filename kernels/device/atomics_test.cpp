// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <testing/catch.h>

#include "kernels/device/testing/atomic_kernels.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"

namespace remeasure {
namespace {

using testing::TestBench;
using Words = std::vector<std::uint32_t>;

const Words kBefore = {1, 2, 1000, 5, 0, 0x80000000u, 0xffffffffu, 0, 77, 4, 4, 0};

template <class Bench>
std::pair<Words, std::vector<std::uint64_t>> run(Bench& bench, int blocks, int threads) {
  auto words = bench.upload(kBefore);
  auto wide = bench.upload(std::vector<std::uint64_t>{5, 6});
  kernels::integer_atomics(bench.stream(), blocks, threads, words.span(), wide.span());
  return {bench.download(words), bench.download(wide)};
}

/// The same by one loop; the results don't depend on the order.
std::pair<Words, std::vector<std::uint64_t>> expected(int threads) {
  Words w = kBefore;
  std::vector<std::uint64_t> wide = {5, 6};
  const auto signed_word = [&](std::size_t i) { return static_cast<std::int32_t>(w[i]); };
  for (std::uint32_t t = 0; t < static_cast<std::uint32_t>(threads); ++t) {
    w[0] += t;
    w[1] -= t;
    w[2] = std::min(w[2], t + 3);
    w[3] = std::max(w[3], t);
    w[4] = static_cast<std::uint32_t>(std::min(signed_word(4), 7 - static_cast<std::int32_t>(t)));
    w[5] = static_cast<std::uint32_t>(std::max(signed_word(5), static_cast<std::int32_t>(t) - 1000));
    w[6] &= ~(1u << t % 32);
    w[7] |= 1u << t % 32;
    w[8] ^= t;
    w[9] = w[9] >= 10 ? 0 : w[9] + 1;
    w[10] = w[10] == 0 || w[10] > 10 ? 10 : w[10] - 1;
    w[11] += 2;
    wide[0] += (std::uint64_t{1} << 32) | t;
    wide[1] = std::max(wide[1], std::uint64_t{t} << 33);
  }
  return {w, wide};
}

TEST_CASE("integer atomics of many blocks equal one loop", "[simt]") {
  for (const auto& [blocks, threads] : {std::pair{1, 17}, std::pair{8, 32}, std::pair{40, 128}}) {
    TestBench<Simt> bench;
    CHECK(run(bench, blocks, threads) == expected(blocks * threads));
  }
}

TEST_CASE("atomics return the value before", "[simt]") {
  TestBench<Simt> bench;
  auto word = bench.upload(Words{5});
  auto old = bench.output<std::uint32_t>(12);
  kernels::atomic_return_values(bench.stream(), word.span(), old.span());
  CHECK(bench.download(old) == Words{5, 8, 100, 100, 12, 0, 7, 5, 4, 6, 2, 10});
  CHECK(bench.download(word) == Words{5});
}

TEST_CASE("floating-point atomic sums lose no addend", "[simt]") {
  TestBench<Simt> bench;
  auto sum = bench.upload(std::vector<float>{1});
  auto double_sum = bench.upload(std::vector<double>{2});
  kernels::float_atomics(bench.stream(), 100, 128, sum.span(), double_sum.span());
  CHECK(bench.download(sum)[0] == 1 + 0.5f * 100 * 128);
  CHECK(bench.download(double_sum)[0] == 2 + 0.5 * 100 * 128);
}

TEST_CASE("an atomic function is counted as one, whether it is one instruction or a loop", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build sees no accesses");
  TestBench<Simt> bench;
  const simt::Engine& engine = bench.device().engine();
  auto sum = bench.upload(std::vector<float>{1});
  auto double_sum = bench.upload(std::vector<double>{2});
  kernels::float_atomics(bench.stream(), 3, 64, sum.span(), double_sum.span());
  CHECK(engine.last_launch()[simt::Counter::atomics] == 2 * 3 * 64);
}

TEST_CASE("a GPU's integer atomics give the bits of Simt", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  CHECK(testing::same_on_gpu([](auto& bench) { return run(bench, 40, 128); }));
}

}  // namespace
}  // namespace remeasure
