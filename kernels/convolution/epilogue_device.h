// SPDX-License-Identifier: Apache-2.0
//
// The epilogue inside kernels: bias, residual and activation in float, stores of 16 bytes. Device code, for
// .cu files.
#pragma once

#include "kernels/convolution/epilogue.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {

/// DeviceEpilogue as a kernel takes it; nullptr where there is none.
template <class Element>
struct EpilogueArguments {
  const float* bias = nullptr;
  const Element* residual = nullptr;
  Activation activation = Activation::none;
};

RM_DEVICE inline float activated_value(Activation activation, float x) {
  if (activation == Activation::relu) return fmaxf(x, 0.0f);
  if (activation == Activation::gelu_tanh) {
    const float inner = 0.7978845608f * (x + 0.044715f * x * x * x);  // sqrt(2/pi)
    return 0.5f * x * (1.0f + tanhf(inner));
  }
  return x;
}

/// One output, before it is rounded: `at` its index, `channel` its channel.
template <class Element>
RM_DEVICE inline float finished_value(float sum, long long at, int channel,
                                      const EpilogueArguments<Element>& epilogue) {
  if (epilogue.bias != nullptr) sum += epilogue.bias[channel];
  if (epilogue.residual != nullptr) sum += static_cast<float>(epilogue.residual[at]);
  return activated_value(epilogue.activation, sum);
}

/// Stores 16 bytes of result from `sums`, after the epilogue if there is one. `at`: index of the first
/// element, a multiple of the chunk; `channel`: its channel.
template <bool kEpilogue, class Element>
RM_DEVICE inline void store_chunk(Element* result, long long at, int channel, const float* sums,
                                  const EpilogueArguments<Element>& epilogue) {
  constexpr int kElements = 16 / static_cast<int>(sizeof(Element));
  float values[kElements];
#pragma unroll
  for (int i = 0; i < kElements; i += 4) {
    const float4 four = *reinterpret_cast<const float4*>(sums + i);
    values[i] = four.x, values[i + 1] = four.y, values[i + 2] = four.z, values[i + 3] = four.w;
  }
  if constexpr (kEpilogue) {
    if (epilogue.bias != nullptr) {
#pragma unroll
      for (int i = 0; i < kElements; ++i) values[i] += epilogue.bias[channel + i];
    }
    if (epilogue.residual != nullptr) {
      const uint4 words = *reinterpret_cast<const uint4*>(epilogue.residual + at);
      const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
      for (int i = 0; i < kElements; ++i) {
        if constexpr (sizeof(Element) == 4)
          values[i] += __uint_as_float(word[i]);
        else
          values[i] += static_cast<float>(unpack2<Element>(word[i / 2], i % 2));
      }
    }
#pragma unroll
    for (float& value : values) value = activated_value(epilogue.activation, value);
  }
  std::uint32_t word[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(Element) == 4)
      word[i] = __float_as_uint(values[i]);
    else
      word[i] = pack2(static_cast<Element>(values[2 * i]), static_cast<Element>(values[2 * i + 1]));
  }
  *reinterpret_cast<uint4*>(result + at) = make_uint4(word[0], word[1], word[2], word[3]);
}

}  // namespace remeasure::kernels
