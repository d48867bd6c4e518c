// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/simt/site.h"

namespace remeasure::simt {

struct AsyncCopy {
  void* shared;
  const void* global;
  std::uint32_t bytes;
  std::uint32_t source_bytes;
  std::uint32_t group;
  Site site;
};

/// The copies of one thread that have not moved yet (CopyTiming::late), or have not been waited for (early).
struct AsyncCopies {
  std::vector<AsyncCopy> pending;  ///< in the order of issue
  std::uint32_t group = 0;         ///< that the next copy belongs to

  void clear() {
    pending.clear();
    group = 0;
  }
};

}  // namespace remeasure::simt
