// SPDX-License-Identifier: Apache-2.0
//
// Bound propagation as a graph of library products and element-wise launches, every intermediate array in
// memory: what PyTorch runs for Faith's verifier. A template on the target, whose products come from outside:
// cuBLAS's best (CublasProducts), or plain loops on Simt, where tests hold the graph against the oracle.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "baselines/matmul/matmul.h"
#include "kernels/learning/bound_chain.h"
#include "kernels/learning/unfused_bounds.h"

namespace remeasure::baselines {

/// c = alpha op(a) op(b) + beta c in f32 (matmul.h says how). No TF32: bounds must not round that much.
class Products {
 public:
  virtual ~Products() = default;
  virtual void operator()(const MatmulProblem& problem, const float* a, const float* b, float* c) = 0;
  virtual std::string setting() const = 0;
};

/// baselines/matmul, each product tuned once. Only where the CUDA toolkit is.
class CublasProducts : public Products {
 public:
  explicit CublasProducts(Stream<Cuda>& stream);
  ~CublasProducts() override;
  void operator()(const MatmulProblem& problem, const float* a, const float* b, float* c) override;
  std::string setting() const override;  ///< how many products there are, and the slowest one's algorithm

 private:
  struct State;
  std::unique_ptr<State> state_;
};

enum class UnfusedForm {
  four_products,  ///< the paper's graph: W+ and W-, four products
  centre          ///< centres and radii, W and |W|, two products: what a careful user could write
};

template <class Target>
class UnfusedBounds {
 public:
  using In = DeviceSpan<Target, const float>;
  using Out = DeviceSpan<Target, float>;
  using InBounds = kernels::BoundSpans<Target, const float>;
  using OutBounds = kernels::BoundSpans<Target, float>;

  UnfusedBounds(Stream<Target>& stream, Products& products, UnfusedForm form = UnfusedForm::four_products)
      : stream_(stream), products_(products), form_(form) {}

  void matmul(const kernels::BoundShape& shape, int columns, const InBounds& in, In matrix, In offset,
              const OutBounds& out) {
    const Out positive = scratch("W+", matrix.size()), negative = scratch("W-", matrix.size());
    kernels::split_signs<Target>(stream_, matrix, positive, negative);
    if (form_ == UnfusedForm::centre)
      kernels::add_scaled<Target>(stream_, positive, -1, negative, negative);  // |W|
    const auto both = [&](long long rows, In lower, In upper, Out lower_out, Out upper_out) {
      MatmulProblem p{
          .transpose_a = true, .rows = columns, .columns = static_cast<int>(rows), .inner = shape.channels};
      if (form_ == UnfusedForm::four_products) {
        products_(p, positive.data(), lower.data(), lower_out.data());
        products_(p, positive.data(), upper.data(), upper_out.data());
        p.beta = 1;
        products_(p, negative.data(), upper.data(), lower_out.data());
        products_(p, negative.data(), lower.data(), upper_out.data());
        return;
      }
      const Out centre = scratch("centre", lower.size()), radius = scratch("radius", lower.size());
      const Out radii = scratch("radii", lower_out.size());
      kernels::add_scaled<Target>(stream_, upper, 1, lower, centre);
      kernels::add_scaled<Target>(stream_, upper, -1, lower, radius);
      p.alpha = 0.5;
      products_(p, matrix.data(), centre.data(), upper_out.data());
      products_(p, negative.data(), radius.data(), radii.data());
      kernels::add_scaled<Target>(stream_, upper_out, -1, radii, lower_out);
      kernels::add_scaled<Target>(stream_, upper_out, 1, radii, upper_out);
    };
    both(static_cast<long long>(shape.rows) * shape.inputs, in.lower_weight, in.upper_weight,
         out.lower_weight, out.upper_weight);
    both(shape.rows, in.lower_bias, in.upper_bias, out.lower_bias, out.upper_bias);
    if (offset.empty()) return;
    kernels::add_offset<Target>(stream_, offset, out.lower_bias);
    kernels::add_offset<Target>(stream_, offset, out.upper_bias);
  }

  void concretise(const kernels::BoundShape& shape, const kernels::Ball& ball, const InBounds& in, Out lower,
                  Out upper) {
    const Out norms = scratch("norms", shape.biases());
    kernels::input_norms<Target>(stream_, shape, ball, in.lower_weight, norms);
    kernels::add_scaled<Target>(stream_, in.lower_bias, static_cast<float>(-ball.radius), norms, lower);
    kernels::input_norms<Target>(stream_, shape, ball, in.upper_weight, norms);
    kernels::add_scaled<Target>(stream_, in.upper_bias, static_cast<float>(ball.radius), norms, upper);
  }

  /// Not in place.
  void relax(kernels::Relaxation relaxation, const kernels::BoundShape& shape, const kernels::Ball& ball,
             const InBounds& in, const OutBounds& out) {
    const std::size_t n = shape.biases();
    const Out lower = scratch("lower", n), upper = scratch("upper", n);
    concretise(shape, ball, in, lower, upper);
    const kernels::LineSpans<Target> lines{scratch("k", n), scratch("y", n), scratch("K", n),
                                           scratch("Y", n)};
    kernels::relaxation_lines<Target>(stream_, relaxation, lower, upper, lines);
    const int inputs = shape.inputs, channels = shape.channels;
    kernels::scale_sides<Target>(stream_, inputs, channels, 1, lines.lower_slope, in.lower_weight,
                                 in.upper_weight, {}, false, out.lower_weight);
    kernels::scale_sides<Target>(stream_, inputs, channels, 1, lines.upper_slope, in.upper_weight,
                                 in.lower_weight, {}, false, out.upper_weight);
    kernels::scale_sides<Target>(stream_, 1, channels, 1, lines.lower_slope, in.lower_bias, in.upper_bias,
                                 lines.lower_intercept, false, out.lower_bias);
    kernels::scale_sides<Target>(stream_, 1, channels, 1, lines.upper_slope, in.upper_bias, in.lower_bias,
                                 lines.upper_intercept, false, out.upper_bias);
  }

  /// Not in place.
  void product(const kernels::BoundShape& shape, int group, const kernels::Ball& ball, const InBounds& x,
               const InBounds& y, const OutBounds& out) {
    const kernels::BoundShape coarse = shape.with_channels(shape.channels / group);
    const Out xl = scratch("x lower", shape.biases()), xu = scratch("x upper", shape.biases());
    const Out yl = scratch("y lower", coarse.biases()), yu = scratch("y upper", coarse.biases()),
              constant = scratch("constant", shape.biases());
    concretise(shape, ball, x, xl, xu);
    concretise(coarse, ball, y, yl, yu);
    const auto bound = [&](int inputs, In slope, In x_same, In x_opposite, In y_same, In y_opposite, Out to) {
      kernels::scale_sides<Target>(stream_, inputs, shape.channels, group, slope, x_same, x_opposite, {},
                                   false, to);
      kernels::add_coarse_sides<Target>(stream_, inputs, shape.channels, group, xl, y_same, y_opposite, to);
    };
    bound(shape.inputs, yl, x.lower_weight, x.upper_weight, y.lower_weight, y.upper_weight, out.lower_weight);
    bound(shape.inputs, yu, x.upper_weight, x.lower_weight, y.upper_weight, y.lower_weight, out.upper_weight);
    bound(1, yl, x.lower_bias, x.upper_bias, y.lower_bias, y.upper_bias, out.lower_bias);
    bound(1, yu, x.upper_bias, x.lower_bias, y.upper_bias, y.lower_bias, out.upper_bias);
    kernels::plane_constants<Target>(stream_, shape.channels, group, xl, yl, constant);
    kernels::add_scaled<Target>(stream_, out.lower_bias, 1, constant, out.lower_bias);
    kernels::plane_constants<Target>(stream_, shape.channels, group, xl, yu, constant);
    kernels::add_scaled<Target>(stream_, out.upper_bias, 1, constant, out.upper_bias);
  }

  void group_sum(int group, const InBounds& in, const OutBounds& out) {
    kernels::sum_groups<Target>(stream_, group, 1, in.lower_weight, out.lower_weight);
    kernels::sum_groups<Target>(stream_, group, 1, in.upper_weight, out.upper_weight);
    kernels::sum_groups<Target>(stream_, group, 1, in.lower_bias, out.lower_bias);
    kernels::sum_groups<Target>(stream_, group, 1, in.upper_bias, out.upper_bias);
  }

  void add_normalise(const kernels::BoundShape& shape, const InBounds& a, const InBounds& b, In scale,
                     In shift, const OutBounds& out) {
    const auto both = [&](In al, In au, In bl, In bu, In add, Out lower_out, Out upper_out) {
      const auto channels = static_cast<std::size_t>(shape.channels);
      const Out lower = scratch("sum lower", al.size()), upper = scratch("sum upper", al.size());
      const Out lower_mean = scratch("mean lower", al.size() / channels),
                upper_mean = scratch("mean upper", al.size() / channels);
      kernels::add_scaled<Target>(stream_, al, 1, bl, lower);
      kernels::add_scaled<Target>(stream_, au, 1, bu, upper);
      kernels::sum_groups<Target>(stream_, shape.channels, 1.0f / static_cast<float>(shape.channels), lower,
                                  lower_mean);
      kernels::sum_groups<Target>(stream_, shape.channels, 1.0f / static_cast<float>(shape.channels), upper,
                                  upper_mean);
      kernels::centre_and_scale<Target>(stream_, scale, add, lower, upper, lower_mean, upper_mean, lower_out,
                                        upper_out);
    };
    both(a.lower_weight, a.upper_weight, b.lower_weight, b.upper_weight, {}, out.lower_weight,
         out.upper_weight);
    both(a.lower_bias, a.upper_bias, b.lower_bias, b.upper_bias, shift, out.lower_bias, out.upper_bias);
  }

  void dot(const kernels::DotShape& s, const InBounds& x, In x_lower, const InBounds& y, In y_lower,
           In y_upper, const OutBounds& out) {
    const Out xp = scratch("x+", x_lower.size()), xn = scratch("x-", x_lower.size());
    const Out lp = scratch("y lower+", y_lower.size()), ln = scratch("y lower-", y_lower.size());
    const Out up = scratch("y upper+", y_upper.size()), un = scratch("y upper-", y_upper.size());
    kernels::split_signs<Target>(stream_, x_lower, xp, xn);
    kernels::split_signs<Target>(stream_, y_lower, lp, ln);
    kernels::split_signs<Target>(stream_, y_upper, up, un);
    const bool scores = s.kind == kernels::DotKind::scores;
    const int out_channels = s.heads * s.columns;
    for (int head = 0; head < s.heads; ++head) {
      const std::ptrdiff_t at_x = s.x_channel(head, 0), at_y = s.y_channel(head, 0, 0),
                           at_out = static_cast<std::ptrdiff_t>(head) * s.columns;
      const auto terms = [&](int inputs, const InBounds& of_x, const InBounds& of_y, bool weights) {
        const auto pick = [&](const auto& bounds, bool lower) {
          return weights ? (lower ? bounds.lower_weight : bounds.upper_weight).data()
                         : (lower ? bounds.lower_bias : bounds.upper_bias).data();
        };
        // Rows (i, d) of x by the masked ends of y.
        MatmulProblem by_y{.transpose_a = scores,
                           .rows = s.columns,
                           .columns = s.rows * inputs,
                           .inner = s.inner,
                           .lda = s.y_channels,
                           .ldb = s.x_channels,
                           .ldc = out_channels};
        const auto x_term = [&](const Out& ends, bool x_is_lower, bool to_lower, double beta) {
          by_y.beta = beta;
          products_(by_y, ends.data() + at_y, pick(of_x, x_is_lower) + at_x, pick(out, to_lower) + at_out);
        };
        x_term(lp, true, true, 0);
        x_term(ln, false, true, 1);
        x_term(up, false, false, 0);
        x_term(un, true, false, 1);
        // The masked ends of x by y, for each d.
        const MatmulProblem by_x{.transpose_a = scores,
                                 .rows = s.columns,
                                 .columns = s.rows,
                                 .inner = s.inner,
                                 .lda = inputs * s.y_channels,
                                 .ldb = s.x_channels,
                                 .ldc = inputs * out_channels,
                                 .stride_a = s.y_channels,
                                 .stride_b = 0,
                                 .stride_c = out_channels,
                                 .batch = inputs,
                                 .alpha = 1,
                                 .beta = 1};
        const auto y_term = [&](const Out& ends, bool y_is_lower, bool to_lower) {
          products_(by_x, pick(of_y, y_is_lower) + at_y, ends.data() + at_x, pick(out, to_lower) + at_out);
        };
        y_term(xp, true, true);
        y_term(xn, false, true);
        y_term(xp, false, false);
        y_term(xn, true, false);
      };
      terms(s.inputs, x, y, true);
      terms(1, x, y, false);
      const MatmulProblem constant{.transpose_a = scores,
                                   .rows = s.columns,
                                   .columns = s.rows,
                                   .inner = s.inner,
                                   .lda = s.y_channels,
                                   .ldb = s.x_channels,
                                   .ldc = out_channels,
                                   .alpha = -1,
                                   .beta = 1};
      products_(constant, y_lower.data() + at_y, x_lower.data() + at_x, out.lower_bias.data() + at_out);
      products_(constant, y_upper.data() + at_y, x_lower.data() + at_x, out.upper_bias.data() + at_out);
    }
  }

  Stream<Target>& stream() { return stream_; }
  std::string setting() const { return products_.setting(); }

  /// An array of this name, kept; as long as was ever asked for.
  Out scratch(const std::string& name, std::size_t size) {
    DeviceBuffer<Target, float>& buffer = scratch_[name];
    if (buffer.size() < size)
      buffer = DeviceBuffer<Target, float>(stream_.device(), size, MemoryUse::workspace, name);
    return buffer.span().subspan(0, size);
  }

 private:
  Stream<Target>& stream_;
  Products& products_;
  UnfusedForm form_;
  std::map<std::string, DeviceBuffer<Target, float>> scratch_;
};

}  // namespace remeasure::baselines
