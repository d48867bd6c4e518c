// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/schedule.h"

#include <testing/catch.h>

#include <vector>

using remeasure::simt::Schedule;

TEST_CASE("every seed runs every block and every thread once", "[cpu]") {
  for (const std::uint64_t seed : {0u, 1u, 2u, 3u, 4u, 5u, 99u, 12345u}) {
    for (const std::uint64_t blocks : {1u, 2u, 6u, 97u, 1024u}) {
      for (const unsigned threads : {1u, 31u, 32u, 33u, 1000u, 1024u}) {
        Schedule schedule(seed);
        schedule.begin_launch(blocks, threads);
        std::vector<int> block_runs(blocks, 0);
        for (std::uint64_t i = 0; i < blocks; ++i) ++block_runs.at(schedule.block_at(i));
        REQUIRE(block_runs == std::vector<int>(blocks, 1));
        const std::uint16_t* order = schedule.thread_order(0);
        REQUIRE((order == nullptr) == (seed == 0));
        if (order == nullptr) continue;
        std::vector<int> thread_runs(threads, 0);
        for (unsigned i = 0; i < threads; ++i) ++thread_runs.at(order[i]);
        REQUIRE(thread_runs == std::vector<int>(threads, 1));
      }
    }
  }
}

TEST_CASE("a block's order depends on seed and block alone", "[cpu]") {
  Schedule one(4);
  Schedule other(4);
  one.begin_launch(10, 128);
  other.begin_launch(10, 128);
  other.thread_order(3);
  const auto copy = [](const std::uint16_t* order) { return std::vector<std::uint16_t>(order, order + 128); };
  const auto seven = copy(one.thread_order(7));
  CHECK(seven == copy(other.thread_order(7)));
  CHECK(seven != copy(one.thread_order(6)));
}
