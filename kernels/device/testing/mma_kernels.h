// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

enum class Dense { f16, bf16, f16_k8, bf16_k8, tf32, s8, s4, b1_xor, b1_and };
enum class Sparse { f16, bf16, tf32 };

/// One warp executes the instruction on raw registers: a [32][4], b [32][2] (k8: [32][2], [32][1]), c and d
/// [32][4] (float bits or integers).
template <class Target>
void mma_dense(Stream<Target>&, Dense, DeviceSpan<Target, const std::uint32_t> a,
               DeviceSpan<Target, const std::uint32_t> b, DeviceSpan<Target, const std::uint32_t> c,
               DeviceSpan<Target, std::uint32_t> d);

/// The same for a sparse A: b [32][4], metadata [32], selector 0 or 1.
template <class Target>
void mma_sparse(Stream<Target>&, Sparse, int selector, DeviceSpan<Target, const std::uint32_t> a,
                DeviceSpan<Target, const std::uint32_t> b, DeviceSpan<Target, const std::uint32_t> c,
                DeviceSpan<Target, const std::uint32_t> metadata, DeviceSpan<Target, std::uint32_t> d);

/// bits[i] = to_tf32(values[i])
template <class Target>
void round_to_tf32(Stream<Target>&, DeviceSpan<Target, const float> values,
                   DeviceSpan<Target, std::uint32_t> bits);

/// Only the lower half of the warp executes an mma: an error.
template <class Target>
void mma_in_half_a_warp(Stream<Target>&, DeviceSpan<Target, float> out);

}  // namespace remeasure::kernels
