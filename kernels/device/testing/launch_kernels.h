// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// A grid and block of three dimensions writes each thread's index, packed, at its linear place.
template <class Target>
void thread_indices(Stream<Target>&, const int (&grid)[3], const int (&block)[3],
                    DeviceSpan<Target, std::uint64_t> out);

/// out[i] = in[n-1-i] through n floats of dynamic shared memory, one block of 256 threads.
template <class Target>
void reverse_in_shared(Stream<Target>&, DeviceSpan<Target, const float> in, DeviceSpan<Target, float> out);

/// Launches a kernel of (double, short, const double*, double*) with (int, signed char, double*, double*):
/// out = {3, 4, 1}.
template <class Target>
void converted_arguments(Stream<Target>&, DeviceSpan<Target, double> out);

/// A block of `threads` that does nothing.
template <class Target>
void empty_block(Stream<Target>&, int threads, std::size_t shared_bytes);

/// out[thread] = {count, and, or} of `values[thread] > 0` over the block.
template <class Target>
void barrier_votes(Stream<Target>&, DeviceSpan<Target, const int> values, DeviceSpan<Target, int> out);

/// out = the sum of a __constant__ table, weighted by 1, 10, 100.
template <class Target>
void constant_table(Stream<Target>&, DeviceSpan<Target, float> out);

/// Thread 3 fails an assert.
template <class Target>
void failing_assert(Stream<Target>&);

/// Every thread prints a line "thread <i> of the printing kernel".
template <class Target>
void printing_kernel(Stream<Target>&, int threads);

/// Writes out[n] of n elements.
template <class Target>
void write_past_the_end(Stream<Target>&, DeviceSpan<Target, int> out);

/// What a kernel may do wrong that a GPU hides.
enum class Fault { shared_past_the_end, misaligned_vector, unwritten_shared };
template <class Target>
void faulty_kernel(Stream<Target>&, Fault fault, DeviceSpan<Target, float> out);

}  // namespace remeasure::kernels
