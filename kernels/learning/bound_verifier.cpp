// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/bound_verifier.h"

#include <Eigen/Core>
#include <cmath>

#include "kernels/learning/bound_reference.h"
#include "kernels/learning/linear_ops.h"
#include "kernels/learning/relaxation.h"

namespace remeasure::kernels {
namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

/// Ends of intervals; with both ends the same, plain values.
struct Ends {
  int rows = 0, channels = 0;
  std::vector<double> lower, upper;
};

struct IntervalOps {
  using Value = Ends;
  const VerifiedTransformer& model;
  const Ends& start;
  const NodeHook& hook;

  Value input() { return start; }
  Value dense(Slot, const Value& in, const DensePlace& d) {
    using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Weights = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<const Rows> l(in.lower.data(), in.rows, in.channels),
        u(in.upper.data(), in.rows, in.channels);
    const Rows w =
        Eigen::Map<const Weights>(model.parameters.data() + d.matrix, d.outputs, d.inputs).cast<double>();
    const Eigen::RowVectorXd offset =
        Eigen::Map<const Eigen::RowVectorXf>(model.parameters.data() + d.offset, d.outputs).cast<double>();
    const Rows centre = 0.5 * (u + l), radius = 0.5 * (u - l);
    const Rows centres = (centre * w.transpose()).rowwise() + offset;
    Rows radii = Rows::Zero(in.rows, d.outputs);
    if (radius.any()) radii.noalias() = radius * w.cwiseAbs().transpose();
    Value out{in.rows, d.outputs, std::vector<double>(index(in.rows) * index(d.outputs)), {}};
    out.upper = out.lower;
    Eigen::Map<Rows>(out.lower.data(), in.rows, d.outputs) = centres - radii;
    Eigen::Map<Rows>(out.upper.data(), in.rows, d.outputs) = centres + radii;
    return out;
  }
  /// Sums of exact products of intervals.
  Value dot(const DotShape& s, const Value& x, const Value& y) {
    Value out{s.rows, s.heads * s.columns, {}, {}};
    for (int i = 0; i < s.rows; ++i) {
      for (int head = 0; head < s.heads; ++head) {
        for (int j = 0; j < s.columns; ++j) {
          double low = 0, high = 0;
          for (int k = 0; k < s.inner; ++k) {
            const std::size_t xa = index(i) * index(s.x_channels) + index(s.x_channel(head, k));
            const std::size_t ya =
                index(s.y_row(j, k)) * index(s.y_channels) + index(s.y_channel(head, j, k));
            const double products[] = {x.lower[xa] * y.lower[ya], x.lower[xa] * y.upper[ya],
                                       x.upper[xa] * y.lower[ya], x.upper[xa] * y.upper[ya]};
            low += *std::min_element(products, products + 4);
            high += *std::max_element(products, products + 4);
          }
          out.lower.push_back(low);
          out.upper.push_back(high);
        }
      }
    }
    return out;
  }
  Value scores(Slot, const Value& qkv, int heads, int hidden) {
    return dot(score_shape(qkv.rows, 1, heads, hidden), qkv, qkv);
  }
  Value values(Slot, const Value& p, const Value& qkv, int heads, int hidden) {
    return dot(value_shape(p.rows, 1, heads, hidden), p, qkv);
  }
  void relax(Relaxation relaxation, Value& z) {
    with_lines(relaxation, [&]<class Lines>() {
      for (std::size_t i = 0; i < z.lower.size(); ++i) {
        const double at_l = Lines::value(z.lower[i]), at_u = Lines::value(z.upper[i]);
        z.lower[i] = std::min(at_l, at_u);
        z.upper[i] = std::max(at_l, at_u);
      }
    });
  }
  Value group_sum(Slot, const Value& in, int group) {
    Value out{in.rows, in.channels / group, std::vector<double>(in.lower.size() / index(group)), {}};
    out.upper = out.lower;
    for (std::size_t i = 0; i < in.lower.size(); ++i) {
      out.lower[i / index(group)] += in.lower[i];
      out.upper[i / index(group)] += in.upper[i];
    }
    return out;
  }
  /// Both positive.
  void product(Value& x, const Value& y, int group) {
    for (std::size_t i = 0; i < x.lower.size(); ++i) {
      x.lower[i] *= y.lower[i / index(group)];
      x.upper[i] *= y.upper[i / index(group)];
    }
  }
  Value add_normalise(Slot, const Value& a, const Value& b, const NormPlace& norm) {
    Value out = a;
    const std::size_t channels = index(a.channels);
    for (std::size_t row = 0; row < index(a.rows); ++row) {
      double lower_sum = 0, upper_sum = 0;
      for (std::size_t c = row * channels; c < (row + 1) * channels; ++c) {
        lower_sum += out.lower[c] += b.lower[c];
        upper_sum += out.upper[c] += b.upper[c];
      }
      for (std::size_t c = 0; c < channels; ++c) {
        double &l = out.lower[row * channels + c], &u = out.upper[row * channels + c];
        const double n = static_cast<double>(channels);
        const double below = l * (1 - 1 / n) - (upper_sum - u) / n,
                     above = u * (1 - 1 / n) - (lower_sum - l) / n;
        const double scale = static_cast<double>(model.parameters[norm.scale + c]),
                     shift = static_cast<double>(model.parameters[norm.shift + c]);
        l = std::min(scale * below, scale * above) + shift;
        u = std::max(scale * below, scale * above) + shift;
      }
    }
    return out;
  }
  Value first_row(const Value& z) {
    const auto end = static_cast<std::ptrdiff_t>(z.channels);
    return {
        1, z.channels, {z.lower.begin(), z.lower.begin() + end}, {z.upper.begin(), z.upper.begin() + end}};
  }
  void node(const std::string& name, const Value& z) {
    if (hook) hook(name, z.lower, z.upper);
  }
};

Ends embedded(const VerifiedTransformer& model, std::span<const float> embedding) {
  const std::vector<double> values(embedding.begin(), embedding.end());
  return {model.rows, model.hidden, values, values};
}

}  // namespace

template <class Scalar>
BoundArrays<Scalar> perturbed_embedding(int rows, int hidden, std::span<const float> embedding,
                                        const Perturbation& perturbation) {
  BoundArrays<Scalar> bounds({rows, perturbation.inputs(hidden), hidden});
  if (embedding.size() != bounds.lower_bias.size() ||
      static_cast<int>(perturbation.rows.size()) != perturbation.ball.words) {
    throw std::invalid_argument(
        "a perturbed embedding needs rows x hidden values, and a ball with a word for each perturbed row");
  }
  std::transform(embedding.begin(), embedding.end(), bounds.lower_bias.begin(),
                 [](float x) { return static_cast<Scalar>(x); });
  bounds.upper_bias = bounds.lower_bias;
  for (std::size_t word = 0; word < perturbation.rows.size(); ++word) {
    for (std::size_t c = 0; c < index(hidden); ++c) {
      const std::size_t input = word * index(hidden) + c;
      const std::size_t at =
          (index(perturbation.rows[word]) * index(bounds.shape.inputs) + input) * index(hidden) + c;
      bounds.lower_weight.at(at) = bounds.upper_weight.at(at) = 1;
    }
  }
  return bounds;
}

template <class Scalar>
BoundArrays<Scalar> margin_bounds(const VerifiedTransformer& model, int label,
                                  std::span<const float> embedding, const Perturbation& perturbation,
                                  int threads, const NodeHook& hook) {
  LinearOps<Scalar> ops{model, embedding, perturbation, threads, hook};
  return propagate(ops, model, label);
}

template <class Scalar>
Interval interval_of(const BoundArrays<Scalar>& margin, const Ball& ball) {
  std::vector<Scalar> lower(1), upper(1);
  bound_concretise_reference<Scalar>(margin.shape, ball, margin.spans(), lower, upper, 1);
  return {static_cast<double>(lower[0]), static_cast<double>(upper[0])};
}

Interval margin_by_intervals(const VerifiedTransformer& model, int label, std::span<const float> embedding,
                             const Perturbation& perturbation, const NodeHook& hook) {
  Ends start = embedded(model, embedding);
  for (const int row : perturbation.rows) {
    for (std::size_t i = index(row) * index(model.hidden); i < index(row + 1) * index(model.hidden); ++i) {
      start.lower[i] -= perturbation.ball.radius;
      start.upper[i] += perturbation.ball.radius;
    }
  }
  IntervalOps ops{model, start, hook};
  const Ends margin = propagate(ops, model, label);
  return {margin.lower[0], margin.upper[0]};
}

double margin_at(const VerifiedTransformer& model, int label, std::span<const float> embedding,
                 const Perturbation& perturbation, std::span<const double> numbers, const NodeHook& hook) {
  Ends start = embedded(model, embedding);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    start.lower[index(perturbation.rows[i / index(model.hidden)]) * index(model.hidden) +
                i % index(model.hidden)] += numbers[i];
  }
  start.upper = start.lower;
  IntervalOps ops{model, start, hook};
  const Ends margin = propagate(ops, model, label);
  return 0.5 * (margin.lower[0] + margin.upper[0]);
}

std::vector<double> margin_gradient(const VerifiedTransformer& model, int label,
                                    std::span<const float> embedding, const Perturbation& perturbation,
                                    std::span<const double> numbers) {
  std::vector<float> moved(embedding.begin(), embedding.end());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    float& x = moved[index(perturbation.rows[i / index(model.hidden)]) * index(model.hidden) +
                     i % index(model.hidden)];
    x = static_cast<float>(static_cast<double>(x) + numbers[i]);
  }
  Perturbation point = perturbation;
  point.ball.radius = 0;
  return margin_bounds<double>(model, label, moved, point).lower_weight;
}

double certified_radius(const std::function<double(double)>& lower, double slack, double start, double cap,
                        int steps) {
  const auto safe = [&](double radius) { return lower(radius) > slack; };  // NaN isn't
  if (!safe(start)) return 0;
  double low = start, high = start;
  while (high < cap) {
    high = std::min(cap, 2 * low);
    if (!safe(high)) break;
    low = high;
  }
  if (low >= cap) return cap;
  for (int step = 0; step < steps; ++step) {
    const double middle = (low + high) / 2;
    (safe(middle) ? low : high) = middle;
  }
  return low;
}

double margin_scale(const VerifiedTransformer& model, int label) {
  const DensePlace& margin = model.margin[label];
  double size = std::fabs(static_cast<double>(model.parameters[margin.offset]));
  for (std::size_t i = 0; i < margin.matrix_size(); ++i)
    size += std::fabs(static_cast<double>(model.parameters[margin.matrix + i]));
  return size;
}

double rounding_slack(const VerifiedTransformer& model, int label) {
  return 100 * std::ldexp(margin_scale(model, label), -24);
}

#define RM_INSTANTIATE(Scalar)                                                                             \
  template BoundArrays<Scalar> perturbed_embedding(int, int, std::span<const float>, const Perturbation&); \
  template BoundArrays<Scalar> margin_bounds(const VerifiedTransformer&, int, std::span<const float>,      \
                                             const Perturbation&, int, const NodeHook&);                   \
  template Interval interval_of(const BoundArrays<Scalar>&, const Ball&)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
