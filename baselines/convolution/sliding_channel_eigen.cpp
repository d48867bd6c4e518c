// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <algorithm>
#include <stdexcept>
#include <thread>
#include <vector>

#include "baselines/convolution/sliding_channel.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Read = Eigen::Map<const Matrix>;
using Write = Eigen::Map<Matrix>;

std::size_t dense_size(const SlidingChannelShape& shape) {
  return static_cast<std::size_t>(shape.outputs) * static_cast<std::size_t>(shape.inputs);
}

/// Checks x and y as the shape says, and a weight-like array of `weights` elements.
void check(const char* what, const SlidingChannelShape& shape, std::size_t x, std::size_t w,
           std::size_t weights, std::size_t y) {
  kernels::check_sliding_sizes(what, shape, x, shape.w_elements(), y);
  if (w != weights)
    throw std::invalid_argument(std::string(what) + ": " + std::to_string(w) + " weights; " +
                                std::to_string(weights) + " follow from the shape");
}

Read image(std::span<const float> values, const SlidingChannelShape& shape, int rows, int index) {
  const Eigen::Index pixels = shape.pixels();
  return {values.data() + index * rows * pixels, rows, pixels};
}
Write image(std::span<float> values, const SlidingChannelShape& shape, int rows, int index) {
  const Eigen::Index pixels = shape.pixels();
  return {values.data() + index * rows * pixels, rows, pixels};
}

}  // namespace

void sliding_dense_eigen(const SlidingChannelShape& shape, std::span<const float> x,
                         std::span<const float> dense, std::span<float> y, int threads) {
  check("sliding_dense_eigen", shape, x.size(), dense.size(), dense_size(shape), y.size());
  const Read weights(dense.data(), shape.outputs, shape.inputs);
  kernels::for_each_row_block(shape.batch, 1, threads, [&](int b, int, int) {
    image(y, shape, shape.outputs, b).noalias() = weights * image(x, shape, shape.inputs, b);
  });
}

void sliding_dense_data_eigen(const SlidingChannelShape& shape, std::span<const float> dy,
                              std::span<const float> dense, std::span<float> dx, int threads) {
  check("sliding_dense_data_eigen", shape, dx.size(), dense.size(), dense_size(shape), dy.size());
  const Read weights(dense.data(), shape.outputs, shape.inputs);
  kernels::for_each_row_block(shape.batch, 1, threads, [&](int b, int, int) {
    image(dx, shape, shape.inputs, b).noalias() = weights.transpose() * image(dy, shape, shape.outputs, b);
  });
}

void sliding_dense_weight_eigen(const SlidingChannelShape& shape, std::span<const float> x,
                                std::span<const float> dy, std::span<float> dense_gradient, int threads) {
  check("sliding_dense_weight_eigen", shape, x.size(), dense_gradient.size(), dense_size(shape), dy.size());
  if (threads <= 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  // A gradient for each part of the images; the parts are added in order.
  const int parts = std::min(threads, shape.batch);
  std::vector<Matrix> sums(static_cast<std::size_t>(parts), Matrix::Zero(shape.outputs, shape.inputs));
  kernels::for_each_row_block(parts, 1, threads, [&](int part, int, int) {
    Matrix& sum = sums[static_cast<std::size_t>(part)];
    for (int b = part * shape.batch / parts; b < (part + 1) * shape.batch / parts; ++b)
      sum.noalias() += image(dy, shape, shape.outputs, b) * image(x, shape, shape.inputs, b).transpose();
  });
  Write result(dense_gradient.data(), shape.outputs, shape.inputs);
  result = sums[0];
  for (std::size_t part = 1; part < sums.size(); ++part) result += sums[part];
}

void grouped_pointwise_eigen(const SlidingChannelShape& shape, std::span<const float> x,
                             std::span<const float> w, std::span<float> y, int threads) {
  check("grouped_pointwise_eigen", shape, x.size(), w.size(), shape.w_elements(), y.size());
  const int groups = shape.inputs / shape.window, rows = shape.outputs / std::max(1, groups);
  if (groups * shape.window != shape.inputs || groups * rows != shape.outputs)
    throw std::invalid_argument(
        "grouped_pointwise_eigen: the window must divide the inputs, and inputs / window the "
        "outputs");
  const Read weights(w.data(), shape.outputs, shape.window);
  kernels::for_each_row_block(shape.batch, 1, threads, [&](int b, int, int) {
    const Read in = image(x, shape, shape.inputs, b);
    Write out = image(y, shape, shape.outputs, b);
    for (int group = 0; group < groups; ++group)
      out.middleRows(group * rows, rows).noalias() =
          weights.middleRows(group * rows, rows) * in.middleRows(group * shape.window, shape.window);
  });
}

}  // namespace remeasure::baselines
