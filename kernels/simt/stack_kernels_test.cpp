// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {

template <std::size_t kBytes>
[[gnu::noinline]] int use_local_array(unsigned seed) {
  volatile unsigned char local[kBytes];
  for (std::size_t i = 0; i < kBytes; i += 512) local[i] = static_cast<unsigned char>(seed + i);
  return local[kBytes / 2];
}

[[gnu::noinline]] unsigned recurse(unsigned depth) {
  volatile unsigned padding[16];
  padding[depth % 16] = depth;
  return depth == 0 ? 0 : recurse(depth - 1) + padding[depth % 16];
}

}  // namespace

TEST_CASE("a stack that is too small ends in a message that names thread and remedy", "[simt]") {
  Engine engine;
  auto out = zeros<int>(engine, 64, "out");
  int* data = out.data();
  SECTION("a local array of 256 KiB") {
    const Finding found = failing_launch(engine, {.name = "big_array", .grid = 1, .block = 64}, [=] {
      if (thread_number() == 5) data[5] = use_local_array<256 * 1024>(1);
    });
    CHECK(found.kind == ErrorKind::stack_overflow);
    CHECK(found.threads == std::vector<Dim3>{{5, 0, 0}});
    CHECK(mentions(found, "EngineOptions::stack_bytes"));
    CHECK(mentions(found, "64 KiB"));
  }
  SECTION("deep recursion, after a barrier") {
    const Finding found = failing_launch(engine, {.name = "recursion", .grid = 1, .block = 64}, [=] {
      block_barrier();
      if (thread_number() == 9) data[9] = static_cast<int>(recurse(100000));
    });
    CHECK(found.kind == ErrorKind::stack_overflow);
    CHECK(found.threads == std::vector<Dim3>{{9, 0, 0}});
  }
  // The engine and its stacks go on, and the remedy helps.
  engine.launch({.name = "small_array", .grid = 1, .block = 64}, [=] {
    block_barrier();
    data[thread_number()] = use_local_array<16 * 1024>(thread_number());
  });
  CHECK(out[3] == (3 + 8 * 1024) % 256);
  Engine large({.stack_bytes = 512 * 1024});
  large.launch({.name = "big_array", .grid = 1, .block = 64}, [=] {
    block_barrier();
    data[thread_number()] = use_local_array<256 * 1024>(thread_number());
  });
  CHECK(out[3] == 3);
}
