// SPDX-License-Identifier: Apache-2.0
//
// Kernels that expose launches, shared memory and block barriers to kernels/device/launch_test.cpp.
#include "kernels/device/testing/launch_kernels.h"

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

__constant__ float weights[3] = {0.5f, 0.25f, 0.125f};

__global__ void indices_kernel(std::uint64_t* out) {
  const std::uint64_t block = blockIdx.x + gridDim.x * (blockIdx.y + std::uint64_t{gridDim.y} * blockIdx.z);
  const std::uint64_t thread =
      threadIdx.x + blockDim.x * (threadIdx.y + std::uint64_t{blockDim.y} * threadIdx.z);
  const std::uint64_t threads = std::uint64_t{blockDim.x} * blockDim.y * blockDim.z;
  const unsigned fields[] = {blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z};
  std::uint64_t packed = 0;
  for (const unsigned field : fields) packed = packed << 10 | field;
  out[block * threads + thread] = packed;
}

__global__ void __launch_bounds__(256) reverse_kernel(int n, const float* in, float* out) {
  RM_DYNAMIC_SHARED(float, staging);
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) staging[i] = in[i];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x))
    out[i] = staging[n - 1 - i];
}

__global__ void arguments_kernel(double first, short second, const double* third, double* out) {
  out[0] = first;
  out[1] = second;
  out[2] = third == out ? 1 : 0;
}

__global__ void empty_kernel() {}

__global__ void votes_kernel(const int* values, int* out) {
  const int positive = values[threadIdx.x] > 0;
  out[3 * threadIdx.x] = __syncthreads_count(positive);
  out[3 * threadIdx.x + 1] = __syncthreads_and(positive) != 0;
  out[3 * threadIdx.x + 2] = __syncthreads_or(positive) != 0;
}

__global__ void constant_kernel(float* out) {
  const float4 factors = make_float4(1, 10, 100, 0);
  *out = factors.x * weights[0] + factors.y * weights[1] + factors.z * weights[2];
}

__global__ void assert_kernel() {
  assert(threadIdx.x != 3);
}

__global__ void print_kernel() {
  printf("thread %d of the printing kernel\n", static_cast<int>(threadIdx.x));
}

__global__ void past_the_end_kernel(int n, int* out) {
  out[n] = 1;
}

__global__ void faulty(Fault fault, float* out) {
  RM_SHARED(float, tile, [32]);
  RM_SHARED(float, unwritten, );
  tile[threadIdx.x] = 1.0f;
  __syncthreads();
  float result = 0;
  switch (fault) {
    case Fault::shared_past_the_end:
      result = tile[threadIdx.x + 1];
      break;
    case Fault::misaligned_vector:  // a copy of the whole vector; reading one member would be a 4-byte load
      if (threadIdx.x == 0) *reinterpret_cast<float4*>(tile) = *reinterpret_cast<const float4*>(out + 1);
      break;
    case Fault::unwritten_shared:
      result = unwritten;
      break;
  }
  out[threadIdx.x] = result;
}

}  // namespace

template <class Target>
void thread_indices(Stream<Target>& stream, const int (&grid)[3], const int (&block)[3],
                    DeviceSpan<Target, std::uint64_t> out) {
  const auto size = [](const int(&d)[3]) {
    return dim3(static_cast<unsigned>(d[0]), static_cast<unsigned>(d[1]), static_cast<unsigned>(d[2]));
  };
  launch({.name = "thread_indices", .grid = size(grid), .block = size(block)}, stream, indices_kernel,
         out.data());
}

template <class Target>
void reverse_in_shared(Stream<Target>& stream, DeviceSpan<Target, const float> in,
                       DeviceSpan<Target, float> out) {
  launch({.name = "reverse_in_shared", .block = 256, .shared_bytes = in.size_bytes()}, stream, reverse_kernel,
         static_cast<int>(in.size()), in.data(), out.data());
}

template <class Target>
void converted_arguments(Stream<Target>& stream, DeviceSpan<Target, double> out) {
  launch({.name = "converted_arguments"}, stream, arguments_kernel, 3, static_cast<signed char>(4),
         out.data(), out.data());
}

template <class Target>
void empty_block(Stream<Target>& stream, int threads, std::size_t shared_bytes) {
  launch({.name = "empty_block", .block = static_cast<unsigned>(threads), .shared_bytes = shared_bytes},
         stream, empty_kernel);
}

template <class Target>
void barrier_votes(Stream<Target>& stream, DeviceSpan<Target, const int> values,
                   DeviceSpan<Target, int> out) {
  launch({.name = "barrier_votes", .block = static_cast<unsigned>(values.size())}, stream, votes_kernel,
         values.data(), out.data());
}

template <class Target>
void constant_table(Stream<Target>& stream, DeviceSpan<Target, float> out) {
  launch({.name = "constant_table"}, stream, constant_kernel, out.data());
}

template <class Target>
void failing_assert(Stream<Target>& stream) {
  launch({.name = "failing_assert", .block = 8}, stream, assert_kernel);
}

template <class Target>
void printing_kernel(Stream<Target>& stream, int threads) {
  launch({.name = "printing_kernel", .block = static_cast<unsigned>(threads)}, stream, print_kernel);
}

template <class Target>
void write_past_the_end(Stream<Target>& stream, DeviceSpan<Target, int> out) {
  launch({.name = "write_past_the_end"}, stream, past_the_end_kernel, static_cast<int>(out.size()),
         out.data());
}

template <class Target>
void faulty_kernel(Stream<Target>& stream, Fault fault, DeviceSpan<Target, float> out) {
  launch({.name = "faulty_kernel", .block = 32}, stream, faulty, fault, out.data());
}

template void thread_indices(Stream<CompiledTarget>&, const int (&)[3], const int (&)[3],
                             DeviceSpan<CompiledTarget, std::uint64_t>);
template void reverse_in_shared(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const float>,
                                DeviceSpan<CompiledTarget, float>);
template void converted_arguments(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, double>);
template void empty_block(Stream<CompiledTarget>&, int, std::size_t);
template void barrier_votes(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, const int>,
                            DeviceSpan<CompiledTarget, int>);
template void constant_table(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, float>);
template void failing_assert(Stream<CompiledTarget>&);
template void printing_kernel(Stream<CompiledTarget>&, int);
template void write_past_the_end(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, int>);
template void faulty_kernel(Stream<CompiledTarget>&, Fault, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
