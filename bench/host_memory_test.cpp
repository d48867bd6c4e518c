// SPDX-License-Identifier: Apache-2.0
#include "bench/host_memory.h"

#include <testing/catch.h>

#include <Eigen/Core>
#include <Eigen/LU>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

using remeasure::bench::HostMemoryMeter;

namespace {

/// What Eigen asks malloc for: it aligns by hand above malloc's own 16 bytes, by asking for so much more.
std::size_t eigen_block(std::size_t bytes) {
  return bytes + (EIGEN_MALLOC_ALREADY_ALIGNED ? 0 : EIGEN_DEFAULT_ALIGN_BYTES);
}

/// Keeps the compiler from leaving out an allocation that nothing uses.
void* escape(void* memory) {
  asm volatile("" : : "g"(memory) : "memory");
  return memory;
}

}  // namespace

TEST_CASE("the meter counts every kind of allocation to the byte", "[cpu]") {
  if (!HostMemoryMeter::available()) SKIP_TEST("a sanitizer replaces malloc");
  const HostMemoryMeter meter;
  REQUIRE(*meter.current() == 0);
  void* plain = escape(std::malloc(1001));
  CHECK(*meter.current() == 1001);
  void* zeroed = escape(std::calloc(7, 11));
  CHECK(*meter.current() == 1078);
  void* aligned = escape(std::aligned_alloc(64, 640));
  CHECK(*meter.current() == 1718);
  void* posix = nullptr;
  REQUIRE(posix_memalign(&posix, 128, 3) == 0);
  CHECK(*meter.current() == 1721);
  plain = escape(std::realloc(plain, 5000));
  CHECK(*meter.current() == 5720);
  auto* array = new double[10];
  escape(array);
  CHECK(*meter.current() == 5800);
  delete[] array;
  std::free(plain);
  std::free(zeroed);
  std::free(aligned);
  std::free(posix);
  CHECK(*meter.current() == 0);
  CHECK(*meter.peak() == 5800);
}

TEST_CASE("Eigen's temporaries show in the peak exactly", "[cpu]") {
  if (!HostMemoryMeter::available()) SKIP_TEST("a sanitizer replaces malloc");
  const Eigen::Index n = 37;
  const Eigen::MatrixXd a = Eigen::MatrixXd::Random(n, n);
  Eigen::MatrixXd out(n, n);
  const HostMemoryMeter meter;
  out.array() = (a.array() + 1).matrix().eval().array();  // one temporary of n x n doubles
  CHECK(*meter.peak() == eigen_block(static_cast<std::size_t>(n * n) * sizeof(double)));
  CHECK(*meter.current() == 0);
}

TEST_CASE("memory from before the meter is neither counted nor credited", "[cpu]") {
  if (!HostMemoryMeter::available()) SKIP_TEST("a sanitizer replaces malloc");
  auto before = std::make_unique<std::vector<int>>(1000);
  {
    const HostMemoryMeter meter;
    before.reset();
    CHECK(*meter.current() == 0);
    void* more = escape(std::malloc(10));
    CHECK(*meter.peak() == 10);
    std::free(more);
  }
  const HostMemoryMeter next;
  CHECK(*next.peak() == 0);
  CHECK_THROWS_AS(HostMemoryMeter(), std::logic_error);
}

TEST_CASE("the meter counts all threads, and many blocks at once", "[cpu]") {
  if (!HostMemoryMeter::available()) SKIP_TEST("a sanitizer replaces malloc");
  constexpr std::size_t kThreads = 4, kBlocks = 20'000;
  std::vector<std::vector<void*>> blocks(kThreads, std::vector<void*>(kBlocks));
  std::size_t counted = 0, left = 0;
  {
    const HostMemoryMeter meter;
    const auto everywhere = [&](auto work) {
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < kThreads; ++t) threads.emplace_back([&, t] { work(blocks[t]); });
      for (std::thread& thread : threads) thread.join();
    };
    const std::size_t idle = *meter.current();
    everywhere([](std::vector<void*>& mine) {
      for (std::size_t i = 0; i < kBlocks; ++i) mine[i] = std::malloc(i % 100 + 1);
      for (std::size_t i = 0; i < kBlocks; i += 2) std::free(mine[i]);
    });
    counted = *meter.current() - idle;
    everywhere([](std::vector<void*>& mine) {
      for (std::size_t i = 1; i < kBlocks; i += 2) std::free(mine[i]);
    });
    left = *meter.current();
  }
  std::size_t held = 0;
  for (std::size_t i = 1; i < kBlocks; i += 2) held += i % 100 + 1;
  // The C library may keep a few hundred bytes per thread that it started (stacks aren't on the heap).
  CHECK(counted >= kThreads * held);
  CHECK(counted < kThreads * held + 4096);
  CHECK(left < 4096);
}
