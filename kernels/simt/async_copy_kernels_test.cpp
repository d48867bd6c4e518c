// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {

/// Copies 4 x 32 floats through shared memory in groups; waits until `pending` groups are left before each
/// use.
void pipeline(const float* in, float* out, unsigned pending, bool wait) {
  RM_TEST_SHARED(float, tile, 4 * 32);
  const unsigned lane = thread_number();
  for (unsigned group = 0; group < 4; ++group) {
    async_copy(tile + group * 32 + lane, in + group * 32 + lane, sizeof(float));
    async_commit();
  }
  if (wait) async_wait(pending);
  block_barrier();
  out[lane] = tile[32 + (lane + 1) % 32];  // of group 1, which a neighbour copied
  if (wait) async_wait_all();
}

}  // namespace

TEST_CASE("copies that are waited for arrive, early and late", "[simt]") {
  for (const CopyTiming timing : {CopyTiming::late, CopyTiming::early}) {
    Engine engine({.cp_async = timing});
    auto in = zeros<float>(engine, 128, "in");
    auto out = zeros<float>(engine, 32, "out");
    for (std::size_t i = 0; i < 128; ++i) in[i] = static_cast<float>(i);
    engine.launch({.name = "pipeline", .grid = 1, .block = 32},
                  [from = in.data(), to = out.data()] { pipeline(from, to, 2, true); });
    for (std::size_t i = 0; i < 32; ++i) REQUIRE(out[i] == static_cast<float>(32 + (i + 1) % 32));
    CHECK(engine.last_launch()[Counter::async_copy_bytes] == 128 * sizeof(float));
  }
}

TEST_CASE("copies used before their wait are reported", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  for (const CopyTiming timing : {CopyTiming::late, CopyTiming::early}) {
    Engine engine({.cp_async = timing});
    auto in = zeros<float>(engine, 128, "in");
    auto out = zeros<float>(engine, 32, "out");
    const float* from = in.data();
    float* to = out.data();
    const Finding never = failing_launch(engine, {.name = "no_wait", .grid = 1, .block = 32},
                                         [=] { pipeline(from, to, 0, false); });
    CHECK(never.kind == ErrorKind::cp_async);
    CHECK(mentions(never, "'tile'[32]"));
    const Finding too_few = failing_launch(engine, {.name = "wait_3", .grid = 1, .block = 32},
                                           [=] { pipeline(from, to, 3, true); });
    CHECK(too_few.kind == ErrorKind::cp_async);
  }
}

TEST_CASE("a thread that returns with copies under way is reported with the copy's line", "[simt]") {
  if (!Engine::checked()) SKIP_TEST("the fast build drops such copies");
  Engine engine;
  auto in = zeros<float>(engine, 32, "in");
  const float* from = in.data();
  const Finding found = failing_launch(engine, {.name = "forgotten", .grid = 1, .block = 32}, [=] {
    RM_TEST_SHARED(float, tile, 32);
    async_copy(tile + thread_number(), from + thread_number(), sizeof(float));
    async_commit();
  });
  CHECK(found.kind == ErrorKind::cp_async);
  CHECK(mentions(found, "returned with 1 cp.async"));
  CHECK(mentions(found, "async_copy_kernels_test.cpp"));
}

TEST_CASE("bytes beyond the source size are zeros, and bad copies are refused", "[simt]") {
  Engine engine;
  auto in = zeros<float>(engine, 8, "in");
  auto out = zeros<float>(engine, 4, "out");
  for (std::size_t i = 0; i < 8; ++i) in[i] = 7;
  const float* from = in.data();
  float* to = out.data();
  engine.launch({.name = "short", .grid = 1, .block = 1}, [=] {
    RM_TEST_SHARED(float, tile, 4);
    async_copy(tile, from, 16, 8);
    async_wait_all();
    for (unsigned i = 0; i < 4; ++i) to[i] = tile[i];
  });
  CHECK((out[0] == 7 && out[1] == 7 && out[2] == 0 && out[3] == 0));
  CHECK(failing_launch(engine, {.name = "misaligned", .grid = 1, .block = 1}, [=] {
          RM_TEST_SHARED(float, tile, 8);
          async_copy(tile, from + 1, 16);
        }).kind == ErrorKind::misaligned);
  CHECK(failing_launch(engine, {.name = "size", .grid = 1, .block = 1}, [=] {
          RM_TEST_SHARED(float, tile, 8);
          async_copy(tile, from, 12);
        }).kind == ErrorKind::cp_async);
  CHECK(failing_launch(engine, {.name = "not_shared", .grid = 1, .block = 1}, [=] {
          async_copy(to, from, 16);
        }).kind == ErrorKind::cp_async);
}
