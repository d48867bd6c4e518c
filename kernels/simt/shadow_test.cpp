// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/shadow.h"

#include <testing/catch.h>

using remeasure::simt::Shadow;

TEST_CASE("a shadow gets finer as accesses need it and keeps what it knew", "[cpu]") {
  Shadow shadow(100, false);
  CHECK(shadow.granule() == 8);
  shadow.mark_initialised(16, 8);
  CHECK(shadow.granule() == 8);
  CHECK(shadow.is_initialised(16, 8));
  CHECK_FALSE(shadow.is_initialised(16, 9));
  shadow.refine(20, 4);
  CHECK(shadow.granule() == 4);
  shadow.mark_initialised(25, 1);
  CHECK(shadow.granule() == 1);
  CHECK(shadow.is_initialised(16, 8));
  CHECK(shadow.is_initialised(25, 1));
  CHECK_FALSE(shadow.is_initialised(24, 1));
  CHECK_FALSE(shadow.is_initialised(26, 1));
}

TEST_CASE("an array whose size is no multiple of a granule can be initialised whole", "[cpu]") {
  Shadow shadow(13, true);
  CHECK(shadow.is_initialised(0, 13));
  shadow.refine(12, 1);
  CHECK(shadow.is_initialised(0, 13));
}
