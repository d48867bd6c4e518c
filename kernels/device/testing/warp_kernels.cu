// SPDX-License-Identifier: Apache-2.0
//
// Kernels that expose the warp operations to kernels/device/warp_test.cpp.
#include "kernels/device/testing/warp_kernels.h"

#include "kernels/device/kernel.h"
#include "kernels/device/warp_tile.h"

namespace remeasure::kernels {
namespace {

template <class T>
__global__ void shuffle_kernel(Shuffle kind, int width, const T* values, const int* operands, T* out) {
  const int lane = lane_id();
  const T value = values[lane];
  const int operand = operands[lane];
  switch (kind) {
    case Shuffle::indexed:
      out[lane] = __shfl_sync(kFullWarp, value, operand, width);
      break;
    case Shuffle::up:
      out[lane] = __shfl_up_sync(kFullWarp, value, static_cast<unsigned>(operand), width);
      break;
    case Shuffle::down:
      out[lane] = __shfl_down_sync(kFullWarp, value, static_cast<unsigned>(operand), width);
      break;
    case Shuffle::exclusive_or:
      out[lane] = __shfl_xor_sync(kFullWarp, value, operand, width);
      break;
  }
}

__global__ void shuffle_in_mask_kernel(std::uint32_t mask, int lane_mask, int* out) {
  const int lane = lane_id();
  if ((mask >> lane & 1u) == 0) return;
  out[lane] = __shfl_xor_sync(mask, 100 + lane, lane_mask);
}

__global__ void vote_kernel(std::uint32_t mask, const int* values, std::uint32_t* out) {
  const int lane = lane_id();
  if ((mask >> lane & 1u) == 0) return;
  const int value = values[lane];
  const auto bits = static_cast<unsigned>(value);
  std::uint32_t* const mine = out + kVotes * lane;
  int all_equal = -1;
  mine[0] = __ballot_sync(mask, value > 0);
  mine[1] = static_cast<std::uint32_t>(__all_sync(mask, value > 0));
  mine[2] = static_cast<std::uint32_t>(__any_sync(mask, value > 0));
  mine[3] = __match_any_sync(mask, value);
  mine[4] = __match_all_sync(mask, value, &all_equal);
  mine[5] = static_cast<std::uint32_t>(all_equal);
  mine[6] = __reduce_add_sync(mask, bits);
  mine[7] = static_cast<std::uint32_t>(__reduce_add_sync(mask, value));
  mine[8] = __reduce_min_sync(mask, bits);
  mine[9] = static_cast<std::uint32_t>(__reduce_min_sync(mask, value));
  mine[10] = __reduce_max_sync(mask, bits);
  mine[11] = static_cast<std::uint32_t>(__reduce_max_sync(mask, value));
  mine[12] = __reduce_and_sync(mask, bits);
  mine[13] = __reduce_or_sync(mask, bits);
  mine[14] = __reduce_xor_sync(mask, bits);
  __syncwarp(mask);
}

template <class T>
__global__ void reduce_kernel(const T* values, T* out) {
  const int thread = static_cast<int>(threadIdx.x);
  const T value = values[thread];
  out[4 * thread + 0] = warp_sum(value);
  out[4 * thread + 1] = warp_max(value);
  out[4 * thread + 2] = block_sum(value);
  out[4 * thread + 3] = block_max(value);
}

__global__ void tile_kernel(const int* values, int* out) {
  using Tile = WarpTile<4>;
  const int value = values[threadIdx.x];
  int* const mine = out + kTileResults * static_cast<int>(threadIdx.x);
  if (Tile::index_in_block() % 2 == 1) return;  // tiles of one warp may part company
  mine[0] = Tile::rank();
  mine[1] = Tile::index_in_block();
  mine[2] = static_cast<int>(Tile::mask());
  mine[3] = Tile::sum(value);
  mine[4] = Tile::maximum(value);
  mine[5] = Tile::broadcast(value, 2);
  mine[6] = static_cast<int>(Tile::ballot(value % 2 != 0));
  mine[7] = Tile::shift_up(value, 1);
  mine[8] = Tile::any(value % 2 != 0);
  mine[9] = Tile::all(value % 2 != 0);
  Tile::synchronize();
}

}  // namespace

template <class Target, class T>
void shuffle_warp(Stream<Target>& stream, Shuffle kind, int width, DeviceSpan<Target, const T> values,
                  DeviceSpan<Target, const int> operands, DeviceSpan<Target, T> out) {
  launch({.name = "shuffle_warp", .block = 32}, stream, shuffle_kernel<T>, kind, width, values.data(),
         operands.data(), out.data());
}

template <class Target>
void shuffle_in_mask(Stream<Target>& stream, std::uint32_t mask, int lane_mask, DeviceSpan<Target, int> out) {
  launch({.name = "shuffle_in_mask", .block = 32}, stream, shuffle_in_mask_kernel, mask, lane_mask,
         out.data());
}

template <class Target>
void vote_warp(Stream<Target>& stream, std::uint32_t mask, DeviceSpan<Target, const int> values,
               DeviceSpan<Target, std::uint32_t> out) {
  launch({.name = "vote_warp", .block = 32}, stream, vote_kernel, mask, values.data(), out.data());
}

template <class Target, class T>
void reduce_block(Stream<Target>& stream, int threads, DeviceSpan<Target, const T> values,
                  DeviceSpan<Target, T> out) {
  launch({.name = "reduce_block", .block = static_cast<unsigned>(threads)}, stream, reduce_kernel<T>,
         values.data(), out.data());
}

template <class Target>
void tile_of_four(Stream<Target>& stream, DeviceSpan<Target, const int> values, DeviceSpan<Target, int> out) {
  launch({.name = "tile_of_four", .block = static_cast<unsigned>(values.size())}, stream, tile_kernel,
         values.data(), out.data());
}

#define RM_INSTANTIATE_SHUFFLE(T)                                                                        \
  template void shuffle_warp(Stream<CompiledTarget>&, Shuffle, int, DeviceSpan<CompiledTarget, const T>, \
                             DeviceSpan<CompiledTarget, const int>, DeviceSpan<CompiledTarget, T>);
RM_INSTANTIATE_SHUFFLE(int)
RM_INSTANTIATE_SHUFFLE(unsigned)
RM_INSTANTIATE_SHUFFLE(long long)
RM_INSTANTIATE_SHUFFLE(float)
RM_INSTANTIATE_SHUFFLE(double)
template void shuffle_in_mask(Stream<CompiledTarget>&, std::uint32_t, int, DeviceSpan<CompiledTarget, int>);
template void vote_warp(Stream<CompiledTarget>&, std::uint32_t, DeviceSpan<CompiledTarget, const int>,
                        DeviceSpan<CompiledTarget, std::uint32_t>);
template void reduce_block(Stream<CompiledTarget>&, int, DeviceSpan<CompiledTarget, const float>,
                           DeviceSpan<CompiledTarget, float>);
template void reduce_block(Stream<CompiledTarget>&, int, DeviceSpan<CompiledTarget, const double>,
                           DeviceSpan<CompiledTarget, double>);
template void tile_of_four(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const int>,
                           DeviceSpan<CompiledTarget, int>);

}  // namespace remeasure::kernels
