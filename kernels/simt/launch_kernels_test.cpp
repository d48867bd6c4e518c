// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <stdexcept>
#include <thread>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

TEST_CASE("1024 threads in three dimensions with all the shared memory there is", "[simt]") {
  Engine engine;
  constexpr std::size_t kShared = 227 * 1024;
  const Dim3 grid{2, 3, 2};
  const Dim3 block{16, 8, 8};
  auto out = zeros<unsigned>(engine, grid.count() * block.count(), "out");
  unsigned* data = out.data();
  engine.launch({.name = "large", .grid = grid, .block = block, .shared_bytes = kShared}, [=] {
    const ThreadState& t = this_thread();
    auto* shared = static_cast<unsigned*>(dynamic_shared());
    const unsigned linear = t.thread_index.x + 16 * (t.thread_index.y + 8 * t.thread_index.z);
    const unsigned block_number = t.block_index.x + 2 * (t.block_index.y + 3 * t.block_index.z);
    const unsigned last = static_cast<unsigned>(dynamic_shared_bytes() / sizeof(unsigned)) - 1;
    shared[last - linear] = linear + 1;
    block_barrier();
    data[block_number * 1024 + linear] = shared[last - (1023 - linear)];
  });
  for (std::size_t i = 0; i < out.size(); ++i) REQUIRE(out[i] == 1024 - i % 1024);
  CHECK(engine.counts("large").threads == 12 * 1024);
}

TEST_CASE("launches that a GPU refuses are refused", "[simt]") {
  Engine engine;
  const auto nothing = [] {};
  const auto refused = [&](const LaunchInfo& info) {
    const Finding found = failing_launch(engine, info, nothing);
    CHECK_FALSE(found.in_block);
    return found.kind == ErrorKind::launch_configuration;
  };
  CHECK(refused({.name = "k", .grid = 1, .block = {1025, 1, 1}}));
  CHECK(refused({.name = "k", .grid = 1, .block = {32, 33, 1}}));
  CHECK(refused({.name = "k", .grid = 1, .block = {1, 1, 65}}));
  CHECK(refused({.name = "k", .grid = 0, .block = 32}));
  CHECK(refused({.name = "k", .grid = 1, .block = {32, 0, 1}}));
  CHECK(refused({.name = "k", .grid = {1, 65536, 1}, .block = 1}));
  CHECK(refused({.name = "k", .grid = 1, .block = 1, .shared_bytes = 227 * 1024 + 1}));
  CHECK(failing_launch(engine, {.name = "k", .grid = 1, .block = 1}, [] {
          RM_TEST_SHARED(char, huge, 48 * 1024 + 1);
          static_cast<void>(huge);
        }).kind == ErrorKind::launch_configuration);
  CHECK(failing_launch(engine, {.name = "k", .grid = 1, .block = 1, .shared_bytes = 226 * 1024}, [] {
          RM_TEST_SHARED(char, more, 2 * 1024);
          static_cast<void>(more);
        }).kind == ErrorKind::launch_configuration);
}

TEST_CASE("exceptions and failed assertions of a kernel are reported with the thread", "[simt]") {
  Engine engine;
  const Finding thrown = failing_launch(engine, {.name = "throws", .grid = 1, .block = 64}, [] {
    block_barrier();
    if (thread_number() == 12) throw std::runtime_error("bad row");
  });
  CHECK(thrown.kind == ErrorKind::device_assert);
  CHECK(mentions(thrown, "bad row"));
  CHECK(mentions(thrown, "thread (12,0,0)"));
  const Finding failed = failing_launch(engine, {.name = "asserts", .grid = 1, .block = 64}, [] {
    if (thread_number() == 3) fail(ErrorKind::device_assert, "x > 0");
  });
  CHECK(mentions(failed, "x > 0"));
  CHECK(mentions(failed, "launch_kernels_test.cpp"));
}

TEST_CASE("loads, stores and bytes are counted per kernel, and distinct bytes once", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto in = zeros<float>(engine, 256, "in");
  auto out = zeros<double>(engine, 256, "out");
  const float* from = in.data();
  double* to = out.data();
  for (int i = 0; i < 2; ++i) {
    engine.launch({.name = "stencil", .grid = 2, .block = 64}, [=] {
      const unsigned g = global_number();
      to[g] = double{from[g]} + double{from[g + 1]};
    });
  }
  const LaunchCounts counts = engine.counts("stencil");
  CHECK(counts.launches == 2);
  CHECK(counts.blocks == 4);
  CHECK(counts[Counter::loads] == 2 * 256);
  CHECK(counts[Counter::stores] == 2 * 128);
  CHECK(counts[Counter::global_bytes_read] == 2 * 256 * 4);
  CHECK(counts[Counter::global_bytes_written] == 2 * 128 * 8);
  CHECK(engine.last_launch()[Counter::distinct_global_bytes_read] == 129 * 4);
  CHECK(engine.last_launch()[Counter::distinct_global_bytes_written] == 128 * 8);
  CHECK(engine.counts("unknown").launches == 0);
}

TEST_CASE("an engine may be used from one host thread after another", "[simt]") {
  Engine engine;
  auto out = zeros<int>(engine, 256, "out");
  int* data = out.data();
  const auto launch = [&] {
    engine.launch({.name = "handover", .grid = 4, .block = 64}, [=] {
      block_barrier();
      data[global_number()] += 1;
      block_barrier();
    });
  };
  launch();
  std::thread(launch).join();
  std::thread(launch).join();
  launch();
  for (std::size_t i = 0; i < 256; ++i) REQUIRE(out[i] == 4);
}

TEST_CASE("64 blocks of 256 threads with 4 barriers take under ten seconds with all checks", "[simt]") {
  Engine engine;
  auto out = zeros<float>(engine, 64 * 256, "out");
  float* data = out.data();
  const auto begin = std::chrono::steady_clock::now();
  engine.launch({.name = "throughput", .grid = 64, .block = 256}, [=] {
    RM_TEST_SHARED(float, tile, 256);
    const unsigned i = thread_number();
    float sum = 0;
    for (unsigned step = 0; step < 2; ++step) {
      tile[i] = static_cast<float>(step);
      block_barrier();
      for (unsigned k = 0; k < 16; ++k) sum += tile[(i + k) % 256];
      block_barrier();
    }
    data[global_number()] = sum;
  });
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
  CHECK(out[777] == 16.0f);
}
