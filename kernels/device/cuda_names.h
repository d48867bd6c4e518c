// SPDX-License-Identifier: Apache-2.0
//
// The CUDA names of a kernel source on the host: qualifiers, built-in variables, vector types, block
// barriers, assert. Included by kernel.h when the compiler isn't nvcc; never include it in a file that also
// includes a CUDA header.
#pragma once

#include <cstdarg>

#include "kernels/simt/engine.h"
#include "kernels/simt/thread.h"

// Qualifiers. They choose an address space or a compilation pass under nvcc; on the host there is one of
// each.
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))

// Vector types, in the global namespace and with CUDA's alignment: the checker reports a float4 access that
// is not on a 16-byte boundary. The four-element types of 8-byte elements are left out: CUDA 13 deprecates
// them.
#define RM_VECTOR_TYPES_1_2(name, scalar, align1, align2) \
  struct alignas(align1) name##1 {                        \
    scalar x;                                             \
  };                                                      \
  struct alignas(align2) name##2 {                        \
    scalar x, y;                                          \
  };                                                      \
  constexpr name##1 make_##name##1(scalar x) {            \
    return {x};                                           \
  }                                                       \
  constexpr name##2 make_##name##2(scalar x, scalar y) {  \
    return {x, y};                                        \
  }
#define RM_VECTOR_TYPES_3_4(name, scalar, align4)                            \
  struct name##3 {                                                           \
    scalar x, y, z;                                                          \
  };                                                                         \
  struct alignas(align4) name##4 {                                           \
    scalar x, y, z, w;                                                       \
  };                                                                         \
  constexpr name##3 make_##name##3(scalar x, scalar y, scalar z) {           \
    return {x, y, z};                                                        \
  }                                                                          \
  constexpr name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w) { \
    return {x, y, z, w};                                                     \
  }

RM_VECTOR_TYPES_1_2(char, signed char, 1, 2)
RM_VECTOR_TYPES_3_4(char, signed char, 4)
RM_VECTOR_TYPES_1_2(uchar, unsigned char, 1, 2)
RM_VECTOR_TYPES_3_4(uchar, unsigned char, 4)
RM_VECTOR_TYPES_1_2(short, short, 2, 4)
RM_VECTOR_TYPES_3_4(short, short, 8)
RM_VECTOR_TYPES_1_2(ushort, unsigned short, 2, 4)
RM_VECTOR_TYPES_3_4(ushort, unsigned short, 8)
RM_VECTOR_TYPES_1_2(int, int, 4, 8)
RM_VECTOR_TYPES_3_4(int, int, 16)
RM_VECTOR_TYPES_1_2(uint, unsigned int, 4, 8)
RM_VECTOR_TYPES_3_4(uint, unsigned int, 16)
RM_VECTOR_TYPES_1_2(float, float, 4, 8)
RM_VECTOR_TYPES_3_4(float, float, 16)
RM_VECTOR_TYPES_1_2(longlong, long long, 8, 16)
RM_VECTOR_TYPES_1_2(ulonglong, unsigned long long, 8, 16)
RM_VECTOR_TYPES_1_2(double, double, 8, 16)
#undef RM_VECTOR_TYPES_1_2
#undef RM_VECTOR_TYPES_3_4

using dim3 = remeasure::simt::Dim3;

// Built-in variables: views of the thread that the engine runs just now.
#define threadIdx (::remeasure::simt::this_thread().thread_index)
#define blockIdx (::remeasure::simt::this_thread().block_index)
#define blockDim (::remeasure::simt::this_thread().block_dim)
#define gridDim (::remeasure::simt::this_thread().grid_dim)
inline constexpr int warpSize = 32;

// Block barriers. `where` is the line of the caller: errors name it, and two barriers on different lines are
// different.
inline void __syncthreads(const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  remeasure::simt::block_barrier(where);
}
inline int __syncthreads_count(int predicate,
                               const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  return remeasure::simt::block_barrier_count(predicate, where);
}
inline int __syncthreads_and(int predicate,
                             const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  return remeasure::simt::block_barrier_and(predicate, where);
}
inline int __syncthreads_or(int predicate,
                            const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  return remeasure::simt::block_barrier_or(predicate, where);
}

// Fences order memory on a GPU. A block runs on one CPU thread, so inside it there is nothing to order;
// between blocks the engine makes it a full fence and remembers it for the race check.
inline void __threadfence_block() {}
inline void __threadfence(const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  remeasure::simt::thread_fence(where);
}
inline void __threadfence_system(const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  remeasure::simt::thread_fence(where);
}

// Device printf. A kernel lives below `remeasure`, so it finds this one before the C library's, which it
// still reaches as std::printf.
namespace remeasure {
[[gnu::format(printf, 1, 2)]] inline int printf(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const int length = simt::print(format, arguments);
  va_end(arguments);
  return length;
}
}  // namespace remeasure

// A failed assert in a kernel ends the launch with an error that names the thread, in every build type.
#include <cassert>
#undef assert
#define assert(condition)                                                                              \
  (static_cast<bool>(condition) ? static_cast<void>(0)                                                 \
                                : ::remeasure::simt::fail(::remeasure::simt::ErrorKind::device_assert, \
                                                          "assertion failed: " #condition))
