// SPDX-License-Identifier: Apache-2.0
//
// Kernels that expose the atomics to kernels/device/atomics_test.cpp.
#include "kernels/device/testing/atomic_kernels.h"

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

__global__ void integer_kernel(std::uint32_t* words, unsigned long long* wide) {
  const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
  auto* const signed_words = reinterpret_cast<int*>(words);
  atomicAdd(&words[0], thread);
  atomicSub(&words[1], thread);
  atomicMin(&words[2], thread + 3);
  atomicMax(&words[3], thread);
  atomicMin(&signed_words[4], 7 - static_cast<int>(thread));
  atomicMax(&signed_words[5], static_cast<int>(thread) - 1000);
  atomicAnd(&words[6], ~(1u << thread % 32));
  atomicOr(&words[7], 1u << thread % 32);
  atomicXor(&words[8], thread);
  atomicInc(&words[9], 10);
  atomicDec(&words[10], 10);
  // A counter by compare-and-swap.
  std::uint32_t seen = 0;
  for (;;) {
    const std::uint32_t before = atomicCAS(&words[11], seen, seen + 2);
    if (before == seen) break;
    seen = before;
  }
  atomicAdd(&wide[0], 1ull << 32 | thread);
  atomicMax(&wide[1], static_cast<unsigned long long>(thread) << 33);
}

__global__ void float_kernel(float* sum, double* double_sum) {
  atomicAdd(sum, 0.5f);
  atomicAdd(double_sum, 0.5);
}

__global__ void return_kernel(std::uint32_t* word, std::uint32_t* old) {
  old[0] = atomicAdd(word, 3u);         // 5 -> 8
  old[1] = atomicExch(word, 100u);      // 8 -> 100
  old[2] = atomicCAS(word, 99u, 1u);    // stays 100
  old[3] = atomicCAS(word, 100u, 12u);  // -> 12
  old[4] = atomicInc(word, 12u);        // 12 >= 12 -> 0
  old[5] = atomicDec(word, 7u);         // 0 -> 7
  old[6] = atomicSub(word, 2u);         // 7 -> 5
  old[7] = atomicMin(word, 4u);         // -> 4
  old[8] = atomicMax(word, 6u);         // -> 6
  old[9] = atomicAnd(word, 3u);         // -> 2
  old[10] = atomicOr(word, 8u);         // -> 10
  old[11] = atomicXor(word, 15u);       // -> 5
}

}  // namespace

template <class Target>
void integer_atomics(Stream<Target>& stream, int blocks, int threads, DeviceSpan<Target, std::uint32_t> words,
                     DeviceSpan<Target, std::uint64_t> wide) {
  launch({.name = "integer_atomics",
          .grid = static_cast<unsigned>(blocks),
          .block = static_cast<unsigned>(threads)},
         stream, integer_kernel, words.data(), reinterpret_cast<unsigned long long*>(wide.data()));
}

template <class Target>
void float_atomics(Stream<Target>& stream, int blocks, int threads, DeviceSpan<Target, float> sum,
                   DeviceSpan<Target, double> double_sum) {
  launch({.name = "float_atomics",
          .grid = static_cast<unsigned>(blocks),
          .block = static_cast<unsigned>(threads),
          .order_dependent = true},
         stream, float_kernel, sum.data(), double_sum.data());
}

template <class Target>
void atomic_return_values(Stream<Target>& stream, DeviceSpan<Target, std::uint32_t> word,
                          DeviceSpan<Target, std::uint32_t> old) {
  launch({.name = "atomic_return_values"}, stream, return_kernel, word.data(), old.data());
}

template void integer_atomics(Stream<CompiledTarget>&, int, int, DeviceSpan<CompiledTarget, std::uint32_t>,
                              DeviceSpan<CompiledTarget, std::uint64_t>);
template void float_atomics(Stream<CompiledTarget>&, int, int, DeviceSpan<CompiledTarget, float>,
                            DeviceSpan<CompiledTarget, double>);
template void atomic_return_values(Stream<CompiledTarget>&, DeviceSpan<CompiledTarget, std::uint32_t>,
                                   DeviceSpan<CompiledTarget, std::uint32_t>);

}  // namespace remeasure::kernels
