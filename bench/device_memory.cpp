// SPDX-License-Identifier: Apache-2.0
#include "bench/device_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"

namespace remeasure::bench {
namespace {

double growth(std::size_t before, std::size_t after) {
  return static_cast<double>(after) - static_cast<double>(before);
}

}  // namespace

DeviceMemoryVerdict compare_counts(const DeviceMemoryCount& before, const DeviceMemoryCount& after) {
  if (!before.driver || !after.driver) return {};
  const double ours = growth(before.ledger, after.ledger), drivers = growth(*before.driver, *after.driver);
  const double pieces = std::max(0.0, growth(before.allocations, after.allocations));
  const double tolerance = static_cast<double>(kAllocationGranularity) * (pieces + 1);
  DeviceMemoryVerdict verdict{.used = std::max(0.0, drivers), .note = {}};
  if (drivers > ours + tolerance) {
    verdict.note = fmt::format(
        "the driver counts {} where this program allocated {}: a library's own allocations, kernels loaded "
        "meanwhile, or another program",
        reports::bytes_text(drivers), reports::bytes_text(ours));
  } else if (drivers < ours - tolerance) {
    verdict.note = fmt::format(
        "the driver counts {} where this program allocated {}: memory that was held before came back "
        "meanwhile, or another program gave some up",
        reports::bytes_text(std::max(0.0, drivers)), reports::bytes_text(ours));
  }
  return verdict;
}

}  // namespace remeasure::bench
