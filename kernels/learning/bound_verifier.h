// SPDX-License-Identifier: Apache-2.0
//
// The chain of bound_chain.h on a CPU: with linear bounds (the paper's method, a template on the scalar),
// with intervals, and with plain values; and the largest radius that is certified.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/learning/bound_arrays.h"
#include "kernels/learning/bound_chain.h"

namespace remeasure::kernels {

/// Bounds of the embedding itself: the identity for perturbed rows.
template <class Scalar>
BoundArrays<Scalar> perturbed_embedding(int rows, int hidden, std::span<const float> embedding,
                                        const Perturbation& perturbation);

/// Ends of the values after a step of the chain, [rows, channels].
using NodeHook = std::function<void(const std::string& name, std::span<const double> lower,
                                    std::span<const double> upper)>;

/// Bounds of the margin: [1, inputs, 1]. `threads`: 0 = all.
template <class Scalar>
BoundArrays<Scalar> margin_bounds(const VerifiedTransformer& model, int label,
                                  std::span<const float> embedding, const Perturbation& perturbation,
                                  int threads = 0, const NodeHook& hook = {});
/// Their interval.
template <class Scalar>
Interval interval_of(const BoundArrays<Scalar>& margin, const Ball& ball);

/// Interval propagation: every channel of a perturbed row within radius of its value (which encloses balls of
/// any p).
Interval margin_by_intervals(const VerifiedTransformer& model, int label, std::span<const float> embedding,
                             const Perturbation& perturbation, const NodeHook& hook = {});

/// The margin at a point: embedding + the perturbation's numbers (empty: none). `hook` gets the values as
/// both ends.
double margin_at(const VerifiedTransformer& model, int label, std::span<const float> embedding,
                 const Perturbation& perturbation, std::span<const double> numbers,
                 const NodeHook& hook = {});

/// Its gradient in these numbers: the weights of linear bounds of radius 0 around the point, where every line
/// is the tangent.
std::vector<double> margin_gradient(const VerifiedTransformer& model, int label,
                                    std::span<const float> embedding, const Perturbation& perturbation,
                                    std::span<const double> numbers);

/// The largest radius at which `lower(radius)` exceeds `slack`: doubled from `start` until that fails (or
/// `cap`), then `steps` bisections, as the verifier's script does. 0 where not even `start` is certified.
double certified_radius(const std::function<double(double)>& lower, double slack, double start = 1e-5,
                        double cap = 0.01, int steps = 10);

/// The largest margin that the model can have: |matrix of the margin|_1 (tanh is at most 1) and its offset.
double margin_scale(const VerifiedTransformer& model, int label);
/// What rounding may take from a bound in f32: a certificate needs a margin above it. A hundred roundings of
/// the margin's scale.
double rounding_slack(const VerifiedTransformer& model, int label);

}  // namespace remeasure::kernels
