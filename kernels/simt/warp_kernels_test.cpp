// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

TEST_CASE("a warp rendezvous shows every lane what the lanes of its mask brought", "[simt]") {
  Engine engine;
  auto out = zeros<unsigned>(engine, 64, "out");
  unsigned* data = out.data();
  engine.launch({.name = "groups", .grid = 1, .block = 64}, [=] {
    const unsigned lane = this_thread().lane();
    const unsigned mine = thread_number() * 10;
    const std::uint32_t mask = lane % 2 == 0 ? 0x55555555u : 0xaaaaaaaau;
    const WarpView view = warp_exchange(mask, &mine, sizeof mine, Site::here(), "__shfl_sync");
    unsigned sum = 0;
    for (unsigned other = 0; other < 32; ++other) {
      if (view.has(other)) sum += view.get<unsigned>(other);
    }
    data[thread_number()] = sum;
  });
  // The even lanes of warp 0 sum to 10 * (0 + 2 + ... + 30), each lane of warp 1 adds 32.
  for (unsigned i = 0; i < 64; ++i) REQUIRE(out[i] == 10 * (240 + (i % 2) * 16 + (i / 32) * 32 * 16));
  CHECK(engine.last_launch()[Counter::warp_operations] == 4);
}

TEST_CASE("a view stays as it is while other lanes meet again", "[simt]") {
  Engine engine;
  auto out = zeros<int>(engine, 32, "out");
  int* data = out.data();
  engine.launch({.name = "stable", .grid = 1, .block = 32}, [=] {
    const int lane = static_cast<int>(this_thread().lane());
    int value = 100 + lane;
    const WarpView first = warp_exchange(kFullMask, &value, sizeof value, Site::here(), "__shfl_sync");
    if (lane >= 2) {  // thirty lanes go on while two still look
      for (int i = 0; i < 5; ++i) {
        value = -i;
        warp_exchange(0xfffffffcu, &value, sizeof value, Site::here(), "__shfl_sync");
      }
      return;
    }
    data[lane] = first.get<int>(static_cast<unsigned>(31 - lane));
  });
  CHECK(out[0] == 131);
  CHECK(out[1] == 130);
}

TEST_CASE("a mask that names a lane which returned, waits elsewhere or doesn't exist is an error", "[simt]") {
  Engine engine;
  SECTION("returned") {
    const Finding found = failing_launch(engine, {.name = "gone", .grid = 1, .block = 64}, [] {
      if (thread_number() == 35) return;
      sync_warp();
    });
    CHECK(found.kind == ErrorKind::warp_mask);
    CHECK(found.threads == std::vector<Dim3>{{35, 0, 0}});
    CHECK(mentions(found, "lane 3 has returned"));
  }
  SECTION("at the block barrier") {
    const Finding found = failing_launch(engine, {.name = "elsewhere", .grid = 1, .block = 32}, [] {
      if (thread_number() == 7) {
        block_barrier();
      } else {
        sync_warp();
      }
    });
    CHECK(found.kind == ErrorKind::warp_mask);
    CHECK(found.sites.size() == 2);
    CHECK(mentions(found, "lane 7 waits in the block barrier"));
  }
  SECTION("in another warp operation") {
    const Finding found = failing_launch(engine, {.name = "two_sites", .grid = 1, .block = 32}, [] {
      if (thread_number() < 16) {  // NOLINT(bugprone-branch-clone): two places
        sync_warp();
      } else {
        sync_warp();
      }
    });
    CHECK(found.kind == ErrorKind::warp_mask);
    CHECK(found.sites.size() == 2);
    CHECK(mentions(found, "and more"));
  }
  SECTION("with another mask") {
    const Finding found = failing_launch(engine, {.name = "two_masks", .grid = 1, .block = 32},
                                         [] { sync_warp(thread_number() == 0 ? 0x00000003u : kFullMask); });
    CHECK(found.kind == ErrorKind::warp_mask);
    CHECK(mentions(found, "with mask 0x00000003"));
  }
  SECTION("absent: the block ends in the middle of the warp") {
    const Finding found =
        failing_launch(engine, {.name = "absent", .grid = 1, .block = 40}, [] { sync_warp(kFullMask); });
    CHECK(found.kind == ErrorKind::warp_mask);
    CHECK(mentions(found, "its lanes: 0x000000ff"));
  }
  SECTION("the caller itself is not named") {
    const Finding found =
        failing_launch(engine, {.name = "unnamed", .grid = 1, .block = 32}, [] { sync_warp(0x0000ffffu); });
    CHECK(found.kind == ErrorKind::warp_mask);
    CHECK(mentions(found, "called by lane 16"));
  }
}

TEST_CASE("the active mask loses the lanes that returned", "[simt]") {
  Engine engine;
  auto out = zeros<std::uint32_t>(engine, 40, "out");
  std::uint32_t* data = out.data();
  engine.launch({.name = "active", .grid = 1, .block = 40}, [=] {
    sync_warp(this_thread().warp() == 0 ? kFullMask : 0xffu);
    if (this_thread().lane() % 2 == 1) return;
    sync_warp(this_thread().warp() == 0 ? 0x55555555u : 0x55u);
    data[thread_number()] = active_mask();
  });
  CHECK((out[0] & 0xaaaaaaabu) == 1);  // itself, and none of the odd ones
  CHECK(out[30] == 0x55555555u);
  CHECK(out[38] == 0x55u);
}
