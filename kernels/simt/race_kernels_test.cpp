// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {
// A race is a property of the kernel, not of the order of this run: each of these must be found under every
// seed.
const std::vector<std::uint64_t> kSeeds{0, 1, 2, 3, 4, 17};
}  // namespace

TEST_CASE("a read of a neighbour's write without a barrier is a race under every schedule", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    auto out = zeros<float>(engine, 64, "out");
    float* data = out.data();
    const auto kernel = [data](bool with_barrier) {
      RM_TEST_SHARED(float, tile, 64);
      tile[thread_number()] = 1.0f;
      if (with_barrier) block_barrier();
      data[thread_number()] = tile[(thread_number() + 1) % 64];
    };
    // Threads that run first read what is not yet written: also right, and the earlier of the two errors.
    const Finding found =
        failing_launch(engine, {.name = "neighbour", .grid = 1, .block = 64}, [&] { kernel(false); });
    CHECK((found.kind == ErrorKind::race || found.kind == ErrorKind::uninitialised));
    engine.launch({.name = "neighbour", .grid = 1, .block = 64}, [&] { kernel(true); });
  }
}

TEST_CASE("a race names buffer, element, both threads and both lines", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto out = zeros<int>(engine, 64, "totals");
  int* data = out.data();
  const std::string later_write = line_of_this_file(Site::here(), 3);
  const Finding found = failing_launch(engine, {.name = "same_place", .grid = 1, .block = 64}, [=] {
    if (thread_number() == 3) data[5] = 1;
    if (thread_number() == 40) data[5] = 1;  // the same value: still a race
  });
  CHECK(found.kind == ErrorKind::race);
  CHECK(mentions(found, "'totals'[5]"));
  CHECK(mentions(found, "thread (40,0,0)"));
  CHECK(mentions(found, "a write by thread (3,0,0)"));
  REQUIRE(found.sites.size() == 2);
#ifdef REMEASURE_HAS_LIBBACKTRACE
  CHECK(found.sites[0].line == found.sites[1].line + 1);
  CHECK(mentions(found, later_write));
#endif
}

TEST_CASE("a buffer that is overwritten before its readers are done is a race", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    auto out = zeros<float>(engine, 64, "out");
    float* data = out.data();
    const auto kernel = [data](bool second_barrier) {
      RM_TEST_SHARED(float, tile, 64);
      float sum = 0;
      for (int step = 0; step < 4; ++step) {
        tile[thread_number()] = static_cast<float>(step);
        block_barrier();
        sum += tile[63 - thread_number()];
        if (second_barrier) block_barrier();
      }
      data[thread_number()] = sum;
    };
    const Finding found =
        failing_launch(engine, {.name = "reuse", .grid = 1, .block = 64}, [&] { kernel(false); });
    CHECK(found.kind == ErrorKind::race);
    engine.launch({.name = "reuse", .grid = 1, .block = 64}, [&] { kernel(true); });
  }
}

TEST_CASE("a writer races with any of many readers, not just the last", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto flag = zeros<int>(engine, 1, "flag");
  auto out = zeros<int>(engine, 96, "out");
  int* data = out.data();
  int* shared_flag = flag.data();
  SECTION("readers in several warps, the writer the last of them") {
    const Finding found = failing_launch(engine, {.name = "readers", .grid = 1, .block = 96}, [=] {
      data[thread_number()] = shared_flag[0];
      if (thread_number() == 95) shared_flag[0] = 1;
    });
    CHECK(found.kind == ErrorKind::race);
    CHECK(mentions(found, "a read by thread"));
  }
  SECTION("one other reader in the writer's own warp") {
    const Finding found = failing_launch(engine, {.name = "readers", .grid = 1, .block = 32}, [=] {
      if (thread_number() < 2) data[thread_number()] = shared_flag[0];
      if (thread_number() == 1) shared_flag[0] = 1;
    });
    CHECK(found.kind == ErrorKind::race);
    CHECK(mentions(found, "a read by thread (0,0,0)"));
  }
  SECTION("the only reader is the writer: no race") {
    engine.launch({.name = "own", .grid = 1, .block = 96}, [=] {
      if (thread_number() == 1) shared_flag[0] = shared_flag[0] + 1;
    });
    CHECK(flag[0] == 1);
  }
}

TEST_CASE("__syncwarp orders the lanes of its mask, and no others", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto out = zeros<int>(engine, 64, "out");
  int* data = out.data();
  const auto kernel = [data](std::uint32_t mask, unsigned distance) {
    RM_TEST_SHARED(int, tile, 64);
    tile[thread_number()] = 1;
    sync_warp(mask);
    data[thread_number()] = tile[(thread_number() + distance) % 64];
  };
  engine.launch({.name = "warp_order", .grid = 1, .block = 32}, [&] {
    RM_TEST_SHARED(int, tile, 32);
    tile[thread_number()] = 1;
    sync_warp();
    data[thread_number()] = tile[(thread_number() + 7) % 32];
    sync_warp();
    tile[thread_number()] = 2;  // after all reads
  });
  // Across the warp's border, and across the border of a half-warp mask.
  CHECK(failing_launch(engine, {.name = "warp_order", .grid = 1, .block = 64}, [&] {
          kernel(kFullMask, 1);
        }).kind == ErrorKind::uninitialised);
  const Finding halves = failing_launch(engine, {.name = "warp_order", .grid = 1, .block = 32}, [&] {
    const bool low = this_thread().lane() < 16;
    RM_TEST_SHARED(int, tile, 32);
    tile[thread_number()] = 1;
    sync_warp(low ? 0x0000ffffu : 0xffff0000u);
    data[thread_number()] = tile[(thread_number() + 16) % 32];
  });
  CHECK((halves.kind == ErrorKind::race || halves.kind == ErrorKind::uninitialised));
}

TEST_CASE("order passes from lane to lane through meetings of different masks", "[simt]") {
  Engine engine;
  auto out = zeros<int>(engine, 1, "out");
  int* data = out.data();
  // Lane 0 writes; 0 meets 1; 1 meets 2; lane 2 reads.
  engine.launch({.name = "chain", .grid = 1, .block = 32}, [=] {
    RM_TEST_SHARED(int, cell, 1);
    const unsigned lane = this_thread().lane();
    if (lane == 0) cell[0] = 9;
    if (lane <= 1) sync_warp(0b011);
    if (lane == 1 || lane == 2) sync_warp(0b110);
    if (lane == 2) data[0] = cell[0];
  });
  CHECK(out[0] == 9);
}

TEST_CASE("blocks that write one place race, unless they do it atomically", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    auto out = zeros<int>(engine, 1, "sum");
    int* data = out.data();
    const Finding found =
        failing_launch(engine, {.name = "blocks", .grid = 2, .block = 1}, [=] { data[0] = 1; });
    CHECK(found.kind == ErrorKind::race);
    CHECK(mentions(found, "of block"));
    auto total = zeros<int>(engine, 1, "total");
    int* sum = total.data();
    engine.launch({.name = "atomic_blocks", .grid = 8, .block = 64},
                  [=] { __atomic_fetch_add(sum, 1, __ATOMIC_RELAXED); });
    CHECK(total[0] == 512);
  }
}

TEST_CASE("a plain read beside atomic updates is a race", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto out = zeros<int>(engine, 64, "out");
  auto total = zeros<int>(engine, 1, "total");
  int* data = out.data();
  int* sum = total.data();
  const Finding found = failing_launch(engine, {.name = "mixed", .grid = 1, .block = 64}, [=] {
    __atomic_fetch_add(sum, 1, __ATOMIC_RELAXED);
    data[thread_number()] = sum[0];
  });
  CHECK(found.kind == ErrorKind::race);
  CHECK(mentions(found, "'total'[0]"));
}

TEST_CASE("the last block may read what others released with a fence and an atomic", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto partial = unwritten<int>(engine, 4, "partial");
  auto ticket = zeros<int>(engine, 2, "ticket");
  auto result = zeros<int>(engine, 1, "result");
  int* parts = partial.data();
  int* tickets = ticket.data();
  int* out = result.data();
  const auto kernel = [=](bool fenced) {
    RM_TEST_SHARED(bool, last, 1);
    if (thread_number() == 0) {
      parts[this_thread().block_index.x] = 5;
      if (fenced) thread_fence();
      last[0] = __atomic_fetch_add(tickets, 1, __ATOMIC_RELAXED) == 3;
    }
    block_barrier();
    if (!last[0] || thread_number() != 0) return;
    int sum = 0;
    for (int i = 0; i < 4; ++i) sum += parts[i];
    out[0] = sum;
  };
  engine.launch({.name = "last_block", .grid = 4, .block = 32}, [&] { kernel(true); });
  CHECK(result[0] == 20);
  ticket[0] = 0;
  const Finding found =
      failing_launch(engine, {.name = "last_block", .grid = 4, .block = 32}, [&] { kernel(false); });
  CHECK(found.kind == ErrorKind::race);
}

TEST_CASE("launches are ordered: the next may read and overwrite what the last wrote", "[simt]") {
  Engine engine;
  auto out = zeros<int>(engine, 64, "out");
  int* data = out.data();
  for (int i = 0; i < 3; ++i) {
    engine.launch({.name = "reverse", .grid = 2, .block = 32}, [=] { data[63 - global_number()] += 1; });
    engine.launch({.name = "forward", .grid = 2, .block = 32}, [=] { data[global_number()] += 1; });
  }
  for (std::size_t i = 0; i < 64; ++i) REQUIRE(out[i] == 6);
}
