// SPDX-License-Identifier: Apache-2.0
//
// Warp operations on Simt against loops over the 32 lanes that follow the CUDA C++ Programming Guide and the
// PTX ISA's pseudocode (no table taken from a GPU is available here; with a GPU the last case compares the
// two).
#include <algorithm>
#include <functional>
#include <numeric>

#include <testing/catch.h>

#include "kernels/device/testing/test_bench.h"
#include "kernels/device/testing/warp_kernels.h"
#include "kernels/simt/engine.h"

namespace remeasure {
namespace {

using kernels::Shuffle;
using testing::TestBench;

/// The lane whose value `lane` receives: the PTX ISA's pseudocode of shfl.sync in its own terms.
int ptx_source(Shuffle kind, int lane, int operand, int width) {
  const int segment_mask = 32 - width;             // c[12:8], as CUDA's headers set it
  const int clamp = kind == Shuffle::up ? 0 : 31;  // c[4:0]
  const int b = operand & 31;
  const int max_lane = (lane & segment_mask) | (clamp & ~segment_mask);
  const int min_lane = lane & segment_mask;
  int source = 0;
  bool valid = false;
  switch (kind) {
    case Shuffle::up:
      source = lane - b;
      valid = source >= max_lane;
      break;
    case Shuffle::down:
      source = lane + b;
      valid = source <= max_lane;
      break;
    case Shuffle::exclusive_or:
      source = lane ^ b;
      valid = source <= max_lane;
      break;
    case Shuffle::indexed:
      source = min_lane | (b & ~segment_mask);
      valid = source <= max_lane;
      break;
  }
  return valid ? source : lane;
}

/// The same in the words of the Programming Guide, for the operands that it defines.
int guide_source(Shuffle kind, int lane, int operand, int width) {
  const int segment = lane / width * width;
  switch (kind) {
    case Shuffle::indexed:
      return segment + (operand % width + width) % width;
    case Shuffle::up:
      return lane - operand < segment ? lane : lane - operand;
    case Shuffle::down:
      return lane + operand >= segment + width ? lane : lane + operand;
    case Shuffle::exclusive_or:
      return (lane ^ operand) / width > lane / width ? lane : lane ^ operand;
  }
  return lane;
}

constexpr Shuffle kShuffles[] = {Shuffle::indexed, Shuffle::up, Shuffle::down, Shuffle::exclusive_or};
constexpr int kWidths[] = {2, 4, 8, 16, 32};

template <class T>
std::vector<T> lane_values() {
  std::vector<T> values(32);
  for (int lane = 0; lane < 32; ++lane) {
    // Big enough to fill both halves of an 8-byte value; exact in float.
    values[static_cast<std::size_t>(lane)] =
        static_cast<T>(static_cast<T>(lane + 1) * static_cast<T>(sizeof(T) == 8 ? 1e12 : 1000));
  }
  return values;
}

template <class T, class Bench>
std::vector<T> run_shuffle(Bench& bench, Shuffle kind, int width, const std::vector<int>& operands) {
  const auto values = bench.upload(lane_values<T>());
  const auto sources = bench.upload(operands);
  auto out = bench.template output<T>(32);
  kernels::shuffle_warp(bench.stream(), kind, width, values.span(), sources.span(), out.span());
  return bench.download(out);
}

template <class T>
void check_shuffles() {
  TestBench<Simt> bench;
  for (const Shuffle kind : kShuffles) {
    for (const int width : kWidths) {
      for (const int operand : {0, 1, 2, 3, 5, 8, 15, 16, 31, 32, 33, 40}) {
        // The same operand in all lanes, and a different one in each: sources may diverge.
        std::vector<int> operands(32, operand);
        for (const bool varied : {false, true}) {
          if (varied) {
            for (int lane = 0; lane < 32; ++lane)
              operands[static_cast<std::size_t>(lane)] = (operand * 7 + lane * 5) % 41;
          }
          const std::vector<T> result = run_shuffle<T>(bench, kind, width, operands);
          const std::vector<T> values = lane_values<T>();
          for (int lane = 0; lane < 32; ++lane) {
            const int own = operands[static_cast<std::size_t>(lane)];
            INFO("kind " << static_cast<int>(kind) << " width " << width << " lane " << lane << " operand "
                         << own);
            const int source = ptx_source(kind, lane, own, width);
            if (own < 32) CHECK(source == guide_source(kind, lane, own, width));
            CHECK(result[static_cast<std::size_t>(lane)] == values[static_cast<std::size_t>(source)]);
          }
        }
      }
    }
  }
}

TEST_CASE("shuffles of all widths follow PTX's pseudocode, sources out of range included", "[simt]") {
  check_shuffles<int>();
}
TEST_CASE("shuffles carry four- and eight-byte integers and floats whole", "[simt]") {
  TestBench<Simt> bench;
  const std::vector<int> operands(32, 3);
  const auto expect = [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> values = lane_values<T>();
    const std::vector<T> result = run_shuffle<T>(bench, Shuffle::down, 8, operands);
    for (std::size_t lane = 0; lane < 32; ++lane)
      CHECK(result[lane] == values[lane % 8 + 3 < 8 ? lane + 3 : lane]);
  };
  expect(0u);
  expect(0ll);
  expect(0.0f);
  expect(0.0);
}

TEST_CASE("a shuffle among the lanes of a mask leaves the others alone", "[simt]") {
  TestBench<Simt> bench;
  auto out = bench.upload(std::vector<int>(32, -1));
  kernels::shuffle_in_mask(bench.stream(), 0x00ff00f0u, 1, out.span());
  const std::vector<int> result = bench.download(out);
  for (int lane = 0; lane < 32; ++lane) {
    const bool named = (0x00ff00f0u >> lane & 1u) != 0;
    CHECK(result[static_cast<std::size_t>(lane)] == (named ? 100 + (lane ^ 1) : -1));
  }
}

TEST_CASE("reading a lane that the mask doesn't name is a warp-mask error", "[simt]") {
  TestBench<Simt> bench;
  auto out = bench.upload(std::vector<int>(32, -1));
  try {
    kernels::shuffle_in_mask(bench.stream(), 0x0000000fu, 4, out.span());
    FAIL("no error");
  } catch (const simt::EngineError& error) {
    CHECK(error.kind() == simt::ErrorKind::warp_mask);
    CHECK(std::string(error.what()).find("__shfl_xor_sync reads lane") != std::string::npos);
    REQUIRE_FALSE(error.sites().empty());
    CHECK(std::string(error.sites()[0].file).find("warp_kernels.cu") != std::string::npos);
  }
}

TEST_CASE("a width that isn't a power of two up to 32 is an error", "[simt]") {
  TestBench<Simt> bench;
  for (const int width : {0, 3, 33, 64, -2}) {
    CHECK_THROWS_AS(run_shuffle<int>(bench, Shuffle::indexed, width, std::vector<int>(32, 0)),
                    simt::EngineError);
  }
}

std::vector<int> vote_values(int pattern) {
  std::vector<int> values(32);
  for (int lane = 0; lane < 32; ++lane) {
    const int mixed = (lane * 2654435 + pattern * 97) % 7 - 3;
    values[static_cast<std::size_t>(lane)] = pattern == 0   ? 5
                                             : pattern == 1 ? -(lane % 3)
                                             : pattern == 2 ? lane << 26
                                                            : mixed;
  }
  return values;
}

template <class Bench>
std::vector<std::uint32_t> run_votes(Bench& bench, std::uint32_t mask, const std::vector<int>& values) {
  const auto in = bench.upload(values);
  auto out = bench.upload(std::vector<std::uint32_t>(32 * kernels::kVotes, 0xabababab));
  kernels::vote_warp(bench.stream(), mask, in.span(), out.span());
  return bench.download(out);
}

/// The fifteen results of one lane by loops over the lanes of the mask.
std::vector<std::uint32_t> expected_votes(std::uint32_t mask, const std::vector<int>& values, int lane) {
  std::vector<int> members;
  std::vector<std::uint32_t> words;
  std::uint32_t positive = 0, equal = 0;
  for (int other = 0; other < 32; ++other) {
    if ((mask >> other & 1u) == 0) continue;
    const int value = values[static_cast<std::size_t>(other)];
    members.push_back(value);
    words.push_back(static_cast<std::uint32_t>(value));
    if (value > 0) positive |= 1u << other;
    if (value == values[static_cast<std::size_t>(lane)]) equal |= 1u << other;
  }
  const std::uint32_t sum = std::accumulate(words.begin(), words.end(), 0u);
  return {positive,
          positive == mask ? 1u : 0u,
          positive != 0 ? 1u : 0u,
          equal,
          equal == mask ? mask : 0u,
          equal == mask ? 1u : 0u,
          sum,
          sum,
          *std::min_element(words.begin(), words.end()),
          static_cast<std::uint32_t>(*std::min_element(members.begin(), members.end())),
          *std::max_element(words.begin(), words.end()),
          static_cast<std::uint32_t>(*std::max_element(members.begin(), members.end())),
          std::accumulate(words.begin(), words.end(), ~0u, std::bit_and<>()),
          std::accumulate(words.begin(), words.end(), 0u, std::bit_or<>()),
          std::accumulate(words.begin(), words.end(), 0u, std::bit_xor<>())};
}

constexpr std::uint32_t kMasks[] = {0xffffffffu, 0x1u, 0x80000000u, 0x0000ffffu, 0x5a5a00f1u};

TEST_CASE("votes, matches and reductions equal loops over the lanes of full and partial masks", "[simt]") {
  TestBench<Simt> bench;
  for (const std::uint32_t mask : kMasks) {
    for (int pattern = 0; pattern < 4; ++pattern) {
      const std::vector<int> values = vote_values(pattern);
      const std::vector<std::uint32_t> result = run_votes(bench, mask, values);
      for (int lane = 0; lane < 32; ++lane) {
        const bool named = (mask >> lane & 1u) != 0;
        const std::vector<std::uint32_t> expected =
            named ? expected_votes(mask, values, lane)
                  : std::vector<std::uint32_t>(kernels::kVotes, 0xabababab);
        INFO("mask " << mask << " pattern " << pattern << " lane " << lane);
        const auto first = result.begin() + kernels::kVotes * lane;
        CHECK(std::vector<std::uint32_t>(first, first + kernels::kVotes) == expected);
      }
    }
  }
}

template <class T>
void check_reductions(int threads) {
  std::vector<T> values(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i)
    values[static_cast<std::size_t>(i)] = static_cast<T>((i * 7919) % 512 - 300);
  TestBench<Simt> bench;
  const auto in = bench.upload(values);
  auto out = bench.output<T>(4 * values.size());
  kernels::reduce_block(bench.stream(), threads, in.span(), out.span());
  const std::vector<T> result = bench.download(out);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto warp = values.begin() + static_cast<std::ptrdiff_t>(i / 32 * 32);
    INFO("thread " << i << " of " << threads);
    CHECK(result[4 * i] == std::accumulate(warp, warp + 32, T{0}));
    CHECK(result[4 * i + 1] == *std::max_element(warp, warp + 32));
    CHECK(result[4 * i + 2] == std::accumulate(values.begin(), values.end(), T{0}));
    CHECK(result[4 * i + 3] == *std::max_element(values.begin(), values.end()));
  }
}

TEST_CASE("warp and block sums and maxima are the same in every thread", "[simt]") {
  for (const int threads : {32, 96, 1024}) {
    check_reductions<float>(threads);
    check_reductions<double>(threads);
  }
}

TEST_CASE("tiles of four lanes exchange among themselves, and may part company", "[simt]") {
  std::vector<int> values(64);
  for (int i = 0; i < 64; ++i) values[static_cast<std::size_t>(i)] = (i * 37 + 11) % 23;
  TestBench<Simt> bench;
  const auto in = bench.upload(values);
  auto out = bench.upload(std::vector<int>(64 * kernels::kTileResults, -7));
  kernels::tile_of_four(bench.stream(), in.span(), out.span());
  const std::vector<int> result = bench.download(out);
  for (int thread = 0; thread < 64; ++thread) {
    const int tile = thread / 4, rank = thread % 4, first = tile * 4;
    const auto value = [&](int r) { return values[static_cast<std::size_t>(first + r)]; };
    std::vector<int> expected(kernels::kTileResults, -7);
    if (tile % 2 == 0) {
      int odd = 0;
      for (int r = 0; r < 4; ++r) odd |= (value(r) % 2) << r;
      expected = {rank,
                  tile,
                  static_cast<int>(0xfu << (first % 32)),
                  value(0) + value(1) + value(2) + value(3),
                  std::max(std::max(value(0), value(1)), std::max(value(2), value(3))),
                  value(2),
                  odd,
                  value(std::max(rank - 1, 0)),
                  odd != 0,
                  odd == 15};
    }
    INFO("thread " << thread);
    const auto begin = result.begin() + thread * kernels::kTileResults;
    CHECK(std::vector<int>(begin, begin + kernels::kTileResults) == expected);
  }
}

TEST_CASE("a GPU gives the bits of Simt for shuffles and votes", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  for (const Shuffle kind : kShuffles) {
    for (const int width : kWidths) {
      std::vector<int> operands(32);
      for (int lane = 0; lane < 32; ++lane) operands[static_cast<std::size_t>(lane)] = (lane * 5 + 3) % 41;
      CHECK(testing::same_on_gpu(
          [&](auto& bench) { return run_shuffle<double>(bench, kind, width, operands); }));
    }
  }
  for (const std::uint32_t mask : kMasks) {
    for (int pattern = 0; pattern < 4; ++pattern) {
      CHECK(testing::same_on_gpu([&](auto& bench) { return run_votes(bench, mask, vote_values(pattern)); }));
    }
  }
}

}  // namespace
}  // namespace remeasure
