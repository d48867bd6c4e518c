// SPDX-License-Identifier: Apache-2.0
//
// The inputs of faith: bound objects for single operations, and sentiment encoders as the verifier takes
// them.
#pragma once

#include <cmath>
#include <vector>

#include "datasets/learning/linear_bounds.h"
#include "datasets/learning/sentiment_transformer.h"
#include "experiments/learning/faith_ops.h"
#include "experiments/vocabulary.h"
#include "kernels/learning/bound_arrays.h"

namespace remeasure::experiments::faith_bounds {

using kernels::BallNorm;
using kernels::BoundArrays;
using kernels::Perturbation;

/// Of the operations' inputs, whose weights have columns of norm 1: every third interval or so has both
/// signs.
inline const Ball kOperationBall{0.5, BallNorm::two, 1};

struct OperationInputs {
  BoundArrays<float> bounds;
  std::vector<float> matrix, offset;
  std::vector<float> lower, upper;  ///< intervals, for inner products
};

inline OperationInputs load_operation(Trial& t, const BoundShape& shape, int outputs, std::uint64_t seed) {
  const datasets::Opened opened =
      t.open(datasets::linear_bounds_definition,
             datasets::linear_bounds({shape.rows, shape.inputs, shape.channels, outputs}, seed));
  datasets::LinearBoundsData data = read_linear_bounds(*opened.reader);
  OperationInputs in;
  in.bounds.shape = shape;
  in.bounds.lower_weight = std::move(data.lower_weight);
  in.bounds.upper_weight = std::move(data.upper_weight);
  in.bounds.lower_bias = std::move(data.lower_bias);
  in.bounds.upper_bias = std::move(data.upper_bias);
  in.matrix = std::move(data.matrix);
  in.offset = std::move(data.offset);
  return in;
}

/// The verifier's model of an encoder: q's rows scaled by 1/sqrt(head dimension), margins of both labels.
inline VerifiedTransformer model_of(const datasets::SentimentTransformer& t) {
  VerifiedTransformer m;
  m.rows = t.choice.rows;
  m.hidden = t.choice.hidden;
  m.heads = t.choice.heads;
  m.mlp = t.choice.mlp;
  const auto hidden = static_cast<std::size_t>(m.hidden), mlp = static_cast<std::size_t>(m.mlp);
  const auto append = [&](const std::vector<float>& values, std::size_t first, std::size_t size) {
    const std::size_t place = m.parameters.size();
    m.parameters.insert(m.parameters.end(), values.begin() + static_cast<std::ptrdiff_t>(first),
                        values.begin() + static_cast<std::ptrdiff_t>(first + size));
    return place;
  };
  const auto dense = [&](const std::vector<float>& weight, const std::vector<float>& bias, std::size_t layer,
                         std::size_t inputs, std::size_t outputs) {
    return DensePlace{static_cast<int>(inputs), static_cast<int>(outputs),
                      append(weight, layer * inputs * outputs, inputs * outputs),
                      append(bias, layer * outputs, outputs)};
  };
  const auto norm = [&](const std::vector<float>& scale, const std::vector<float>& shift, std::size_t layer) {
    return NormPlace{append(scale, layer * hidden, hidden), append(shift, layer * hidden, hidden)};
  };
  const float by = 1 / std::sqrt(static_cast<float>(m.hidden / m.heads));
  for (std::size_t i = 0; i < static_cast<std::size_t>(t.choice.layers); ++i) {
    kernels::ChainLayer layer;
    layer.qkv = dense(t.qkv_weight, t.qkv_bias, i, hidden, 3 * hidden);
    for (std::size_t j = 0; j < hidden * hidden; ++j) m.parameters[layer.qkv.matrix + j] *= by;
    for (std::size_t j = 0; j < hidden; ++j) m.parameters[layer.qkv.offset + j] *= by;
    layer.output = dense(t.output_weight, t.output_bias, i, hidden, hidden);
    layer.after_attention = norm(t.norm1_scale, t.norm1_shift, i);
    layer.up = dense(t.up_weight, t.up_bias, i, hidden, mlp);
    layer.down = dense(t.down_weight, t.down_bias, i, mlp, hidden);
    layer.after_mlp = norm(t.norm2_scale, t.norm2_shift, i);
    m.layers.push_back(layer);
  }
  m.pooler = dense(t.pooler_weight, t.pooler_bias, 0, hidden, hidden);
  for (std::size_t label = 0; label < 2; ++label) {
    std::vector<float> matrix(hidden);
    for (std::size_t c = 0; c < hidden; ++c)
      matrix[c] = t.classifier_weight[label * hidden + c] - t.classifier_weight[(1 - label) * hidden + c];
    m.margin[label] = dense(matrix, {t.classifier_bias[label] - t.classifier_bias[1 - label]}, 0, hidden, 1);
  }
  return m;
}

/// One sentence with one perturbed word.
struct SentenceInputs {
  VerifiedTransformer model;
  std::vector<float> embedding;
  int row = 1, label = 0;
  BoundArrays<float> start;  ///< the chain's input
  double accuracy = 0;

  Perturbation perturbation(double radius, BallNorm norm = BallNorm::two) const {
    return {{row}, {radius, norm, 1}};
  }
};

/// Sentence `index`; its label is what the model says, since a verifier asks whether that can change.
inline SentenceInputs sentence_of(const datasets::SentimentTransformer& t, std::size_t index) {
  SentenceInputs s;
  s.model = model_of(t);
  const std::size_t size =
      static_cast<std::size_t>(t.choice.rows) * static_cast<std::size_t>(t.choice.hidden);
  s.embedding.assign(t.embedding.begin() + static_cast<std::ptrdiff_t>(index * size),
                     t.embedding.begin() + static_cast<std::ptrdiff_t>((index + 1) * size));
  s.row = t.perturbed[index];
  s.label = kernels::margin_at(s.model, 0, s.embedding, s.perturbation(0), {}) > 0 ? 0 : 1;
  s.start =
      kernels::perturbed_embedding<float>(t.choice.rows, t.choice.hidden, s.embedding, s.perturbation(0));
  s.accuracy = t.accuracy;
  return s;
}

inline datasets::SentimentTransformer load_encoder(Trial& t, const datasets::SentimentChoice& choice,
                                                   std::uint64_t seed) {
  const datasets::Opened opened =
      t.open(datasets::sentiment_transformer_definition, datasets::sentiment_transformer(choice, seed));
  return read_sentiment_transformer(*opened.reader);
}

}  // namespace remeasure::experiments::faith_bounds
