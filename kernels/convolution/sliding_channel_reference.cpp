// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/sliding_channel_reference.h"

#include <Eigen/Core>
#include <algorithm>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

/// Image, row and pixel of an element of images of `rows` rows.
struct Place {
  int image, row, pixel;
};
Place place_of(const SlidingChannelShape& shape, int rows, std::size_t index) {
  const std::size_t pixels = size(shape.pixels());
  return {static_cast<int>(index / pixels / size(rows)), static_cast<int>(index / pixels % size(rows)),
          static_cast<int>(index % pixels)};
}
std::size_t index_of(const SlidingChannelShape& shape, int rows, const Place& at) {
  return (size(at.image) * size(rows) + size(at.row)) * size(shape.pixels()) + size(at.pixel);
}
double as_double(float value) {
  return static_cast<double>(value);
}

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Rows = Eigen::Map<
    std::conditional_t<std::is_const_v<Scalar>, const Matrix<std::remove_const_t<Scalar>>, Matrix<Scalar>>, 0,
    Eigen::OuterStride<>>;

/// An image of `rows` rows.
template <class Scalar>
Rows<Scalar> image_of(std::span<Scalar> values, const SlidingChannelShape& shape, int rows, int image) {
  const Eigen::Index pixels = shape.pixels();
  return {values.data() + image * rows * pixels, rows, pixels, Eigen::OuterStride<>(pixels)};
}

/// The outputs that share window `slot`, and the one or two ranges of channels that it is.
struct Slot {
  int outputs = 0, begin = 0, direct = 0, wrapped = 0;
  Slot(const SlidingChannelShape& shape, int cycle, int slot)
      : outputs((shape.outputs - slot + cycle - 1) / cycle),
        begin(shape.start(slot)),
        direct(std::min(shape.window, shape.inputs - begin)),
        wrapped(shape.window - direct) {}
};

/// Rows slot, slot + cycle, ... of a matrix of whole rows.
template <class Scalar>
Rows<Scalar> every(Scalar* values, int slot, int cycle, int count, Eigen::Index columns) {
  return {values + slot * columns, count, columns, Eigen::OuterStride<>(cycle * columns)};
}

}  // namespace

double scc_output_at(const SlidingChannelShape& shape, std::span<const float> x, std::span<const float> w,
                     std::size_t index) {
  const Place at = place_of(shape, shape.outputs, index);
  double sum = 0;
  for (int j = 0; j < shape.window; ++j) {
    const Place from{at.image, shape.channel(at.row, j), at.pixel};
    sum += as_double(w[size(at.row) * size(shape.window) + size(j)]) *
           as_double(x[index_of(shape, shape.inputs, from)]);
  }
  return sum;
}

double scc_input_gradient_at(const SlidingChannelShape& shape, std::span<const float> dy,
                             std::span<const float> w, std::size_t index) {
  const Place at = place_of(shape, shape.inputs, index);
  double sum = 0;
  for (int output = 0; output < shape.outputs; ++output) {
    const int j = (at.row - shape.start(output) + shape.inputs) % shape.inputs;
    if (j >= shape.window) continue;
    sum += as_double(w[size(output) * size(shape.window) + size(j)]) *
           as_double(dy[index_of(shape, shape.outputs, {at.image, output, at.pixel})]);
  }
  return sum;
}

double scc_weight_gradient_at(const SlidingChannelShape& shape, std::span<const float> x,
                              std::span<const float> dy, std::size_t index) {
  const int output = static_cast<int>(index / size(shape.window)),
            channel = shape.channel(output, static_cast<int>(index % size(shape.window)));
  double sum = 0;
  for (int image = 0; image < shape.batch; ++image) {
    for (int pixel = 0; pixel < shape.pixels(); ++pixel) {
      sum += as_double(dy[index_of(shape, shape.outputs, {image, output, pixel})]) *
             as_double(x[index_of(shape, shape.inputs, {image, channel, pixel})]);
    }
  }
  return sum;
}

double scc_block_at(const SlidingChannelShape& shape, const SlidingChannelBlockInputs& block,
                    std::span<const float> x, std::size_t index) {
  const Place at = place_of(shape, shape.outputs, index);
  const int rows = shape.height * block.stride, columns = shape.width * block.stride;
  double sum = as_double(block.bias[size(at.row)]);
  for (int j = 0; j < shape.window; ++j) {
    const int channel = shape.channel(at.row, j);
    const std::size_t plane =
        (size(at.image) * size(shape.inputs) + size(channel)) * size(rows) * size(columns);
    double value = as_double(block.depthwise_bias[size(channel)]);
    for (int r = 0; r < 3; ++r) {
      for (int s = 0; s < 3; ++s) {
        const int row = at.pixel / shape.width * block.stride + r - 1,
                  column = at.pixel % shape.width * block.stride + s - 1;
        if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
        value += as_double(block.depthwise[9 * size(channel) + size(3 * r + s)]) *
                 as_double(x[plane + size(row) * size(columns) + size(column)]);
      }
    }
    sum += as_double(block.w[size(at.row) * size(shape.window) + size(j)]) * std::max(value, 0.0);
  }
  return std::max(sum, 0.0);
}

template <class Scalar>
void scc_forward_method(const SlidingChannelShape& shape, std::span<const Scalar> x,
                        std::span<const Scalar> w, std::span<Scalar> y, int threads) {
  check_sliding_sizes("scc_forward_method", shape, x.size(), w.size(), y.size());
  const int cycle = shape.cycle();
  for_each_row_block(shape.batch, 1, threads, [&](int image, int, int) {
    const auto in = image_of(x, shape, shape.inputs, image);
    auto out = image_of(y, shape, shape.outputs, image);
    for (int q = 0; q < std::min(cycle, shape.outputs); ++q) {
      const Slot slot(shape, cycle, q);
      const auto weights = every(w.data(), q, cycle, slot.outputs, shape.window);
      auto rows = every(out.data(), q, cycle, slot.outputs, shape.pixels());
      rows.noalias() = weights.leftCols(slot.direct) * in.middleRows(slot.begin, slot.direct);
      if (slot.wrapped > 0) rows.noalias() += weights.rightCols(slot.wrapped) * in.topRows(slot.wrapped);
    }
  });
}

template <class Scalar>
void scc_backward_data_method(const SlidingChannelShape& shape, std::span<const Scalar> dy,
                              std::span<const Scalar> w, std::span<Scalar> dx, int threads) {
  check_sliding_sizes("scc_backward_data_method", shape, dx.size(), w.size(), dy.size());
  const int cycle = shape.cycle();
  for_each_row_block(shape.batch, 1, threads, [&](int image, int, int) {
    const auto gradient = image_of(dy, shape, shape.outputs, image);
    auto out = image_of(dx, shape, shape.inputs, image);
    out.setZero();
    for (int q = 0; q < std::min(cycle, shape.outputs); ++q) {
      const Slot slot(shape, cycle, q);
      const auto weights = every(w.data(), q, cycle, slot.outputs, shape.window);
      const auto rows = every(gradient.data(), q, cycle, slot.outputs, shape.pixels());
      out.middleRows(slot.begin, slot.direct).noalias() += weights.leftCols(slot.direct).transpose() * rows;
      if (slot.wrapped > 0)
        out.topRows(slot.wrapped).noalias() += weights.rightCols(slot.wrapped).transpose() * rows;
    }
  });
}

template <class Scalar>
void scc_backward_weight_method(const SlidingChannelShape& shape, std::span<const Scalar> x,
                                std::span<const Scalar> dy, std::span<Scalar> dw, int threads) {
  check_sliding_sizes("scc_backward_weight_method", shape, x.size(), dw.size(), dy.size());
  const int cycle = shape.cycle();
  for_each_row_block(std::min(cycle, shape.outputs), 1, threads, [&](int q, int, int) {
    const Slot slot(shape, cycle, q);
    auto weights = every(dw.data(), q, cycle, slot.outputs, shape.window);
    weights.setZero();
    for (int image = 0; image < shape.batch; ++image) {
      const auto in = image_of(x, shape, shape.inputs, image);
      const auto gradient = image_of(dy, shape, shape.outputs, image);
      const auto rows = every(gradient.data(), q, cycle, slot.outputs, shape.pixels());
      weights.leftCols(slot.direct).noalias() += rows * in.middleRows(slot.begin, slot.direct).transpose();
      if (slot.wrapped > 0)
        weights.rightCols(slot.wrapped).noalias() += rows * in.topRows(slot.wrapped).transpose();
    }
  });
}

std::vector<float> dense_weights(const SlidingChannelShape& shape, std::span<const float> w) {
  check_sliding_sizes("dense_weights", shape, shape.x_elements(), w.size(), shape.y_elements());
  std::vector<float> dense(size(shape.outputs) * size(shape.inputs), 0.0f);
  for (int output = 0; output < shape.outputs; ++output) {
    for (int j = 0; j < shape.window; ++j) {
      dense[size(output) * size(shape.inputs) + size(shape.channel(output, j))] =
          w[size(output) * size(shape.window) + size(j)];
    }
  }
  return dense;
}

Reach reach_of(const SlidingChannelShape& shape) {
  check_sliding_channel("reach_of", shape);
  Reach reach(size(shape.outputs) * size(shape.inputs), 0);
  for (int output = 0; output < shape.outputs; ++output) {
    for (int j = 0; j < shape.window; ++j)
      reach[size(output) * size(shape.inputs) + size(shape.channel(output, j))] = 1;
  }
  return reach;
}

Reach grouped_reach(int inputs, int outputs, int groups) {
  Reach reach(size(outputs) * size(inputs), 0);
  for (int output = 0; output < outputs; ++output) {
    for (int input = 0; input < inputs; ++input)
      reach[size(output) * size(inputs) + size(input)] = output * groups / outputs == input * groups / inputs;
  }
  return reach;
}

Reach stacked(const Reach& first, const Reach& second, int inputs, int middle, int outputs) {
  Reach reach(size(outputs) * size(inputs), 0);
  for (int output = 0; output < outputs; ++output) {
    for (int m = 0; m < middle; ++m) {
      if (second[size(output) * size(middle) + size(m)] == 0) continue;
      for (int input = 0; input < inputs; ++input)
        reach[size(output) * size(inputs) + size(input)] |= first[size(m) * size(inputs) + size(input)];
    }
  }
  return reach;
}

#define RM_INSTANTIATE(Scalar)                                                                  \
  template void scc_forward_method(const SlidingChannelShape&, std::span<const Scalar>,         \
                                   std::span<const Scalar>, std::span<Scalar>, int);            \
  template void scc_backward_data_method(const SlidingChannelShape&, std::span<const Scalar>,   \
                                         std::span<const Scalar>, std::span<Scalar>, int);      \
  template void scc_backward_weight_method(const SlidingChannelShape&, std::span<const Scalar>, \
                                           std::span<const Scalar>, std::span<Scalar>, int)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
