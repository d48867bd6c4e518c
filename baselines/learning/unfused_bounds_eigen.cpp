// SPDX-License-Identifier: Apache-2.0
#include "baselines/learning/unfused_bounds_eigen.h"

#include <Eigen/Core>

#include "kernels/learning/relaxation.h"

namespace remeasure::baselines {
namespace {

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

/// |weights|_q over the inputs: [rows, channels].
template <class Scalar>
Grid<Scalar> norms(const BoundShape& shape, const Ball& ball, std::span<const Scalar> weights) {
  Grid<Scalar> result = Grid<Scalar>::Zero(shape.rows, shape.channels);
  const Eigen::Index per_word = shape.inputs / ball.words;
  for (Eigen::Index row = 0; row < shape.rows; ++row) {
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
  }
  return result;
}

template <class Scalar>
struct Ends {
  Grid<Scalar> lower, upper;
};
template <class Scalar>
Ends<Scalar> concretise(const BoundShape& shape, const Ball& ball, const HostBounds<const Scalar>& in) {
  const auto radius = static_cast<Scalar>(ball.radius);
  return {grid_of(in.lower_bias, shape.rows, shape.channels) - radius * norms(shape, ball, in.lower_weight),
          grid_of(in.upper_bias, shape.rows, shape.channels) + radius * norms(shape, ball, in.upper_weight)};
}

/// max(slope, 0) same + min(slope, 0) opposite for weights [rows, inputs, channels].
template <class Scalar>
void scale_sides(const BoundShape& shape, int inputs, const Grid<Scalar>& slope, std::span<const Scalar> same,
                 std::span<const Scalar> opposite, std::span<Scalar> out) {
  const Grid<Scalar> positive = slope.max(Scalar(0)), negative = slope.min(Scalar(0));
  const Eigen::Index lines = static_cast<Eigen::Index>(shape.rows) * inputs;
  const auto s = grid_of(same, lines, shape.channels), o = grid_of(opposite, lines, shape.channels);
  auto result = grid_of(out, lines, shape.channels);
  for (Eigen::Index row = 0; row < shape.rows; ++row) {
    const Grid<Scalar> of_same = s.middleRows(row * inputs, inputs).rowwise() * positive.row(row);
    const Grid<Scalar> of_opposite = o.middleRows(row * inputs, inputs).rowwise() * negative.row(row);
    result.middleRows(row * inputs, inputs) = of_same + of_opposite;
  }
}

template <class Scalar>
struct EigenOps {
  using Value = BoundArrays<Scalar>;
  using Slot = kernels::Slot;
  const kernels::VerifiedTransformer& model;
  std::span<const float> embedding;
  const kernels::Perturbation& perturbation;

  std::vector<Scalar> part(std::size_t place, std::size_t size) const {
    const auto first = model.parameters.begin() + static_cast<std::ptrdiff_t>(place);
    return {first, first + static_cast<std::ptrdiff_t>(size)};
  }
  const Ball& ball() const { return perturbation.ball; }
  Value input() {
    return kernels::perturbed_embedding<Scalar>(model.rows, model.hidden, embedding, perturbation);
  }
  Value dense(Slot, const Value& in, const kernels::DensePlace& d) {
    Value out(in.shape.with_channels(d.outputs));
    unfused_matmul_eigen<Scalar>(in.shape, d.outputs, in.spans(), part(d.matrix, d.matrix_size()),
                                 part(d.offset, static_cast<std::size_t>(d.outputs)), out.spans());
    return out;
  }
  Value dot(const DotShape& shape, const Value& x, const Value& y) {
    const Ends<Scalar> of_x = concretise<Scalar>(x.shape, ball(), x.spans()),
                       of_y = concretise<Scalar>(y.shape, ball(), y.spans());
    const auto all = [](const Grid<Scalar>& grid) {
      return std::span<const Scalar>(grid.data(), static_cast<std::size_t>(grid.size()));
    };
    Value out(shape.out_shape());
    unfused_dot_eigen<Scalar>(shape, x.spans(), all(of_x.lower), y.spans(), all(of_y.lower), all(of_y.upper),
                              out.spans());
    return out;
  }
  Value scores(Slot, const Value& qkv, int heads, int hidden) {
    return dot(kernels::score_shape(qkv.shape.rows, qkv.shape.inputs, heads, hidden), qkv, qkv);
  }
  Value values(Slot, const Value& p, const Value& qkv, int heads, int hidden) {
    return dot(kernels::value_shape(p.shape.rows, p.shape.inputs, heads, hidden), p, qkv);
  }
  void relax(Relaxation relaxation, Value& z) {
    Value out(z.shape);
    unfused_relax_eigen<Scalar>(relaxation, z.shape, ball(), z.constant(), out.spans());
    z = std::move(out);
  }
  Value group_sum(Slot, const Value& in, int group) {
    Value out(in.shape.with_channels(in.shape.channels / group));
    const auto sum = [&](const std::vector<Scalar>& from, std::vector<Scalar>& to) {
      grid_of(std::span(to), static_cast<Eigen::Index>(to.size()), 1) =
          grid_of(std::span(from), static_cast<Eigen::Index>(to.size()), group).rowwise().sum();
    };
    sum(in.lower_weight, out.lower_weight);
    sum(in.upper_weight, out.upper_weight);
    sum(in.lower_bias, out.lower_bias);
    sum(in.upper_bias, out.upper_bias);
    return out;
  }
  /// [lines, channels / group] repeated over the group, as a broadcast makes it.
  static std::vector<Scalar> repeated(const std::vector<Scalar>& coarse, int group) {
    std::vector<Scalar> fine;
    fine.reserve(coarse.size() * static_cast<std::size_t>(group));
    for (const Scalar x : coarse) fine.insert(fine.end(), static_cast<std::size_t>(group), x);
    return fine;
  }
  void product(Value& x, const Value& y, int group) {
    const BoundShape& shape = x.shape;
    Value fine, out(shape), second(shape);
    fine.shape = shape;
    fine.lower_weight = repeated(y.lower_weight, group);
    fine.upper_weight = repeated(y.upper_weight, group);
    fine.lower_bias = repeated(y.lower_bias, group);
    fine.upper_bias = repeated(y.upper_bias, group);
    const Ends<Scalar> of_x = concretise<Scalar>(shape, ball(), x.constant()),
                       of_y = concretise<Scalar>(shape, ball(), fine.constant());
    const auto add = [](const std::vector<Scalar>& from, std::vector<Scalar>& to) {
      for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
    };
    scale_sides<Scalar>(shape, shape.inputs, of_y.lower, x.lower_weight, x.upper_weight, out.lower_weight);
    scale_sides<Scalar>(shape, shape.inputs, of_x.lower, fine.lower_weight, fine.upper_weight,
                        second.lower_weight);
    scale_sides<Scalar>(shape, shape.inputs, of_y.upper, x.upper_weight, x.lower_weight, out.upper_weight);
    scale_sides<Scalar>(shape, shape.inputs, of_x.lower, fine.upper_weight, fine.lower_weight,
                        second.upper_weight);
    scale_sides<Scalar>(shape, 1, of_y.lower, x.lower_bias, x.upper_bias, out.lower_bias);
    scale_sides<Scalar>(shape, 1, of_x.lower, fine.lower_bias, fine.upper_bias, second.lower_bias);
    scale_sides<Scalar>(shape, 1, of_y.upper, x.upper_bias, x.lower_bias, out.upper_bias);
    scale_sides<Scalar>(shape, 1, of_x.lower, fine.upper_bias, fine.lower_bias, second.upper_bias);
    add(second.lower_weight, out.lower_weight);
    add(second.upper_weight, out.upper_weight);
    add(second.lower_bias, out.lower_bias);
    add(second.upper_bias, out.upper_bias);
    grid_of(std::span(out.lower_bias), shape.rows, shape.channels) -= of_x.lower * of_y.lower;
    grid_of(std::span(out.upper_bias), shape.rows, shape.channels) -= of_x.lower * of_y.upper;
    x = std::move(out);
  }
  Value add_normalise(Slot, const Value& a, const Value& b, const kernels::NormPlace& norm) {
    const BoundShape& shape = a.shape;
    const auto channels = static_cast<Eigen::Index>(shape.channels);
    const std::vector<Scalar> scale = part(norm.scale, static_cast<std::size_t>(channels)),
                              shift = part(norm.shift, static_cast<std::size_t>(channels));
    const Eigen::Map<const Eigen::Array<Scalar, 1, Eigen::Dynamic>> by(scale.data(), channels),
        plus(shift.data(), channels);
    const Eigen::Array<Scalar, 1, Eigen::Dynamic> positive = by.max(Scalar(0)), negative = by.min(Scalar(0));
    Value out(shape);
    const auto both = [&](const std::vector<Scalar>& al, const std::vector<Scalar>& au,
                          const std::vector<Scalar>& bl, const std::vector<Scalar>& bu,
                          std::vector<Scalar>& ol, std::vector<Scalar>& ou, bool biases) {
      const Eigen::Index lines = static_cast<Eigen::Index>(al.size()) / channels;
      const Grid<Scalar> lower =
          grid_of(std::span(al), lines, channels) + grid_of(std::span(bl), lines, channels);
      const Grid<Scalar> upper =
          grid_of(std::span(au), lines, channels) + grid_of(std::span(bu), lines, channels);
      const Scalar share = Scalar(1) / static_cast<Scalar>(channels);
      const Eigen::Array<Scalar, Eigen::Dynamic, 1> lower_mean = share * lower.rowwise().sum(),
                                                    upper_mean = share * upper.rowwise().sum();
      const Grid<Scalar> below = ((1 - share) * lower + share * upper).colwise() - upper_mean,
                         above = ((1 - share) * upper + share * lower).colwise() - lower_mean;
      auto low = grid_of(std::span(ol), lines, channels), high = grid_of(std::span(ou), lines, channels);
      low = below.rowwise() * positive + above.rowwise() * negative;
      high = above.rowwise() * positive + below.rowwise() * negative;
      if (biases) {
        low.rowwise() += plus;
        high.rowwise() += plus;
      }
    };
    both(a.lower_weight, a.upper_weight, b.lower_weight, b.upper_weight, out.lower_weight, out.upper_weight,
         false);
    both(a.lower_bias, a.upper_bias, b.lower_bias, b.upper_bias, out.lower_bias, out.upper_bias, true);
    return out;
  }
  Value first_row(const Value& z) {
    Value out({1, z.shape.inputs, z.shape.channels});
    std::copy_n(z.lower_weight.begin(), out.lower_weight.size(), out.lower_weight.begin());
    std::copy_n(z.upper_weight.begin(), out.upper_weight.size(), out.upper_weight.begin());
    std::copy_n(z.lower_bias.begin(), out.lower_bias.size(), out.lower_bias.begin());
    std::copy_n(z.upper_bias.begin(), out.upper_bias.size(), out.upper_bias.begin());
    return out;
  }
  void node(const std::string&, const Value&) {}
};

}  // namespace

template <class Scalar>
void unfused_matmul_eigen(const BoundShape& shape, int columns, const HostBounds<const Scalar>& in,
                          std::span<const Scalar> matrix, std::span<const Scalar> offset,
                          const HostBounds<Scalar>& out) {
  kernels::check_bounds("unfused_matmul_eigen", shape, in);
  kernels::check_bounds("unfused_matmul_eigen (output)", shape.with_channels(columns), out);
  const auto w = matrix_of(matrix, columns, shape.channels);
  const Rows<Scalar> positive = w.cwiseMax(Scalar(0)), negative = w.cwiseMin(Scalar(0));
  const auto both = [&](std::span<const Scalar> lower, std::span<const Scalar> upper,
                        std::span<Scalar> lower_out, std::span<Scalar> upper_out) {
    const Eigen::Index rows = static_cast<Eigen::Index>(lower.size()) / shape.channels;
    const auto l = matrix_of(lower, rows, shape.channels), u = matrix_of(upper, rows, shape.channels);
    auto low = matrix_of(lower_out, rows, columns), high = matrix_of(upper_out, rows, columns);
    low.noalias() = l * positive.transpose();
    low.noalias() += u * negative.transpose();
    high.noalias() = u * positive.transpose();
    high.noalias() += l * negative.transpose();
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
                         const HostBounds<const Scalar>& in, const HostBounds<Scalar>& out) {
  kernels::check_bounds("unfused_relax_eigen", shape, in);
  kernels::check_bounds("unfused_relax_eigen (output)", shape, out);
  const Ends<Scalar> ends = concretise(shape, ball, in);
  Grid<Scalar> below(shape.rows, shape.channels), below_at = below, above = below, above_at = below;
  kernels::with_lines(relaxation, [&]<class Lines>() {
    for (Eigen::Index i = 0; i < below.size(); ++i) {
      const kernels::Line<Scalar> lower = Lines::lower(ends.lower.data()[i], ends.upper.data()[i]),
                                  upper = Lines::upper(ends.lower.data()[i], ends.upper.data()[i]);
      below.data()[i] = lower.slope;
      below_at.data()[i] = lower.intercept;
      above.data()[i] = upper.slope;
      above_at.data()[i] = upper.intercept;
    }
  });
  scale_sides<Scalar>(shape, shape.inputs, below, in.lower_weight, in.upper_weight, out.lower_weight);
  scale_sides<Scalar>(shape, shape.inputs, above, in.upper_weight, in.lower_weight, out.upper_weight);
  scale_sides<Scalar>(shape, 1, below, in.lower_bias, in.upper_bias, out.lower_bias);
  scale_sides<Scalar>(shape, 1, above, in.upper_bias, in.lower_bias, out.upper_bias);
  grid_of(out.lower_bias, shape.rows, shape.channels) += below_at;
  grid_of(out.upper_bias, shape.rows, shape.channels) += above_at;
}

template <class Scalar>
void unfused_dot_eigen(const DotShape& s, const HostBounds<const Scalar>& x, std::span<const Scalar> x_lower,
                       const HostBounds<const Scalar>& y, std::span<const Scalar> y_lower,
                       std::span<const Scalar> y_upper, const HostBounds<Scalar>& out) {
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
  const auto terms = [&](Eigen::Index inputs, std::span<const Scalar> xl, std::span<const Scalar> xu,
                         std::span<const Scalar> yl, std::span<const Scalar> yu, std::span<Scalar> ol,
                         std::span<Scalar> ou) {
    for (int head = 0; head < s.heads; ++head) {
      const Eigen::Index at_x = s.x_channel(head, 0), at_y = s.y_channel(head, 0, 0),
                         at_out = static_cast<Eigen::Index>(head) * s.columns;
      /// [inner, columns] of y, or of its ends.
      const auto right = [&](const Scalar* data, Eigen::Index stride) -> Rows<Scalar> {
        const Strided<Scalar> m(data + at_y, s.y_rows(), y_extent, Eigen::OuterStride<>(stride));
        if (scores) return m.transpose();
        return m;
      };
      const auto left = [&](const Scalar* data, Eigen::Index rows) {
        return Strided<Scalar>(data + at_x, rows, s.inner, Eigen::OuterStride<>(s.x_channels));
      };
      const auto result = [&](std::span<Scalar> data, Eigen::Index rows, Eigen::Index first,
                              Eigen::Index stride) {
        return Eigen::Map<Rows<Scalar>, 0, Eigen::OuterStride<>>(data.data() + first + at_out, rows,
                                                                 s.columns, Eigen::OuterStride<>(stride));
      };
      const Eigen::Index lines = s.rows * inputs;
      auto low = result(ol, lines, 0, out_channels), high = result(ou, lines, 0, out_channels);
      low.noalias() = left(xl.data(), lines) * right(lp.data(), s.y_channels);
      low.noalias() += left(xu.data(), lines) * right(ln.data(), s.y_channels);
      high.noalias() = left(xu.data(), lines) * right(up.data(), s.y_channels);
      high.noalias() += left(xl.data(), lines) * right(un.data(), s.y_channels);
      for (Eigen::Index d = 0; d < inputs; ++d) {
        const Rows<Scalar> of_l = right(yl.data() + d * s.y_channels, inputs * s.y_channels),
                           of_u = right(yu.data() + d * s.y_channels, inputs * s.y_channels);
        auto low_d = result(ol, s.rows, d * out_channels, inputs * out_channels),
             high_d = result(ou, s.rows, d * out_channels, inputs * out_channels);
        low_d.noalias() += left(xp.data(), s.rows) * of_l;
        low_d.noalias() += left(xn.data(), s.rows) * of_u;
        high_d.noalias() += left(xp.data(), s.rows) * of_u;
        high_d.noalias() += left(xn.data(), s.rows) * of_l;
      }
    }
  };
  terms(s.inputs, x.lower_weight, x.upper_weight, y.lower_weight, y.upper_weight, out.lower_weight,
        out.upper_weight);
  terms(1, x.lower_bias, x.upper_bias, y.lower_bias, y.upper_bias, out.lower_bias, out.upper_bias);
  for (int head = 0; head < s.heads; ++head) {
    const Eigen::Index at_x = s.x_channel(head, 0), at_y = s.y_channel(head, 0, 0),
                       at_out = static_cast<Eigen::Index>(head) * s.columns;
    const Strided<Scalar> of_x(x_lower.data() + at_x, s.rows, s.inner, Eigen::OuterStride<>(s.x_channels));
    const auto subtract = [&](std::span<const Scalar> ends, std::span<Scalar> to) {
      const Strided<Scalar> of_y(ends.data() + at_y, s.y_rows(), y_extent,
                                 Eigen::OuterStride<>(s.y_channels));
      Eigen::Map<Rows<Scalar>, 0, Eigen::OuterStride<>> result(to.data() + at_out, s.rows, s.columns,
                                                               Eigen::OuterStride<>(out_channels));
      if (scores)
        result.noalias() -= of_x * of_y.transpose();
      else
        result.noalias() -= of_x * of_y;
    };
    subtract(y_lower, out.lower_bias);
    subtract(y_upper, out.upper_bias);
  }
}

template <class Scalar>
BoundArrays<Scalar> unfused_margin_eigen(const kernels::VerifiedTransformer& model, int label,
                                         std::span<const float> embedding,
                                         const kernels::Perturbation& perturbation) {
  EigenOps<Scalar> ops{model, embedding, perturbation};
  return kernels::propagate(ops, model, label);
}

#define RM_INSTANTIATE(Scalar)                                                                               \
  template void unfused_matmul_eigen(const BoundShape&, int, const HostBounds<const Scalar>&,                \
                                     std::span<const Scalar>, std::span<const Scalar>,                       \
                                     const HostBounds<Scalar>&);                                             \
  template void unfused_relax_eigen(Relaxation, const BoundShape&, const Ball&,                              \
                                    const HostBounds<const Scalar>&, const HostBounds<Scalar>&);             \
  template void unfused_dot_eigen(const DotShape&, const HostBounds<const Scalar>&, std::span<const Scalar>, \
                                  const HostBounds<const Scalar>&, std::span<const Scalar>,                  \
                                  std::span<const Scalar>, const HostBounds<Scalar>&);                       \
  template BoundArrays<Scalar> unfused_margin_eigen(const kernels::VerifiedTransformer&, int,                \
                                                    std::span<const float>, const kernels::Perturbation&)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::baselines
