// SPDX-License-Identifier: Apache-2.0
//
// How feature_map divides its work: shared by the kernel and by the formulas of its operations.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/science/feature_map.h"

namespace remeasure::kernels {

inline constexpr int kFeatureMapThreads = 256;
inline constexpr int kBlockQubits = 12;  ///< 2^12 amplitudes are 34 KiB of padded shared memory
inline constexpr int kThreadBits = 4;    ///< 16 amplitudes and their phase factors are 64 registers

struct FeatureMapPlan {
  int block_qubits = 0, thread_bits = 0;
  long long blocks = 0;
  std::size_t shared_bytes = 0;
};

inline FeatureMapPlan feature_map_plan(const FeatureMapShape& shape) {
  FeatureMapPlan plan;
  plan.block_qubits = std::min(shape.qubits, kBlockQubits);
  plan.thread_bits = std::min(plan.block_qubits, kThreadBits);
  const long long per_block = kFeatureMapThreads >> (plan.block_qubits - plan.thread_bits);
  const long long items = static_cast<long long>(shape.samples) << (shape.qubits - plan.block_qubits);
  plan.blocks = (items + per_block - 1) / per_block;
  const std::size_t amplitudes = std::size_t{1} << plan.block_qubits;
  // Where one thread has all amplitudes nothing is exchanged.
  if (plan.block_qubits > plan.thread_bits)
    plan.shared_bytes = static_cast<std::size_t>(per_block) * (amplitudes + amplitudes / 16) * 8;
  return plan;
}

}  // namespace remeasure::kernels
