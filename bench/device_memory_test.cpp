// SPDX-License-Identifier: Apache-2.0
#include "bench/device_memory.h"

#include <testing/catch.h>

using namespace remeasure::bench;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::size_t kMiB = 1 << 20;

/// Growth of 100 MiB in 4 allocations by our count, of `driver` MiB by the driver's, above what others hold.
DeviceMemoryVerdict verdict(std::size_t driver) {
  const DeviceMemoryCount before{.ledger = 7 * kMiB, .allocations = 3, .driver = 500 * kMiB};
  const DeviceMemoryCount after{.ledger = 107 * kMiB, .allocations = 7, .driver = (500 + driver) * kMiB};
  return compare_counts(before, after);
}

}  // namespace

TEST_CASE("counts that differ by the rounding of the allocations agree", "[cpu]") {
  for (const std::size_t driver : {90, 100, 108, 110}) {
    INFO(driver);
    CHECK(verdict(driver).note.empty());
    CHECK(*verdict(driver).used == static_cast<double>(driver * kMiB));
  }
}

TEST_CASE("a library's own allocation becomes visible", "[cpu]") {
  CHECK_THAT(verdict(111).note, ContainsSubstring("111 MiB where this program allocated 100 MiB"));
  CHECK_THAT(verdict(164).note, ContainsSubstring("library"));
  CHECK(*verdict(164).used == 164.0 * kMiB);
}

TEST_CASE("a driver that counts less than was allocated is flagged too", "[cpu]") {
  CHECK_THAT(verdict(89).note, ContainsSubstring("89.0 MiB where this program allocated 100 MiB"));
  DeviceMemoryCount before{.ledger = 0, .allocations = 0, .driver = 500 * kMiB};
  DeviceMemoryCount after{.ledger = 10 * kMiB, .allocations = 1, .driver = 400 * kMiB};
  CHECK(*compare_counts(before, after).used == 0);
  CHECK_FALSE(compare_counts(before, after).note.empty());
}

TEST_CASE("where nobody counts there is nothing to compare", "[cpu]") {
  const DeviceMemoryVerdict none = compare_counts({.ledger = 0, .allocations = 0, .driver = {}},
                                                  {.ledger = 100 * kMiB, .allocations = 1, .driver = {}});
  CHECK_FALSE(none.used.has_value());
  CHECK(none.note.empty());
}
