// SPDX-License-Identifier: Apache-2.0
//
// The Walsh-Hadamard transform of complex numbers in registers and shared memory. Device code, for .cu files:
// include kernels/device/kernel.h first. Without the factor 2^(-n/2).
//
// A thread holds 2^kBits numbers whose indices differ in kBits neighbouring bits, from bit `low` on: kBits
// levels of the transform are additions of registers. Between two groups of bits the numbers go through
// shared memory, in place: a thread writes to where it has read, so each exchange needs one barrier.
#pragma once

namespace remeasure::kernels {

/// Index with zeros in the bits [low, low + bits): the bits of `thread` are spread around them.
RM_DEVICE inline int owned_index(int thread, int low, int bits) {
  return (thread >> low) << (low + bits) | (thread & ((1 << low) - 1));
}
/// A float2 of padding behind every 16: eight-byte accesses with a stride of 16 then meet no bank twice.
RM_DEVICE constexpr int padded_place(int index) {
  return index + index / 16;
}

/// The lowest `levels` levels of 2^kBits numbers.
template <int kBits>
RM_DEVICE inline void hadamard_registers(float2 (&v)[1 << kBits], int levels) {
#pragma unroll
  for (int bit = 0; bit < kBits; ++bit) {
    if (bit < levels) {
#pragma unroll
      for (int j = 0; j < 1 << kBits; ++j) {
        if ((j >> bit & 1) == 0) {
          const float2 a = v[j], b = v[j | 1 << bit];
          v[j] = make_float2(a.x + b.x, a.y + b.y);
          v[j | 1 << bit] = make_float2(a.x - b.x, a.y - b.y);
        }
      }
    }
  }
}

/// All levels of 2^n numbers by 2^(n - kBits) threads of a block. Before and after, register j of `thread` is
/// the number j 2^(n - kBits) + thread. `shared` has room for padded_place(2^n) numbers. All threads of the
/// block call it.
template <int kBits>
RM_DEVICE inline void hadamard_block(float2 (&v)[1 << kBits], float2* shared, int thread, int n) {
  int low = n - kBits, levels = kBits;
  hadamard_registers<kBits>(v, levels);
  if (low == 0) return;
  const auto exchange = [&](int next) {
    const int from = owned_index(thread, low, kBits);
#pragma unroll
    for (int j = 0; j < 1 << kBits; ++j) shared[padded_place(from + (j << low))] = v[j];
    __syncthreads();  // the numbers of all threads are there
    const int to = owned_index(thread, next, kBits);
#pragma unroll
    for (int j = 0; j < 1 << kBits; ++j) v[j] = shared[padded_place(to + (j << next))];
  };
  while (low > 0) {
    const int next = max(0, low - kBits);
    exchange(next);
    levels = low - next;
    low = next;
    hadamard_registers<kBits>(v, levels);
  }
  exchange(n - kBits);
}

}  // namespace remeasure::kernels
