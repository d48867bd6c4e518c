// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// Every thread of `blocks` blocks applies each integer atomic to its own word with its number; words:
/// [kAtomicWords], set by the host before. The order of the words is that of the kernel.
inline constexpr int kAtomicWords = 12;
template <class Target>
void integer_atomics(Stream<Target>&, int blocks, int threads, DeviceSpan<Target, std::uint32_t> words,
                     DeviceSpan<Target, std::uint64_t> wide);

/// sums = {sum of 0.5 over all threads in float, in double}; bits are the same in every order.
template <class Target>
void float_atomics(Stream<Target>&, int blocks, int threads, DeviceSpan<Target, float> sum,
                   DeviceSpan<Target, double> double_sum);

/// One thread: old values of a chain of atomics on one word that starts at 5; see the kernel.
template <class Target>
void atomic_return_values(Stream<Target>&, DeviceSpan<Target, std::uint32_t> word,
                          DeviceSpan<Target, std::uint32_t> old);

}  // namespace remeasure::kernels
