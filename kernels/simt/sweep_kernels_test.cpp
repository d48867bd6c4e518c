// SPDX-License-Identifier: Apache-2.0
//
// Threads that go from barrier to barrier in a row (block_barrier.cpp), and everything that may end the row.
#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {

constexpr int kLong = 12;  ///< barriers after which the threads have been in a sweep for long

/// Passes the same barrier `times` times.
void barriers(int times) {
  for (int i = 0; i < times; ++i) block_barrier();
}

}  // namespace

TEST_CASE("in a sweep no thread is a barrier ahead, and each opening counts once", "[simt]") {
  for (const unsigned threads : {1u, 2u, 33u, 256u, 1024u}) {
    for (const std::uint64_t seed : {0u, 1u, 2u, 3u, 4u}) {
      Engine engine({.schedule_seed = seed});
      std::vector<int> phase(threads, 0);
      int furthest = 0;
      bool together = true;
      engine.launch({.name = "phases", .grid = 2, .block = threads}, [&] {
        for (int i = 0; i < kLong; ++i) {
          furthest = std::max(furthest, ++phase[thread_number()]);
          together = together && phase[thread_number()] == furthest;
          block_barrier();
          together = together && *std::min_element(phase.begin(), phase.end()) == furthest;
          block_barrier();
        }
        phase[thread_number()] = 0;
        furthest = 0;
      });
      INFO(threads << " threads, seed " << seed);
      CHECK(together);
      CHECK(engine.last_launch()[Counter::barriers] == 2 * 2 * kLong);
    }
  }
}

TEST_CASE("a thread that leaves a sweep by returning is reported with those who wait before and after it",
          "[simt]") {
  Engine engine;
  const LaunchInfo info{.name = "returns", .grid = 1, .block = 64};
  const auto kernel = [] {
    barriers(kLong);
    if (thread_number() == 20) return;
    barriers(1);
  };
  const Finding found = failing_launch(engine, info, kernel);
  CHECK(found.kind == ErrorKind::exited_while_waiting);
  CHECK(found.threads == std::vector<Dim3>{{20, 0, 0}});
  CHECK(mentions(found, "(0,0,0)-(19,0,0), (21,0,0)-(63,0,0)"));
  Engine lenient({.exited_threads_count_as_arrived = true});
  lenient.launch(info, kernel);
}

TEST_CASE("another barrier than that of the sweep is a divergence with both lines", "[simt]") {
  Engine engine;
  for (const unsigned odd : {0u, 31u, 63u}) {
    const std::string usual = line_of_this_file(Site::here(), 4);
    const std::string other = line_of_this_file(Site::here(), 5);
    const Finding found = failing_launch(engine, {.name = "other", .grid = 1, .block = 64}, [odd] {
      for (int i = 0; i < kLong; ++i) {
        if (thread_number() != odd || i < kLong / 2) block_barrier();
      }
      if (thread_number() == odd) block_barrier();
      barriers(1);
    });
    INFO(found.message);
    CHECK(found.kind == ErrorKind::barrier_divergence);
    CHECK(mentions(found, usual));
    CHECK(mentions(found, other));
  }
}

TEST_CASE("lanes may meet, and predicates be counted, in the middle of a sweep", "[simt]") {
  for (const std::uint64_t seed : {0u, 1u, 2u, 3u, 4u}) {
    Engine engine({.schedule_seed = seed});
    auto out = zeros<unsigned>(engine, 2 * 96, "out");
    unsigned* data = out.data();
    engine.launch({.name = "mixed", .grid = 2, .block = 96}, [=] {
      unsigned sum = 0;
      for (unsigned round = 0; round < 3; ++round) {
        barriers(kLong);
        const unsigned mine = thread_number();
        const WarpView view = warp_exchange(kFullMask, &mine, sizeof mine, Site::here(), "__shfl_sync");
        sum += view.get<unsigned>((mine + round) % kWarpSize);
        barriers(kLong);
        sum += 1000 * static_cast<unsigned>(block_barrier_count(thread_number() < 10 + round ? 1 : 0));
      }
      data[global_number()] = sum;
    });
    for (unsigned i = 0; i < out.size(); ++i) {
      const unsigned warp = i % 96 / 32 * 32;
      REQUIRE(out[i] == 3 * warp + i % 32 + (i + 1) % 32 + (i + 2) % 32 + 1000 * (10 + 11 + 12));
    }
  }
}

TEST_CASE("an incomplete meeting in the middle of a sweep is reported with where the others wait", "[simt]") {
  Engine engine;
  const Finding found = failing_launch(engine, {.name = "half", .grid = 1, .block = 64}, [] {
    barriers(kLong);
    if (thread_number() % 2 == 0) sync_warp();
    barriers(kLong);
  });
  CHECK(found.kind == ErrorKind::warp_mask);
  CHECK(mentions(found, "waits in the block barrier"));
}

TEST_CASE("a row of threads that only some wait in runs each once", "[simt]") {
  Engine engine;
  for (const unsigned every : {1u, 2u, 7u, 40u}) {
    std::vector<int> bodies(96 * 3 * 2, 0);
    std::uint32_t active = 0;
    engine.launch({.name = "some", .grid = 2, .block = {96, 3}}, [&] {
      const unsigned thread = thread_number();
      ++bodies[this_thread().block_index.x * 288 + thread];
      CHECK(thread == this_thread().thread_index.x + 96 * this_thread().thread_index.y);
      if (thread == 0) active = active_mask();
      if (thread / 32 % 2 == 0 && thread % every == 0) sync_warp(1u << thread % 32);
      if (thread % 32 < 4 && thread / 32 == every % 9) sync_warp(0xf);
    });
    CHECK(bodies == std::vector<int>(96 * 3 * 2, 1));
    CHECK(active == kFullMask);
  }
}

TEST_CASE("the next launch is not disturbed by one that failed in a sweep", "[simt]") {
  Engine engine;
  failing_launch(engine, {.name = "fails", .grid = 1, .block = 64}, [] {
    barriers(kLong);
    if (thread_number() == 40) fail(ErrorKind::device_assert, "on purpose");
    barriers(kLong);
  });
  auto out = zeros<unsigned>(engine, 64, "out");
  unsigned* data = out.data();
  engine.launch({.name = "works", .grid = 1, .block = 64}, [=] {
    barriers(kLong);
    data[thread_number()] = thread_number();
  });
  for (unsigned i = 0; i < 64; ++i) REQUIRE(out[i] == i);
}
