// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/bound_oracle.h"

#include <cmath>

#include "kernels/learning/relaxation.h"

namespace remeasure::kernels::oracle {
namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

double same_side(double slope, double same, double opposite) {
  return slope > 0 ? slope * same : slope * opposite;
}

/// |w|_q of the column at `first` of weights with `inputs` rows of `channels`, word by word.
double dual_norm(const std::vector<double>& weights, std::size_t first, int inputs, int channels,
                 const Ball& ball) {
  double total = 0;
  for (int word = 0; word < ball.words; ++word) {
    double sum = 0;
    for (int i = word * (inputs / ball.words); i < (word + 1) * (inputs / ball.words); ++i) {
      const double w = std::fabs(weights[first + index(i) * index(channels)]);
      sum = ball.norm == BallNorm::two        ? sum + w * w
            : ball.norm == BallNorm::infinity ? sum + w
                                              : std::max(sum, w);
    }
    total += ball.norm == BallNorm::two ? std::sqrt(sum) : sum;
  }
  return total;
}

}  // namespace

void interval_matmul(std::span<const double> lower, std::span<const double> upper,
                     std::span<const double> matrix, std::span<const double> offset, int inner, int columns,
                     std::span<double> lower_out, std::span<double> upper_out) {
  const std::size_t k_count = index(inner), n_count = index(columns);
  for (std::size_t row = 0; row < lower.size() / k_count; ++row) {
    for (std::size_t n = 0; n < n_count; ++n) {
      double below = offset.empty() ? 0 : offset[n], above = below;
      for (std::size_t k = 0; k < k_count; ++k) {
        const double w = matrix[n * k_count + k], l = lower[row * k_count + k], u = upper[row * k_count + k];
        below += same_side(w, l, u);
        above += same_side(w, u, l);
      }
      lower_out[row * n_count + n] = below;
      upper_out[row * n_count + n] = above;
    }
  }
}

BoundArrays<double> matmul(const BoundArrays<double>& in, int columns, std::span<const double> matrix,
                           std::span<const double> offset) {
  BoundArrays<double> out(in.shape.with_channels(columns));
  interval_matmul(in.lower_weight, in.upper_weight, matrix, {}, in.shape.channels, columns, out.lower_weight,
                  out.upper_weight);
  interval_matmul(in.lower_bias, in.upper_bias, matrix, offset, in.shape.channels, columns, out.lower_bias,
                  out.upper_bias);
  return out;
}

Intervals concretise(const BoundArrays<double>& in, const Ball& ball) {
  const BoundShape& shape = in.shape;
  Intervals result{in.lower_bias, in.upper_bias};
  for (int row = 0; row < shape.rows; ++row) {
    for (int c = 0; c < shape.channels; ++c) {
      const std::size_t place = index(row) * index(shape.channels) + index(c),
                        first = index(row) * index(shape.inputs) * index(shape.channels) + index(c);
      result.lower[place] -=
          ball.radius * dual_norm(in.lower_weight, first, shape.inputs, shape.channels, ball);
      result.upper[place] +=
          ball.radius * dual_norm(in.upper_weight, first, shape.inputs, shape.channels, ball);
    }
  }
  return result;
}

BoundArrays<double> relax(Relaxation relaxation, const BoundArrays<double>& in, const Ball& ball) {
  const BoundShape& shape = in.shape;
  const Intervals interval = concretise(in, ball);
  BoundArrays<double> out(shape);
  for (std::size_t place = 0; place < shape.biases(); ++place) {
    Line<double> below, above;
    with_lines(relaxation, [&]<class Lines>() {
      below = Lines::lower(interval.lower[place], interval.upper[place]);
      above = Lines::upper(interval.lower[place], interval.upper[place]);
    });
    out.lower_bias[place] =
        same_side(below.slope, in.lower_bias[place], in.upper_bias[place]) + below.intercept;
    out.upper_bias[place] =
        same_side(above.slope, in.upper_bias[place], in.lower_bias[place]) + above.intercept;
    const std::size_t row = place / index(shape.channels), c = place % index(shape.channels);
    for (std::size_t i = 0; i < index(shape.inputs); ++i) {
      const std::size_t at = (row * index(shape.inputs) + i) * index(shape.channels) + c;
      out.lower_weight[at] = same_side(below.slope, in.lower_weight[at], in.upper_weight[at]);
      out.upper_weight[at] = same_side(above.slope, in.upper_weight[at], in.lower_weight[at]);
    }
  }
  return out;
}

BoundArrays<double> product(const BoundArrays<double>& x, const BoundArrays<double>& y, int group,
                            const Ball& ball) {
  const BoundShape& shape = x.shape;
  const Intervals x_interval = concretise(x, ball), y_interval = concretise(y, ball);
  BoundArrays<double> out(shape);
  const std::size_t channels = index(shape.channels), y_channels = index(y.shape.channels);
  for (std::size_t row = 0; row < index(shape.rows); ++row) {
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t at = row * channels + c, y_at = row * y_channels + c / index(group);
      const Plane<double> below = product_lower(x_interval.lower[at], y_interval.lower[y_at]);
      const Plane<double> above = product_upper(x_interval.lower[at], y_interval.upper[y_at]);
      const auto combine = [&](double xl, double xu, double yl, double yu, double& low, double& high) {
        low = same_side(below.of_x, xl, xu) + same_side(below.of_y, yl, yu);
        high = same_side(above.of_x, xu, xl) + same_side(above.of_y, yu, yl);
      };
      combine(x.lower_bias[at], x.upper_bias[at], y.lower_bias[y_at], y.upper_bias[y_at], out.lower_bias[at],
              out.upper_bias[at]);
      out.lower_bias[at] += below.intercept;
      out.upper_bias[at] += above.intercept;
      for (std::size_t i = 0; i < index(shape.inputs); ++i) {
        const std::size_t w = (row * index(shape.inputs) + i) * channels + c,
                          y_w = (row * index(shape.inputs) + i) * y_channels + c / index(group);
        combine(x.lower_weight[w], x.upper_weight[w], y.lower_weight[y_w], y.upper_weight[y_w],
                out.lower_weight[w], out.upper_weight[w]);
      }
    }
  }
  return out;
}

BoundArrays<double> group_sum(const BoundArrays<double>& in, int group) {
  BoundArrays<double> out(in.shape.with_channels(in.shape.channels / group));
  const auto sum = [&](const std::vector<double>& from, std::vector<double>& to) {
    for (std::size_t i = 0; i < from.size(); ++i) to[i / index(group)] += from[i];
  };
  sum(in.lower_weight, out.lower_weight);
  sum(in.upper_weight, out.upper_weight);
  sum(in.lower_bias, out.lower_bias);
  sum(in.upper_bias, out.upper_bias);
  return out;
}

BoundArrays<double> add_normalise(const BoundArrays<double>& a, const BoundArrays<double>& b,
                                  std::span<const double> scale, std::span<const double> shift) {
  const int channels = a.shape.channels;
  BoundArrays<double> sum(a.shape);
  const auto add = [](const std::vector<double>& x, const std::vector<double>& y, std::vector<double>& to) {
    for (std::size_t i = 0; i < x.size(); ++i) to[i] = x[i] + y[i];
  };
  add(a.lower_weight, b.lower_weight, sum.lower_weight);
  add(a.upper_weight, b.upper_weight, sum.upper_weight);
  add(a.lower_bias, b.lower_bias, sum.lower_bias);
  add(a.upper_bias, b.upper_bias, sum.upper_bias);
  if (scale.empty()) return sum;
  std::vector<double> matrix(index(channels) * index(channels));  // diag(scale) (I - 1/C)
  for (std::size_t c = 0; c < index(channels); ++c) {
    for (std::size_t j = 0; j < index(channels); ++j)
      matrix[c * index(channels) + j] = scale[c] * ((c == j ? 1.0 : 0.0) - 1.0 / channels);
  }
  return matmul(sum, channels, matrix, shift);
}

Intervals dot_of_input(const DotShape& shape, const BoundArrays<double>& x, const Intervals& x_interval,
                       const BoundArrays<double>& y, const Intervals& y_interval, int input) {
  const bool bias = input == shape.inputs;
  const auto value = [&](const std::vector<double>& weights, const std::vector<double>& biases, int row,
                         int channels, int channel) {
    return bias ? biases[index(row) * index(channels) + index(channel)]
                : weights[(index(row) * index(shape.inputs) + index(input)) * index(channels) +
                          index(channel)];
  };
  Intervals out;
  for (int i = 0; i < shape.rows; ++i) {
    for (int head = 0; head < shape.heads; ++head) {
      for (int j = 0; j < shape.columns; ++j) {
        double low = 0, high = 0;
        for (int k = 0; k < shape.inner; ++k) {
          const int xc = shape.x_channel(head, k), yc = shape.y_channel(head, j, k), yr = shape.y_row(j, k);
          const std::size_t x_at = index(i) * index(shape.x_channels) + index(xc),
                            y_at = index(yr) * index(shape.y_channels) + index(yc);
          const double xl = value(x.lower_weight, x.lower_bias, i, shape.x_channels, xc),
                       xu = value(x.upper_weight, x.upper_bias, i, shape.x_channels, xc);
          const double yl = value(y.lower_weight, y.lower_bias, yr, shape.y_channels, yc),
                       yu = value(y.upper_weight, y.upper_bias, yr, shape.y_channels, yc);
          const Plane<double> below = product_lower(x_interval.lower[x_at], y_interval.lower[y_at]);
          const Plane<double> above = product_upper(x_interval.lower[x_at], y_interval.upper[y_at]);
          low += same_side(below.of_x, xl, xu) + same_side(below.of_y, yl, yu) + (bias ? below.intercept : 0);
          high +=
              same_side(above.of_x, xu, xl) + same_side(above.of_y, yu, yl) + (bias ? above.intercept : 0);
        }
        out.lower.push_back(low);
        out.upper.push_back(high);
      }
    }
  }
  return out;
}

BoundArrays<double> dot(const DotShape& shape, const BoundArrays<double>& x, const Intervals& x_interval,
                        const BoundArrays<double>& y, const Intervals& y_interval) {
  BoundArrays<double> out(shape.out_shape());
  const std::size_t channels = index(out.shape.channels);
  for (int input = 0; input <= shape.inputs; ++input) {
    const Intervals of = dot_of_input(shape, x, x_interval, y, y_interval, input);
    for (std::size_t i = 0; i < of.lower.size(); ++i) {
      const std::size_t row = i / channels, c = i % channels;
      if (input == shape.inputs) {
        out.lower_bias[i] = of.lower[i];
        out.upper_bias[i] = of.upper[i];
      } else {
        const std::size_t at = (row * index(shape.inputs) + index(input)) * channels + c;
        out.lower_weight[at] = of.lower[i];
        out.upper_weight[at] = of.upper[i];
      }
    }
  }
  return out;
}

}  // namespace remeasure::kernels::oracle
