// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>

#include <cstddef>
#include <cstdint>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {
struct alignas(16) Float4 {
  float x, y, z, w;
};
}  // namespace

TEST_CASE("a read of memory that nobody wrote is reported", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto in = unwritten<float>(engine, 64, "in");
  auto out = zeros<float>(engine, 64, "out");
  const float* from = in.data();
  float* to = out.data();
  SECTION("global") {
    const auto copy = [=] { to[thread_number()] = from[thread_number()]; };
    const Finding found = failing_launch(engine, {.name = "copy", .grid = 1, .block = 64}, copy);
    CHECK(found.kind == ErrorKind::uninitialised);
    CHECK(mentions(found, "'in'[0]"));
    engine.mark_initialised(from, 32 * sizeof(float));
    CHECK(mentions(failing_launch(engine, {.name = "copy", .grid = 1, .block = 64}, copy), "'in'[32]"));
    engine.mark_initialised(from, 64 * sizeof(float));
    engine.launch({.name = "copy", .grid = 1, .block = 64}, copy);
  }
  SECTION("a kernel's write makes it readable") {
    float* writable = in.data();
    CHECK_FALSE(engine.is_initialised(from, 64 * sizeof(float)));
    engine.launch({.name = "fill", .grid = 1, .block = 64}, [=] { writable[thread_number()] = 2.0f; });
    CHECK(engine.is_initialised(from, 64 * sizeof(float)));
    engine.launch({.name = "copy", .grid = 1, .block = 64},
                  [=] { to[thread_number()] = from[thread_number()]; });
    CHECK(out[63] == 2.0f);
  }
  SECTION("shared, also when the block before wrote it") {
    const Finding found = failing_launch(engine, {.name = "stale", .grid = 2, .block = 1}, [=] {
      RM_TEST_SHARED(float, cell, 1);
      if (this_thread().block_index.x == 0) cell[0] = 42;
      to[this_thread().block_index.x] = cell[0];
    });
    CHECK(found.kind == ErrorKind::uninitialised);
    CHECK(found.block == Dim3(1, 0, 0));
    CHECK(mentions(found, "'cell'[0]"));
  }
  SECTION("dynamic shared") {
    const Finding found = failing_launch(
        engine, {.name = "dynamic", .grid = 1, .block = 32, .shared_bytes = 128},
        [=] { to[thread_number()] = static_cast<const float*>(dynamic_shared())[thread_number()]; });
    CHECK(found.kind == ErrorKind::uninitialised);
    CHECK(mentions(found, "dynamic shared memory"));
  }
}

TEST_CASE("memcpy, memmove and memset in a kernel are reads and writes", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto in = unwritten<float>(engine, 64, "in");
  auto out = unwritten<float>(engine, 64, "out");
  const float* from = in.data();
  float* to = out.data();
  constexpr std::size_t bytes = 40 * sizeof(float);
  const auto launch = [&](const auto& body) {
    return failing_launch(engine, {.name = "copy", .grid = 1, .block = 1}, body);
  };
  CHECK(mentions(launch([=] { std::memcpy(to, from, bytes); }), "read of 160 bytes at 'in' (byte 0"));
  CHECK(mentions(launch([=] { std::memmove(to, from, bytes); }), "at 'in' (byte 0"));
  engine.mark_initialised(from, 64 * sizeof(float));
  CHECK(mentions(launch([=] { std::memcpy(to, from + 64, 2); }), "read of 2 bytes at 'in'[128]"));
  engine.launch({.name = "copy", .grid = 1, .block = 1}, [=] { std::memcpy(to, from, bytes); });
  CHECK(engine.last_launch()[Counter::global_bytes_read] == bytes);
  CHECK(engine.last_launch()[Counter::global_bytes_written] == bytes);
  CHECK(engine.is_initialised(to, bytes));
  CHECK_FALSE(engine.is_initialised(to, bytes + 1));
  engine.launch({.name = "set", .grid = 1, .block = 1}, [=] { std::memset(to, 0, bytes + sizeof(float)); });
  CHECK(engine.is_initialised(to, bytes + sizeof(float)));
  CHECK(mentions(launch([=] { std::memset(to + 32, 0, bytes); }), "ends 32 bytes past its end"));
}

TEST_CASE("an index outside an array is reported with thread and index", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto out = zeros<float>(engine, 100, "out");
  float* data = out.data();
  for (const unsigned beyond : {0u, 31u}) {
    const std::string store = line_of_this_file(Site::here(), 3);
    const Finding found = failing_launch(engine, {.name = "shared_index", .grid = 1, .block = 64}, [=] {
      RM_TEST_SHARED(float, tile, 64);
      tile[thread_number() == 9 ? 64 + beyond : thread_number()] = 1;
    });
    CHECK(found.kind == ErrorKind::out_of_bounds);
    CHECK(found.threads == std::vector<Dim3>{{9, 0, 0}});
    CHECK(mentions(found, beyond == 0 ? "'tile'[64]" : "'tile'[95]"));
#ifdef REMEASURE_HAS_LIBBACKTRACE
    CHECK(mentions(found, store));
#endif
  }
  const Finding after = failing_launch(engine, {.name = "off_by_one", .grid = 2, .block = 64}, [=] {
    if (global_number() <= 100) data[global_number()] = 1;
  });
  CHECK(after.kind == ErrorKind::out_of_bounds);
  CHECK(after.block == Dim3(1, 0, 0));
  CHECK(after.threads == std::vector<Dim3>{{36, 0, 0}});
  CHECK(mentions(after, "'out'[100]"));
  CHECK(mentions(after, "ends 4 bytes past its end"));
  const Finding before =
      failing_launch(engine, {.name = "minus_one", .grid = 1, .block = 1}, [=] { data[-1] = data[0]; });
  CHECK(before.kind == ErrorKind::out_of_bounds);
  CHECK(mentions(before, "'out'[-1]"));
  CHECK(failing_launch(engine, {.name = "past_dynamic", .grid = 1, .block = 1, .shared_bytes = 64}, [] {
          static_cast<float*>(dynamic_shared())[16] = 1;
        }).kind == ErrorKind::out_of_bounds);
}

TEST_CASE("a wild pointer ends the launch, not the process", "[simt]") {
  Engine engine;
  const Finding found = failing_launch(engine, {.name = "wild", .grid = 1, .block = 4}, [] {
    volatile auto* nowhere = reinterpret_cast<volatile int*>(std::uintptr_t{64} + 4 * thread_number());
    *nowhere = 1;
  });
  CHECK(found.kind == ErrorKind::out_of_bounds);
  CHECK(mentions(found, "unmapped memory at address 0x40"));
}

TEST_CASE("a vector access at an address that isn't a multiple of its size is misaligned", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
#ifdef __clang__
  SKIP_TEST("clang copies a struct of 16 bytes with memcpy, whose hook knows no alignment");
#endif
  Engine engine;
  auto in = zeros<float>(engine, 64, "in");
  auto out = zeros<Float4>(engine, 16, "out");
  const float* from = in.data();
  Float4* to = out.data();
  const auto load = [=](unsigned shift) {
    to[thread_number()] = *reinterpret_cast<const Float4*>(from + shift + 4 * thread_number());
  };
  engine.launch({.name = "aligned", .grid = 1, .block = 8}, [&] { load(4); });
  const Finding found = failing_launch(engine, {.name = "shifted", .grid = 1, .block = 8}, [&] { load(1); });
  CHECK(found.kind == ErrorKind::misaligned);
  CHECK(mentions(found, "aligned to 16 bytes"));
}

TEST_CASE("accesses of different sizes to one array don't disturb each other", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto out = unwritten<std::uint8_t>(engine, 256, "bytes");
  std::uint8_t* data = out.data();
  // 64 threads write 64 neighbouring bytes: no race, though a word has four writers.
  engine.launch({.name = "bytes", .grid = 1, .block = 64}, [=] {
    data[thread_number()] = static_cast<std::uint8_t>(thread_number());
    reinterpret_cast<std::uint16_t*>(data + 64)[thread_number()] = 1;
    block_barrier();
    if (thread_number() < 16) {
      const auto word = reinterpret_cast<const std::uint32_t*>(data)[thread_number()];
      data[192 + thread_number()] = static_cast<std::uint8_t>(word >> 8);
    }
  });
  CHECK(out[192 + 5] == 21);
  CHECK(failing_launch(engine, {.name = "beyond", .grid = 1, .block = 1}, [=] {
          data[220] = data[219];
        }).kind == ErrorKind::uninitialised);
}

#ifdef __GLIBC__
TEST_CASE("an error leaves nothing on the heap, though its fibers are abandoned", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto in = unwritten<int>(engine, 64, "in");
  auto out = zeros<int>(engine, 64, "out");
  const int* from = in.data();
  int* to = out.data();
  const auto ends_in = [&](ErrorKind kind, const auto& body) {
    try {
      engine.launch({.name = "kernel", .grid = 1, .block = 64}, body);
    } catch (const EngineError& error) {
      return error.kind() == kind;
    }
    return false;
  };
  const auto all_errors = [&] {
    bool right = true;
    for (int i = 0; i < 50; ++i) {
      right &= ends_in(ErrorKind::uninitialised, [=] { to[thread_number()] = from[thread_number()]; });
      right &= ends_in(ErrorKind::out_of_bounds, [=] { to[thread_number() + 60] = 1; });
      right &= ends_in(ErrorKind::race, [=] { to[0] = static_cast<int>(thread_number()); });
      right &= ends_in(ErrorKind::misaligned, [=] {
        *reinterpret_cast<int*>(reinterpret_cast<std::byte*>(to) + 2 + thread_number()) = 1;
      });
    }
    return right;
  };
  REQUIRE(all_errors());  // and now whatever is kept from launch to launch is there
  const std::size_t before = mallinfo2().uordblks;
  CHECK(all_errors());
  CHECK(mallinfo2().uordblks < before + 50 * 16);  // not one text an error
}
#endif
