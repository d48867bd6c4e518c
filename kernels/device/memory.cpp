// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/memory.h"

#include <algorithm>
#include <numeric>

namespace remeasure {

void MemoryLedger::allocated(MemoryUse use, std::size_t bytes) {
  const auto index = static_cast<std::size_t>(use);
  current_[index] += bytes;
  peak_of_use_[index] = std::max(peak_of_use_[index], current_[index]);
  peak_ = std::max(peak_, current());
  ++allocations_;
}

void MemoryLedger::released(MemoryUse use, std::size_t bytes) {
  std::size_t& held = current_[static_cast<std::size_t>(use)];
  if (bytes > held)
    throw std::logic_error("MemoryLedger::released: more bytes released than were allocated for this use");
  held -= bytes;
  --allocations_;
}

std::size_t MemoryLedger::current() const {
  return std::accumulate(current_.begin(), current_.end(), std::size_t{0});
}

std::size_t MemoryLedger::current(MemoryUse use) const {
  return current_[static_cast<std::size_t>(use)];
}

std::size_t MemoryLedger::peak(MemoryUse use) const {
  return peak_of_use_[static_cast<std::size_t>(use)];
}

void MemoryLedger::reset_peak() {
  peak_of_use_ = current_;
  peak_ = current();
}

}  // namespace remeasure
