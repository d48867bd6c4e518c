// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// `steps` times: every element becomes the sum of its own and of the element `distance` further on (around
/// the end), modulo 1000003. One element a thread, blocks of 64, so that neighbours lie in other blocks.
/// Works in place, so each step needs two grid barriers: after the reads and after the writes; `barriers`
/// leaves them out from the end, for tests.
template <class Target>
void neighbour_sums(Stream<Target>&, int steps, int distance, int barriers,
                    DeviceSpan<Target, unsigned> values);

/// A cooperative launch of a kernel that does nothing.
template <class Target>
void empty_grid(Stream<Target>&, unsigned blocks, unsigned threads, std::size_t shared_bytes);
/// How many such blocks the device holds at once.
template <class Target>
std::uint64_t empty_grid_limit(Stream<Target>&, unsigned threads, std::size_t shared_bytes);

}  // namespace remeasure::kernels
