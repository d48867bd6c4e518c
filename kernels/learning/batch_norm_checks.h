// SPDX-License-Identifier: Apache-2.0
//
// What the host functions of batch normalisation refuse.
#pragma once

#include <initializer_list>
#include <stdexcept>
#include <string>

#include "kernels/learning/batch_norm.h"

namespace remeasure::kernels {

inline void check_shape(const char* what, const BatchNormShape& shape) {
  if (shape.images > 0 && shape.height > 0 && shape.width > 0 && shape.channels > 0 &&
      shape.channels % 8 == 0 && shape.rows() < std::size_t{1} << 30)
    return;
  throw std::invalid_argument(std::string(what) + ": shape " + shape.text() +
                              "; sizes must be positive, channels a multiple of 8, pixels fewer than 2^30");
}

inline void check_box(const char* what, const BatchNormShape& shape, const SampleBox& box) {
  const auto inside = [](int first, int count, int size) {
    return first >= 0 && count > 0 && first <= size - count;
  };
  if (inside(box.image, box.images, shape.images) && inside(box.y, box.height, shape.height) &&
      inside(box.x, box.width, shape.width))
    return;
  const auto range = [](int first, int count) {
    return "[" + std::to_string(first) + ", " + std::to_string(first + count) + ")";
  };
  throw std::invalid_argument(std::string(what) + ": a sample of images " + range(box.image, box.images) +
                              ", rows " + range(box.y, box.height) + " and columns " +
                              range(box.x, box.width) + " isn't inside of " + shape.text());
}

inline void check_equal(const char* what, const char* array, std::size_t size, std::size_t expected) {
  if (size == expected) return;
  throw std::invalid_argument(std::string(what) + ": " + array + " of " + std::to_string(size) +
                              " elements; " + std::to_string(expected) + " are expected");
}

template <class Target>
void check_sizes(const char* what, const BatchNormShape& shape, std::initializer_list<std::size_t> of_values,
                 std::initializer_list<std::size_t> of_channels, const BatchNormScratch<Target>& scratch) {
  for (const std::size_t size : of_values) check_equal(what, "an array of activations", size, shape.values());
  for (const std::size_t size : of_channels)
    check_equal(what, "an array of channels", size, static_cast<std::size_t>(shape.channels));
  const BatchNormWorkspace needed = batch_norm_workspace(shape);
  check_equal(what, "partial sums", scratch.partial_sums.size(), needed.partial_sums);
  check_equal(what, "tickets", scratch.tickets.size(), needed.tickets);
}

template <class Target>
void check_layer(const char* what, const BatchNormShape& shape, const BatchNormLayer<Target>& layer,
                 std::initializer_list<std::size_t> of_values) {
  for (const std::size_t size : of_values) check_equal(what, "an array of activations", size, shape.values());
  for (const std::size_t size :
       {layer.mean.size(), layer.inverse_deviation.size(), layer.gamma.size(), layer.beta.size()})
    check_equal(what, "an array of channels", size, static_cast<std::size_t>(shape.channels));
}

}  // namespace remeasure::kernels
