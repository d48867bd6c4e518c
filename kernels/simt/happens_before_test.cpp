// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/happens_before.h"

#include <testing/catch.h>

using remeasure::simt::HappensBefore;

TEST_CASE("a block barrier orders all threads, a meeting the lanes of its mask", "[cpu]") {
  HappensBefore order;
  order.begin_launch();
  order.begin_block(0);
  const auto before = order.now();
  CHECK(order.ordered(5, before, 5));
  CHECK_FALSE(order.ordered(5, before, 6));
  order.warp_met(0, 0b0110'0000);
  CHECK(order.ordered(5, before, 6));
  CHECK_FALSE(order.ordered(5, before, 7));
  CHECK_FALSE(order.ordered(5, before, 37));
  CHECK_FALSE(order.ordered(5, order.now(), 6));
  order.warp_met(0, 0b1100'0000);  // 6 tells 7 what it knows of 5
  CHECK(order.ordered(5, before, 7));
  order.barrier_opened();
  CHECK(order.ordered(5, before, 37));
  CHECK_FALSE(order.ordered(5, order.now(), 37));
  order.begin_block(1);
  CHECK_FALSE(order.ordered(5, order.now(), 6));
}

TEST_CASE("a block sees another's accesses only through fence and atomic on one address", "[cpu]") {
  HappensBefore order;
  order.begin_launch();
  order.begin_block(0);
  const auto early = order.now();
  order.atomic_at(0x100, 0);  // no fence before it: releases nothing
  order.fence(0);
  order.atomic_at(0x200, 0);
  const auto late = order.now();
  order.begin_block(1);
  order.atomic_at(0x100, 3);
  CHECK_FALSE(order.other_block_ordered(0, early));
  order.atomic_at(0x200, 3);
  CHECK(order.other_block_ordered(0, early));
  CHECK_FALSE(order.other_block_ordered(0, late));
  order.begin_launch();
  order.begin_block(2);
  CHECK_FALSE(order.other_block_ordered(0, early));
}
