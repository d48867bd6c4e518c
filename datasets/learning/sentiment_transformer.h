// SPDX-License-Identifier: Apache-2.0
//
// A text encoder for sentiment and sentences whose words a verifier perturbs: rows are a class token and the
// words; each layer is norm(x + attention(x)), norm(x + relu mlp(x)), the norm without a variance; a tanh
// pooler and two classes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

struct SentimentChoice {
  int rows = 8;  ///< class token and words
  int hidden = 64, heads = 4, mlp = 128, layers = 1, sentences = 10;
  bool trained = false;
};

/// "sentiment_transformer": parameters as SentimentChoice's, weights "xavier" or "trained". Sentences of
/// rows - 1 words of 200: 40 positive, 40 negative, the rest neutral; the label is the polarity that
/// outnumbers the other by two or more. Trained: on 512 such sentences, from small branches and with strong
/// weight decay, so that bounds of six layers are finite and f32 can compute them. Xavier: N(0, 2 / (inputs +
/// outputs)), words N(0, 1/4), what returns to the residual stream divided by 4 layers: larger branches leave
/// nothing of bounds in fp32 after three layers.
extern const Definition sentiment_transformer_definition;

Parameters sentiment_transformer(const SentimentChoice& choice, std::uint64_t seed);

/// Dense weights [layer, outputs, inputs]; q, k and v are the rows of one matrix.
struct SentimentTransformer {
  SentimentChoice choice;
  std::vector<float> qkv_weight, qkv_bias, output_weight, output_bias, up_weight, up_bias, down_weight,
      down_bias;
  std::vector<float> norm1_scale, norm1_shift, norm2_scale, norm2_shift;
  std::vector<float> pooler_weight, pooler_bias, classifier_weight, classifier_bias;
  std::vector<float> embedding;         ///< [sentence, row, hidden]: what the first layer gets
  std::vector<std::uint8_t> label;      ///< [sentence]
  std::vector<std::int32_t> perturbed;  ///< [sentence]: the row of the word that is perturbed, 1 or more
  double accuracy = 0;                  ///< on the stored sentences and 200 others
};
SentimentTransformer read_sentiment_transformer(Reader& reader);

}  // namespace remeasure::datasets
