// SPDX-License-Identifier: Apache-2.0
//
// How much of a verification f32 can round away, from the verification itself: the chain in double with its
// operands disturbed as rounding disturbs them, by random numbers of relative size u sqrt(n), u = 2^-24, n
// the terms of the sum that an operand goes into. That is the probabilistic bound of the error of such a sum
// in any order (Higham and Mary, SIAM J. Sci. Comput. 41, 2019); disturbing operands and watching the result
// is Monte Carlo arithmetic (Parker, UCLA CSD-970002, 1997). No f32 variant has a part in it. What grows with
// layers, with their length and with narrow intervals (a line's slope rests on the width, and rounding on the
// values) is in the result because the chain has it.
#pragma once

#include <cmath>

#include "datasets/random.h"
#include "experiments/learning/faith_problem.h"
#include "kernels/learning/linear_ops.h"

namespace remeasure::experiments::faith_bounds {

struct RoundedOps : kernels::LinearOps<double> {
  datasets::Philox random;
  double unit = std::ldexp(1.0, -24);
  std::uint64_t drawn = 0;

  Value rounded(Value z, int terms) {
    const double size = unit * std::sqrt(static_cast<double>(terms));
    for (std::vector<double>* part : {&z.lower_weight, &z.upper_weight, &z.lower_bias, &z.upper_bias}) {
      for (double& x : *part) {
        // Twelve bits each of five numbers from -1/2 to 1/2: near enough to normal, and one draw makes it.
        const std::uint64_t bits = random.bits(drawn++);
        double sum = -2.5;
        for (int i = 0; i < 5; ++i) sum += static_cast<double>(bits >> (12 * i) & 0xfff) / 4095;
        x *= 1 + size * 1.549193 * sum;  // sqrt(12 / 5): to a variance of 1
      }
    }
    return z;
  }
  Value dense(Slot slot, const Value& in, const DensePlace& d) {
    return LinearOps<double>::dense(slot, rounded(in, in.shape.channels), d);
  }
  Value scores(Slot slot, const Value& qkv, int heads, int hidden) {
    return LinearOps<double>::scores(slot, rounded(qkv, hidden / heads), heads, hidden);
  }
  Value values(Slot slot, const Value& p, const Value& qkv, int heads, int hidden) {
    return LinearOps<double>::values(slot, rounded(p, p.shape.rows), rounded(qkv, p.shape.rows), heads,
                                     hidden);
  }
  void relax(Relaxation relaxation, Value& z) {
    z = rounded(std::move(z), 1);
    LinearOps<double>::relax(relaxation, z);
  }
  Value group_sum(Slot slot, const Value& in, int group) {
    return LinearOps<double>::group_sum(slot, rounded(in, group), group);
  }
  void product(Value& x, const Value& y, int group) {
    x = rounded(std::move(x), 1);
    LinearOps<double>::product(x, rounded(y, 1), group);
  }
  Value add_normalise(Slot slot, const Value& a, const Value& b, const NormPlace& norm) {
    return LinearOps<double>::add_normalise(slot, rounded(a, 1), rounded(b, 1), norm);
  }
};

/// Differences of the margin's bounds: of the weights relative to their norm, of the biases relative to the
/// margin's scale; the larger of lower and upper.
struct RoundingLimits {
  double weights = 0, biases = 0;
};
inline RoundingLimits difference_of(const BoundArrays<double>& a, const BoundArrays<double>& exact,
                                    double scale) {
  const auto relative = [](const std::vector<double>& x, const std::vector<double>& of) {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < of.size(); ++i) {
      difference += (x[i] - of[i]) * (x[i] - of[i]);
      size += of[i] * of[i];
    }
    const double result = std::sqrt(difference / size);
    return std::isfinite(result) ? result : INFINITY;
  };
  return {
      std::max(relative(a.lower_weight, exact.lower_weight), relative(a.upper_weight, exact.upper_weight)),
      std::max(std::fabs(a.lower_bias[0] - exact.lower_bias[0]),
               std::fabs(a.upper_bias[0] - exact.upper_bias[0])) /
          scale};
}

/// The margin's bounds with one draw of roundings. `unit`: half an ulp of 1.
inline BoundArrays<double> rounded_bounds(const SentenceInputs& s, double radius, std::uint64_t draw,
                                          double unit = std::ldexp(1.0, -24)) {
  const Perturbation p = s.perturbation(radius);
  const kernels::NodeHook none;
  RoundedOps ops{{s.model, s.embedding, p, 0, none}, datasets::Philox(draw, 31), unit};
  return propagate(ops, s.model, s.label);
}

/// Four times the root mean square of what three draws change, and never below an ulp of the result.
inline RoundingLimits rounding_limits(const SentenceInputs& s, double radius) {
  constexpr int kDraws = 3;
  const BoundArrays<double> exact =
      kernels::margin_bounds<double>(s.model, s.label, s.embedding, s.perturbation(radius));
  RoundingLimits squares;
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
    const RoundingLimits one =
        difference_of(rounded_bounds(s, radius, draw), exact, kernels::margin_scale(s.model, s.label));
    squares.weights += one.weights * one.weights / kDraws;
    squares.biases += one.biases * one.biases / kDraws;
  }
  const double ulp = std::ldexp(1.0, -23);
  return {std::max(ulp, 4 * std::sqrt(squares.weights)), std::max(ulp, 4 * std::sqrt(squares.biases))};
}

}  // namespace remeasure::experiments::faith_bounds
