// SPDX-License-Identifier: Apache-2.0
//
// Pictures with channels, and the shape of a convolution over them. Host code without Eigen or CUDA.
//
// Two layouts: nchw (channels first: a plane for each channel) and nhwc (channels last: a vector of channels
// for each pixel). Weights are a Tensor4 too, in the layout of the pictures: `batch` is the output channel,
// `channels` the input channels of its group; so [K, C/groups, R, S] with nchw (KCRS) and [K, R, S, C/groups]
// with nhwc (KRSC), as cuDNN has them.
//
//   const ConvolutionShape shape{.batch = 8, .height = 56, .width = 56, .in_channels = 64,
//                                .out_channels = 128, .kernel = 3, .stride = 2, .pad = 1};
//   check_convolution("my kernel", shape);
//   std::vector<float> input(shape.input(Layout::nhwc).size()), output(shape.output(Layout::nhwc).size());
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

enum class Layout { nchw, nhwc };
const char* to_string(Layout layout);

/// Extents of a dense four-dimensional array and the order of its axes in memory.
struct Tensor4 {
  int batch = 1, channels = 1, height = 1, width = 1;
  Layout layout = Layout::nhwc;

  constexpr std::size_t size() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(channels) *
           static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }
  constexpr std::size_t index(int n, int c, int y, int x) const {
    const auto next = [](std::size_t before, int extent, int at) {
      return before * static_cast<std::size_t>(extent) + static_cast<std::size_t>(at);
    };
    const auto image = static_cast<std::size_t>(n);
    return layout == Layout::nchw ? next(next(next(image, channels, c), height, y), width, x)
                                  : next(next(next(image, height, y), width, x), channels, c);
  }
  bool operator==(const Tensor4&) const = default;
};

/// The same array in the other order of axes. Throws std::invalid_argument where the sizes differ.
template <class T>
std::vector<T> to_layout(const Tensor4& from, Layout layout, std::span<const T> values) {
  if (values.size() != from.size()) {
    throw std::invalid_argument("to_layout: " + std::to_string(values.size()) + " values; the shape has " +
                                std::to_string(from.size()));
  }
  if (layout == from.layout) return {values.begin(), values.end()};
  Tensor4 to = from;
  to.layout = layout;
  std::vector<T> result(to.size());
  std::size_t at = 0;
  const bool planes = from.layout == Layout::nchw;
  for (int n = 0; n < from.batch; ++n) {
    for (int i = 0; i < (planes ? from.channels : from.height); ++i) {
      for (int j = 0; j < (planes ? from.height : from.width); ++j) {
        for (int k = 0; k < (planes ? from.width : from.channels); ++k) {
          result[planes ? to.index(n, i, j, k) : to.index(n, k, i, j)] = values[at++];
        }
      }
    }
  }
  return result;
}

/// A two-dimensional convolution as networks have it (a correlation, no flip): square kernel, the same stride
/// and padding on both axes, zeros beside the picture, channels in groups that don't mix.
///
///   output[n, k, y, x] = sum over c in k's group, r, s of
///                        weights[k, c, r, s] * input[n, c, y * stride - pad + r, x * stride - pad + s]
struct ConvolutionShape {
  int batch = 1;
  int height = 1, width = 1;  ///< of the input
  int in_channels = 1, out_channels = 1;
  int kernel = 1;
  int stride = 1;
  int pad = 0;  ///< rows and columns of zeros on each side; "same" is kernel / 2 for odd kernels
  int groups = 1;

  constexpr int out_height() const { return (height + 2 * pad - kernel) / stride + 1; }
  constexpr int out_width() const { return (width + 2 * pad - kernel) / stride + 1; }
  constexpr int group_in() const { return in_channels / groups; }    ///< input channels of a group
  constexpr int group_out() const { return out_channels / groups; }  ///< output channels of a group
  constexpr int taps() const { return kernel * kernel; }
  /// Input channels and taps under one output: the inner dimension of the matrix product.
  constexpr int inner() const { return taps() * group_in(); }
  constexpr bool depthwise() const { return groups == in_channels && groups == out_channels; }
  /// One tap on each pixel: a matrix product as it stands.
  constexpr bool pointwise() const { return kernel == 1 && stride == 1 && pad == 0; }
  constexpr std::size_t out_pixels() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(out_height()) *
           static_cast<std::size_t>(out_width());
  }
  constexpr std::size_t in_pixels() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }

  constexpr Tensor4 input(Layout layout) const { return {batch, in_channels, height, width, layout}; }
  constexpr Tensor4 output(Layout layout) const {
    return {batch, out_channels, out_height(), out_width(), layout};
  }
  constexpr Tensor4 weights(Layout layout) const {
    return {out_channels, group_in(), kernel, kernel, layout};
  }

  /// Two for each product, those with the zeros beside the picture included: the usual count of a layer, the
  /// same for forward, backward data and backward weights.
  constexpr double flops() const { return 2.0 * static_cast<double>(out_pixels()) * out_channels * inner(); }
  /// Products with pixels of the picture only.
  double useful_flops() const;
  /// Input pixels of one picture that some output sees; with a stride above the kernel not all are.
  std::size_t touched_pixels() const;
  /// Input (what of it is seen), weights and output once each: the least traffic of the forward pass and of
  /// backward weights.
  double bytes(std::size_t element_bytes) const;
  bool operator==(const ConvolutionShape&) const = default;
};

/// Throws std::invalid_argument that names `what`, the field, its value and the limit: extents below 1, a
/// kernel larger than the padded picture, padding of a whole kernel, groups that don't divide the channels,
/// an array of 2^31 elements or more.
void check_convolution(const char* what, const ConvolutionShape& shape);

/// An array of a call, for check_sizes.
struct NamedSize {
  const char* name;
  std::size_t size, expected;
};
/// Throws std::invalid_argument that names the first array whose size isn't what follows from the shape.
void check_sizes(const char* what, std::initializer_list<NamedSize> arrays);

/// "8 x 56 x 56 x 64 -> 128, 3 x 3, stride 2, pad 1" (and ", 4 groups"), for tables and messages.
std::string to_string(const ConvolutionShape& shape);

}  // namespace remeasure::kernels
