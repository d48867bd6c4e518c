// SPDX-License-Identifier: Apache-2.0
#include "bench/occupancy.h"

#include <testing/catch.h>

#include "kernels/device/target.h"

using remeasure::bench::BlockUse;
using remeasure::bench::occupancy;

namespace {

constexpr std::size_t kKiB = 1024;

}  // namespace

// By hand from the CUDA C++ Programming Guide (compute capabilities 8.0 and 9.0): 65,536 registers, 64 warps
// and 32 blocks a multiprocessor; registers in units of 256 a warp; 164 and 228 KiB of shared memory, of
// which each block takes 1 KiB more.
TEST_CASE("occupancy follows the limits of a multiprocessor", "[cpu]") {
  if (!remeasure::kBuiltWithCuda) {
    CHECK_FALSE(occupancy("sm_90", {.threads = 256, .registers_per_thread = 32}).has_value());
    return;
  }
  const auto expect = [](const char* architecture, const BlockUse& use, int blocks, double fraction,
                         const char* limit) {
    const auto found = occupancy(architecture, use);
    REQUIRE(found.has_value());
    CHECK(found->blocks_per_multiprocessor == blocks);
    CHECK(found->fraction == fraction);
    CHECK(found->limited_by == limit);
  };
  for (const char* architecture : {"sm_80", "sm_90"}) {
    INFO(architecture);
    expect(architecture, {.threads = 1024, .registers_per_thread = 16}, 2, 1.0, "threads");
    expect(architecture, {.threads = 256, .registers_per_thread = 32}, 8, 1.0, "registers + threads");
    expect(architecture, {.threads = 256, .registers_per_thread = 33}, 6, 48.0 / 64,
           "registers");  // 33 count as 40
    expect(architecture, {.threads = 256, .registers_per_thread = 128}, 2, 16.0 / 64, "registers");
    expect(architecture, {.threads = 256, .registers_per_thread = 129}, 1, 8.0 / 64, "registers");
    expect(architecture, {.threads = 32, .registers_per_thread = 16}, 32, 32.0 / 64, "blocks");
  }
  // 3 x (48 + 1) KiB fit in 164, 4 x 49 in 228.
  expect("sm_80", {.threads = 128, .registers_per_thread = 32, .dynamic_shared_bytes = 48 * kKiB}, 3,
         12.0 / 64, "shared memory");
  expect("sm_90", {.threads = 128, .registers_per_thread = 32, .dynamic_shared_bytes = 48 * kKiB}, 4,
         16.0 / 64, "shared memory");
  expect("sm_90",
         {.threads = 128,
          .registers_per_thread = 32,
          .static_shared_bytes = 16 * kKiB,
          .dynamic_shared_bytes = 32 * kKiB},
         4, 16.0 / 64, "shared memory");
  // 4 x (56 + 1) KiB are 228 exactly; one byte more takes another unit of 128, and the fourth block is out.
  expect("sm_90", {.threads = 128, .registers_per_thread = 32, .dynamic_shared_bytes = 56 * kKiB}, 4,
         16.0 / 64, "shared memory");
  expect("sm_90", {.threads = 128, .registers_per_thread = 32, .dynamic_shared_bytes = 56 * kKiB + 1}, 3,
         12.0 / 64, "shared memory");
  // What a block of sm_80 can't have at all.
  expect("sm_80", {.threads = 128, .registers_per_thread = 32, .dynamic_shared_bytes = 200 * kKiB}, 0, 0.0,
         "shared memory");
  expect("sm_90", {.threads = 128, .registers_per_thread = 32, .dynamic_shared_bytes = 200 * kKiB}, 1,
         4.0 / 64, "shared memory");
  CHECK_FALSE(occupancy("sm_75", {.threads = 128, .registers_per_thread = 32}).has_value());
}
