// SPDX-License-Identifier: Apache-2.0
//
// Kernels that expose the tensor-core wrappers to kernels/device/mma_test.cpp.
#include "kernels/device/testing/mma_kernels.h"

#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"

namespace remeasure::kernels {
namespace {

RM_DEVICE inline float from_bits(std::uint32_t bits, float) {
  return __uint_as_float(bits);
}
RM_DEVICE inline std::int32_t from_bits(std::uint32_t bits, std::int32_t) {
  return static_cast<std::int32_t>(bits);
}
RM_DEVICE inline std::uint32_t to_bits(float value) {
  return __float_as_uint(value);
}
RM_DEVICE inline std::uint32_t to_bits(std::int32_t value) {
  return static_cast<std::uint32_t>(value);
}

template <int Count>
RM_DEVICE inline void load(std::uint32_t (&registers)[Count], const std::uint32_t* from) {
  for (int i = 0; i < Count; ++i) registers[i] = from[Count * lane_id() + i];
}

template <class Mma, class Sum>
__global__ void dense_kernel(const std::uint32_t* a_of_lane, const std::uint32_t* b_of_lane,
                             const std::uint32_t* c_of_lane, std::uint32_t* d_of_lane) {
  std::uint32_t a[Mma::kARegisters], b[Mma::kBRegisters];
  load(a, a_of_lane);
  load(b, b_of_lane);
  Sum sum[4];
  for (int i = 0; i < 4; ++i) sum[i] = from_bits(c_of_lane[4 * lane_id() + i], Sum{});
  Mma::multiply(sum, a, b, sum);
  for (int i = 0; i < 4; ++i) d_of_lane[4 * lane_id() + i] = to_bits(sum[i]);
}

template <class Mma, int Selector>
__global__ void sparse_kernel(const std::uint32_t* a_of_lane, const std::uint32_t* b_of_lane,
                              const std::uint32_t* c_of_lane, const std::uint32_t* metadata_of_lane,
                              std::uint32_t* d_of_lane) {
  std::uint32_t a[4], b[4];
  load(a, a_of_lane);
  load(b, b_of_lane);
  float c[4], d[4];
  for (int i = 0; i < 4; ++i) c[i] = __uint_as_float(c_of_lane[4 * lane_id() + i]);
  Mma::template multiply<Selector>(d, a, b, c, metadata_of_lane[lane_id()]);
  for (int i = 0; i < 4; ++i) d_of_lane[4 * lane_id() + i] = __float_as_uint(d[i]);
}

__global__ void tf32_kernel(int count, const float* values, std::uint32_t* bits) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) bits[i] = to_tf32(values[i]);
}

__global__ void half_a_warp_kernel(float* out) {
  if (lane_id() >= 16) return;
  const std::uint32_t a[4] = {}, b[2] = {};
  float sum[4] = {};
  Mma16x8x16F16::multiply(sum, a, b, sum);
  out[lane_id()] = sum[0];
}

}  // namespace

template <class Target>
void mma_dense(Stream<Target>& stream, Dense kind, DeviceSpan<Target, const std::uint32_t> a,
               DeviceSpan<Target, const std::uint32_t> b, DeviceSpan<Target, const std::uint32_t> c,
               DeviceSpan<Target, std::uint32_t> d) {
  const auto run = [&](auto kernel) {
    launch({.name = "mma_dense", .block = 32}, stream, kernel, a.data(), b.data(), c.data(), d.data());
  };
  switch (kind) {
    case Dense::f16:
      run(&dense_kernel<Mma16x8x16F16, float>);
      break;
    case Dense::bf16:
      run(&dense_kernel<Mma16x8x16Bf16, float>);
      break;
    case Dense::f16_k8:
      run(&dense_kernel<Mma16x8x8F16, float>);
      break;
    case Dense::bf16_k8:
      run(&dense_kernel<Mma16x8x8Bf16, float>);
      break;
    case Dense::tf32:
      run(&dense_kernel<Mma16x8x8Tf32, float>);
      break;
    case Dense::s8:
      run(&dense_kernel<Mma16x8x32S8, std::int32_t>);
      break;
    case Dense::s4:
      run(&dense_kernel<Mma16x8x64S4, std::int32_t>);
      break;
    case Dense::b1_xor:
      run(&dense_kernel<Mma16x8x256Xor, std::int32_t>);
      break;
    case Dense::b1_and:
      run(&dense_kernel<Mma16x8x256And, std::int32_t>);
      break;
  }
}

template <class Target>
void mma_sparse(Stream<Target>& stream, Sparse kind, int selector, DeviceSpan<Target, const std::uint32_t> a,
                DeviceSpan<Target, const std::uint32_t> b, DeviceSpan<Target, const std::uint32_t> c,
                DeviceSpan<Target, const std::uint32_t> metadata, DeviceSpan<Target, std::uint32_t> d) {
  const auto run = [&](auto kernel0, auto kernel1) {
    launch({.name = "mma_sparse", .block = 32}, stream, selector == 0 ? kernel0 : kernel1, a.data(), b.data(),
           c.data(), metadata.data(), d.data());
  };
  switch (kind) {
    case Sparse::f16:
      run(&sparse_kernel<MmaSparse16x8x32F16, 0>, &sparse_kernel<MmaSparse16x8x32F16, 1>);
      break;
    case Sparse::bf16:
      run(&sparse_kernel<MmaSparse16x8x32Bf16, 0>, &sparse_kernel<MmaSparse16x8x32Bf16, 1>);
      break;
    case Sparse::tf32:
      run(&sparse_kernel<MmaSparse16x8x16Tf32, 0>, &sparse_kernel<MmaSparse16x8x16Tf32, 1>);
      break;
  }
}

template <class Target>
void round_to_tf32(Stream<Target>& stream, DeviceSpan<Target, const float> values,
                   DeviceSpan<Target, std::uint32_t> bits) {
  const int count = static_cast<int>(values.size());
  launch({.name = "round_to_tf32", .grid = blocks_for(count, 128), .block = 128}, stream, tf32_kernel, count,
         values.data(), bits.data());
}

template <class Target>
void mma_in_half_a_warp(Stream<Target>& stream, DeviceSpan<Target, float> out) {
  launch({.name = "mma_in_half_a_warp", .block = 32}, stream, half_a_warp_kernel, out.data());
}

template void mma_dense(Stream<CompiledTarget>&, Dense, DeviceSpan<CompiledTarget, const std::uint32_t>,
                        DeviceSpan<CompiledTarget, const std::uint32_t>,
                        DeviceSpan<CompiledTarget, const std::uint32_t>,
                        DeviceSpan<CompiledTarget, std::uint32_t>);
template void mma_sparse(Stream<CompiledTarget>&, Sparse, int,
                         DeviceSpan<CompiledTarget, const std::uint32_t>,
                         DeviceSpan<CompiledTarget, const std::uint32_t>,
                         DeviceSpan<CompiledTarget, const std::uint32_t>,
                         DeviceSpan<CompiledTarget, const std::uint32_t>,
                         DeviceSpan<CompiledTarget, std::uint32_t>);
template void round_to_tf32(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const float>,
                            DeviceSpan<CompiledTarget, std::uint32_t>);
template void mma_in_half_a_warp(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
