// SPDX-License-Identifier: Apache-2.0
//
// CUDA's atomic functions, with CUDA's names. Under nvcc they are the toolkit's. On the host they are the
// compiler's __atomic builtins: real atomics, since blocks run on several CPU threads, and the checking build
// sees them as atomics.
#pragma once

#ifndef __CUDACC__

#include <bit>
#include <cstdint>
#include <type_traits>

namespace remeasure::simt_atomics {

template <class T>
concept Word = std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, long long> ||
    std::is_same_v<T, unsigned long long> || std::is_same_v<T, unsigned long>;
template <class T>
concept Number = Word<T> || std::is_same_v<T, float> || std::is_same_v<T, double>;

template <class T>
using BitsOf = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// Relaxed, like CUDA's functions of device scope: they order nothing but themselves.
inline constexpr int kOrder = __ATOMIC_RELAXED;

/// Replaces the value by change(old) and returns the old one. Bits are compared, so a NaN can't make it spin.
template <class T, class Change>
T update(T* address, Change change) {
  auto* bits = reinterpret_cast<BitsOf<T>*>(address);
  BitsOf<T> old = __atomic_load_n(bits, kOrder);
  while (!__atomic_compare_exchange_n(bits, &old, std::bit_cast<BitsOf<T>>(change(std::bit_cast<T>(old))),
                                      false, kOrder, kOrder)) {
  }
  return std::bit_cast<T>(old);
}

}  // namespace remeasure::simt_atomics

template <remeasure::simt_atomics::Number T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  if constexpr (std::is_integral_v<T>) {
    return __atomic_fetch_add(address, value, remeasure::simt_atomics::kOrder);
  } else {
    return remeasure::simt_atomics::update(address, [=](T old) { return old + value; });
  }
}
template <remeasure::simt_atomics::Word T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_sub(address, value, remeasure::simt_atomics::kOrder);
}
template <remeasure::simt_atomics::Number T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return remeasure::simt_atomics::update(address, [=](T) { return value; });
}
template <remeasure::simt_atomics::Word T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return remeasure::simt_atomics::update(address, [=](T old) { return value < old ? value : old; });
}
template <remeasure::simt_atomics::Word T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return remeasure::simt_atomics::update(address, [=](T old) { return old < value ? value : old; });
}
template <remeasure::simt_atomics::Word T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_and(address, value, remeasure::simt_atomics::kOrder);
}
template <remeasure::simt_atomics::Word T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_or(address, value, remeasure::simt_atomics::kOrder);
}
template <remeasure::simt_atomics::Word T>
T atomicXor(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_xor(address, value, remeasure::simt_atomics::kOrder);
}
/// Stores `value` where the word equals `compare`; returns the old word either way.
template <remeasure::simt_atomics::Word T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  T old = compare;
  __atomic_compare_exchange_n(address, &old, value, false, remeasure::simt_atomics::kOrder,
                              remeasure::simt_atomics::kOrder);
  return old;
}
/// Counts up, and from `limit` (or above) back to 0.
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return remeasure::simt_atomics::update(address, [=](unsigned old) { return old >= limit ? 0u : old + 1u; });
}
/// Counts down, and from 0 (or from above `limit`) back to `limit`.
inline unsigned atomicDec(unsigned* address, unsigned limit) {
  return remeasure::simt_atomics::update(
      address, [=](unsigned old) { return old == 0 || old > limit ? limit : old - 1u; });
}

#endif
