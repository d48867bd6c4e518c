// SPDX-License-Identifier: Apache-2.0
//
// What Eigen's form of bound propagation is written with: views, norms, masked slopes, and blocks of rows as
// tasks.
#pragma once

#include <Eigen/Core>
#include <algorithm>

#include "baselines/learning/unfused_bounds_eigen.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines::eigen_bounds {

using kernels::Ball;
using kernels::BallNorm;
using kernels::BoundShape;
using kernels::DotShape;
using kernels::HostBounds;
using kernels::Relaxation;

template <class Scalar>
using Rows = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Grid = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Strided = Eigen::Map<const Rows<Scalar>, 0, Eigen::OuterStride<>>;

template <class Scalar>
auto matrix_of(std::span<Scalar> data, Eigen::Index rows, Eigen::Index columns) {
  using Plain = Rows<std::remove_const_t<Scalar>>;
  return Eigen::Map<std::conditional_t<std::is_const_v<Scalar>, const Plain, Plain>>(data.data(), rows,
                                                                                     columns);
}
template <class Scalar>
auto grid_of(std::span<Scalar> data, Eigen::Index rows, Eigen::Index columns) {
  using Plain = Grid<std::remove_const_t<Scalar>>;
  return Eigen::Map<std::conditional_t<std::is_const_v<Scalar>, const Plain, Plain>>(data.data(), rows,
                                                                                     columns);
}

/// run(first, count) for blocks that cover [0, rows): all of them at once where Eigen's own threads are to
/// share the work of each product, else tasks of `block` rows.
template <class Run>
void in_blocks(EigenThreads threads, Eigen::Index rows, Eigen::Index block, const Run& run) {
  if (threads == EigenThreads::own) {
    run(Eigen::Index{0}, rows);
    return;
  }
  const Eigen::Index tasks = (rows + block - 1) / block;
  kernels::for_each_row_block(static_cast<int>(tasks), 1, 0, [&](int task, int, int) {
    run(task * block, std::min(block, rows - task * block));
  });
}
/// Rows whose numbers keep a thread busy for longer than it takes to begin one, in element-wise work.
inline Eigen::Index rows_of_task(Eigen::Index numbers_of_row) {
  return std::max<Eigen::Index>(1, 65'536 / std::max<Eigen::Index>(1, numbers_of_row));
}
/// Rows of a product's left operand that stay in L2 with both results.
inline constexpr Eigen::Index kProductRows = 256;

/// |weights|_q over the inputs: [rows, channels].
template <class Scalar>
Grid<Scalar> norms(EigenThreads threads, const BoundShape& shape, const Ball& ball,
                   std::span<const Scalar> weights) {
  Grid<Scalar> result = Grid<Scalar>::Zero(shape.rows, shape.channels);
  const Eigen::Index per_word = shape.inputs / ball.words;
  const auto norm_of_row = [&](Eigen::Index row) {
    for (int word = 0; word < ball.words; ++word) {
      const auto block =
          grid_of(weights, static_cast<Eigen::Index>(shape.rows) * shape.inputs, shape.channels)
              .middleRows(row * shape.inputs + word * per_word, per_word);
      switch (ball.norm) {
        case BallNorm::two:
          result.row(row) += block.square().colwise().sum().sqrt();
          break;
        case BallNorm::infinity:
          result.row(row) += block.abs().colwise().sum();
          break;
        case BallNorm::one:
          result.row(row) += block.abs().colwise().maxCoeff();
          break;
      }
    }
  };
  in_blocks(threads, shape.rows, rows_of_task(static_cast<Eigen::Index>(shape.inputs) * shape.channels),
            [&](Eigen::Index first, Eigen::Index count) {
              for (Eigen::Index row = first; row < first + count; ++row) norm_of_row(row);
            });
  return result;
}

template <class Scalar>
struct Ends {
  Grid<Scalar> lower, upper;
};
template <class Scalar>
Ends<Scalar> concretise(EigenThreads threads, const BoundShape& shape, const Ball& ball,
                        const HostBounds<const Scalar>& in) {
  const auto radius = static_cast<Scalar>(ball.radius);
  return {grid_of(in.lower_bias, shape.rows, shape.channels) -
              radius * norms(threads, shape, ball, in.lower_weight),
          grid_of(in.upper_bias, shape.rows, shape.channels) +
              radius * norms(threads, shape, ball, in.upper_weight)};
}

/// max(slope, 0) same + min(slope, 0) opposite for weights [rows, inputs, channels].
template <class Scalar>
void scale_sides(EigenThreads threads, const BoundShape& shape, int inputs, const Grid<Scalar>& slope,
                 std::span<const Scalar> same, std::span<const Scalar> opposite, std::span<Scalar> out) {
  const Grid<Scalar> positive = slope.max(Scalar(0)), negative = slope.min(Scalar(0));
  const Eigen::Index lines = static_cast<Eigen::Index>(shape.rows) * inputs;
  const auto s = grid_of(same, lines, shape.channels), o = grid_of(opposite, lines, shape.channels);
  auto result = grid_of(out, lines, shape.channels);
  in_blocks(threads, shape.rows, rows_of_task(static_cast<Eigen::Index>(inputs) * shape.channels),
            [&](Eigen::Index first, Eigen::Index count) {
              for (Eigen::Index row = first; row < first + count; ++row) {
                const Grid<Scalar> of_same = s.middleRows(row * inputs, inputs).rowwise() * positive.row(row);
                const Grid<Scalar> of_opposite =
                    o.middleRows(row * inputs, inputs).rowwise() * negative.row(row);
                result.middleRows(row * inputs, inputs) = of_same + of_opposite;
              }
            });
}

}  // namespace remeasure::baselines::eigen_bounds
