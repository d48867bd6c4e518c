// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic of the floating-point shapes: products are exact in float (11-bit significands), and are added
// one after the other to C with k ascending, each addition rounded to nearest. A GPU adds several products at
// once with a wider intermediate and truncation, so results agree within the rounding of K additions, not bit
// for bit. Integers are exact.
#include "kernels/device/mma_emulation.h"

#include <bit>

#include "kernels/device/float16.h"
#include "kernels/simt/thread.h"

namespace remeasure::emulation {

namespace {

// How an instruction reads element `i` of its packed registers.

template <class Element>
struct Reader;

template <>
struct Reader<Half> {
  using Value = float;
  static float value(const std::uint32_t* r, int i) {
    return static_cast<float>(unpack2<half>(r[i / 2], i % 2));
  }
};
template <>
struct Reader<Bfloat16> {
  using Value = float;
  static float value(const std::uint32_t* r, int i) {
    return static_cast<float>(unpack2<bfloat16>(r[i / 2], i % 2));
  }
};
/// The instruction looks at the upper 19 bits: 10 of the significand's 23 are kept, without rounding. Round
/// before (to_tf32) for the better half bit.
template <>
struct Reader<Tf32> {
  using Value = float;
  static float value(const std::uint32_t* r, int i) { return std::bit_cast<float>(r[i] & 0xffffe000u); }
};
template <>
struct Reader<Int8> {
  using Value = std::int8_t;
  static std::int8_t value(const std::uint32_t* r, int i) {
    return static_cast<std::int8_t>(r[i / 4] >> (8 * (i % 4)));
  }
};
template <>
struct Reader<Int4> {
  using Value = std::int8_t;
  static std::int8_t value(const std::uint32_t* r, int i) {
    const int nibble = static_cast<int>(r[i / 8] >> (4 * (i % 8)) & 0xfu);
    return static_cast<std::int8_t>((nibble ^ 8) - 8);
  }
};

/// What a lane brings: its elements of A and B, converted once here rather than by each lane that reads them.
template <class Layout, class Element>
struct Fragments {
  typename Reader<Element>::Value a[Layout::kAElements];
  typename Reader<Element>::Value b[Layout::kBElements];
};

template <class Layout, class Element>
Fragments<Layout, Element> unpack(const std::uint32_t* a, const std::uint32_t* b) {
  Fragments<Layout, Element> mine;
  for (int i = 0; i < Layout::kAElements; ++i) mine.a[i] = Reader<Element>::value(a, i);
  for (int i = 0; i < Layout::kBElements; ++i) mine.b[i] = Reader<Element>::value(b, i);
  return mine;
}

/// Wraps on overflow like the instruction without .satfinite; plain signed addition would be undefined.
std::int32_t add_product(std::int32_t sum, std::int8_t a, std::int8_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) + static_cast<std::uint32_t>(a * b));
}
float add_product(float sum, float a, float b) {
  return sum + a * b;
}

/// `flops` of the whole warp, counted by the lane that is first in it.
void count_flops(std::uint64_t flops) {
  if (simt::this_thread().lane() == 0) simt::count(simt::Counter::mma_flops, flops);
}

/// The element of a row of A, or of a column of B, that has place `k`: which of the four lanes, and where
/// there.
template <class Layout>
struct AlongK {
  int lane_in_group;
  int register_index;  ///< 0, 1, ... along K
  int in_register;
  constexpr explicit AlongK(int k)
      : lane_in_group(k / Layout::kElementsPerRegister % 4),
        register_index(k / Layout::kElementsPerRegister / 4),
        in_register(k % Layout::kElementsPerRegister) {}
};

/// Place in Fragments::a of (row, k), and in Fragments::b of (k, column).
template <class Layout>
constexpr int a_element(int row, AlongK<Layout> at) {
  return (row / 8 + 2 * at.register_index) * Layout::kElementsPerRegister + at.in_register;
}
template <class Layout>
constexpr int b_element(AlongK<Layout> at) {
  return at.register_index * Layout::kElementsPerRegister + at.in_register;
}

}  // namespace

template <class Layout, class Element, class Sum>
void dense(Sum (&d)[4], const std::uint32_t* a, const std::uint32_t* b, const Sum (&c)[4], const char* what,
           const simt::Site& where) {
  using Lane = Fragments<Layout, Element>;
  const Lane mine = unpack<Layout, Element>(a, b);
  const simt::WarpView warp = simt::warp_exchange(simt::kFullMask, &mine, sizeof mine, where, what);
  count_flops(2ull * Layout::kM * Layout::kN * Layout::kK);
  const int lane = static_cast<int>(simt::this_thread().lane());
  for (int i = 0; i < 4; ++i) {
    const auto [row, column] = Layout::c(lane, i);
    Sum sum = c[i];
    for (int k = 0; k < Layout::kK; ++k) {
      const AlongK<Layout> at(k);
      const auto* row_lane =
          static_cast<const Lane*>(warp.slot(static_cast<unsigned>(row % 8 * 4 + at.lane_in_group)));
      const auto* column_lane =
          static_cast<const Lane*>(warp.slot(static_cast<unsigned>(column * 4 + at.lane_in_group)));
      sum = add_product(sum, row_lane->a[a_element(row, at)], column_lane->b[b_element(at)]);
    }
    d[i] = sum;
  }
}

void bits(std::int32_t (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
          const std::int32_t (&c)[4], BitOperation operation, const char* what, const simt::Site& where) {
  using Layout = MmaLayout<256, 32>;
  struct Lane {
    std::uint32_t a[4];
    std::uint32_t b[2];
  };
  const Lane mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const simt::WarpView warp = simt::warp_exchange(simt::kFullMask, &mine, sizeof mine, where, what);
  count_flops(2ull * Layout::kM * Layout::kN * Layout::kK);
  const int lane = static_cast<int>(simt::this_thread().lane());
  for (int i = 0; i < 4; ++i) {
    const auto [row, column] = Layout::c(lane, i);
    std::int32_t sum = c[i];
    for (int word = 0; word < Layout::kK / 32; ++word) {
      const auto* row_lane =
          static_cast<const Lane*>(warp.slot(static_cast<unsigned>(row % 8 * 4 + word % 4)));
      const auto* column_lane =
          static_cast<const Lane*>(warp.slot(static_cast<unsigned>(column * 4 + word % 4)));
      const std::uint32_t x = row_lane->a[row / 8 + 2 * (word / 4)];
      const std::uint32_t y = column_lane->b[word / 4];
      sum += std::popcount(operation == BitOperation::exclusive_or ? x ^ y : x & y);
    }
    d[i] = sum;
  }
}

namespace {

/// How a chunk's four bits of metadata give the place of its stored element `which`.
template <class Pattern>
struct Chunk;
template <>
struct Chunk<TwoOfFour> {
  static constexpr int kChunk = 4;
  static constexpr int kStored = 2;
  static int place(unsigned four_bits, int which) { return static_cast<int>(four_bits >> (2 * which) & 3u); }
  static bool valid(unsigned four_bits) { return (four_bits & 3u) < (four_bits >> 2 & 3u); }
};
template <>
struct Chunk<OneOfTwo> {
  static constexpr int kChunk = 2;
  static constexpr int kStored = 1;
  static int place(unsigned four_bits, int) { return four_bits == 0b1110u ? 1 : 0; }
  static bool valid(unsigned four_bits) { return four_bits == 0b0100u || four_bits == 0b1110u; }
};

}  // namespace

template <class Layout, class Element, class Pattern>
void sparse(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[4], const float (&c)[4],
            std::uint32_t metadata, int selector, const char* what, const simt::Site& where) {
  struct Lane {
    Fragments<Layout, Element> fragments;
    std::uint32_t metadata;
  };
  const Lane mine{unpack<Layout, Element>(a, b), metadata};
  const simt::WarpView warp = simt::warp_exchange(simt::kFullMask, &mine, sizeof mine, where, what);
  count_flops(1ull * Layout::kM * Layout::kN * Layout::kK);  // half of the dense product's
  const auto lane_at = [&](int lane) {
    return static_cast<const Lane*>(warp.slot(static_cast<unsigned>(lane)));
  };
  const int lane = static_cast<int>(simt::this_thread().lane());
  for (int i = 0; i < 4; ++i) {
    const auto [row, column] = Layout::c(lane, i);
    float sum = c[i];
    for (int chunk = 0; chunk < Layout::kK / Chunk<Pattern>::kChunk; ++chunk) {
      const std::uint32_t word = lane_at(MmaMetadata::lane(row, chunk / 4, selector))->metadata;
      const unsigned four_bits = word >> MmaMetadata::shift(row, chunk % 4) & 0xfu;
      if (!Chunk<Pattern>::valid(four_bits)) {
        simt::fail(simt::ErrorKind::device_assert,
                   "mma.sp: metadata that PTX leaves undefined (2:4 needs two different indices in ascending "
                   "order, tf32 0b0100 or 0b1110)",
                   where);
      }
      for (int which = 0; which < Chunk<Pattern>::kStored; ++which) {
        const AlongK<Layout> stored(chunk * Chunk<Pattern>::kStored + which);
        const AlongK<Layout> k(chunk * Chunk<Pattern>::kChunk + Chunk<Pattern>::place(four_bits, which));
        sum =
            add_product(sum, lane_at(row % 8 * 4 + stored.lane_in_group)->fragments.a[a_element(row, stored)],
                        lane_at(column * 4 + k.lane_in_group)->fragments.b[b_element(k)]);
      }
    }
    d[i] = sum;
  }
}

using Floats = float (&)[4];
using ConstFloats = const float (&)[4];
using Ints = std::int32_t (&)[4];
using ConstInts = const std::int32_t (&)[4];
using Words = const std::uint32_t*;
using Words4 = const std::uint32_t (&)[4];
using Name = const char*;
using Where = const simt::Site&;
template void dense<MmaLayout<16, 2>, Half>(Floats, Words, Words, ConstFloats, Name, Where);
template void dense<MmaLayout<16, 2>, Bfloat16>(Floats, Words, Words, ConstFloats, Name, Where);
template void dense<MmaLayout<8, 2>, Half>(Floats, Words, Words, ConstFloats, Name, Where);
template void dense<MmaLayout<8, 2>, Bfloat16>(Floats, Words, Words, ConstFloats, Name, Where);
template void dense<MmaLayout<8, 1>, Tf32>(Floats, Words, Words, ConstFloats, Name, Where);
template void dense<MmaLayout<32, 4>, Int8>(Ints, Words, Words, ConstInts, Name, Where);
template void dense<MmaLayout<64, 8>, Int4>(Ints, Words, Words, ConstInts, Name, Where);
using Metadata = std::uint32_t;
template void sparse<MmaLayout<32, 2, true>, Half, TwoOfFour>(Floats, Words4, Words4, ConstFloats, Metadata,
                                                              int, Name, Where);
template void sparse<MmaLayout<32, 2, true>, Bfloat16, TwoOfFour>(Floats, Words4, Words4, ConstFloats,
                                                                  Metadata, int, Name, Where);
template void sparse<MmaLayout<16, 1, true>, Tf32, OneOfTwo>(Floats, Words4, Words4, ConstFloats, Metadata,
                                                             int, Name, Where);

}  // namespace remeasure::emulation
