// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/bound_reference.h"

#include <Eigen/Core>

#include "kernels/learning/relaxation.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

template <class Scalar>
using Rows = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Mapped = Eigen::Map<const Rows<Scalar>>;
template <class Scalar>
using Strided = Eigen::Map<const Rows<Scalar>, 0, Eigen::OuterStride<>>;

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

/// The rows [first, first + count) of lower and upper through the matrix.
template <class Scalar>
void split_rows(const Scalar* lower, const Scalar* upper, const Mapped<Scalar>& matrix,
                const Rows<Scalar>& absolute, std::span<const Scalar> offset, Eigen::Index first,
                Eigen::Index count, Scalar* lower_out, Scalar* upper_out) {
  constexpr Eigen::Index kBlock = 64;  // with both sums it stays in L2
  const Eigen::Index inner = matrix.cols(), columns = matrix.rows();
  Rows<Scalar> centre, radius, centres, radii;
  for (Eigen::Index row = first; row < first + count; row += kBlock) {
    const Eigen::Index rows = std::min(kBlock, first + count - row);
    const Mapped<Scalar> l(lower + row * inner, rows, inner), u(upper + row * inner, rows, inner);
    centre = Scalar(0.5) * (u + l);
    radius = Scalar(0.5) * (u - l);
    centres.noalias() = centre * matrix.transpose();
    radii.noalias() = radius * absolute.transpose();
    if (!offset.empty())
      centres.rowwise() += Eigen::Map<const Eigen::Matrix<Scalar, 1, Eigen::Dynamic>>(offset.data(), columns);
    Eigen::Map<Rows<Scalar>>(lower_out + row * columns, rows, columns) = centres - radii;
    Eigen::Map<Rows<Scalar>>(upper_out + row * columns, rows, columns) = centres + radii;
  }
}

/// |weights|_q over the perturbation for all channels of a row, word by word.
template <class Scalar>
void dual_norms(const Scalar* weights, const BoundShape& shape, const Ball& ball,
                std::vector<Scalar>& norms) {
  const std::size_t channels = index(shape.channels), per_word = index(shape.inputs / ball.words);
  std::vector<Scalar> sums(channels);
  norms.assign(channels, 0);
  for (int word = 0; word < ball.words; ++word) {
    std::fill(sums.begin(), sums.end(), Scalar(0));
    for (std::size_t i = 0; i < per_word; ++i) {
      const Scalar* const w = weights + (index(word) * per_word + i) * channels;
      switch (ball.norm) {
        case BallNorm::two:
          for (std::size_t c = 0; c < channels; ++c) sums[c] += w[c] * w[c];
          break;
        case BallNorm::infinity:
          for (std::size_t c = 0; c < channels; ++c) sums[c] += std::abs(w[c]);
          break;
        case BallNorm::one:
          for (std::size_t c = 0; c < channels; ++c) sums[c] = std::max(sums[c], std::abs(w[c]));
          break;
      }
    }
    for (std::size_t c = 0; c < channels; ++c)
      norms[c] += ball.norm == BallNorm::two ? std::sqrt(sums[c]) : sums[c];
  }
}

template <class Scalar>
Scalar same_side(Scalar slope, Scalar same, Scalar opposite) {
  return slope * (slope >= 0 ? same : opposite);
}

/// Ends of the intervals of one row.
template <class Scalar>
struct RowIntervals {
  std::vector<Scalar> lower, upper;
  void find(const BoundShape& shape, const Ball& ball, const HostBounds<const Scalar>& in, std::size_t row,
            bool with_lower, bool with_upper) {
    const std::size_t channels = index(shape.channels), line = row * index(shape.inputs) * channels;
    const Scalar radius = static_cast<Scalar>(ball.radius);
    if (with_lower) {
      dual_norms(in.lower_weight.data() + line, shape, ball, lower);
      for (std::size_t c = 0; c < channels; ++c)
        lower[c] = in.lower_bias[row * channels + c] - radius * lower[c];
    }
    if (with_upper) {
      dual_norms(in.upper_weight.data() + line, shape, ball, upper);
      for (std::size_t c = 0; c < channels; ++c)
        upper[c] = in.upper_bias[row * channels + c] + radius * upper[c];
    }
  }
};

/// Rows of a bound object; of a small one on this thread, since others would take longer to begin.
template <class Body>
void for_rows(const BoundShape& shape, int threads, const Body& body) {
  if (threads == 0 && shape.weights() < 100'000) threads = 1;
  for_each_row_block(1, shape.rows, threads, [&](int, int first, int count) {
    for (int row = first; row < first + count; ++row) body(index(row));
  });
}

void check_ball(const BoundShape& shape, const Ball& ball) {
  if (ball.words < 1 || shape.inputs % ball.words != 0)
    throw std::invalid_argument("bounds: the words must divide the perturbation's numbers");
}

}  // namespace

template <class Scalar>
void bound_matmul_reference(const BoundShape& shape, int columns, const HostBounds<const Scalar>& in,
                            std::span<const Scalar> matrix, std::span<const Scalar> offset,
                            const HostBounds<Scalar>& out, int threads) {
  check_bounds("bound_matmul_reference", shape, in);
  check_bounds("bound_matmul_reference (output)", shape.with_channels(columns), out);
  if (matrix.size() != index(columns) * index(shape.channels) ||
      (!offset.empty() && offset.size() != index(columns))) {
    throw std::invalid_argument(
        "bound_matmul_reference: the matrix must be columns x channels, the offset columns values or none");
  }
  const Mapped<Scalar> w(matrix.data(), columns, shape.channels);
  const Rows<Scalar> absolute = w.cwiseAbs();
  for_each_row_block(1, shape.rows * shape.inputs, threads, [&](int, int first, int count) {
    split_rows<Scalar>(in.lower_weight.data(), in.upper_weight.data(), w, absolute, {}, first, count,
                       out.lower_weight.data(), out.upper_weight.data());
  });
  split_rows<Scalar>(in.lower_bias.data(), in.upper_bias.data(), w, absolute, offset, 0, shape.rows,
                     out.lower_bias.data(), out.upper_bias.data());
}

template <class Scalar>
void bound_concretise_reference(const BoundShape& shape, const Ball& ball, const HostBounds<const Scalar>& in,
                                std::span<Scalar> lower, std::span<Scalar> upper, int threads) {
  check_bounds("bound_concretise_reference", shape, in);
  check_ball(shape, ball);
  for_rows(shape, threads, [&](std::size_t row) {
    RowIntervals<Scalar> interval;
    interval.find(shape, ball, in, row, true, true);
    const auto at = static_cast<std::ptrdiff_t>(row * index(shape.channels));
    std::copy(interval.lower.begin(), interval.lower.end(), lower.begin() + at);
    std::copy(interval.upper.begin(), interval.upper.end(), upper.begin() + at);
  });
}

template <class Scalar>
void bound_relax_reference(Relaxation relaxation, const BoundShape& shape, const Ball& ball,
                           const HostBounds<const Scalar>& in, const HostBounds<Scalar>& out, int threads) {
  check_bounds("bound_relax_reference", shape, in);
  check_bounds("bound_relax_reference (output)", shape, out);
  check_ball(shape, ball);
  for_rows(shape, threads, [&](std::size_t row) {
    const std::size_t channels = index(shape.channels);
    RowIntervals<Scalar> interval;
    interval.find(shape, ball, in, row, true, true);
    std::vector<Scalar> lower_slope(channels), upper_slope(channels);
    with_lines(relaxation, [&]<class Lines>() {
      for (std::size_t c = 0; c < channels; ++c) {
        const Line<Scalar> below = Lines::lower(interval.lower[c], interval.upper[c]),
                           above = Lines::upper(interval.lower[c], interval.upper[c]);
        const Scalar l = in.lower_bias[row * channels + c], u = in.upper_bias[row * channels + c];
        lower_slope[c] = below.slope;
        upper_slope[c] = above.slope;
        out.lower_bias[row * channels + c] = same_side(below.slope, l, u) + below.intercept;
        out.upper_bias[row * channels + c] = same_side(above.slope, u, l) + above.intercept;
      }
    });
    for (std::size_t i = 0; i < index(shape.inputs); ++i) {
      const std::size_t line = (row * index(shape.inputs) + i) * channels;
      const Scalar *const lw = in.lower_weight.data() + line, *const uw = in.upper_weight.data() + line;
      Scalar *const lower = out.lower_weight.data() + line, *const upper = out.upper_weight.data() + line;
#ifdef __clang__
#pragma clang loop vectorize(assume_safety)
#else
#pragma GCC ivdep
#endif
      for (std::size_t c = 0; c < channels; ++c) {
        const Scalar l = lw[c], u = uw[c];
        lower[c] = same_side(lower_slope[c], l, u);
        upper[c] = same_side(upper_slope[c], u, l);
      }
    }
  });
}

template <class Scalar>
void bound_product_reference(const BoundShape& shape, int group, const Ball& ball,
                             const HostBounds<const Scalar>& x, const HostBounds<const Scalar>& y,
                             const HostBounds<Scalar>& out, int threads) {
  const BoundShape y_shape = shape.with_channels(shape.channels / group);
  check_bounds("bound_product_reference (x)", shape, x);
  check_bounds("bound_product_reference (y)", y_shape, y);
  check_bounds("bound_product_reference (output)", shape, out);
  check_ball(shape, ball);
  for_rows(shape, threads, [&](std::size_t row) {
    const std::size_t channels = index(shape.channels), y_channels = index(y_shape.channels),
                      per = index(group);
    RowIntervals<Scalar> of_x, of_y;
    of_x.find(shape, ball, x, row, true, false);
    of_y.find(y_shape, ball, y, row, true, true);
    const auto combine = [&](std::size_t line, std::size_t y_line, const auto& xl, const auto& xu,
                             const auto& yl, const auto& yu, auto& low, auto& high, bool bias) {
      for (std::size_t g = 0; g < y_channels; ++g) {
        const Scalar lower_factor = of_y.lower[g], upper_factor = of_y.upper[g], y_low = yl[y_line + g],
                     y_high = yu[y_line + g];
        for (std::size_t j = 0; j < per; ++j) {
          const std::size_t c = g * per + j, at = line + c;
          const Scalar end = of_x.lower[c], l = xl[at], u = xu[at];
          low[at] = same_side(lower_factor, l, u) + same_side(end, y_low, y_high) -
                    (bias ? end * lower_factor : Scalar(0));
          high[at] = same_side(upper_factor, u, l) + same_side(end, y_high, y_low) -
                     (bias ? end * upper_factor : Scalar(0));
        }
      }
    };
    combine(row * channels, row * y_channels, x.lower_bias, x.upper_bias, y.lower_bias, y.upper_bias,
            out.lower_bias, out.upper_bias, true);
    for (std::size_t i = 0; i < index(shape.inputs); ++i) {
      const std::size_t line = row * index(shape.inputs) + i;
      combine(line * channels, line * y_channels, x.lower_weight, x.upper_weight, y.lower_weight,
              y.upper_weight, out.lower_weight, out.upper_weight, false);
    }
  });
}

template <class Scalar>
void bound_group_sum_reference(const BoundShape& shape, int group, const HostBounds<const Scalar>& in,
                               const HostBounds<Scalar>& out, int threads) {
  check_bounds("bound_group_sum_reference", shape, in);
  check_bounds("bound_group_sum_reference (output)", shape.with_channels(shape.channels / group), out);
  const auto sum = [&](std::span<const Scalar> from, std::span<Scalar> to, std::size_t first,
                       std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) {
      to[i] = Eigen::Map<const Eigen::Array<Scalar, Eigen::Dynamic, 1>>(from.data() + i * index(group), group)
                  .sum();
    }
  };
  const std::size_t per_row = index(shape.inputs) * index(shape.channels / group);
  for_rows(shape, threads, [&](std::size_t row) {
    sum(in.lower_weight, out.lower_weight, row * per_row, per_row);
    sum(in.upper_weight, out.upper_weight, row * per_row, per_row);
  });
  sum(in.lower_bias, out.lower_bias, 0, out.lower_bias.size());
  sum(in.upper_bias, out.upper_bias, 0, out.upper_bias.size());
}

template <class Scalar>
void bound_add_normalise_reference(const BoundShape& shape, const HostBounds<const Scalar>& a,
                                   const HostBounds<const Scalar>& b,
                                   const Normalisation<std::span<const Scalar>>& normalisation,
                                   const HostBounds<Scalar>& out, int threads) {
  check_bounds("bound_add_normalise_reference (a)", shape, a);
  check_bounds("bound_add_normalise_reference (b)", shape, b);
  check_bounds("bound_add_normalise_reference (output)", shape, out);
  using Channels = Eigen::Array<Scalar, 1, Eigen::Dynamic>;
  using In = Eigen::Map<const Channels>;
  const Scalar share = Scalar(1) / static_cast<Scalar>(shape.channels), own = 1 - share;
  const bool normalise = !normalisation.scale.empty();
  Channels positive, negative, shift;
  if (normalise) {
    const In scale(normalisation.scale.data(), shape.channels);
    positive = scale.max(Scalar(0));
    negative = scale.min(Scalar(0));
    shift = In(normalisation.shift.data(), shape.channels);
  }
  const auto line = [&](std::size_t at, std::span<const Scalar> al, std::span<const Scalar> au,
                        std::span<const Scalar> bl, std::span<const Scalar> bu, std::span<Scalar> ol,
                        std::span<Scalar> ou, bool bias) {
    const Channels l = In(al.data() + at, shape.channels) + In(bl.data() + at, shape.channels),
                   u = In(au.data() + at, shape.channels) + In(bu.data() + at, shape.channels);
    Eigen::Map<Channels> low(ol.data() + at, shape.channels), high(ou.data() + at, shape.channels);
    if (!normalise) {
      low = l;
      high = u;
      return;
    }
    const Channels below = l * own - (u.sum() - u) * share, above = u * own - (l.sum() - l) * share;
    low = positive * below + negative * above;
    high = positive * above + negative * below;
    if (bias) {
      low += shift;
      high += shift;
    }
  };
  const std::size_t channels = index(shape.channels);
  for_rows(shape, threads, [&](std::size_t row) {
    for (std::size_t i = 0; i < index(shape.inputs); ++i) {
      line((row * index(shape.inputs) + i) * channels, a.lower_weight, a.upper_weight, b.lower_weight,
           b.upper_weight, out.lower_weight, out.upper_weight, false);
    }
    line(row * channels, a.lower_bias, a.upper_bias, b.lower_bias, b.upper_bias, out.lower_bias,
         out.upper_bias, true);
  });
}

template <class Scalar>
void bound_dot_reference(const DotShape& shape, const HostBounds<const Scalar>& x,
                         std::span<const Scalar> x_lower, const HostBounds<const Scalar>& y,
                         std::span<const Scalar> y_lower, std::span<const Scalar> y_upper,
                         const HostBounds<Scalar>& out, int threads) {
  check_bounds("bound_dot_reference (x)", shape.x_shape(), x);
  check_bounds("bound_dot_reference (y)", shape.y_shape(), y);
  check_bounds("bound_dot_reference (output)", shape.out_shape(), out);
  if (x_lower.size() != shape.x_shape().biases() || y_lower.size() != shape.y_shape().biases() ||
      y_upper.size() != y_lower.size()) {
    throw std::invalid_argument(
        "bound_dot_reference: intervals must have rows x channels values of their objects");
  }
  const Eigen::Index x_channels = shape.x_channels, y_channels = shape.y_channels,
                     out_channels = shape.heads * static_cast<Eigen::Index>(shape.columns);
  const bool scores = shape.kind == DotKind::scores;
  /// One head of an array with rows `stride` apart: x [rows, inner]; y [columns, inner].
  const auto x_of = [&](const Scalar* data, Eigen::Index stride, int head) -> Rows<Scalar> {
    return Strided<Scalar>(data + shape.x_channel(head, 0), shape.rows, shape.inner,
                           Eigen::OuterStride<>(stride));
  };
  const auto y_of = [&](const Scalar* data, Eigen::Index stride, int head) -> Rows<Scalar> {
    const Strided<Scalar> map(data + shape.y_channel(head, 0, 0), shape.y_rows(),
                              scores ? shape.inner : shape.columns, Eigen::OuterStride<>(stride));
    if (scores) return map;
    return map.transpose();
  };
  for (int head = 0; head < shape.heads; ++head) {
    const Rows<Scalar> end = x_of(x_lower.data(), x_channels, head), end_size = end.cwiseAbs();
    const Rows<Scalar> low = y_of(y_lower.data(), y_channels, head),
                       high = y_of(y_upper.data(), y_channels, head);
    const Rows<Scalar> low_size = low.cwiseAbs(), high_size = high.cwiseAbs();
    for_each_row_block(1, shape.inputs + 1, threads, [&](int, int first, int count) {
      Rows<Scalar> shared_centre, shared_radius, below, above;
      for (int input = first; input < first + count; ++input) {
        const bool bias = input == shape.inputs;
        const Eigen::Index inputs = bias ? 1 : shape.inputs;
        const auto place = [&](std::span<const Scalar> weights, std::span<const Scalar> biases,
                               Eigen::Index channels) {
          return bias ? biases.data() : weights.data() + input * channels;
        };
        const Rows<Scalar> xl =
            x_of(place(x.lower_weight, x.lower_bias, x_channels), inputs * x_channels, head);
        const Rows<Scalar> xu =
            x_of(place(x.upper_weight, x.upper_bias, x_channels), inputs * x_channels, head);
        const Rows<Scalar> yl =
            y_of(place(y.lower_weight, y.lower_bias, y_channels), inputs * y_channels, head);
        const Rows<Scalar> yu =
            y_of(place(y.upper_weight, y.upper_bias, y_channels), inputs * y_channels, head);
        const Rows<Scalar> xc = Scalar(0.5) * (xu + xl), xr = Scalar(0.5) * (xu - xl),
                           yc = Scalar(0.5) * (yu + yl), yr = Scalar(0.5) * (yu - yl);
        shared_centre.noalias() = end * yc.transpose();
        shared_radius.noalias() = end_size * yr.transpose();
        below = shared_centre - shared_radius;
        below.noalias() += xc * low.transpose();
        below.noalias() -= xr * low_size.transpose();
        above = shared_centre + shared_radius;
        above.noalias() += xc * high.transpose();
        above.noalias() += xr * high_size.transpose();
        if (bias) {
          below.noalias() -= end * low.transpose();
          above.noalias() -= end * high.transpose();
        }
        const auto put = [&](std::span<Scalar> weights, std::span<Scalar> biases,
                             const Rows<Scalar>& values) {
          Scalar* const to = (bias ? biases.data() : weights.data() + input * out_channels) +
                             head * static_cast<Eigen::Index>(shape.columns);
          Eigen::Map<Rows<Scalar>, 0, Eigen::OuterStride<>>(
              to, shape.rows, shape.columns, Eigen::OuterStride<>(inputs * out_channels)) = values;
        };
        put(out.lower_weight, out.lower_bias, below);
        put(out.upper_weight, out.upper_bias, above);
      }
    });
  }
}

#define RM_INSTANTIATE(Scalar)                                                                              \
  template void bound_matmul_reference(const BoundShape&, int, const HostBounds<const Scalar>&,             \
                                       std::span<const Scalar>, std::span<const Scalar>,                    \
                                       const HostBounds<Scalar>&, int);                                     \
  template void bound_concretise_reference(const BoundShape&, const Ball&, const HostBounds<const Scalar>&, \
                                           std::span<Scalar>, std::span<Scalar>, int);                      \
  template void bound_relax_reference(Relaxation, const BoundShape&, const Ball&,                           \
                                      const HostBounds<const Scalar>&, const HostBounds<Scalar>&, int);     \
  template void bound_product_reference(const BoundShape&, int, const Ball&,                                \
                                        const HostBounds<const Scalar>&, const HostBounds<const Scalar>&,   \
                                        const HostBounds<Scalar>&, int);                                    \
  template void bound_group_sum_reference(const BoundShape&, int, const HostBounds<const Scalar>&,          \
                                          const HostBounds<Scalar>&, int);                                  \
  template void bound_add_normalise_reference(                                                              \
      const BoundShape&, const HostBounds<const Scalar>&, const HostBounds<const Scalar>&,                  \
      const Normalisation<std::span<const Scalar>>&, const HostBounds<Scalar>&, int);                       \
  template void bound_dot_reference(const DotShape&, const HostBounds<const Scalar>&,                       \
                                    std::span<const Scalar>, const HostBounds<const Scalar>&,               \
                                    std::span<const Scalar>, std::span<const Scalar>,                       \
                                    const HostBounds<Scalar>&, int)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
