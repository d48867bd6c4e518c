// SPDX-License-Identifier: Apache-2.0
//
// Queries, keys and values of self-attention: generated, or dumped from a real model's layers.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// [batch, heads, tokens, dim] each, row-major.
struct AttentionInputs {
  int batch = 0, heads = 0, tokens = 0, dim = 0;
  std::vector<float> query, key, value;
};

/// "attention_inputs": parameters batch, heads, tokens, dim, generator.
///   gauss      independent N(0, 1), the input of the DFSS benchmark
///   clustered  32 centres c ~ N(0, I) per head; rows of q and k are sqrt(beta) c[random] + N(0, I) with beta
///   = 1, so
///              that attention concentrates on keys of the query's cluster; values are N(0, 1)
extern const Definition attention_inputs_definition;

Parameters attention_inputs(int batch, int heads, int tokens, int dim, const std::string& generator,
                            std::uint64_t seed);
AttentionInputs read_attention_inputs(Reader& reader);

}  // namespace remeasure::datasets
