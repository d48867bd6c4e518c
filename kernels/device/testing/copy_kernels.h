// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// One warp copies `tile` [32][8] (16-bit elements) to shared memory and executes ldmatrix with 1, 2 or 4
/// matrices; row r of the matrices is row (r * 5) % 32 of the tile. registers: [32][matrices].
/// `misplaced_bytes` moves lane 3's address.
template <class Target>
void load_matrices(Stream<Target>&, int matrices, bool transposed, int misplaced_bytes,
                   DeviceSpan<Target, const std::uint16_t> tile, DeviceSpan<Target, std::uint32_t> registers);

/// Row addresses point to global memory instead of shared: an error.
template <class Target>
void load_matrices_from_global(Stream<Target>&, DeviceSpan<Target, const std::uint16_t> tile,
                               DeviceSpan<Target, std::uint32_t> registers);

/// out = in through shared memory by cp.async of 4, 8 or 16 bytes a thread; of each piece `source_bytes` are
/// copied, the rest is zero. One block of 64 threads; in and out hold 64 pieces.
template <class Target>
void copy_through_shared(Stream<Target>&, int bytes, int source_bytes, DeviceSpan<Target, const std::byte> in,
                         DeviceSpan<Target, std::byte> out);

/// How a pipeline of groups ends its step: right; without a wait; with a wait that leaves one group too many.
enum class Wait { right, none, one_too_many };

/// Sums `in` [steps][32] over the steps through two buffers that cp.async fills ahead. out: [32]
template <class Target>
void pipelined_sum(Stream<Target>&, Wait wait, int steps, DeviceSpan<Target, const float> in,
                   DeviceSpan<Target, float> out);

}  // namespace remeasure::kernels
