// SPDX-License-Identifier: Apache-2.0
//
// Stages of a Monarch transform on tensor cores, in place in shared memory: real and imaginary planes of many
// sequences, one after another. Device code, for .cu files. An instruction's complex product is four real
// ones.
#pragma once

#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/mma.h"
#include "kernels/sequences/monarch_tables.h"

namespace remeasure::kernels {

inline constexpr int kMonarchThreads = 256;
inline constexpr int kMonarchWarps = kMonarchThreads / 32;

/// A plane whose 16-byte chunks have their three lowest bits flipped by the bits above, so that the eight
/// rows of an ldmatrix lie in eight groups of banks whatever the power of two between them.
template <class Element>
struct MonarchPlane {
  static constexpr int kChunkLog2 = sizeof(Element) == 2 ? 3 : 2;
  static constexpr int kChunk = 1 << kChunkLog2;
  Element* data;

  RM_DEVICE static int place(int position) {
    const int chunk = position >> kChunkLog2;
    const int flip = ((chunk >> 3) ^ (chunk >> 6) ^ (chunk >> 9)) & 7;
    return ((chunk ^ flip) << kChunkLog2) | (position & (kChunk - 1));
  }
  RM_DEVICE Element* at(int position) const { return data + place(position); }
};

template <class Element>
struct MonarchPlanes {
  MonarchPlane<Element> re, im;
};

/// Operands of one instruction; fp32 has a high and a low part.
template <class Element>
struct OperandA {
  std::uint32_t part[MonarchMma<Element>::kParts][4];
};
template <class Element>
struct OperandB {
  std::uint32_t part[MonarchMma<Element>::kParts][2];
};

RM_DEVICE inline void split_tf32(float value, std::uint32_t& high, std::uint32_t& low) {
  high = to_tf32(value);
  low = to_tf32(value - __uint_as_float(high));
}

/// sum += a b
template <class Element>
RM_DEVICE void multiply_add(float (&sum)[4], const OperandA<Element>& a, const OperandB<Element>& b) {
  if constexpr (std::is_same_v<Element, half>) {
    Mma16x8x16F16::multiply(sum, a.part[0], b.part[0], sum);
  } else if constexpr (std::is_same_v<Element, bfloat16>) {
    Mma16x8x16Bf16::multiply(sum, a.part[0], b.part[0], sum);
  } else {
    Mma16x8x8Tf32::multiply(sum, a.part[1], b.part[0], sum);
    Mma16x8x8Tf32::multiply(sum, a.part[0], b.part[1], sum);
    Mma16x8x8Tf32::multiply(sum, a.part[0], b.part[0], sum);
  }
}

template <class Element>
RM_DEVICE OperandB<Element> negative(const OperandB<Element>& b) {
  OperandB<Element> result;
  constexpr std::uint32_t kSigns = sizeof(Element) == 2 ? 0x80008000u : 0x80000000u;
#pragma unroll
  for (int p = 0; p < MonarchMma<Element>::kParts; ++p) {
#pragma unroll
    for (int r = 0; r < 2; ++r) result.part[p][r] = b.part[p][r] ^ kSigns;
  }
  return result;
}

/// (re, im) += a b, complex
template <class Element>
RM_DEVICE void complex_multiply_add(float (&re)[4], float (&im)[4], const OperandA<Element>& a_re,
                                    const OperandA<Element>& a_im, const OperandB<Element>& b_re,
                                    const OperandB<Element>& b_im) {
  multiply_add<Element>(re, a_re, b_re);
  multiply_add<Element>(im, a_re, b_im);
  const OperandB<Element> minus_im = negative<Element>(b_im);
  multiply_add<Element>(re, a_im, minus_im);
  multiply_add<Element>(im, a_im, b_re);
}

template <class Element>
RM_DEVICE OperandA<Element> load_matrix_a(const std::uint32_t* words, int fragment) {
  OperandA<Element> a;
  constexpr int kParts = MonarchMma<Element>::kParts;
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const uint4 v = reinterpret_cast<const uint4*>(words)[(fragment * kParts + p) * 32 + lane_id()];
    a.part[p][0] = v.x, a.part[p][1] = v.y, a.part[p][2] = v.z, a.part[p][3] = v.w;
  }
  return a;
}
template <class Element>
RM_DEVICE OperandB<Element> load_matrix_b(const std::uint32_t* words, int fragment) {
  OperandB<Element> b;
  constexpr int kParts = MonarchMma<Element>::kParts;
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const uint2 v = reinterpret_cast<const uint2*>(words)[(fragment * kParts + p) * 32 + lane_id()];
    b.part[p][0] = v.x, b.part[p][1] = v.y;
  }
  return b;
}

/// kDepth rows, `inner` apart, of eight neighbouring columns that begin at `first`.
template <class Element>
RM_DEVICE OperandB<Element> load_columns(const MonarchPlane<Element>& x, int first, int inner_log2) {
  OperandB<Element> b;
  const int lane = lane_id();
  if constexpr (sizeof(Element) == 2) {
    ldmatrix<true>(b.part[0], x.at(first + (lane % 16 << inner_log2)));
  } else {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int k = MonarchMma<float>::k(lane % 4 + 4 * i);
      split_tf32(*x.at(first + (k << inner_log2) + lane / 4), b.part[0][i], b.part[1][i]);
    }
  }
  return b;
}

/// 16 rows of `1 << row_log2` elements, of each kDepth from column `column`.
template <class Element>
RM_DEVICE OperandA<Element> load_rows(const MonarchPlane<Element>& x, int first, int row_log2, int column) {
  OperandA<Element> a;
  const int lane = lane_id();
  if constexpr (sizeof(Element) == 2) {
    ldmatrix(a.part[0], x.at(first + (lane % 16 << row_log2) + column + 8 * (lane / 16)));
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i % 2), k = MonarchMma<float>::k(lane % 4 + 4 * (i / 2));
      split_tf32(*x.at(first + (row << row_log2) + column + k), a.part[0][i], a.part[1][i]);
    }
  }
  return a;
}

/// Accumulators of kDepth neighbouring columns as the left operand of the next product.
template <class Element>
RM_DEVICE OperandA<Element> operand_of(const float (*tiles)[4]) {
  OperandA<Element> a;
  if constexpr (sizeof(Element) == 2) {
#pragma unroll
    for (int r = 0; r < 4; ++r)
      a.part[0][r] = pack2(Element(tiles[r / 2][2 * (r % 2)]), Element(tiles[r / 2][2 * (r % 2) + 1]));
  } else {
#pragma unroll
    for (int r = 0; r < 4; ++r) split_tf32(tiles[0][2 * (r % 2) + r / 2], a.part[0][r], a.part[1][r]);
  }
  return a;
}

/// Two complex numbers at neighbouring positions, as a lane holds them in an accumulator.
struct ComplexPair {
  float re[2], im[2];
};

template <class Element>
RM_DEVICE ComplexPair load_pair(const Element* table, std::size_t position) {
  if constexpr (sizeof(Element) == 2) {
    const uint2 v = *reinterpret_cast<const uint2*>(table + 2 * position);
    return {{static_cast<float>(unpack2<Element>(v.x, 0)), static_cast<float>(unpack2<Element>(v.y, 0))},
            {static_cast<float>(unpack2<Element>(v.x, 1)), static_cast<float>(unpack2<Element>(v.y, 1))}};
  } else {
    const float4 v = *reinterpret_cast<const float4*>(table + 2 * position);
    return {{v.x, v.z}, {v.y, v.w}};
  }
}

/// a b, or a conj(b)
RM_DEVICE inline ComplexPair product(const ComplexPair& a, const ComplexPair& b, bool conjugate = false) {
  ComplexPair result;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float im = conjugate ? -b.im[i] : b.im[i];
    result.re[i] = a.re[i] * b.re[i] - a.im[i] * im;
    result.im[i] = a.re[i] * im + a.im[i] * b.re[i];
  }
  return result;
}

template <class Element>
RM_DEVICE void store_pair(const MonarchPlanes<Element>& x, int position, const ComplexPair& value) {
  if constexpr (sizeof(Element) == 2) {
    *reinterpret_cast<std::uint32_t*>(x.re.at(position)) = pack2(Element(value.re[0]), Element(value.re[1]));
    *reinterpret_cast<std::uint32_t*>(x.im.at(position)) = pack2(Element(value.im[0]), Element(value.im[1]));
  } else {
    *reinterpret_cast<float2*>(x.re.at(position)) = make_float2(value.re[0], value.re[1]);
    *reinterpret_cast<float2*>(x.im.at(position)) = make_float2(value.im[0], value.im[1]);
  }
}

/// The tiles that a stage visits: in each sequence `groups` pieces of `1 << group_log2` positions, in each
/// `tiles`.
struct MonarchWalk {
  int sequences, sequence_log2, groups, group_log2, tiles;

  RM_DEVICE int count() const { return sequences * groups * tiles; }
  /// Where the group of tile `t` begins.
  RM_DEVICE int group_of(int t) const {
    const int group = t / tiles;
    return (group / groups << sequence_log2) + (group % groups << group_log2);
  }
};

/// The DFT along an axis whose neighbours lie `1 << inner_log2` apart: rows < `rows_out` of `matrix` times
/// rows < `rows_in` of the data, eight columns at a time; then finish(position, pair) before a pair is
/// stored. A tile is read whole before it is written, and no other warp touches it.
template <class Element, int kFactor, class Finish>
RM_DEVICE void strided_stage(const MonarchPlanes<Element>& x, const MonarchWalk& walk, int inner_log2,
                             const std::uint32_t* matrix, int rows_in, int rows_out, Finish finish) {
  using Mma = MonarchMma<Element>;
  constexpr int kSteps = kFactor / Mma::kDepth, kRowTiles = kFactor / 16;
  constexpr int kImaginary = kRowTiles * kSteps;  // fragments of the real part come first
  const int lane = lane_id();
  for (int t = warp_id(); t < walk.count(); t += kMonarchWarps) {
    const int first = walk.group_of(t) + 8 * (t % walk.tiles);
    OperandB<Element> re[kSteps], im[kSteps];
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      if (s * Mma::kDepth >= rows_in) break;
      const int row = first + ((s * Mma::kDepth) << inner_log2);
      re[s] = load_columns<Element>(x.re, row, inner_log2);
      im[s] = load_columns<Element>(x.im, row, inner_log2);
    }
    __syncwarp();
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      if (16 * m >= rows_out) break;
      float sum_re[4] = {}, sum_im[4] = {};
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        if (s * Mma::kDepth >= rows_in) break;
        const OperandA<Element> f_re = load_matrix_a<Element>(matrix, m * kSteps + s);
        const OperandA<Element> f_im = load_matrix_a<Element>(matrix, kImaginary + m * kSteps + s);
        complex_multiply_add<Element>(sum_re, sum_im, f_re, f_im, re[s], im[s]);
      }
#pragma unroll
      for (int half_tile = 0; half_tile < 2; ++half_tile) {
        const int position = first + ((16 * m + lane / 4 + 8 * half_tile) << inner_log2) + 2 * (lane % 4);
        const ComplexPair pair = {{sum_re[2 * half_tile], sum_re[2 * half_tile + 1]},
                                  {sum_im[2 * half_tile], sum_im[2 * half_tile + 1]}};
        store_pair<Element>(x, position, finish(position, pair));
      }
    }
  }
}

/// The DFT along the last axis, 16 rows at a time: forward if `forward` isn't null, multiply(position, pair)
/// on what came out, then back if `inverse` isn't null, finish(position, pair), stored. Between the two
/// directions nothing leaves the registers.
template <class Element, int kFactor, bool kForward, bool kInverse, class Multiply, class Finish>
RM_DEVICE void last_stage(const MonarchPlanes<Element>& x, const MonarchWalk& walk,
                          const std::uint32_t* forward, const std::uint32_t* inverse, int kept,
                          Multiply multiply, Finish finish) {
  using Mma = MonarchMma<Element>;
  constexpr int kSteps = kFactor / Mma::kDepth, kTiles = kFactor / 8,
                kRowLog2 = kFactor == 16   ? 4
                           : kFactor == 32 ? 5
                                           : 6;
  constexpr int kImaginary = kSteps * kTiles;
  constexpr int kTilesPerStep = Mma::kDepth / 8;
  const int lane = lane_id();
  for (int t = warp_id(); t < walk.count(); t += kMonarchWarps) {
    const int first = walk.group_of(t) + ((t % walk.tiles * 16) << kRowLog2);
    const auto position = [&](int tile, int half_tile) {
      return first + ((lane / 4 + 8 * half_tile) << kRowLog2) + 8 * tile + 2 * (lane % 4);
    };
    OperandA<Element> x_re[kSteps], x_im[kSteps];
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      if (!kForward && s * Mma::kDepth >= kept) break;
      x_re[s] = load_rows<Element>(x.re, first, kRowLog2, s * Mma::kDepth);
      x_im[s] = load_rows<Element>(x.im, first, kRowLog2, s * Mma::kDepth);
    }
    __syncwarp();
    if constexpr (kForward) {
      float re[kTiles][4] = {}, im[kTiles][4] = {};
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        if (8 * n >= kept) break;
#pragma unroll
        for (int s = 0; s < kSteps; ++s) {
          const OperandB<Element> f_re = load_matrix_b<Element>(forward, s * kTiles + n);
          const OperandB<Element> f_im = load_matrix_b<Element>(forward, kImaginary + s * kTiles + n);
          complex_multiply_add<Element>(re[n], im[n], x_re[s], x_im[s], f_re, f_im);
        }
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const ComplexPair pair = {{re[n][2 * h], re[n][2 * h + 1]}, {im[n][2 * h], im[n][2 * h + 1]}};
          const ComplexPair out = multiply(position(n, h), pair);
          re[n][2 * h] = out.re[0], re[n][2 * h + 1] = out.re[1], im[n][2 * h] = out.im[0],
                    im[n][2 * h + 1] = out.im[1];
          if constexpr (!kInverse) store_pair<Element>(x, position(n, h), out);
        }
      }
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        x_re[s] = operand_of<Element>(re + s * kTilesPerStep);
        x_im[s] = operand_of<Element>(im + s * kTilesPerStep);
      }
    }
    if constexpr (kInverse) {
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        float re[4] = {}, im[4] = {};
#pragma unroll
        for (int s = 0; s < kSteps; ++s) {
          if (s * Mma::kDepth >= kept) break;
          const OperandB<Element> f_re = load_matrix_b<Element>(inverse, s * kTiles + n);
          const OperandB<Element> f_im = load_matrix_b<Element>(inverse, kImaginary + s * kTiles + n);
          complex_multiply_add<Element>(re, im, x_re[s], x_im[s], f_re, f_im);
        }
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const ComplexPair pair = {{re[2 * h], re[2 * h + 1]}, {im[2 * h], im[2 * h + 1]}};
          store_pair<Element>(x, position(n, h), finish(position(n, h), pair));
        }
      }
    }
  }
}

/// Calls body with the factor as a compile-time constant.
template <int kLargest, class Body>
RM_DEVICE void with_factor(int factor_log2, Body body) {
  if (factor_log2 == 4)
    body.template operator()<16>();
  else if (factor_log2 == 5)
    body.template operator()<32>();
  else if constexpr (kLargest >= 128) {
    if (factor_log2 == 6)
      body.template operator()<64>();
    else
      body.template operator()<128>();
  } else if constexpr (kLargest >= 64) {
    body.template operator()<64>();
  }
}

}  // namespace remeasure::kernels
