// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/tensor4.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace remeasure::kernels {
namespace {

/// Taps of one axis that fall on the picture, over all outputs of that axis.
double useful_taps(int extent, int outputs, const ConvolutionShape& s) {
  double taps = 0;
  for (int o = 0; o < outputs; ++o) {
    const int first = o * s.stride - s.pad;
    taps += std::max(0, std::min(first + s.kernel, extent) - std::max(first, 0));
  }
  return taps;
}

/// Places of one axis under some tap.
std::size_t touched(int extent, int outputs, const ConvolutionShape& s) {
  std::size_t count = 0;
  for (int o = 0, end = 0; o < outputs; ++o) {
    const int first = std::max(o * s.stride - s.pad, end);
    end = std::max(end, std::min(o * s.stride - s.pad + s.kernel, extent));
    count += static_cast<std::size_t>(std::max(0, end - first));
  }
  return count;
}

}  // namespace

const char* to_string(Layout layout) {
  return layout == Layout::nchw ? "nchw" : "nhwc";
}

double ConvolutionShape::useful_flops() const {
  return 2.0 * batch * out_channels * group_in() * useful_taps(height, out_height(), *this) *
         useful_taps(width, out_width(), *this);
}

std::size_t ConvolutionShape::touched_pixels() const {
  return touched(height, out_height(), *this) * touched(width, out_width(), *this);
}

double ConvolutionShape::bytes(std::size_t element_bytes) const {
  const double seen = static_cast<double>(batch) * static_cast<double>(touched_pixels()) * in_channels;
  return static_cast<double>(element_bytes) *
         (seen + static_cast<double>(weights(Layout::nhwc).size() + output(Layout::nhwc).size()));
}

void check_convolution(const char* what, const ConvolutionShape& shape) {
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument(fmt::format("{}: {} ({})", what, why, to_string(shape)));
  };
  for (const auto& [name, value] : {std::pair{"batch", shape.batch},
                                    {"height", shape.height},
                                    {"width", shape.width},
                                    {"in_channels", shape.in_channels},
                                    {"out_channels", shape.out_channels},
                                    {"kernel", shape.kernel},
                                    {"stride", shape.stride},
                                    {"groups", shape.groups}}) {
    if (value < 1) refuse(fmt::format("{} is {}; it must be at least 1", name, value));
  }
  if (shape.pad < 0 || shape.pad >= shape.kernel) {
    refuse(fmt::format("pad is {}; it must be from 0 to kernel - 1 = {}", shape.pad, shape.kernel - 1));
  }
  if (const int least = std::min(shape.height, shape.width) + 2 * shape.pad; shape.kernel > least) {
    refuse(fmt::format("kernel is {}, larger than the padded picture, {}", shape.kernel, least));
  }
  for (const auto& [name, channels] :
       {std::pair{"in_channels", shape.in_channels}, {"out_channels", shape.out_channels}}) {
    if (channels % shape.groups != 0)
      refuse(fmt::format("{} is {}, no multiple of groups = {}", name, channels, shape.groups));
  }
  constexpr std::size_t kLimit = std::numeric_limits<int>::max();
  for (const Tensor4& tensor :
       {shape.input(Layout::nhwc), shape.output(Layout::nhwc), shape.weights(Layout::nhwc)}) {
    if (tensor.size() > kLimit)
      refuse(fmt::format("an array of {} elements; the limit is {}", tensor.size(), kLimit));
  }
}

void check_sizes(const char* what, std::initializer_list<NamedSize> arrays) {
  for (const NamedSize& array : arrays) {
    if (array.size == array.expected) continue;
    throw std::invalid_argument(fmt::format("{}: {} has {} elements; {} follow from the shape", what,
                                            array.name, array.size, array.expected));
  }
}

std::string to_string(const ConvolutionShape& s) {
  return fmt::format("{} x {} x {} x {} -> {}, {} x {}, stride {}, pad {}{}", s.batch, s.height, s.width,
                     s.in_channels, s.out_channels, s.kernel, s.kernel, s.stride, s.pad,
                     s.groups > 1 ? fmt::format(", {} groups", s.groups) : "");
}

}  // namespace remeasure::kernels
