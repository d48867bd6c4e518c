// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/device/testing/normal_values.h"
#include "kernels/learning/bound_verifier.h"
#include "kernels/learning/testing/bound_problem.h"

namespace remeasure::kernels::testing {

struct VerifierProblem {
  VerifiedTransformer model;
  std::vector<float> embedding;
  Perturbation perturbation;
  int label = 0;
};

/// Dense weights N(0, 1/inputs), scales around 1, one of them negative; embeddings N(0, 1/4); the label is
/// what the model says.
inline VerifierProblem random_transformer(int rows, int hidden, int heads, int mlp, int layers,
                                          const Perturbation& perturbation, std::uint64_t seed = 1) {
  VerifierProblem p;
  VerifiedTransformer& m = p.model;
  m.rows = rows;
  m.hidden = hidden;
  m.heads = heads;
  m.mlp = mlp;
  std::uint64_t stream = 1000 * seed;
  const auto append = [&](const std::vector<float>& values) {
    const std::size_t place = m.parameters.size();
    m.parameters.insert(m.parameters.end(), values.begin(), values.end());
    return place;
  };
  const auto dense = [&](int inputs, int outputs, float gain = 1) {
    DensePlace d{inputs, outputs, 0, 0};
    d.matrix = append(normal_values(d.matrix_size(), ++stream, gain / std::sqrt(static_cast<float>(inputs))));
    d.offset = append(normal_values(static_cast<std::size_t>(outputs), ++stream, 0.1f));
    return d;
  };
  const auto norm = [&] {
    std::vector<float> scale = normal_values(static_cast<std::size_t>(hidden), ++stream, 0.1f);
    for (float& x : scale) x += 1;
    scale[0] = -scale[0];
    const std::size_t at = append(scale);
    return NormPlace{at, append(normal_values(static_cast<std::size_t>(hidden), ++stream, 0.1f))};
  };
  for (int i = 0; i < layers; ++i) {
    ChainLayer layer;
    layer.qkv = dense(hidden, 3 * hidden);
    layer.output = dense(hidden, hidden, 0.5f);
    layer.after_attention = norm();
    layer.up = dense(hidden, mlp);
    layer.down = dense(mlp, hidden, 0.5f);
    layer.after_mlp = norm();
    m.layers.push_back(layer);
  }
  m.pooler = dense(hidden, hidden);
  m.margin[0] = dense(hidden, 1);
  m.margin[1] = m.margin[0];  // its negative
  std::vector<float> opposite(m.parameters.end() - hidden - 1, m.parameters.end());
  for (float& x : opposite) x = -x;
  m.margin[1].matrix = append(opposite);
  m.margin[1].offset = m.margin[1].matrix + static_cast<std::size_t>(hidden);
  p.embedding =
      normal_values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(hidden), ++stream, 0.5f);
  p.perturbation = perturbation;
  p.label = margin_at(m, 0, p.embedding, perturbation, {}) > 0 ? 0 : 1;
  return p;
}

/// A direction's numbers scaled so that each word lies on its ball's surface (factor 1) or within.
inline std::vector<double> on_ball(const Perturbation& perturbation, std::vector<double> numbers,
                                   double factor) {
  const std::size_t words = perturbation.rows.size(), each = numbers.size() / words;
  for (std::size_t word = 0; word < words; ++word) {
    double size = 0;
    for (std::size_t i = word * each; i < (word + 1) * each; ++i) {
      const double x = std::fabs(numbers[i]);
      size = perturbation.ball.norm == BallNorm::two   ? size + x * x
             : perturbation.ball.norm == BallNorm::one ? size + x
                                                       : std::fmax(size, x);
    }
    if (perturbation.ball.norm == BallNorm::two) size = std::sqrt(size);
    for (std::size_t i = word * each; i < (word + 1) * each; ++i)
      numbers[i] *= size > 0 ? factor * perturbation.ball.radius / size : 0;
  }
  return numbers;
}

/// The numbers of a ball that lower a linear function with this gradient most: its sign for p = infinity.
inline std::vector<double> steepest(const Perturbation& perturbation, const std::vector<double>& gradient) {
  std::vector<double> numbers(gradient.size());
  const std::size_t each = gradient.size() / perturbation.rows.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t first = i / each * each;
    double largest = 0;
    for (std::size_t j = first; j < first + each; ++j) largest = std::fmax(largest, std::fabs(gradient[j]));
    switch (perturbation.ball.norm) {
      case BallNorm::two:
        numbers[i] = -gradient[i];
        break;
      case BallNorm::infinity:
        numbers[i] = gradient[i] > 0 ? -1 : 1;
        break;
      case BallNorm::one:
        numbers[i] = std::fabs(gradient[i]) == largest ? (gradient[i] > 0 ? -1 : 1) : 0;
        break;
    }
  }
  return on_ball(perturbation, std::move(numbers), 1);
}

}  // namespace remeasure::kernels::testing
