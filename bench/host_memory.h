// SPDX-License-Identifier: Apache-2.0
//
// Exact heap bytes of one run, Eigen's temporaries included. host_memory.cpp replaces malloc and its family
// for the whole program; while a meter is alive every request of every thread is counted as it was asked for,
// without the allocator's rounding. At other times an allocation costs one more branch.
#pragma once

#include <cstddef>
#include <optional>

namespace remeasure::bench {

class HostMemoryMeter {
 public:
  /// False in builds with a sanitizer (it replaces malloc itself) and on C libraries other than glibc.
  static bool available();

  /// Starts counting from zero. Throws std::logic_error if another meter is alive.
  HostMemoryMeter();
  ~HostMemoryMeter();
  HostMemoryMeter(const HostMemoryMeter&) = delete;
  HostMemoryMeter& operator=(const HostMemoryMeter&) = delete;

  /// High-water mark of the bytes requested since the start and not yet freed. Memory that was held before is
  /// neither counted nor credited when freed. Empty where it isn't available.
  std::optional<std::size_t> peak() const;
  std::optional<std::size_t> current() const;
};

}  // namespace remeasure::bench
