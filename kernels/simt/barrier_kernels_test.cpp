// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

TEST_CASE("threads that return early run once, and the others' wait for them is an error", "[simt]") {
  Engine engine;
  std::vector<int> bodies(8, 0);
  const std::string first_barrier = line_of_this_file(Site::here(), 4);
  const auto kernel = [&] {
    ++bodies[thread_number()];
    if (thread_number() < 3) return;
    block_barrier();
    block_barrier();
  };
  SECTION("an error by default") {
    const Finding found = failing_launch(engine, {.name = "early_return", .grid = 1, .block = 8}, kernel);
    CHECK(found.kind == ErrorKind::exited_while_waiting);
    CHECK(found.kernel == "early_return");
    CHECK(found.threads == std::vector<Dim3>{{0, 0, 0}, {1, 0, 0}, {2, 0, 0}});
    CHECK(mentions(found, "threads (0,0,0)-(2,0,0) returned while threads (3,0,0)-(7,0,0) wait"));
    CHECK(mentions(found, first_barrier));
  }
  SECTION("accepted with the launch's permission") {
    engine.launch({.name = "early_return", .grid = 1, .block = 8, .exited_threads_count_as_arrived = true},
                  kernel);
    CHECK(bodies == std::vector<int>(8, 1));
  }
  SECTION("accepted with the engine's permission") {
    Engine lenient({.exited_threads_count_as_arrived = true});
    lenient.launch({.name = "early_return", .grid = 1, .block = 8}, kernel);
    CHECK(bodies == std::vector<int>(8, 1));
  }
}

TEST_CASE("a barrier that half of the threads meet in a branch is a divergence with both lines", "[simt]") {
  Engine engine;
  const std::string in_branch = line_of_this_file(Site::here(), 3);
  const std::string behind = line_of_this_file(Site::here(), 3);
  const Finding found = failing_launch(engine, {.name = "branch", .grid = 3, .block = 64}, [] {
    if (thread_number() % 2 == 1) block_barrier();
    block_barrier();
  });
  CHECK(found.kind == ErrorKind::barrier_divergence);
  REQUIRE(found.sites.size() == 2);
  CHECK(found.sites[0].line != found.sites[1].line);
  CHECK(mentions(found, in_branch));
  CHECK(mentions(found, behind));
  CHECK(mentions(found, "block (0,0,0)"));
}

TEST_CASE("two halves at two different barriers are a divergence", "[simt]") {
  Engine engine;
  const Finding found = failing_launch(engine, {.name = "two_barriers", .grid = 1, .block = 64}, [] {
    if (thread_number() < 32) {  // NOLINT(bugprone-branch-clone): two barriers
      block_barrier();
    } else {
      block_barrier();
    }
  });
  CHECK(found.kind == ErrorKind::barrier_divergence);
  CHECK(found.threads.size() == 32);
  CHECK(mentions(found, "(0,0,0)-(31,0,0)"));
  CHECK(mentions(found, "(32,0,0)-(63,0,0)"));
}

TEST_CASE("a barrier in a loop passes with equal trip counts and fails with unequal ones", "[simt]") {
  Engine engine;
  auto out = zeros<int>(engine, 64, "out");
  int* data = out.data();
  engine.launch({.name = "equal", .grid = 1, .block = 64}, [=] {
    for (int i = 0; i < 10; ++i) {
      ++data[thread_number()];
      block_barrier();
    }
  });
  for (std::size_t i = 0; i < 64; ++i) REQUIRE(out[i] == 10);
  const Finding found = failing_launch(engine, {.name = "unequal", .grid = 1, .block = 64}, [] {
    for (unsigned i = 0; i < 3 + thread_number() / 32; ++i) block_barrier();
  });
  CHECK(found.kind == ErrorKind::exited_while_waiting);
}

TEST_CASE("a block reduction whose last stage is in warp 0 alone is right, every thread once", "[simt]") {
  Engine engine;
  auto count = zeros<int>(engine, 1, "count");
  auto sums = zeros<int>(engine, 4, "sums");
  int* const counter = count.data();
  int* const result = sums.data();
  engine.launch({.name = "reduction", .grid = 4, .block = 256}, [=] {
    RM_TEST_SHARED(int, partial, 8);
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
    int value = static_cast<int>(thread_number());
    const auto reduce = [&value](unsigned lanes) {
      for (unsigned distance = lanes / 2; distance > 0; distance /= 2) {
        const WarpView view =
            warp_exchange(kFullMask, &value, sizeof value, Site::here(), "__shfl_down_sync");
        const unsigned from = this_thread().lane() + distance;
        value += view.get<int>(from < 32 ? from : this_thread().lane());
      }
    };
    reduce(32);
    if (this_thread().lane() == 0) partial[this_thread().warp()] = value;
    block_barrier();
    if (this_thread().warp() != 0) return;
    value = this_thread().lane() < 8 ? partial[this_thread().lane()] : 0;
    reduce(8);
    if (this_thread().lane() == 0) result[this_thread().block_index.x] = value;
  });
  CHECK(count[0] == 4 * 256);
  for (std::size_t i = 0; i < 4; ++i) CHECK(sums[i] == 255 * 256 / 2);
}

TEST_CASE("barriers that count give every thread the block's number", "[simt]") {
  Engine engine;
  auto out = zeros<int>(engine, 3 * 96, "out");
  int* data = out.data();
  engine.launch({.name = "counting", .grid = 1, .block = 96}, [=] {
    const unsigned i = thread_number();
    data[i] = block_barrier_count(i % 3 == 0);
    data[96 + i] = block_barrier_and(i != 40);
    data[192 + i] = block_barrier_or(i == 40);
  });
  for (std::size_t i = 0; i < 96; ++i) {
    REQUIRE(out[i] == 32);
    REQUIRE(out[96 + i] == 0);
    REQUIRE(out[192 + i] == 1);
  }
  CHECK(engine.last_launch()[Counter::barriers] == 3);
}

TEST_CASE("an engine that found an error runs the next launch as if nothing had been", "[simt]") {
  Engine engine;
  for (int i = 0; i < 5; ++i) {
    failing_launch(engine, {.name = "broken", .grid = 2, .block = 128}, [] {
      if (thread_number() == 77) return;
      block_barrier();
    });
    auto out = zeros<int>(engine, 128, "out");
    int* data = out.data();
    engine.launch({.name = "fine", .grid = 1, .block = 128}, [=] {
      RM_TEST_SHARED(int, tile, 128);
      tile[thread_number()] = static_cast<int>(thread_number());
      block_barrier();
      data[thread_number()] = tile[127 - thread_number()];
    });
    for (std::size_t k = 0; k < 128; ++k) REQUIRE(out[k] == static_cast<int>(127 - k));
  }
}
