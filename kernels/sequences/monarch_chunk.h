// SPDX-License-Identifier: Apache-2.0
//
// Sixteen bytes of a signal, as a Monarch convolution loads and stores them: gates, and the even and odd
// samples of packed signals. Device code, for .cu files.
#pragma once

#include "kernels/sequences/monarch_stage.h"

namespace remeasure::kernels {

/// 16 bytes of elements.
template <class Element>
struct SignalChunk {
  static constexpr int kSize = MonarchPlane<Element>::kChunk;
  std::uint32_t word[4];
};

template <class Element>
RM_DEVICE SignalChunk<Element> load_chunk(const Element* from) {
  const uint4 v = *reinterpret_cast<const uint4*>(from);
  return {{v.x, v.y, v.z, v.w}};
}
template <class Element>
RM_DEVICE void store_chunk(Element* to, const SignalChunk<Element>& chunk) {
  *reinterpret_cast<uint4*>(to) = make_uint4(chunk.word[0], chunk.word[1], chunk.word[2], chunk.word[3]);
}

template <class Element>
RM_DEVICE SignalChunk<Element> gated(const SignalChunk<Element>& a, const SignalChunk<Element>& b) {
  SignalChunk<Element> result;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(Element) == 2) {
      float value[2];
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        value[j] = static_cast<float>(unpack2<Element>(a.word[i], j)) *
                   static_cast<float>(unpack2<Element>(b.word[i], j));
      }
      result.word[i] = pack2(Element(value[0]), Element(value[1]));
    } else {
      result.word[i] = __float_as_uint(__uint_as_float(a.word[i]) * __uint_as_float(b.word[i]));
    }
  }
  return result;
}

/// Samples 2j of two chunks in `even`, 2j + 1 in `odd`.
template <class Element>
RM_DEVICE void separate(const SignalChunk<Element>& first, const SignalChunk<Element>& second,
                        SignalChunk<Element>& even, SignalChunk<Element>& odd) {
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const std::uint32_t low = j < 2 ? first.word[2 * j] : second.word[2 * j - 4];
    const std::uint32_t high = j < 2 ? first.word[2 * j + 1] : second.word[2 * j - 3];
    if constexpr (sizeof(Element) == 2) {
      even.word[j] = (low & 0xffffu) | high << 16;
      odd.word[j] = low >> 16 | (high & 0xffff0000u);
    } else {
      even.word[j] = low;
      odd.word[j] = high;
    }
  }
}
/// The inverse of separate.
template <class Element>
RM_DEVICE void interleave(const SignalChunk<Element>& even, const SignalChunk<Element>& odd,
                          SignalChunk<Element>& first, SignalChunk<Element>& second) {
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    std::uint32_t low = even.word[j], high = odd.word[j];
    if constexpr (sizeof(Element) == 2) {
      low = (even.word[j] & 0xffffu) | odd.word[j] << 16;
      high = even.word[j] >> 16 | (odd.word[j] & 0xffff0000u);
    }
    SignalChunk<Element>& to = j < 2 ? first : second;
    to.word[2 * (j % 2)] = low;
    to.word[2 * (j % 2) + 1] = high;
  }
}

}  // namespace remeasure::kernels
