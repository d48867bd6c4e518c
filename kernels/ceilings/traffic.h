// SPDX-License-Identifier: Apache-2.0
//
// Kernels whose time is all memory traffic, or nothing at all: what a device's bandwidths and launch latency
// are measured with.
#pragma once

#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// Words of a span must come in groups of this many (16 bytes, one load).
inline constexpr std::size_t kTrafficGroup = 4;

/// sum[0] += all words, `passes` times, modulo 2^32. Loads bypass L1; each pass visits the data in another
/// order. words: [multiple of kTrafficGroup]; sum: [1]. Throws std::invalid_argument for other sizes or
/// passes < 1.
template <class Target>
void read_words(Stream<Target>& stream, DeviceSpan<Target, const std::uint32_t> words, int passes,
                DeviceSpan<Target, std::uint32_t> sum);

/// In pass p of `passes` every word becomes value + p. words: as in read_words
template <class Target>
void write_words(Stream<Target>& stream, std::uint32_t value, int passes,
                 DeviceSpan<Target, std::uint32_t> words);

/// In pass p of `passes` to[i] = from[i] + p. from, to: the same size, as in read_words
template <class Target>
void copy_words(Stream<Target>& stream, DeviceSpan<Target, const std::uint32_t> from, int passes,
                DeviceSpan<Target, std::uint32_t> to);

/// One thread that returns at once.
template <class Target>
void no_work(Stream<Target>& stream);

}  // namespace remeasure::kernels
