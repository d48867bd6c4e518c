// SPDX-License-Identifier: Apache-2.0
//
// CUDA's `_sync` warp operations on the SIMT engine. Each is one rendezvous of the lanes in `mask`
// (simt::warp_exchange), in which every lane contributes its operands and then reads what it needs. The
// engine reports a calling lane that its own mask doesn't name, and a named lane that has exited or waits
// elsewhere.
#pragma once

#include <bit>
#include <concepts>
#include <cstring>
#include <type_traits>

#include "kernels/device/cuda_names.h"

namespace remeasure::simt_warp {

using simt::Site;

/// The types that CUDA's shuffles and matches take.
template <class T>
concept Exchangeable = std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, long> ||
    std::same_as<T, unsigned long> || std::same_as<T, long long> || std::same_as<T, unsigned long long> ||
    std::same_as<T, float> || std::same_as<T, double>;

inline int lane() {
  return static_cast<int>(simt::this_thread().lane());
}

// Messages (warp_simt.cpp). An error abandons the thread where it stands, so nothing that owns memory may be
// alive.
[[noreturn]] void fail_unnamed_source(const char* what, int source, const Site& where);
[[noreturn]] void fail_width(const char* what, int width, const Site& where);

/// The value of lane `source`, which must take part: CUDA leaves reading another lane undefined, here it is
/// an error.
template <Exchangeable T>
T shuffle(unsigned mask, T value, int source, const char* what, const Site& where) {
  const simt::WarpView slots = simt::warp_exchange(mask, &value, sizeof value, where, what);
  if ((mask >> source & 1u) == 0) fail_unnamed_source(what, source, where);
  return slots.template get<T>(static_cast<unsigned>(source));
}

inline void check_width(int width, const char* what, const Site& where) {
  if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width)))
    fail_width(what, width, where);
}

/// Folds the contributions of the lanes in `mask`, lowest lane first.
template <class T, class Combine>
T reduce(unsigned mask, T value, Combine combine, const char* what, const Site& where) {
  const simt::WarpView slots = simt::warp_exchange(mask, &value, sizeof value, where, what);
  int source = std::countr_zero(mask);
  T result = slots.template get<T>(static_cast<unsigned>(source));
  while (++source < 32) {
    if (mask >> source & 1u) result = combine(result, slots.template get<T>(static_cast<unsigned>(source)));
  }
  return result;
}

}  // namespace remeasure::simt_warp

// Shuffles. `width` cuts the warp into segments that begin at multiples of it; a source beyond the segment
// means the own value for up, down and xor, and wraps around inside the segment for the indexed form. Of the
// source, delta or lane mask the instruction takes five bits (PTX ISA, shfl.sync: bval[4:0] = b[4:0]).
template <remeasure::simt_warp::Exchangeable T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  namespace w = remeasure::simt_warp;
  w::check_width(width, "__shfl_sync", where);
  const int first = w::lane() & ~(width - 1);
  return w::shuffle(mask, value, first + (source & (width - 1)), "__shfl_sync", where);
}

template <remeasure::simt_warp::Exchangeable T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  namespace w = remeasure::simt_warp;
  w::check_width(width, "__shfl_up_sync", where);
  const int first = w::lane() & ~(width - 1);
  const int source = w::lane() - static_cast<int>(delta & 31u);
  return w::shuffle(mask, value, source < first ? w::lane() : source, "__shfl_up_sync", where);
}

template <remeasure::simt_warp::Exchangeable T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  namespace w = remeasure::simt_warp;
  w::check_width(width, "__shfl_down_sync", where);
  const int last = w::lane() | (width - 1);
  const int source = w::lane() + static_cast<int>(delta & 31u);
  return w::shuffle(mask, value, source > last ? w::lane() : source, "__shfl_down_sync", where);
}

/// A source in a later segment gives the own value; one in an earlier segment is read (PTX ISA, shfl.bfly).
template <remeasure::simt_warp::Exchangeable T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  namespace w = remeasure::simt_warp;
  w::check_width(width, "__shfl_xor_sync", where);
  const int last = w::lane() | (width - 1);
  const int source = w::lane() ^ (lane_mask & 31);
  return w::shuffle(mask, value, source > last ? w::lane() : source, "__shfl_xor_sync", where);
}

// Votes over the lanes in the mask.
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  namespace w = remeasure::simt_warp;
  const unsigned own = predicate != 0 ? 1u << w::lane() : 0u;
  return w::reduce(
      mask, own, [](unsigned a, unsigned b) { return a | b; }, "__ballot_sync", where);
}
inline int __all_sync(unsigned mask, int predicate,
                      const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  const int own = predicate != 0;
  return remeasure::simt_warp::reduce(
      mask, own, [](int a, int b) { return a & b; }, "__all_sync", where);
}
inline int __any_sync(unsigned mask, int predicate,
                      const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  const int own = predicate != 0;
  return remeasure::simt_warp::reduce(
      mask, own, [](int a, int b) { return a | b; }, "__any_sync", where);
}
inline int __uni_sync(unsigned mask, int predicate,
                      const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  const int own = predicate != 0 ? 2 : 1;
  return remeasure::simt_warp::reduce(
             mask, own, [](int a, int b) { return a | b; }, "__uni_sync", where) != 3;
}

// Match: equality of bits, so -0.0f and 0.0f differ and a NaN equals itself, as in PTX (match.sync takes .b32
// and .b64).
template <remeasure::simt_warp::Exchangeable T>
unsigned __match_any_sync(unsigned mask, T value,
                          const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  const remeasure::simt::WarpView slots =
      remeasure::simt::warp_exchange(mask, &value, sizeof value, where, "__match_any_sync");
  unsigned equal = 0;
  for (int source = 0; source < 32; ++source) {
    if ((mask >> source & 1u) &&
        std::memcmp(slots.slot(static_cast<unsigned>(source)), &value, sizeof value) == 0)
      equal |= 1u << source;
  }
  return equal;
}
template <remeasure::simt_warp::Exchangeable T>
unsigned __match_all_sync(unsigned mask, T value, int* all_equal,
                          const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  const remeasure::simt::WarpView slots =
      remeasure::simt::warp_exchange(mask, &value, sizeof value, where, "__match_all_sync");
  bool equal = true;
  for (int source = 0; source < 32; ++source) {
    if (mask >> source & 1u)
      equal = equal && std::memcmp(slots.slot(static_cast<unsigned>(source)), &value, sizeof value) == 0;
  }
  *all_equal = equal ? 1 : 0;
  return equal ? mask : 0u;
}

// Reductions of 32-bit integers (sm_80).
#define RM_REDUCE(name, Type, expression)                                                \
  inline Type name(unsigned mask, Type value,                                            \
                   const remeasure::simt::Site& where = remeasure::simt::Site::here()) { \
    return remeasure::simt_warp::reduce(                                                 \
        mask, value, [](Type a, Type b) -> Type { return expression; }, #name, where);   \
  }
RM_REDUCE(__reduce_add_sync, unsigned, a + b)
RM_REDUCE(__reduce_add_sync, int, static_cast<int>(static_cast<unsigned>(a) + static_cast<unsigned>(b)))
RM_REDUCE(__reduce_min_sync, unsigned, a < b ? a : b)
RM_REDUCE(__reduce_min_sync, int, a < b ? a : b)
RM_REDUCE(__reduce_max_sync, unsigned, a < b ? b : a)
RM_REDUCE(__reduce_max_sync, int, a < b ? b : a)
RM_REDUCE(__reduce_and_sync, unsigned, a& b)
RM_REDUCE(__reduce_or_sync, unsigned, a | b)
RM_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
#undef RM_REDUCE

inline void __syncwarp(unsigned mask = 0xffffffffu,
                       const remeasure::simt::Site& where = remeasure::simt::Site::here()) {
  const char nothing = 0;
  (void)remeasure::simt::warp_exchange(mask, &nothing, 0, where, "__syncwarp");
}
inline unsigned __activemask() {
  return remeasure::simt::active_mask();
}
