// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/low_bit_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>

namespace remeasure::kernels {

const char* to_string(Encoding encoding) {
  switch (encoding) {
    case Encoding::unsigned_codes:
      return "and";
    case Encoding::signs:
      return "xor";
    case Encoding::signs_by_and:
      return "xor by and";
    case Encoding::signed_weights:
      return "mixed";
  }
  throw std::invalid_argument("an Encoding that doesn't exist");
}

LowBitShape low_bit_product(int rows, int outputs, int inner, int weight_bits, int activation_bits,
                            Encoding encoding) {
  LowBitShape shape;
  shape.images = rows;
  shape.channels = inner;
  shape.outputs = outputs;
  shape.weight_bits = weight_bits;
  shape.activation_bits = activation_bits;
  shape.encoding = encoding;
  return shape;
}

LowBitShape low_bit_convolution(int images, int extent, int channels, int outputs, int kernel, int stride,
                                int weight_bits, int activation_bits, Encoding encoding) {
  LowBitShape shape = low_bit_product(images, outputs, channels, weight_bits, activation_bits, encoding);
  shape.height = shape.width = extent;
  shape.kernel = kernel;
  shape.stride = stride;
  shape.out_height = shape.out_width = (extent + stride - 1) / stride;
  shape.pad = std::max(0, (shape.out_height - 1) * stride + kernel - extent) / 2;
  return shape;
}

LowBitShape low_bit_over_map(int images, int extent, int channels, int outputs, int weight_bits,
                             int activation_bits, Encoding encoding) {
  LowBitShape shape = low_bit_product(images, outputs, channels, weight_bits, activation_bits, encoding);
  shape.height = shape.width = shape.kernel = extent;
  return shape;
}

LowBitShape product_of_patches(const LowBitShape& convolution) {
  LowBitShape shape = convolution;
  shape.height = convolution.out_height;
  shape.width = convolution.out_width;
  shape.channels = convolution.inner();
  shape.kernel = shape.stride = 1;
  shape.pad = 0;
  return shape;
}

namespace {

[[noreturn]] void refuse(const char* what, const std::string& why) {
  throw std::invalid_argument(fmt::format("{}: {}", what, why));
}

/// Whether some tap of some output lies beside the map.
bool has_padding(const LowBitShape& s) {
  const auto beyond = [&](int in, int out) {
    return s.pad > 0 || (out - 1) * s.stride - s.pad + s.kernel > in;
  };
  return beyond(s.height, s.out_height) || beyond(s.width, s.out_width);
}

}  // namespace

void check_low_bit_shape(const char* what, const LowBitShape& s) {
  for (const int size :
       {s.images, s.height, s.width, s.channels, s.outputs, s.kernel, s.stride, s.out_height, s.out_width}) {
    if (size < 1) refuse(what, fmt::format("a size is {}; all must be at least 1", size));
  }
  if (s.pad < 0 || s.pad >= s.kernel)
    refuse(what, fmt::format("pad is {}; it must be from 0 to {}", s.pad, s.kernel - 1));
  for (const int bits : {s.weight_bits, s.activation_bits}) {
    if (bits < 1 || bits > 8) refuse(what, fmt::format("{} bits; it must be 1 to 8", bits));
  }
  const bool signs = s.encoding == Encoding::signs || s.encoding == Encoding::signs_by_and;
  if (s.encoding != Encoding::unsigned_codes && s.weight_bits != 1) {
    refuse(what, fmt::format("weights that are signs have 1 bit, not {}", s.weight_bits));
  }
  if (signs && s.activation_bits != 1)
    refuse(what, fmt::format("activations that are signs have 1 bit, not {}", s.activation_bits));
  if (signs && has_padding(s)) {
    refuse(what,
           "a zero beside the map is no sign: with padding use signed weights and unsigned activations");
  }
  const auto largest = [](int a, int b) { return static_cast<std::int64_t>(a) * b; };
  const std::int64_t sum = largest(s.inner(), s.largest_weight() * s.largest_activation());
  if (largest(s.taps(), s.channels) > INT32_MAX / 2 || 2 * sum > INT32_MAX) {
    refuse(what, fmt::format("sums of {} products may not fit into 31 bits", largest(s.taps(), s.channels)));
  }
  if (s.activation_words() > INT32_MAX || s.weight_words() > INT32_MAX || s.sums() > INT32_MAX) {
    refuse(what, "an array has 2^31 elements or more");
  }
}

void check_low_bit_sizes(const char* what, std::initializer_list<NamedSize> sizes) {
  for (const NamedSize& size : sizes) {
    if (size.is != size.expected) {
      refuse(what,
             fmt::format("{} has {} elements; {} follow from the shape", size.name, size.is, size.expected));
    }
  }
}

void check_requantise(const char* what, const LowBitShape& s, const Requantise& to) {
  if (to.bits < 1 || to.bits > 8) refuse(what, fmt::format("{} bits out; it must be 1 to 8", to.bits));
  if (to.pool && (s.out_height < 2 || s.out_width < 2)) {
    refuse(what, fmt::format("a map of {} x {} has no window of 2 x 2", s.out_height, s.out_width));
  }
  if (static_cast<std::int64_t>(s.inner()) * s.largest_weight() * s.largest_activation() >= 1 << 24) {
    refuse(what, fmt::format("sums of {} products may reach 2^24, which a float doesn't hold", s.inner()));
  }
}

std::string bits_name(const LowBitShape& shape) {
  return fmt::format("w{}a{}", shape.weight_bits, shape.activation_bits);
}

}  // namespace remeasure::kernels
