// SPDX-License-Identifier: Apache-2.0
//
// Kernels that expose ldmatrix and cp.async to kernels/device/copy_test.cpp.
#include "kernels/device/testing/copy_kernels.h"

#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

template <int Matrices, bool Transposed>
__global__ void ldmatrix_kernel(int misplaced_bytes, const std::uint16_t* tile, std::uint32_t* registers) {
  RM_SHARED(uint4,
            rows, [33]);  // 16 bytes each; one more than the tile, so that a moved address stays inside
  auto* const elements = reinterpret_cast<std::uint16_t*>(rows);
  const int lane = lane_id();
  for (int i = lane; i < 33 * 8; i += 32) elements[i] = i < 32 * 8 ? tile[i] : std::uint16_t{0};
  __syncthreads();
  const auto* row = reinterpret_cast<const std::byte*>(&rows[lane * 5 % 32]);
  if (lane == 3) row += misplaced_bytes;
  std::uint32_t loaded[Matrices];
  ldmatrix<Transposed>(loaded, row);
  for (int m = 0; m < Matrices; ++m) registers[lane * Matrices + m] = loaded[m];
}

__global__ void ldmatrix_global_kernel(const std::uint16_t* tile, std::uint32_t* registers) {
  std::uint32_t loaded[1];
  ldmatrix(loaded, tile + 8 * (threadIdx.x % 8));
  registers[threadIdx.x] = loaded[0];
}

template <int Bytes>
__global__ void copy_kernel(int source_bytes, const std::byte* in, std::byte* out) {
  RM_SHARED(uint4, staging, [64 * Bytes / 16]);
  auto* const bytes = reinterpret_cast<std::byte*>(staging);
  const int first = static_cast<int>(threadIdx.x) * Bytes;
  copy_async<Bytes>(bytes + first, in + first, source_bytes);
  copy_async_wait_all();
  __syncthreads();
  // Another thread's piece: the wait of one thread covers only its own copies, the barrier those of all.
  const int other = (first + Bytes) % (64 * Bytes);
  for (int i = 0; i < Bytes; ++i) out[other + i] = bytes[other + i];
}

__global__ void pipeline_kernel(Wait wait, int steps, const float* in, float* out) {
  RM_SHARED(float, buffer, [2][32]);
  const int lane = lane_id();
  copy_async<4>(&buffer[0][lane], &in[lane]);
  copy_async_commit();
  float sum = 0;
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) copy_async<4>(&buffer[(step + 1) % 2][lane], &in[32 * (step + 1) + lane]);
    copy_async_commit();  // an empty group in the last step keeps the count of groups the same
    if (wait == Wait::right) copy_async_wait<1>();
    if (wait == Wait::one_too_many) copy_async_wait<2>();
    __syncthreads();
    sum += buffer[step % 2][31 - lane];
    __syncthreads();
  }
  copy_async_wait_all();
  out[31 - lane] = sum;
}

}  // namespace

template <class Target>
void load_matrices(Stream<Target>& stream, int matrices, bool transposed, int misplaced_bytes,
                   DeviceSpan<Target, const std::uint16_t> tile,
                   DeviceSpan<Target, std::uint32_t> registers) {
  const auto run = [&](auto plain, auto transposing) {
    launch({.name = "load_matrices", .block = 32}, stream, transposed ? transposing : plain, misplaced_bytes,
           tile.data(), registers.data());
  };
  switch (matrices) {
    case 1:
      run(&ldmatrix_kernel<1, false>, &ldmatrix_kernel<1, true>);
      break;
    case 2:
      run(&ldmatrix_kernel<2, false>, &ldmatrix_kernel<2, true>);
      break;
    case 4:
      run(&ldmatrix_kernel<4, false>, &ldmatrix_kernel<4, true>);
      break;
    default:
      throw std::invalid_argument("load_matrices: 1, 2 or 4 matrices, not " + std::to_string(matrices));
  }
}

template <class Target>
void load_matrices_from_global(Stream<Target>& stream, DeviceSpan<Target, const std::uint16_t> tile,
                               DeviceSpan<Target, std::uint32_t> registers) {
  launch({.name = "load_matrices_from_global", .block = 32}, stream, ldmatrix_global_kernel, tile.data(),
         registers.data());
}

template <class Target>
void copy_through_shared(Stream<Target>& stream, int bytes, int source_bytes,
                         DeviceSpan<Target, const std::byte> in, DeviceSpan<Target, std::byte> out) {
  const auto run = [&](auto kernel) {
    launch({.name = "copy_through_shared", .block = 64}, stream, kernel, source_bytes, in.data(), out.data());
  };
  switch (bytes) {
    case 4:
      run(&copy_kernel<4>);
      break;
    case 8:
      run(&copy_kernel<8>);
      break;
    case 16:
      run(&copy_kernel<16>);
      break;
    default:
      throw std::invalid_argument("copy_through_shared: 4, 8 or 16 bytes, not " + std::to_string(bytes));
  }
}

template <class Target>
void pipelined_sum(Stream<Target>& stream, Wait wait, int steps, DeviceSpan<Target, const float> in,
                   DeviceSpan<Target, float> out) {
  launch({.name = "pipelined_sum", .block = 32}, stream, pipeline_kernel, wait, steps, in.data(), out.data());
}

template void load_matrices(Stream<CompiledTarget>&, int, bool, int,
                            DeviceSpan<CompiledTarget, const std::uint16_t>,
                            DeviceSpan<CompiledTarget, std::uint32_t>);
template void load_matrices_from_global(Stream<CompiledTarget>&,
                                        DeviceSpan<CompiledTarget, const std::uint16_t>,
                                        DeviceSpan<CompiledTarget, std::uint32_t>);
template void copy_through_shared(Stream<CompiledTarget>&, int, int,
                                  DeviceSpan<CompiledTarget, const std::byte>,
                                  DeviceSpan<CompiledTarget, std::byte>);
template void pipelined_sum(Stream<CompiledTarget>&, Wait, int, DeviceSpan<CompiledTarget, const float>,
                            DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
