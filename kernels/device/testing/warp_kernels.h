// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

enum class Shuffle { indexed, up, down, exclusive_or };

/// out[lane] = the shuffle of values[lane] with the lane's own operand (source lane, delta or lane mask), one
/// warp. T: int, unsigned, long long, float, double.
template <class Target, class T>
void shuffle_warp(Stream<Target>&, Shuffle, int width, DeviceSpan<Target, const T> values,
                  DeviceSpan<Target, const int> operands, DeviceSpan<Target, T> out);

/// A shuffle in which lane l reads lane l ^ 1, but only the lanes named in `mask` take part.
template <class Target>
void shuffle_in_mask(Stream<Target>&, std::uint32_t mask, int lane_mask, DeviceSpan<Target, int> out);

/// What the votes and reductions give each lane of `mask` for its value; lanes outside leave their part of
/// out unwritten. out: [32][kVotes], see the kernel for the order.
inline constexpr int kVotes = 15;
template <class Target>
void vote_warp(Stream<Target>&, std::uint32_t mask, DeviceSpan<Target, const int> values,
               DeviceSpan<Target, std::uint32_t> out);

/// out[thread] = {warp_sum, warp_max, block_sum, block_max} of values[thread], one block of whole warps.
template <class Target, class T>
void reduce_block(Stream<Target>&, int threads, DeviceSpan<Target, const T> values,
                  DeviceSpan<Target, T> out);

/// Tiles of 4 lanes: {rank, index in block, mask, sum, maximum, value of rank 2, ballot of odd values, shift
/// up, any, all}.
inline constexpr int kTileResults = 10;
template <class Target>
void tile_of_four(Stream<Target>&, DeviceSpan<Target, const int> values, DeviceSpan<Target, int> out);

}  // namespace remeasure::kernels
