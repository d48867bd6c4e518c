// SPDX-License-Identifier: Apache-2.0
//
// What the calibration of one transformer block sees: operands and gradients of its six products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// y = a b^T of `matrices` products: a [matrices, rows, inner], b [matrices, columns, inner], gradient
/// [matrices, rows, columns].
struct CalibrationLayer {
  const char* name = "";
  int matrices = 1, rows = 0, inner = 0, columns = 0;
  std::vector<float> a, b, gradient;
};

struct VitBlock {
  int images = 0, tokens = 0, dim = 0, heads = 0;
  std::vector<CalibrationLayer> layers;  ///< qkv, qk, softmax_v, proj, fc1, fc2
};

/// "vit_block": parameters images, tokens, dim, heads; mlp is 4 dim. Inputs of dense layers are normalised
/// rows with channels of different scales; weights have heavy tails; the second dense layer of the MLP sees
/// GELU of N(0, 1.5^2), so negatives down to -0.17; attention weights are softmax rows of logits with sd 1 to
/// 4 (most below 0.05, the largest near 1). Gradients differ by row.
extern const Definition vit_block_definition;

Parameters vit_block(int images, int tokens, int dim, int heads, std::uint64_t seed);
VitBlock read_vit_block(Reader& reader);

/// Rows of softmax of logits N(0, sd^2), sd of a row uniform from 1 to 4.
std::vector<float> softmax_rows(std::uint64_t seed, std::uint64_t stream, std::size_t rows, std::size_t keys);
/// GELU of N(0, 1.5^2).
std::vector<float> gelu_values(std::uint64_t seed, std::uint64_t stream, std::size_t count);

}  // namespace remeasure::datasets
