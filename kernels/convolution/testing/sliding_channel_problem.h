// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/convolution/sliding_channel_reference.h"
#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/relative_error.h"

namespace remeasure::kernels::testing {

struct SlidingInputs {
  SlidingChannelShape shape;
  std::vector<float> x, w, dy;
};

inline SlidingInputs sliding_inputs(const SlidingChannelShape& shape, std::uint64_t seed = 1) {
  return {shape, normal_values<bfloat16>(shape.x_elements(), seed),
          normal_values<bfloat16>(shape.w_elements(), seed + 100),
          normal_values<bfloat16>(shape.y_elements(), seed + 200)};
}

inline SlidingChannelShape scc(int inputs, int outputs, int height, int width, int groups, double overlap,
                               int batch = 2) {
  return SlidingChannelShape::of(batch, inputs, outputs, height, width, groups, overlap);
}

/// Windows that wrap, steps that share no factor with the inputs, a plain 1x1 convolution, disjoint windows,
/// heavy overlap; outputs that aren't a multiple of the cycle; fewer outputs than windows; pixels that fill
/// no tile and aren't a multiple of 4; one window for all.
inline std::vector<SlidingChannelShape> sliding_shapes() {
  std::vector<SlidingChannelShape> shapes = {
      scc(32, 32, 8, 8, 2, 0.5),      scc(64, 64, 5, 4, 2, 0.33),   scc(12, 20, 3, 3, 2, 0.33),
      scc(48, 70, 7, 7, 1, 0.0),      scc(32, 40, 4, 4, 4, 0.0),    scc(64, 130, 4, 8, 8, 0.75, 1),
      scc(70, 150, 5, 7, 2, 0.25, 3), scc(96, 33, 6, 6, 4, 0.33),   scc(5, 3, 1, 1, 1, 0.5, 1),
      scc(128, 64, 2, 2, 2, 0.5, 5),  scc(33, 65, 3, 11, 3, 0.9, 1)};
  SlidingChannelShape same = scc(40, 72, 4, 5, 2, 0.5);
  same.step = 0;
  shapes.push_back(same);
  return shapes;
}

inline std::string in_words(const SlidingChannelShape& s) {
  return std::to_string(s.batch) + " x " + std::to_string(s.inputs) + " -> " + std::to_string(s.outputs) +
         ", " + std::to_string(s.height) + " x " + std::to_string(s.width) + ", window " +
         std::to_string(s.window) + " step " + std::to_string(s.step);
}

template <class At>
std::vector<double> every_element(std::size_t size, const At& at) {
  std::vector<double> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = at(i);
  return values;
}
inline std::vector<double> expected_output(const SlidingInputs& in) {
  return every_element(in.shape.y_elements(),
                       [&](std::size_t i) { return scc_output_at(in.shape, in.x, in.w, i); });
}
inline std::vector<double> expected_input_gradient(const SlidingInputs& in) {
  return every_element(in.shape.x_elements(),
                       [&](std::size_t i) { return scc_input_gradient_at(in.shape, in.dy, in.w, i); });
}
inline std::vector<double> expected_weight_gradient(const SlidingInputs& in) {
  return every_element(in.shape.w_elements(),
                       [&](std::size_t i) { return scc_weight_gradient_at(in.shape, in.x, in.dy, i); });
}

/// Where everything must be zero, everything is; else the relative error.
template <class T>
double error_of(const std::vector<T>& out, const std::vector<double>& expected) {
  bool zero = true;
  for (const double value : expected) zero = zero && value == 0;
  if (!zero) return relative_error(out, expected);
  for (const T& value : out) zero = zero && static_cast<double>(value) == 0;
  return zero ? 0 : 1;
}

}  // namespace remeasure::kernels::testing
