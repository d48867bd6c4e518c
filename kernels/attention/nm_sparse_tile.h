// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of N:M sparse attention share: swizzled tiles of shared memory, the transposition within
// four lanes that turns mma fragments into 16-byte stores, and the instructions per element type. Device
// code, for .cu files.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/attention/attention_shape.h"
#include "kernels/attention/nm_pattern.h"
#include "kernels/attention/nm_sparse.h"
#include "kernels/attention/swizzled_tile.h"
#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"

namespace remeasure::kernels {

/// The instructions of an element type. A "chunk" is 16 bytes along K; both dense shapes take two chunks of
/// K.
template <class Element>
struct NmInstructions;

template <>
struct NmInstructions<bfloat16> {
  using Dense = Mma16x8x16Bf16;
  using Sparse = MmaSparse16x8x32Bf16;
};
template <>
struct NmInstructions<float> {
  using Dense = Mma16x8x8Tf32;
  using Sparse = MmaSparse16x8x16Tf32;
};

/// Rounds a loaded fragment where the instruction would cut (TF32); bf16 is what it is.
template <class Element, int kRegisters>
RM_DEVICE void round_operand(std::uint32_t (&fragment)[kRegisters]) {
  if constexpr (sizeof(Element) == 4) {
#pragma unroll
    for (std::uint32_t& bits : fragment) bits = to_tf32(__uint_as_float(bits));
  }
}

/// Lane j of each four has words[b], its piece of block b; afterwards it has all four pieces of block j, in
/// lane order.
RM_DEVICE inline void transpose_in_four(std::uint32_t (&words)[4]) {
#pragma unroll
  for (int distance = 1; distance <= 2; distance *= 2) {
    const bool upper = (lane_id() & distance) != 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if ((i & distance) != 0) continue;
      const std::uint32_t low = words[i];
      const std::uint32_t high = words[i + distance];
      const std::uint32_t got = __shfl_xor_sync(kFullWarp, upper ? low : high, distance);
      words[i] = upper ? got : low;
      words[i + distance] = upper ? high : got;
    }
  }
}

/// OR over the four lanes of each of four words; lane j gets word j. Three shuffles.
RM_DEVICE inline std::uint32_t combine_in_four(const std::uint32_t (&words)[4]) {
  const bool upper_pair = (lane_id() & 2) != 0;
  const std::uint32_t low =
      (upper_pair ? words[2] : words[0]) | __shfl_xor_sync(kFullWarp, upper_pair ? words[0] : words[2], 2);
  const std::uint32_t high =
      (upper_pair ? words[3] : words[1]) | __shfl_xor_sync(kFullWarp, upper_pair ? words[1] : words[3], 2);
  const bool odd = (lane_id() & 1) != 0;
  return (odd ? high : low) | __shfl_xor_sync(kFullWarp, odd ? low : high, 1);
}

template <class Target>
bool use_large_tile(NmTile tile) {
  return tile == NmTile::large || (tile == NmTile::automatic && std::is_same_v<Target, Cuda>);
}

inline void check_shape(const char* kernel, const AttentionShape& shape) {
  const auto refuse = [&](const char* name, int value, const char* rule) {
    throw std::invalid_argument(std::string(kernel) + ": " + name + " is " + std::to_string(value) +
                                "; it must be " + rule);
  };
  if (shape.batch < 1) refuse("batch", shape.batch, "at least 1");
  if (shape.heads < 1) refuse("heads", shape.heads, "at least 1");
  if (shape.tokens < 1 || shape.tokens % kHardwareRows != 0) {
    refuse("tokens", shape.tokens, "a multiple of 32 (pad the sequence and mask the padding with key_bias)");
  }
  if (shape.dim != 32 && shape.dim != 64 && shape.dim != 128)
    refuse("dim", shape.dim, "32, 64 or 128 (pad with zeros)");
}

inline void check_size(const char* kernel, const char* name, std::size_t size, std::size_t expected) {
  if (size != expected) {
    throw std::invalid_argument(std::string(kernel) + ": " + name + " has " + std::to_string(size) +
                                " elements; " + std::to_string(expected) + " follow from the shape");
  }
}

}  // namespace remeasure::kernels
