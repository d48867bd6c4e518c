// SPDX-License-Identifier: Apache-2.0
//
// Post-training quantisation of one product of a transformer on a CPU: what a scale costs, and the search for
// it (Yuan et al., "PTQ4ViT", ECCV 2022, section 3.3).
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "kernels/precision/twin_quantizer.h"

namespace remeasure::kernels {

/// y = a b^T for each of `matrices`: a [matrices, rows, inner], b [matrices, columns, inner], y and gradient
/// [matrices, rows, columns].
struct LayerProduct {
  int matrices = 1, rows = 0, inner = 0, columns = 0;
  std::vector<float> a, b, y, gradient;

  std::size_t outputs() const {
    return static_cast<std::size_t>(matrices) * static_cast<std::size_t>(rows) *
           static_cast<std::size_t>(columns);
  }
};

/// What a candidate is judged by. All are distances, the less the better.
enum class ScaleMetric {
  cosine,   ///< 1 - cosine of the angle between y and y quantised
  squared,  ///< |y_q - y|^2
  hessian,  ///< |gradient (y_q - y)|^2
};

/// Which operand tries the candidates.
enum class Operand { a, b };

/// scores[p]: the distance when the operand `varied` is quantised by candidates[p] and the other one is
/// already `fixed_values` (quantised, as numbers). Of b only rows [first, first + count) and the outputs that
/// they make count (count 0: all). Row by row of tiles: neither a whole y_q nor a whole quantised operand is
/// kept. `Scalar` is what is computed in; the codes are always those of the float quantisers. threads: 0 =
/// all.
template <class Scalar>
std::vector<Scalar> candidate_scores_reference(const LayerProduct& layer, Operand varied,
                                               std::span<const float> fixed_values,
                                               std::span<const TwinQuantizer<float>> candidates,
                                               ScaleMetric metric, int first = 0, int count = 0,
                                               int threads = 0);

enum class Calibration { plain, softmax, gelu };  ///< of a's values: which twin quantiser suits them

struct SearchSettings {
  int bits = 8;
  ScaleMetric metric = ScaleMetric::hessian;
  bool twin = true;  ///< where the layer's `Calibration` has one
  int rounds = 3;
  int candidates = 100;  ///< factors low + i (high - low) / candidates of the first scale
  double low = 0.01, high = 1.2;
  int threads = 0;
};
/// EasyQuant's way, as the paper's base: cosine, one round, factors from 0.5, no twins.
inline SearchSettings base_settings(int bits) {
  return {.bits = bits, .metric = ScaleMetric::cosine, .twin = false, .rounds = 1, .low = 0.5};
}

struct LayerScales {
  TwinQuantizer<float> a;
  std::vector<TwinQuantizer<float>> b;  ///< of each block of rows of b
};

/// The index of the least score, of equal ones the first.
template <class Scalar>
std::size_t best_candidate(std::span<const Scalar> scores);

/// max|x| / (2^(bits-1) - 0.5); 1 for zeros.
float first_step(std::span<const float> values, int bits);
/// The quantisers that a search tries for a tensor whose first step is `first`.
std::vector<TwinQuantizer<float>> candidates_of(Calibration kind, float first,
                                                const SearchSettings& settings);

/// Alternates between b's scale (each block of rows by itself) and a's, from first_step. The search scores in
/// `float`.
LayerScales search_scales(const LayerProduct& layer, Calibration kind, int blocks_of_b,
                          const SearchSettings& settings);

/// What quantising the weights b adds to each output on average over a's rows: mean of a_q (b_q - b)^T, in
/// double. Taken from the bias (the paper's code: bias correction), it leaves outputs whose mean the weights'
/// codes don't move. For one matrix. Throws std::invalid_argument for more.
std::vector<float> bias_of_codes(const LayerProduct& layer, const LayerScales& scales);

/// Quantised values, each block of rows of b by its own quantiser.
std::vector<float> quantized(std::span<const float> values, std::span<const TwinQuantizer<float>> blocks);

}  // namespace remeasure::kernels
