// SPDX-License-Identifier: Apache-2.0
//
// The operations of bound_chain.h on linear bounds on a CPU, each in one pass. A test derives a wrong one.
#pragma once

#include <utility>
#include <vector>

#include "kernels/learning/bound_reference.h"
#include "kernels/learning/bound_verifier.h"

namespace remeasure::kernels {

template <class Scalar>
struct LinearOps {
  using Value = BoundArrays<Scalar>;
  const VerifiedTransformer& model;
  std::span<const float> embedding;
  const Perturbation& perturbation;
  int threads;
  const NodeHook& hook;

  std::vector<Scalar> part(std::size_t place, std::size_t size) const {
    const auto first = model.parameters.begin() + static_cast<std::ptrdiff_t>(place);
    return {first, first + static_cast<std::ptrdiff_t>(size)};
  }
  const Ball& ball() const { return perturbation.ball; }
  Value input() { return perturbed_embedding<Scalar>(model.rows, model.hidden, embedding, perturbation); }
  Value dense(Slot, const Value& in, const DensePlace& d) {
    Value out(in.shape.with_channels(d.outputs));
    bound_matmul_reference<Scalar>(in.shape, d.outputs, in.spans(), part(d.matrix, d.matrix_size()),
                                   part(d.offset, static_cast<std::size_t>(d.outputs)), out.spans(), threads);
    return out;
  }
  std::pair<std::vector<Scalar>, std::vector<Scalar>> intervals(const Value& in) {
    std::vector<Scalar> lower(in.shape.biases()), upper(in.shape.biases());
    bound_concretise_reference<Scalar>(in.shape, ball(), in.spans(), lower, upper, threads);
    return {std::move(lower), std::move(upper)};
  }
  Value scores(Slot, const Value& qkv, int heads, int hidden) {
    const DotShape shape = score_shape(qkv.shape.rows, qkv.shape.inputs, heads, hidden);
    const auto [lower, upper] = intervals(qkv);
    Value out(shape.out_shape());
    bound_dot_reference<Scalar>(shape, qkv.spans(), lower, qkv.spans(), lower, upper, out.spans(), threads);
    return out;
  }
  Value values(Slot, const Value& p, const Value& qkv, int heads, int hidden) {
    const DotShape shape = value_shape(p.shape.rows, p.shape.inputs, heads, hidden);
    const auto [p_lower, p_upper] = intervals(p);
    const auto [lower, upper] = intervals(qkv);
    Value out(shape.out_shape());
    bound_dot_reference<Scalar>(shape, p.spans(), p_lower, qkv.spans(), lower, upper, out.spans(), threads);
    return out;
  }
  void relax(Relaxation relaxation, Value& z) {
    bound_relax_reference<Scalar>(relaxation, z.shape, ball(), z.constant(), z.spans(), threads);
  }
  Value group_sum(Slot, const Value& in, int group) {
    Value out(in.shape.with_channels(in.shape.channels / group));
    bound_group_sum_reference<Scalar>(in.shape, group, in.spans(), out.spans(), threads);
    return out;
  }
  void product(Value& x, const Value& y, int group) {
    bound_product_reference<Scalar>(x.shape, group, ball(), x.constant(), y.spans(), x.spans(), threads);
  }
  Value add_normalise(Slot, const Value& a, const Value& b, const NormPlace& norm) {
    Value out(a.shape);
    const auto scale = part(norm.scale, static_cast<std::size_t>(a.shape.channels)),
               shift = part(norm.shift, static_cast<std::size_t>(a.shape.channels));
    bound_add_normalise_reference<Scalar>(a.shape, a.spans(), b.spans(), {scale, shift}, out.spans(),
                                          threads);
    return out;
  }
  Value first_row(const Value& z) { return z.first_row(); }
  void node(const std::string& name, const Value& z) {
    if (!hook) return;
    const auto [lower, upper] = intervals(z);
    hook(name, std::vector<double>(lower.begin(), lower.end()),
         std::vector<double>(upper.begin(), upper.end()));
  }
};

}  // namespace remeasure::kernels
