// SPDX-License-Identifier: Apache-2.0
//
// N:M sparse attention in plain Eigen, written from the paper's equations and independent of the kernels: in
// double the oracle, in float the CPU variant that is timed. All functions use `threads` CPU threads (0 =
// all).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/attention/attention_shape.h"
#include "kernels/attention/nm_pattern.h"

namespace remeasure::kernels {

/// What a group keeps. The paper's rule is `largest`; the others are negative controls.
enum class Keep { largest, largest_magnitude, smallest, random };

/// One problem: what the kernels get, as float. `key_bias` is [batch, tokens] or empty.
struct AttentionProblem {
  AttentionShape shape;
  double scale = 1;
  std::span<const float> query, key, value;
  std::span<const float> key_bias = {};
};

/// One nibble per group of four keys: the two largest of four, or the larger of each pair. Ties keep the
/// earlier key. `scores` are whole rows; `row` is the number of the first, which `random` depends on.
template <class Scalar>
void choose_kept(std::span<const Scalar> scores, NmPattern pattern, std::span<std::uint8_t> nibbles,
                 Keep keep = Keep::largest, std::uint64_t row = 0);

/// The same by the largest pair sum, the rule of the paper's implementation. In exact arithmetic both agree;
/// where a sum is rounded it can drop a larger key for a smaller one: {1e8, 1, 2, 0} in fp32 keeps keys 0
/// and 1.
template <class Scalar>
void choose_by_pair_sum(std::span<const Scalar> scores, std::span<std::uint8_t> nibbles);

/// scale * q * k^T + bias of one head, [tokens, tokens].
template <class Scalar>
std::vector<Scalar> attention_scores(const AttentionProblem& problem, int matrix);

/// The method: scores, choice, softmax over what is kept, sparse product. out: [batch, heads, tokens, dim].
template <class Scalar>
void nm_sparse_reference(const AttentionProblem& problem, NmPattern pattern, std::span<Scalar> out,
                         int threads = 0);

/// The same with the choice given: one nibble per group, [batch, heads, tokens, tokens / 4].
template <class Scalar>
void nm_sparse_reference_given(const AttentionProblem& problem, std::span<const std::uint8_t> nibbles,
                               std::span<Scalar> out, int threads = 0);

/// Some rows of the result and of the two stages before it. Rows count over all matrices. `pattern` is null
/// for full attention, whose `kept` is tokens instead of tokens / 2.
struct SampledAttention {
  std::vector<double> values;  ///< [rows, dim]
  std::vector<double>
      scales;  ///< [rows, dim]: sum of |weight * value|, the scale of an element's rounding errors
  std::vector<double> scores;   ///< [rows, kept]: scores that stay
  std::vector<double> weights;  ///< [rows, kept]: their softmax
};
SampledAttention sampled_attention(const AttentionProblem& problem, const NmPattern* pattern,
                                   std::span<const std::size_t> rows, int threads = 0);

/// How good the approximation is, in double over all heads.
struct ApproximationQuality {
  double retained_mass = 0;     ///< mean over rows: sum of the full softmax's weights at the kept positions
  double output_error = 0;      ///< |O - O_full|_F / |O_full|_F
  double differing_groups = 0;  ///< fraction of groups that keep other keys than Keep::largest
};
ApproximationQuality approximation_quality(const AttentionProblem& problem, NmPattern pattern,
                                           Keep keep = Keep::largest, int threads = 0);

/// Fraction of groups in which the pair-sum rule in fp32 keeps other keys than comparing them does.
double pair_sum_disagreement(const AttentionProblem& problem);

}  // namespace remeasure::kernels
