// SPDX-License-Identifier: Apache-2.0
#include "baselines/learning/unfused_bounds_arrays.h"
#include "kernels/learning/relaxation.h"

namespace remeasure::baselines {

using namespace eigen_bounds;

template <class Scalar>
void unfused_matmul_eigen(const BoundShape& shape, int columns, const HostBounds<const Scalar>& in,
                          std::span<const Scalar> matrix, std::span<const Scalar> offset,
                          const HostBounds<Scalar>& out, EigenThreads threads) {
  kernels::check_bounds("unfused_matmul_eigen", shape, in);
  kernels::check_bounds("unfused_matmul_eigen (output)", shape.with_channels(columns), out);
  const auto w = matrix_of(matrix, columns, shape.channels);
  const Rows<Scalar> positive = w.cwiseMax(Scalar(0)), negative = w.cwiseMin(Scalar(0));
  const auto both = [&](std::span<const Scalar> lower, std::span<const Scalar> upper,
                        std::span<Scalar> lower_out, std::span<Scalar> upper_out) {
    const Eigen::Index rows = static_cast<Eigen::Index>(lower.size()) / shape.channels;
    in_blocks(threads, rows, kProductRows, [&](Eigen::Index first, Eigen::Index count) {
      const auto l = matrix_of(lower, rows, shape.channels).middleRows(first, count),
                 u = matrix_of(upper, rows, shape.channels).middleRows(first, count);
      auto low = matrix_of(lower_out, rows, columns).middleRows(first, count),
           high = matrix_of(upper_out, rows, columns).middleRows(first, count);
      low.noalias() = l * positive.transpose();
      low.noalias() += u * negative.transpose();
      high.noalias() = u * positive.transpose();
      high.noalias() += l * negative.transpose();
    });
  };
  both(in.lower_weight, in.upper_weight, out.lower_weight, out.upper_weight);
  both(in.lower_bias, in.upper_bias, out.lower_bias, out.upper_bias);
  if (offset.empty()) return;
  const Eigen::Map<const Eigen::Matrix<Scalar, 1, Eigen::Dynamic>> add(offset.data(), columns);
  matrix_of(out.lower_bias, shape.rows, columns).rowwise() += add;
  matrix_of(out.upper_bias, shape.rows, columns).rowwise() += add;
}

template <class Scalar>
void unfused_relax_eigen(Relaxation relaxation, const BoundShape& shape, const Ball& ball,
                         const HostBounds<const Scalar>& in, const HostBounds<Scalar>& out,
                         EigenThreads threads) {
  kernels::check_bounds("unfused_relax_eigen", shape, in);
  kernels::check_bounds("unfused_relax_eigen (output)", shape, out);
  const Ends<Scalar> ends = concretise(threads, shape, ball, in);
  Grid<Scalar> below(shape.rows, shape.channels), below_at = below, above = below, above_at = below;
  kernels::with_lines(relaxation, [&]<class Lines>() {
    in_blocks(threads, below.size(), 4096, [&](Eigen::Index first, Eigen::Index count) {
      for (Eigen::Index i = first; i < first + count; ++i) {
        const kernels::Line<Scalar> lower = Lines::lower(ends.lower.data()[i], ends.upper.data()[i]),
                                    upper = Lines::upper(ends.lower.data()[i], ends.upper.data()[i]);
        below.data()[i] = lower.slope;
        below_at.data()[i] = lower.intercept;
        above.data()[i] = upper.slope;
        above_at.data()[i] = upper.intercept;
      }
    });
  });
  scale_sides<Scalar>(threads, shape, shape.inputs, below, in.lower_weight, in.upper_weight,
                      out.lower_weight);
  scale_sides<Scalar>(threads, shape, shape.inputs, above, in.upper_weight, in.lower_weight,
                      out.upper_weight);
  scale_sides<Scalar>(threads, shape, 1, below, in.lower_bias, in.upper_bias, out.lower_bias);
  scale_sides<Scalar>(threads, shape, 1, above, in.upper_bias, in.lower_bias, out.upper_bias);
  grid_of(out.lower_bias, shape.rows, shape.channels) += below_at;
  grid_of(out.upper_bias, shape.rows, shape.channels) += above_at;
}

template <class Scalar>
void unfused_dot_eigen(const DotShape& s, const HostBounds<const Scalar>& x, std::span<const Scalar> x_lower,
                       const HostBounds<const Scalar>& y, std::span<const Scalar> y_lower,
                       std::span<const Scalar> y_upper, const HostBounds<Scalar>& out, EigenThreads threads) {
  kernels::check_bounds("unfused_dot_eigen (x)", s.x_shape(), x);
  kernels::check_bounds("unfused_dot_eigen (y)", s.y_shape(), y);
  kernels::check_bounds("unfused_dot_eigen (output)", s.out_shape(), out);
  const bool scores = s.kind == kernels::DotKind::scores;
  const Eigen::Index out_channels = static_cast<Eigen::Index>(s.heads) * s.columns;
  const auto masks = [](std::span<const Scalar> ends, int rows, int channels, bool positive) -> Rows<Scalar> {
    const auto m = matrix_of(ends, rows, channels);
    if (positive) return m.cwiseMax(Scalar(0));
    return m.cwiseMin(Scalar(0));
  };
  const Rows<Scalar> xp = masks(x_lower, s.rows, s.x_channels, true),
                     xn = masks(x_lower, s.rows, s.x_channels, false);
  const Rows<Scalar> lp = masks(y_lower, s.y_rows(), s.y_channels, true),
                     ln = masks(y_lower, s.y_rows(), s.y_channels, false);
  const Rows<Scalar> up = masks(y_upper, s.y_rows(), s.y_channels, true),
                     un = masks(y_upper, s.y_rows(), s.y_channels, false);
  const Eigen::Index y_extent = scores ? s.inner : s.columns;
  const auto at_x = [&](int head) { return static_cast<Eigen::Index>(s.x_channel(head, 0)); };
  const auto at_y = [&](int head) { return static_cast<Eigen::Index>(s.y_channel(head, 0, 0)); };
  const auto at_out = [&](int head) { return static_cast<Eigen::Index>(head) * s.columns; };
  /// [inner, columns] of y, or of its ends.
  const auto right = [&](int head, const Scalar* data, Eigen::Index stride) -> Rows<Scalar> {
    const Strided<Scalar> m(data + at_y(head), s.y_rows(), y_extent, Eigen::OuterStride<>(stride));
    if (scores) return m.transpose();
    return m;
  };
  const auto left = [&](int head, const Scalar* data, Eigen::Index rows) {
    return Strided<Scalar>(data + at_x(head), rows, s.inner, Eigen::OuterStride<>(s.x_channels));
  };
  const auto result = [&](int head, std::span<Scalar> data, Eigen::Index rows, Eigen::Index first,
                          Eigen::Index stride) {
    return Eigen::Map<Rows<Scalar>, 0, Eigen::OuterStride<>>(data.data() + first + at_out(head), rows,
                                                             s.columns, Eigen::OuterStride<>(stride));
  };
  struct EndsOfHead {
    Rows<Scalar> lp, ln, up, un;
  };
  std::vector<EndsOfHead> of_head;
  for (int head = 0; head < s.heads; ++head) {
    of_head.push_back({right(head, lp.data(), s.y_channels), right(head, ln.data(), s.y_channels),
                       right(head, up.data(), s.y_channels), right(head, un.data(), s.y_channels)});
  }
  const auto terms = [&](Eigen::Index inputs, std::span<const Scalar> xl, std::span<const Scalar> xu,
                         std::span<const Scalar> yl, std::span<const Scalar> yu, std::span<Scalar> ol,
                         std::span<Scalar> ou) {
    in_blocks(threads, s.rows * inputs, kProductRows, [&](Eigen::Index first, Eigen::Index count) {
      for (int head = 0; head < s.heads; ++head) {
        const EndsOfHead& y_ends = of_head[static_cast<std::size_t>(head)];
        const auto of_l = left(head, xl.data() + first * s.x_channels, count),
                   of_u = left(head, xu.data() + first * s.x_channels, count);
        auto low = result(head, ol, count, first * out_channels, out_channels),
             high = result(head, ou, count, first * out_channels, out_channels);
        low.noalias() = of_l * y_ends.lp;
        low.noalias() += of_u * y_ends.ln;
        high.noalias() = of_u * y_ends.up;
        high.noalias() += of_l * y_ends.un;
      }
    });
    // These are too small for Eigen's own threads, whoever has cut the others.
    in_blocks(EigenThreads::tasks, inputs, 8, [&](Eigen::Index first, Eigen::Index count) {
      for (Eigen::Index d = first; d < first + count; ++d) {
        for (int head = 0; head < s.heads; ++head) {
          const Rows<Scalar> of_l = right(head, yl.data() + d * s.y_channels, inputs * s.y_channels),
                             of_u = right(head, yu.data() + d * s.y_channels, inputs * s.y_channels);
          auto low = result(head, ol, s.rows, d * out_channels, inputs * out_channels),
               high = result(head, ou, s.rows, d * out_channels, inputs * out_channels);
          low.noalias() += left(head, xp.data(), s.rows) * of_l;
          low.noalias() += left(head, xn.data(), s.rows) * of_u;
          high.noalias() += left(head, xp.data(), s.rows) * of_u;
          high.noalias() += left(head, xn.data(), s.rows) * of_l;
        }
      }
    });
  };
  terms(s.inputs, x.lower_weight, x.upper_weight, y.lower_weight, y.upper_weight, out.lower_weight,
        out.upper_weight);
  terms(1, x.lower_bias, x.upper_bias, y.lower_bias, y.upper_bias, out.lower_bias, out.upper_bias);
  for (int head = 0; head < s.heads; ++head) {
    const auto of_x = left(head, x_lower.data(), s.rows);
    result(head, out.lower_bias, s.rows, 0, out_channels).noalias() -=
        of_x * right(head, y_lower.data(), s.y_channels);
    result(head, out.upper_bias, s.rows, 0, out_channels).noalias() -=
        of_x * right(head, y_upper.data(), s.y_channels);
  }
}

#define RM_INSTANTIATE(Scalar)                                                                               \
  template void unfused_matmul_eigen(const BoundShape&, int, const HostBounds<const Scalar>&,                \
                                     std::span<const Scalar>, std::span<const Scalar>,                       \
                                     const HostBounds<Scalar>&, EigenThreads);                               \
  template void unfused_relax_eigen(Relaxation, const BoundShape&, const Ball&,                              \
                                    const HostBounds<const Scalar>&, const HostBounds<Scalar>&,              \
                                    EigenThreads);                                                           \
  template void unfused_dot_eigen(const DotShape&, const HostBounds<const Scalar>&, std::span<const Scalar>, \
                                  const HostBounds<const Scalar>&, std::span<const Scalar>,                  \
                                  std::span<const Scalar>, const HostBounds<Scalar>&, EigenThreads)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::baselines
