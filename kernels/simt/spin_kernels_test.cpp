// SPDX-License-Identifier: Apache-2.0
//
// Kernels that wait for memory in a loop: the one way to stand still that the engine can't see at a barrier.
#include <ctime>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void wait_for(const int* flag) {
  int seen = 0;
  while (seen == 0) __atomic_load(flag, &seen, __ATOMIC_ACQUIRE);
}

}  // namespace

TEST_CASE("a thread that spins on what a later thread of its block writes is a deadlock, not a hang",
          "[simt]") {
  Engine engine({.spin_limit_seconds = 0.1});
  auto flag = zeros<int>(engine, 1, "flag");
  int* data = flag.data();
  const double begin = cpu_seconds();
  const Finding found = failing_launch(engine, {.name = "spins", .grid = 2, .block = 64}, [=] {
    block_barrier();
    if (thread_number() == 3) wait_for(data);
    int one = 1;
    if (thread_number() == 40) __atomic_store(data, &one, __ATOMIC_RELEASE);
  });
  CHECK(found.kind == ErrorKind::deadlock);
  CHECK(found.threads == std::vector<Dim3>{{3, 0, 0}});
  CHECK(mentions(found, "block (0,0,0), thread (3,0,0)"));
  CHECK(mentions(found, "spin_limit_seconds"));
  CHECK(cpu_seconds() - begin >= 0.1);
}

TEST_CASE("a block that spins on what a later block writes is a deadlock, and the engine works on",
          "[simt]") {
  Engine engine({.workers = 1, .spin_limit_seconds = 0.1});
  auto flag = zeros<int>(engine, 1, "flag");
  int* data = flag.data();
  for (int round = 0; round < 2; ++round) {
    const Finding found = failing_launch(engine, {.name = "chain", .grid = 2, .block = 1}, [=] {
      int one = 1;
      if (this_thread().block_index.x == 0) wait_for(data);
      if (this_thread().block_index.x == 1) __atomic_store(data, &one, __ATOMIC_RELEASE);
    });
    CHECK(found.kind == ErrorKind::deadlock);
    CHECK(found.block == Dim3{0, 0, 0});
    auto out = zeros<int>(engine, 64, "out");
    int* written = out.data();
    engine.launch({.name = "after", .grid = 1, .block = 64}, [=] {
      block_barrier();
      written[thread_number()] = 1;
    });
    for (int i = 0; i < 64; ++i) REQUIRE(out[static_cast<std::size_t>(i)] == 1);
  }
}

TEST_CASE("a launch longer than the limit is left alone while its threads come on", "[simt]") {
  Engine engine({.workers = 1, .spin_limit_seconds = 0.1});
  const auto work = [] {
    const double begin = cpu_seconds();
    while (cpu_seconds() - begin < 0.012) {
    }
  };
  engine.launch({.name = "barriers", .grid = 1, .block = 4}, [&] {
    for (int i = 0; i < 6; ++i) {
      work();
      block_barrier();
    }
  });
  engine.launch({.name = "lanes", .grid = 1, .block = 4}, [&] {
    for (int i = 0; i < 6; ++i) {
      work();
      sync_warp(1u << thread_number());
    }
  });
  engine.launch({.name = "blocks", .grid = 24, .block = 1}, work);
}
