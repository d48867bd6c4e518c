// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/simt/fiber.h"

namespace remeasure::simt {

/// Stacks of one size, allocated in chunks, each above a guard that no access survives. Never shrinks.
class StackPool {
 public:
  explicit StackPool(std::size_t stack_bytes);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  /// Number `count() - 1` afterwards. Throws std::runtime_error with the remedy when the system has no room.
  Stack add();
  std::size_t count() const { return count_; }
  /// The number of the stack that lies above this address's guard, or -1 when the address is in no guard.
  long guard_of(const void* address) const;

 private:
  static constexpr std::size_t kChunkStacks = 32;
  std::size_t stack_bytes_;
  std::size_t count_ = 0;
  std::vector<std::byte*> chunks_;
};

}  // namespace remeasure::simt
