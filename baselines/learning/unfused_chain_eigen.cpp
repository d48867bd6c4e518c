// SPDX-License-Identifier: Apache-2.0
#include "baselines/learning/unfused_bounds_arrays.h"

namespace remeasure::baselines {
namespace {

using namespace eigen_bounds;

template <class Scalar>
struct EigenOps {
  using Value = BoundArrays<Scalar>;
  using Slot = kernels::Slot;
  const kernels::VerifiedTransformer& model;
  std::span<const float> embedding;
  const kernels::Perturbation& perturbation;
  EigenThreads threads;

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
                                 part(d.offset, static_cast<std::size_t>(d.outputs)), out.spans(), threads);
    return out;
  }
  Value dot(const DotShape& shape, const Value& x, const Value& y) {
    const Ends<Scalar> of_x = concretise<Scalar>(threads, x.shape, ball(), x.spans()),
                       of_y = concretise<Scalar>(threads, y.shape, ball(), y.spans());
    const auto all = [](const Grid<Scalar>& grid) {
      return std::span<const Scalar>(grid.data(), static_cast<std::size_t>(grid.size()));
    };
    Value out(shape.out_shape());
    unfused_dot_eigen<Scalar>(shape, x.spans(), all(of_x.lower), y.spans(), all(of_y.lower), all(of_y.upper),
                              out.spans(), threads);
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
    unfused_relax_eigen<Scalar>(relaxation, z.shape, ball(), z.constant(), out.spans(), threads);
    z = std::move(out);
  }
  Value group_sum(Slot, const Value& in, int group) {
    Value out(in.shape.with_channels(in.shape.channels / group));
    const auto sum = [&](const std::vector<Scalar>& from, std::vector<Scalar>& to) {
      const auto lines = static_cast<Eigen::Index>(to.size());
      in_blocks(threads, lines, rows_of_task(group), [&](Eigen::Index first, Eigen::Index count) {
        grid_of(std::span(to), lines, 1).middleRows(first, count) =
            grid_of(std::span(from), lines, group).middleRows(first, count).rowwise().sum();
      });
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
    const Ends<Scalar> of_x = concretise<Scalar>(threads, shape, ball(), x.constant()),
                       of_y = concretise<Scalar>(threads, shape, ball(), fine.constant());
    const auto add = [](const std::vector<Scalar>& from, std::vector<Scalar>& to) {
      for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
    };
    scale_sides<Scalar>(threads, shape, shape.inputs, of_y.lower, x.lower_weight, x.upper_weight,
                        out.lower_weight);
    scale_sides<Scalar>(threads, shape, shape.inputs, of_x.lower, fine.lower_weight, fine.upper_weight,
                        second.lower_weight);
    scale_sides<Scalar>(threads, shape, shape.inputs, of_y.upper, x.upper_weight, x.lower_weight,
                        out.upper_weight);
    scale_sides<Scalar>(threads, shape, shape.inputs, of_x.lower, fine.upper_weight, fine.lower_weight,
                        second.upper_weight);
    scale_sides<Scalar>(threads, shape, 1, of_y.lower, x.lower_bias, x.upper_bias, out.lower_bias);
    scale_sides<Scalar>(threads, shape, 1, of_x.lower, fine.lower_bias, fine.upper_bias, second.lower_bias);
    scale_sides<Scalar>(threads, shape, 1, of_y.upper, x.upper_bias, x.lower_bias, out.upper_bias);
    scale_sides<Scalar>(threads, shape, 1, of_x.lower, fine.upper_bias, fine.lower_bias, second.upper_bias);
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
      const auto part_of = [&](const std::vector<Scalar>& of, Eigen::Index first, Eigen::Index count) {
        return grid_of(std::span(of), lines, channels).middleRows(first, count);
      };
      in_blocks(threads, lines, rows_of_task(channels), [&](Eigen::Index first, Eigen::Index count) {
        const Grid<Scalar> lower = part_of(al, first, count) + part_of(bl, first, count),
                           upper = part_of(au, first, count) + part_of(bu, first, count);
        const Scalar share = Scalar(1) / static_cast<Scalar>(channels);
        const Eigen::Array<Scalar, Eigen::Dynamic, 1> lower_mean = share * lower.rowwise().sum(),
                                                      upper_mean = share * upper.rowwise().sum();
        const Grid<Scalar> below = ((1 - share) * lower + share * upper).colwise() - upper_mean,
                           above = ((1 - share) * upper + share * lower).colwise() - lower_mean;
        auto low = grid_of(std::span(ol), lines, channels).middleRows(first, count),
             high = grid_of(std::span(ou), lines, channels).middleRows(first, count);
        low = below.rowwise() * positive + above.rowwise() * negative;
        high = above.rowwise() * positive + below.rowwise() * negative;
        if (biases) {
          low.rowwise() += plus;
          high.rowwise() += plus;
        }
      });
    };
    both(a.lower_weight, a.upper_weight, b.lower_weight, b.upper_weight, out.lower_weight, out.upper_weight,
         false);
    both(a.lower_bias, a.upper_bias, b.lower_bias, b.upper_bias, out.lower_bias, out.upper_bias, true);
    return out;
  }
  Value first_row(const Value& z) { return z.first_row(); }
  void node(const std::string&, const Value&) {}
};

}  // namespace

template <class Scalar>
BoundArrays<Scalar> unfused_margin_eigen(const kernels::VerifiedTransformer& model, int label,
                                         std::span<const float> embedding,
                                         const kernels::Perturbation& perturbation, EigenThreads threads) {
  EigenOps<Scalar> ops{model, embedding, perturbation, threads};
  return kernels::propagate(ops, model, label);
}

#define RM_INSTANTIATE(Scalar)                                                                            \
  template BoundArrays<Scalar> unfused_margin_eigen(const kernels::VerifiedTransformer&, int,             \
                                                    std::span<const float>, const kernels::Perturbation&, \
                                                    EigenThreads)
RM_INSTANTIATE(float);
RM_INSTANTIATE(double);
#undef RM_INSTANTIATE

}  // namespace remeasure::baselines
