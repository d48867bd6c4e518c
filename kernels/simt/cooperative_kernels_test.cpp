// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/cooperative.h"

#include <vector>

#include "kernels/simt/schedules.h"
#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {

const std::vector<std::uint64_t> kSeeds{0, 1, 2, 3, 4, 17};

unsigned block_number() {
  return this_thread().block_index.x;
}

/// The error that the cooperative launch must end with.
template <class Body>
Finding failing_cooperative(Engine& engine, const LaunchInfo& info, const Body& body) {
  try {
    launch_cooperative(engine, info, body);
  } catch (const EngineError& error) {
    Finding finding = error.finding();
    finding.message = error.what();
    return finding;
  }
  FAIL("the launch of '" << info.name << "' did not fail");
  return {};
}

/// Each block adds what the block before it wrote, `rounds` times; through one place for each block, so that
/// a round needs a barrier after the reads and one after the writes. Reads are atomic: what goes wrong
/// without a barrier is no race.
std::vector<std::byte> ring(Engine& engine, int rounds, bool second_barrier) {
  constexpr unsigned kBlocks = 4;
  auto places = zeros<unsigned>(engine, kBlocks, "places");
  for (unsigned i = 0; i < kBlocks; ++i) places[i] = i + 1;
  unsigned* data = places.data();
  launch_cooperative(engine, {.name = "ring", .grid = kBlocks, .block = 40}, [=] {
    for (int round = 0; round < rounds; ++round) {
      unsigned before = 0;
      unsigned own = 0;
      __atomic_load(data + (block_number() + kBlocks - 1) % kBlocks, &before, __ATOMIC_RELAXED);
      __atomic_load(data + block_number(), &own, __ATOMIC_RELAXED);
      grid_barrier();
      unsigned sum = before + 3 * own;
      if (thread_number() == 7) __atomic_store(data + block_number(), &sum, __ATOMIC_RELAXED);
      if (second_barrier) grid_barrier();
    }
  });
  return places.bytes();
}

}  // namespace

TEST_CASE("all blocks of a cooperative launch exist at once, every thread runs once", "[simt]") {
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    auto count = zeros<int>(engine, 1, "count");
    auto seen = zeros<int>(engine, 6 * 70, "seen");
    int* counter = count.data();
    int* data = seen.data();
    launch_cooperative(engine, {.name = "all", .grid = {3, 2, 1}, .block = 70}, [=] {
      __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
      grid_barrier();
      const unsigned block = this_thread().block_index.x + 3 * this_thread().block_index.y;
      __atomic_load(counter, data + block * 70 + thread_number(), __ATOMIC_RELAXED);
    });
    for (std::size_t i = 0; i < 6 * 70; ++i) REQUIRE(seen[i] == 6 * 70);
    CHECK(engine.last_launch().blocks == 6);
    CHECK(engine.last_launch()[Counter::barriers] == 6);
  }
}

TEST_CASE("shared memory belongs to a block also while others have their turn", "[simt]") {
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    auto out = zeros<unsigned>(engine, 4 * 64, "out");
    unsigned* data = out.data();
    launch_cooperative(
        engine, {.name = "own_shared", .grid = 4, .block = 64, .shared_bytes = 64 * sizeof(unsigned)}, [=] {
          RM_TEST_SHARED(unsigned, tile, 64);
          auto* dynamic = static_cast<unsigned*>(dynamic_shared());
          tile[thread_number()] = 100 * block_number() + thread_number();
          block_barrier();
          dynamic[thread_number()] = tile[63 - thread_number()];
          block_barrier();
          for (int i = 0; i < 3; ++i) grid_barrier();
          data[64 * block_number() + thread_number()] =
              tile[thread_number()] + 1000 * dynamic[63 - thread_number()];
        });
    for (unsigned i = 0; i < 4 * 64; ++i) REQUIRE(out[i] == 1001 * (100 * (i / 64) + i % 64));
  }
}

TEST_CASE("a missing grid barrier changes the results under some seed, a complete set under none", "[simt]") {
  Engine engine;
  std::vector<std::uint64_t> seeds;
  for (std::uint64_t seed = 0; seed < 12; ++seed) seeds.push_back(seed);
  expect_schedule_independent(engine, seeds, [&] { return ring(engine, 5, true); });
  try {
    expect_schedule_independent(engine, seeds, [&] { return ring(engine, 5, false); });
    FAIL("no schedule showed it");
  } catch (const EngineError& error) {
    CHECK(error.kind() == ErrorKind::order_dependent);
  }
}

TEST_CASE("accesses of different blocks race without a grid barrier between them, under every schedule",
          "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    auto values = zeros<int>(engine, 64, "values");
    auto out = zeros<int>(engine, 64, "out");
    int* data = values.data();
    int* to = out.data();
    const auto reader = [=](bool barrier) {
      data[global_number()] = 1;
      block_barrier();
      if (barrier) grid_barrier();
      to[global_number()] = data[63 - global_number()];
    };
    launch_cooperative(engine, {.name = "reader", .grid = 2, .block = 32}, [&] { reader(true); });
    Finding found =
        failing_cooperative(engine, {.name = "reader", .grid = 2, .block = 32}, [&] { reader(false); });
    CHECK(found.kind == ErrorKind::race);
    CHECK(mentions(found, "'values'"));
    CHECK(mentions(found, "no grid barrier is between them"));

    const auto writer = [=](bool barrier) {
      to[global_number()] = data[63 - global_number()];
      if (barrier) grid_barrier();
      data[global_number()] = 2;
    };
    launch_cooperative(engine, {.name = "writer", .grid = 2, .block = 32}, [&] { writer(true); });
    found = failing_cooperative(engine, {.name = "writer", .grid = 2, .block = 32}, [&] { writer(false); });
    CHECK(found.kind == ErrorKind::race);
  }
}

TEST_CASE("a writer races with a reader of another block though its own block has read since", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    auto flag = zeros<int>(engine, 1, "flag");
    auto out = zeros<int>(engine, 64, "out");
    int* shared_flag = flag.data();
    int* data = out.data();
    const auto kernel = [=](bool barrier) {
      grid_barrier();
      data[global_number()] = shared_flag[0];
      block_barrier();
      if (barrier) grid_barrier();
      if (global_number() == 3) shared_flag[0] = 1;
    };
    launch_cooperative(engine, {.name = "readers", .grid = 2, .block = 32}, [&] { kernel(true); });
    const Finding found =
        failing_cooperative(engine, {.name = "readers", .grid = 2, .block = 32}, [&] { kernel(false); });
    CHECK(found.kind == ErrorKind::race);
  }
}

TEST_CASE("inside a block a race stays a race, whatever the other blocks do meanwhile", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    auto out = zeros<float>(engine, 3 * 64, "out");
    float* data = out.data();
    const auto kernel = [=](bool barrier) {
      RM_TEST_SHARED(float, tile, 64);
      tile[thread_number()] = 1.0f;
      grid_barrier();
      for (int i = 0; i < 3; ++i) {
        const float neighbour = tile[(thread_number() + 1) % 64];
        block_barrier();
        tile[thread_number()] = neighbour;
        if (barrier) block_barrier();
      }
      data[global_number()] = tile[thread_number()];
    };
    launch_cooperative(engine, {.name = "inside", .grid = 3, .block = 64}, [&] { kernel(true); });
    CHECK(failing_cooperative(engine, {.name = "inside", .grid = 3, .block = 64}, [&] {
            kernel(false);
          }).kind == ErrorKind::race);
  }
}

TEST_CASE("a block that returns while others wait at a grid barrier is an error with both named", "[simt]") {
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    const std::string barrier = line_of_this_file(Site::here(), 3);
    const Finding found = failing_cooperative(engine, {.name = "early_block", .grid = 4, .block = 32}, [] {
      if (block_number() == 2) return;
      grid_barrier();
    });
    CHECK(found.kind == ErrorKind::exited_while_waiting);
    CHECK(found.block == Dim3{2, 0, 0});
    CHECK(mentions(found, "blocks (2,0,0) returned while blocks (0,0,0)-(1,0,0), (3,0,0) wait"));
    CHECK(mentions(found, barrier));
  }
}

TEST_CASE("blocks at different grid barriers, or with unequal trip counts, are errors", "[simt]") {
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    const Finding divergence =
        failing_cooperative(engine, {.name = "two_barriers", .grid = 3, .block = 32}, [] {
          if (block_number() == 0) {  // NOLINT(bugprone-branch-clone): two barriers
            grid_barrier();
          } else {
            grid_barrier();
          }
        });
    CHECK(divergence.kind == ErrorKind::barrier_divergence);
    REQUIRE(divergence.sites.size() == 2);
    CHECK(divergence.sites[0].line != divergence.sites[1].line);
    const Finding unequal = failing_cooperative(engine, {.name = "unequal", .grid = 3, .block = 32}, [] {
      for (unsigned i = 0; i < 3 + block_number(); ++i) grid_barrier();
    });
    CHECK(unequal.kind == ErrorKind::exited_while_waiting);
  }
}

TEST_CASE("threads of a block that part at a grid barrier are errors of that block", "[simt]") {
  for (const std::uint64_t seed : kSeeds) {
    Engine engine({.schedule_seed = seed});
    const Finding returned = failing_cooperative(engine, {.name = "some_return", .grid = 2, .block = 64}, [] {
      if (block_number() == 1 && thread_number() < 5) return;
      grid_barrier();
    });
    CHECK(returned.kind == ErrorKind::exited_while_waiting);
    CHECK(returned.block == Dim3{1, 0, 0});
    const Finding mixed = failing_cooperative(engine, {.name = "mixed", .grid = 2, .block = 64}, [] {
      if (block_number() == 1 && thread_number() % 2 == 0) {
        block_barrier();
      } else {
        grid_barrier();
      }
    });
    CHECK(mixed.kind == ErrorKind::barrier_divergence);
    const Finding lanes = failing_cooperative(engine, {.name = "lanes", .grid = 2, .block = 64}, [] {
      if (thread_number() == 9) sync_warp();
      grid_barrier();
    });
    CHECK(lanes.kind == ErrorKind::warp_mask);
  }
}

TEST_CASE("a grid barrier outside a cooperative launch is refused, and a spinning block is a deadlock",
          "[simt]") {
  Engine engine({.spin_limit_seconds = 0.1});
  const Finding found =
      failing_launch(engine, {.name = "plain", .grid = 2, .block = 32}, [] { grid_barrier(); });
  CHECK(found.kind == ErrorKind::launch_configuration);
  CHECK(mentions(found, "cooperative"));
  auto flag = zeros<int>(engine, 1, "flag");
  int* data = flag.data();
  const Finding spins = failing_cooperative(engine, {.name = "spins", .grid = 2, .block = 32}, [=] {
    grid_barrier();
    int seen = 0;
    while (block_number() == 0 && seen == 0) __atomic_load(data, &seen, __ATOMIC_ACQUIRE);
  });
  CHECK(spins.kind == ErrorKind::deadlock);
  CHECK(spins.block == Dim3{0, 0, 0});
}

TEST_CASE("after a failed cooperative launch the engine runs cooperative and plain launches as before",
          "[simt]") {
  Engine engine;
  for (int i = 0; i < 3; ++i) {
    failing_cooperative(engine, {.name = "broken", .grid = 4, .block = 128}, [] {
      if (block_number() == 1 && thread_number() == 77) return;
      block_barrier();
      grid_barrier();
    });
    const auto first = ring(engine, 4, true);
    CHECK(first == ring(engine, 4, true));
    auto out = zeros<int>(engine, 128, "out");
    int* data = out.data();
    engine.launch({.name = "fine", .grid = 2, .block = 64}, [=] {
      RM_TEST_SHARED(int, tile, 64);
      tile[thread_number()] = static_cast<int>(thread_number());
      block_barrier();
      data[global_number()] = tile[63 - thread_number()];
    });
    for (std::size_t k = 0; k < 128; ++k) REQUIRE(out[k] == static_cast<int>(63 - k % 64));
  }
}
