// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/ceilings/fma_chains.h"
#include "kernels/ceilings/traffic.h"
#include "kernels/device/testing/test_bench.h"

namespace remeasure::kernels {
namespace {

using remeasure::testing::TestBench;
using Words = std::vector<std::uint32_t>;

/// One group, part of a chunk, whole chunks, and more chunks than 8 blocks of one worker take at a time.
const std::vector<std::size_t> kSizes = {4, 1028, 4096, 8192, 4096 * 40 + 12};

Words numbered(std::size_t size) {
  Words words(size);
  for (std::size_t i = 0; i < size; ++i) words[i] = static_cast<std::uint32_t>(i * 2654435761u + 12345u);
  return words;
}

template <class Target>
Words read_sum(TestBench<Target>& bench, const Words& words, int passes) {
  const auto from = bench.upload(words);
  auto sum = bench.upload(Words{7});
  read_words<Target>(bench.stream(), from, passes, sum.span());
  return bench.download(sum);
}

template <class Target>
Words copied(TestBench<Target>& bench, const Words& words, int passes) {
  const auto from = bench.upload(words);
  auto to = bench.template output<std::uint32_t>(words.size());
  copy_words<Target>(bench.stream(), from, passes, to.span());
  return bench.download(to);
}

template <class Target>
Words written(TestBench<Target>& bench, std::size_t size, std::uint32_t value, int passes) {
  auto words = bench.template output<std::uint32_t>(size);
  write_words<Target>(bench.stream(), value, passes, words.span());
  return bench.download(words);
}

TEST_CASE("read_words reads every word once in each pass", "[simt]") {
  TestBench<Simt> bench;
  for (const std::size_t size : kSizes) {
    const Words words = numbered(size);
    const std::uint32_t once = std::accumulate(words.begin(), words.end(), 0u);
    INFO(size);
    CHECK(read_sum(bench, words, 1) == Words{7 + once});
    CHECK(read_sum(bench, words, 5) == Words{7 + 5 * once});
  }
}

TEST_CASE("write_words and copy_words reach every word in the last pass", "[simt]") {
  TestBench<Simt> bench;
  for (const std::size_t size : kSizes) {
    INFO(size);
    Words words = numbered(size);
    CHECK(written(bench, size, 40, 1) == Words(size, 40));
    CHECK(written(bench, size, 40, 3) == Words(size, 42));
    CHECK(copied(bench, words, 1) == words);
    const Words three = copied(bench, words, 3);
    for (std::uint32_t& word : words) word += 2;
    CHECK(three == words);
  }
}

TEST_CASE("traffic kernels refuse what they can't cover", "[simt]") {
  TestBench<Simt> bench;
  auto words = bench.output<std::uint32_t>(6), four = bench.output<std::uint32_t>(4);
  CHECK_THROWS_AS(write_words<Simt>(bench.stream(), 0, 1, words.span()), std::invalid_argument);
  CHECK_THROWS_AS(write_words<Simt>(bench.stream(), 0, 0, four.span()), std::invalid_argument);
  CHECK_THROWS_AS(write_words<Simt>(bench.stream(), 0, 1, {}), std::invalid_argument);
  CHECK_THROWS_AS(read_words<Simt>(bench.stream(), std::as_const(four).span(), 1, words.span()),
                  std::invalid_argument);
  auto eight = bench.output<std::uint32_t>(8);
  CHECK_THROWS_AS(copy_words<Simt>(bench.stream(), std::as_const(four).span(), 1, eight.span()),
                  std::invalid_argument);
  CHECK_NOTHROW(no_work(bench.stream()));
}

template <class T, class Target>
std::vector<T> chains(TestBench<Target>& bench, int blocks, int steps) {
  auto out = bench.template output<T>(static_cast<std::size_t>(blocks) * kFmaThreads);
  fma_chains<Target, T>(bench.stream(), blocks, steps, T(0.7), T(1.3), out.span());
  return bench.download(out);
}

template <class T>
void check_chains(int blocks, int steps) {
  TestBench<Simt> bench;
  const std::vector<T> got = chains<T>(bench, blocks, steps);
  for (std::size_t thread = 0; thread < got.size(); ++thread) {
    T sum = 0;
    for (int c = 0; c < kFmaChains; ++c) {
      T x = static_cast<T>(thread) + static_cast<T>(c) / kFmaChains;
      for (int step = 0; step < steps; ++step) x = std::fma(x, T(0.7), T(1.3));
      sum += x;
    }
    INFO("thread " << thread << ", " << steps << " steps");
    REQUIRE(got[thread] == sum);
  }
}

TEST_CASE("fma_chains takes every step of every chain", "[simt]") {
  for (const int steps : {0, 1, 5, 37}) {
    check_chains<float>(2, steps);
    check_chains<double>(1, steps);
  }
  CHECK(fma_chains_flops(2, 10) == 2.0 * 256 * 8 * 2 * 10);
}

TEST_CASE("the kernels of the ceilings give on a GPU what they give on Simt", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  const Words words = numbered(4096 * 40 + 12);
  CHECK(remeasure::testing::same_on_gpu([&](auto& bench) { return read_sum(bench, words, 3); }));
  CHECK(remeasure::testing::same_on_gpu([&](auto& bench) { return copied(bench, words, 3); }));
  CHECK(remeasure::testing::same_on_gpu([&](auto& bench) { return written(bench, words.size(), 9, 3); }));
  CHECK(remeasure::testing::same_on_gpu([&](auto& bench) { return chains<float>(bench, 3, 37); }));
  CHECK(remeasure::testing::same_on_gpu([&](auto& bench) { return chains<double>(bench, 3, 37); }));
}

}  // namespace
}  // namespace remeasure::kernels
