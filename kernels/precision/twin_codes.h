// SPDX-License-Identifier: Apache-2.0
//
// Activations as twin codes straight from the operation that makes them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/precision/twin_quantizer.h"

namespace remeasure::kernels {

/// codes[r, :] = twin codes of softmax(scale * scores[r, :]) for the split 2^-shift.  scores: [rows,
/// columns]; codes: [rows, stride] with zeros (flag 0, magnitude 0) from `columns` on. columns <= 1024;
/// stride a multiple of 16, at least columns.
template <class Target>
void softmax_twin_codes(Stream<Target>& stream, std::size_t rows, int columns, int stride, float scale,
                        int shift, int bits, DeviceSpan<Target, const float> scores,
                        DeviceSpan<Target, std::uint8_t> codes);

/// codes[i] = twin code of gelu(x[i]) with step `high_step` from 0 on.  The length is a multiple of 4.
template <class Target>
void gelu_twin_codes(Stream<Target>& stream, float high_step, int bits, DeviceSpan<Target, const float> x,
                     DeviceSpan<Target, std::uint8_t> codes);

/// The steps of a calibration without fusion, which every candidate repeats: codes of a tensor in both planes
/// (low first; one plane where `planes` is 1), and the weighted error of the int32 products. x: [n] f16;
/// codes: [planes, n].
template <class Target>
void quantize_planes(Stream<Target>& stream, const TwinQuantizer<float>& quantizer, int planes,
                     DeviceSpan<Target, const half> x, DeviceSpan<Target, std::int8_t> codes);

/// What weighted_error compares: lines of target and gradient with those of the products.
struct ErrorShape {
  int varied_planes = 1, fixed_planes = 1;
  int lines = 0, columns = 0;     ///< of target and gradient
  int target_stride = 0;          ///< elements of their lines
  int stride = 0;                 ///< elements of a line of the products
  float varied_step[2] = {0, 0};  ///< of each plane
  int fixed_steps = 0;            ///< of a plane
  bool fixed_by_line = false;     ///< line l has fixed step l % fixed_steps; else column c has c
};
/// partials[block] = sum over a block's lines of ((sum over planes of varied step * fixed step * product -
/// target) * gradient)^2. products: [planes, lines, stride] i32; fixed_step: [fixed_planes, fixed_steps];
/// partials: [weighted_error_blocks(shape)].
template <class Target>
void weighted_error(Stream<Target>& stream, const ErrorShape& shape,
                    DeviceSpan<Target, const std::int32_t> products,
                    DeviceSpan<Target, const float> fixed_step, DeviceSpan<Target, const float> target,
                    DeviceSpan<Target, const float> gradient, DeviceSpan<Target, float> partials);
inline constexpr int kErrorLinesPerBlock = 8;
inline std::size_t weighted_error_blocks(const ErrorShape& shape) {
  return static_cast<std::size_t>((shape.lines + kErrorLinesPerBlock - 1) / kErrorLinesPerBlock);
}

}  // namespace remeasure::kernels
