// SPDX-License-Identifier: Apache-2.0
//
// The chain of kernels/learning/bound_chain.h on a device: fused kernels, the unfused graph, and the work of
// the fused ones.
#pragma once

#include <array>

#include "baselines/learning/unfused_bounds.h"
#include "kernels/learning/bound_ops.h"
#include "kernels/learning/bound_verifier.h"
#include "kernels/learning/sign_split_matmul.h"

namespace remeasure::experiments::faith_bounds {

using kernels::Ball;
using kernels::BoundShape;
using kernels::BoundSpans;
using kernels::BoundWork;
using kernels::DensePlace;
using kernels::DotShape;
using kernels::NormPlace;
using kernels::Relaxation;
using kernels::Slot;
using kernels::VerifiedTransformer;

/// Memory of one verification: a bound object of a slot's largest shape, `copies` times; intervals.
template <class Target>
struct VerifierBuffers {
  std::array<std::array<BoundSpans<Target, float>, kernels::kSlots>, 2> slots;
  DeviceSpan<Target, float> lower, upper, p_lower, p_upper;

  template <class Allocate>
  VerifierBuffers(const VerifiedTransformer& m, int inputs, int copies, const Allocate& allocate) {
    for (int copy = 0; copy < copies; ++copy) {
      for (std::size_t slot = 0; slot < kernels::kSlots; ++slot) {
        const BoundShape shape{m.rows, inputs, slot_channels(m, static_cast<Slot>(slot))};
        slots[static_cast<std::size_t>(copy)][slot] = {allocate(shape.weights()), allocate(shape.weights()),
                                                       allocate(shape.biases()), allocate(shape.biases())};
      }
    }
    const std::size_t wide = BoundShape{m.rows, inputs, 3 * m.hidden}.biases(),
                      p = BoundShape{m.rows, inputs, m.heads * m.rows}.biases();
    lower = allocate(wide);
    upper = allocate(wide);
    p_lower = allocate(p);
    p_upper = allocate(p);
  }
};

/// A bound object in a slot (or the chain's input, which is only read).
template <class Target>
struct DeviceValue {
  BoundShape shape;
  BoundSpans<Target, const float> in;
  BoundSpans<Target, float> out = {};
  Slot slot = Slot::state;
  std::size_t copy = 0;
};

/// What both forms share.
template <class Target>
struct DeviceOps {
  using Value = DeviceValue<Target>;
  Stream<Target>& stream;
  VerifierBuffers<Target>& buffers;
  DeviceSpan<Target, const float> parameters;
  BoundShape shape;  ///< of the embedding
  BoundSpans<Target, const float> embedding, unused = {};
  Ball ball;
  BoundSpans<Target, float> margin;  ///< where the last bound object goes

  Value at(Slot slot, const BoundShape& of, std::size_t copy = 0) {
    const BoundSpans<Target, float>& whole = buffers.slots[copy][static_cast<std::size_t>(slot)];
    const BoundSpans<Target, float> spans{
        whole.lower_weight.subspan(0, of.weights()), whole.upper_weight.subspan(0, of.weights()),
        whole.lower_bias.subspan(0, of.biases()), whole.upper_bias.subspan(0, of.biases())};
    return {of, spans, spans, slot, copy};
  }
  DeviceSpan<Target, const float> part(std::size_t place, std::size_t size) const {
    return parameters.subspan(place, size);
  }
  /// A dense layer's result: in its slot, or outside where it is the margin.
  Value result(Slot slot, const Value& in, const DensePlace& d) {
    if (d.outputs > 1) return at(slot, in.shape.with_channels(d.outputs));
    return {in.shape.with_channels(1), margin, margin};
  }
  Value input() { return {shape, embedding}; }
  Value first_row(const Value& z) {
    const BoundShape one{1, z.shape.inputs, z.shape.channels};
    return {one,
            {z.in.lower_weight.subspan(0, one.weights()), z.in.upper_weight.subspan(0, one.weights()),
             z.in.lower_bias.subspan(0, one.biases()), z.in.upper_bias.subspan(0, one.biases())}};
  }
  void node(const std::string&, const Value&) {}
};

template <class Target>
struct FusedOps : DeviceOps<Target> {
  using Value = DeviceValue<Target>;
  kernels::SplitForm form = kernels::SplitForm::centre;

  Value dense(Slot slot, const Value& in, const DensePlace& d) {
    Value out = this->result(slot, in, d);
    kernels::bound_matmul<Target>(this->stream, in.shape, d.outputs, in.in,
                                  this->part(d.matrix, d.matrix_size()),
                                  this->part(d.offset, static_cast<std::size_t>(d.outputs)), out.out, form);
    return out;
  }
  Value dot(Slot slot, const DotShape& s, const Value& x, DeviceSpan<Target, const float> x_lower,
            const Value& y, DeviceSpan<Target, const float> y_lower,
            DeviceSpan<Target, const float> y_upper) {
    Value out = this->at(slot, s.out_shape());
    kernels::bound_dot<Target>(this->stream, s, x.in, x_lower, y.in, y_lower, y_upper, out.out);
    return out;
  }
  Value scores(Slot slot, const Value& qkv, int heads, int hidden) {
    auto& b = this->buffers;
    kernels::bound_concretise<Target>(this->stream, qkv.shape, this->ball, qkv.in, b.lower, b.upper);
    return dot(slot, kernels::score_shape(qkv.shape.rows, qkv.shape.inputs, heads, hidden), qkv, b.lower, qkv,
               b.lower, b.upper);
  }
  Value values(Slot slot, const Value& p, const Value& qkv, int heads,
               int hidden) {  // q, k and v's intervals are still there
    auto& b = this->buffers;
    kernels::bound_concretise<Target>(this->stream, p.shape, this->ball, p.in, b.p_lower, b.p_upper);
    return dot(slot, kernels::value_shape(p.shape.rows, p.shape.inputs, heads, hidden), p, b.p_lower, qkv,
               b.lower, b.upper);
  }
  void relax(Relaxation relaxation, Value& z) {
    kernels::bound_relax<Target>(this->stream, relaxation, z.shape, this->ball, z.in, z.out);
  }
  Value group_sum(Slot slot, const Value& in, int group) {
    Value out = this->at(slot, in.shape.with_channels(in.shape.channels / group));
    kernels::bound_group_sum<Target>(this->stream, in.shape, group, in.in, out.out);
    return out;
  }
  void product(Value& x, const Value& y, int group) {
    kernels::bound_product<Target>(this->stream, x.shape, group, this->ball, x.in, y.in, x.out);
  }
  Value add_normalise(Slot slot, const Value& a, const Value& b, const NormPlace& norm) {
    Value out = this->at(slot, a.shape);
    const auto channels = static_cast<std::size_t>(a.shape.channels);
    kernels::bound_add_normalise<Target>(this->stream, a.shape, a.in, b.in,
                                         {this->part(norm.scale, channels), this->part(norm.shift, channels)},
                                         out.out);
    return out;
  }
};

/// As frameworks run it; what isn't done in place goes to the slot's other copy.
template <class Target>
struct UnfusedOps : DeviceOps<Target> {
  using Value = DeviceValue<Target>;
  baselines::UnfusedBounds<Target>& graph;

  UnfusedOps(const DeviceOps<Target>& shared, baselines::UnfusedBounds<Target>& by)
      : DeviceOps<Target>(shared), graph(by) {}

  Value dense(Slot slot, const Value& in, const DensePlace& d) {
    Value out = this->result(slot, in, d);
    graph.matmul(in.shape, d.outputs, in.in, this->part(d.matrix, d.matrix_size()),
                 this->part(d.offset, static_cast<std::size_t>(d.outputs)), out.out);
    return out;
  }
  Value scores(Slot slot, const Value& qkv, int heads, int hidden) {
    auto& b = this->buffers;
    graph.concretise(qkv.shape, this->ball, qkv.in, b.lower, b.upper);
    const DotShape s = kernels::score_shape(qkv.shape.rows, qkv.shape.inputs, heads, hidden);
    Value out = this->at(slot, s.out_shape());
    graph.dot(s, qkv.in, b.lower, qkv.in, b.lower, b.upper, out.out);
    return out;
  }
  Value values(Slot slot, const Value& p, const Value& qkv, int heads, int hidden) {
    auto& b = this->buffers;
    graph.concretise(p.shape, this->ball, p.in, b.p_lower, b.p_upper);
    const DotShape s = kernels::value_shape(p.shape.rows, p.shape.inputs, heads, hidden);
    Value out = this->at(slot, s.out_shape());
    graph.dot(s, p.in, b.p_lower, qkv.in, b.lower, b.upper, out.out);
    return out;
  }
  void relax(Relaxation relaxation, Value& z) {
    const Value out = this->at(z.slot, z.shape, 1 - z.copy);
    graph.relax(relaxation, z.shape, this->ball, z.in, out.out);
    z = out;
  }
  Value group_sum(Slot slot, const Value& in, int group) {
    Value out = this->at(slot, in.shape.with_channels(in.shape.channels / group));
    graph.group_sum(group, in.in, out.out);
    return out;
  }
  void product(Value& x, const Value& y, int group) {
    const Value out = this->at(x.slot, x.shape, 1 - x.copy);
    graph.product(x.shape, group, this->ball, x.in, y.in, out.out);
    x = out;
  }
  Value add_normalise(Slot slot, const Value& a, const Value& b, const NormPlace& norm) {
    Value out = this->at(slot, a.shape);
    const auto channels = static_cast<std::size_t>(a.shape.channels);
    graph.add_normalise(a.shape, a.in, b.in, this->part(norm.scale, channels),
                        this->part(norm.shift, channels), out.out);
    return out;
  }
};

/// Sums the formulas of what FusedOps launches; and the bytes that the unfused graph keeps besides.
struct WorkOps {
  using Value = BoundShape;
  BoundShape embedding;
  Ball ball;
  kernels::SplitForm form = kernels::SplitForm::centre;
  BoundWork work = {};
  double masks = 0;    ///< W+ and W-, of all dense layers and inner products
  double largest = 0;  ///< of the bound objects

  Value seen(const Value& shape) {
    largest = std::max(largest, static_cast<double>(shape.bytes()));
    return shape;
  }
  Value input() { return seen(embedding); }
  Value dense(Slot, const Value& in, const DensePlace& d) {
    work += kernels::bound_matmul_work(in, d.outputs, true, form);
    masks += 8.0 * static_cast<double>(d.matrix_size());
    return seen(in.with_channels(d.outputs));
  }
  Value dot(const Value& concretised, const DotShape& s) {
    work += kernels::bound_concretise_work(concretised, ball);
    work += kernels::bound_dot_work(s);
    masks += 8.0 * static_cast<double>(s.x_shape().biases() + 2 * s.y_shape().biases());
    return seen(s.out_shape());
  }
  Value scores(Slot, const Value& qkv, int heads, int hidden) {
    return dot(qkv, kernels::score_shape(qkv.rows, qkv.inputs, heads, hidden));
  }
  Value values(Slot, const Value& p, const Value&, int heads, int hidden) {
    return dot(p, kernels::value_shape(p.rows, p.inputs, heads, hidden));
  }
  void relax(Relaxation relaxation, const Value& z) {
    work += kernels::bound_relax_work(relaxation, z, ball);
  }
  Value group_sum(Slot, const Value& in, int group) {
    work += kernels::bound_group_sum_work(in, group);
    return seen(in.with_channels(in.channels / group));
  }
  void product(const Value& x, const Value&, int group) {
    work += kernels::bound_product_work(x, group, ball);
  }
  Value add_normalise(Slot, const Value& a, const Value&, const NormPlace&) {
    work += kernels::bound_add_normalise_work(a, true);
    return a;
  }
  Value first_row(const Value& z) { return {1, z.inputs, z.channels}; }
  void node(const std::string&, const Value&) {}
};

}  // namespace remeasure::experiments::faith_bounds
