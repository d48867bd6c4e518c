// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace remeasure::bench {

/// What a block of a kernel takes of a multiprocessor.
struct BlockUse {
  int threads = 0;
  int registers_per_thread = 0;
  std::size_t static_shared_bytes = 0;
  std::size_t dynamic_shared_bytes = 0;
  int barriers = 0;
};

struct Occupancy {
  int blocks_per_multiprocessor = 0;
  double fraction = 0;  ///< warps that fit at once / warps that the multiprocessor can hold
  std::string limited_by =
      {};  ///< "registers", "shared memory", "threads", "blocks" or "barriers"; "+" between
};

/// Theoretical occupancy by the rules that the CUDA toolkit publishes with itself (cuda_occupancy.h), with
/// the largest shared-memory carve-out; 0 for a block that needs more than there is. Empty for an
/// architecture whose limits aren't listed here (sm_80 and sm_90 are), and in a program that was built
/// without the toolkit.
std::optional<Occupancy> occupancy(const std::string& architecture, const BlockUse& use);

}  // namespace remeasure::bench
