// SPDX-License-Identifier: Apache-2.0
//
// Problems for the tests of N:M sparse attention, and the kernels run on them with plain vectors in and out.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "kernels/attention/nm_sparse.h"
#include "kernels/attention/nm_sparse_reference.h"
#include "kernels/device/testing/test_bench.h"

namespace remeasure::kernels {

/// Values that bf16 (and so TF32) represents exactly.
struct NmProblem {
  AttentionShape shape;
  float scale = 1;
  std::vector<float> query, key, value, bias;

  AttentionProblem view() const {
    return {.shape = shape, .scale = scale, .query = query, .key = key, .value = value, .key_bias = bias};
  }
};

inline float rounded(float value) {
  return static_cast<float>(bfloat16(value));
}

inline NmProblem gauss_problem(const AttentionShape& shape, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  NmProblem p{.shape = shape,
              .scale = 1 / std::sqrt(static_cast<float>(shape.dim)),
              .query = {},
              .key = {},
              .value = {},
              .bias = {}};
  for (std::vector<float>* tensor : {&p.query, &p.key, &p.value}) {
    tensor->resize(shape.elements());
    for (float& x : *tensor) x = rounded(normal(random));
  }
  return p;
}

/// Small integers: sums are exact in any order, and ties are many.
inline NmProblem integer_problem(const AttentionShape& shape, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> digit(-1, 1);
  NmProblem p = gauss_problem(shape, seed);
  p.scale = 0.25F;
  for (std::vector<float>* tensor : {&p.query, &p.key}) {
    for (float& x : *tensor) x = static_cast<float>(digit(random));
  }
  return p;
}

/// Scores as the emulated instruction computes them: products are exact in fp32 and added with k ascending.
inline std::vector<float> fp32_scores(const NmProblem& p) {
  const auto tokens = static_cast<std::size_t>(p.shape.tokens), dim = static_cast<std::size_t>(p.shape.dim);
  const auto heads = static_cast<std::size_t>(p.shape.heads);
  std::vector<float> scores(p.shape.scores());
  for (std::size_t row = 0; row < p.shape.rows(); ++row) {
    const std::size_t matrix = row / tokens;
    for (std::size_t j = 0; j < tokens; ++j) {
      float sum = 0;
      for (std::size_t c = 0; c < dim; ++c)
        sum += p.query[row * dim + c] * p.key[(matrix * tokens + j) * dim + c];
      const float bias = p.bias.empty() ? 0.0F : p.bias[matrix / heads * tokens + j];
      scores[row * tokens + j] = std::fma(sum, p.scale, bias);
    }
  }
  return scores;
}

template <class Element>
std::vector<Element> cast(const std::vector<float>& values) {
  std::vector<Element> result;
  result.reserve(values.size());
  for (const float x : values) result.push_back(Element(x));
  return result;
}
template <class Element>
std::vector<float> to_float(const std::vector<Element>& values) {
  std::vector<float> result;
  result.reserve(values.size());
  for (const Element x : values) result.push_back(static_cast<float>(x));
  return result;
}

/// Compressed scores in plain order.
struct NmCompressed {
  std::vector<float> nonzeros;
  std::vector<std::uint32_t> hardware;  // as the kernel wrote it
  std::vector<std::uint16_t> plain;     // [matrices * tokens, tokens / keys per word]

  /// One nibble per group of four 16-bit values.
  std::vector<std::uint8_t> nibbles() const {
    std::vector<std::uint8_t> result;
    for (const std::uint16_t word : plain) {
      for (int group = 0; group < 4; ++group)
        result.push_back(static_cast<std::uint8_t>(nibble_at(word, group)));
    }
    return result;
  }
};

inline std::vector<std::uint16_t> halves(const std::vector<std::uint32_t>& words) {
  std::vector<std::uint16_t> result;
  for (const std::uint32_t word : words) {
    result.push_back(static_cast<std::uint16_t>(word));
    result.push_back(static_cast<std::uint16_t>(word >> 16));
  }
  return result;
}
inline std::vector<std::uint32_t> joined(const std::vector<std::uint16_t>& words) {
  std::vector<std::uint32_t> result;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    result.push_back(static_cast<std::uint32_t>(words[i]) | static_cast<std::uint32_t>(words[i + 1]) << 16);
  }
  return result;
}

/// Applies `reorder(words of one matrix, tokens)` to every matrix.
template <class Reorder>
std::vector<std::uint16_t> per_matrix(const std::vector<std::uint16_t>& words, const AttentionShape& shape,
                                      Reorder reorder) {
  std::vector<std::uint16_t> result;
  const std::size_t each = words.size() / static_cast<std::size_t>(shape.matrices());
  for (std::size_t first = 0; first < words.size(); first += each) {
    const auto part = reorder(std::span<const std::uint16_t>(words).subspan(first, each),
                              static_cast<std::size_t>(shape.tokens));
    result.insert(result.end(), part.begin(), part.end());
  }
  return result;
}

template <class Element, class Target>
NmCompressed run_sddmm(testing::TestBench<Target>& bench, const NmProblem& p, NmPattern pattern,
                       NmTile tile = NmTile::automatic) {
  const auto query = bench.upload(cast<Element>(p.query), "query");
  const auto key = bench.upload(cast<Element>(p.key), "key");
  const auto bias = bench.upload(p.bias, "bias");
  auto nonzeros = bench.template output<Element>(nonzeros_size(p.shape), "nonzeros");
  auto metadata = bench.template output<std::uint32_t>(metadata_size<Element>(p.shape), "metadata");
  sddmm_nm<Target, Element>(bench.stream(), p.shape, pattern, p.scale, query, key, bias, nonzeros, metadata,
                            tile);
  NmCompressed result{to_float(bench.download(nonzeros)), bench.download(metadata), {}};
  result.plain = per_matrix(halves(result.hardware), p.shape, plain_metadata);
  return result;
}

/// `plain` metadata as the kernel wants it.
template <class Element, class Target>
std::vector<float> run_spmm(testing::TestBench<Target>& bench, const AttentionShape& shape,
                            const std::vector<float>& weights, const std::vector<std::uint16_t>& plain,
                            const std::vector<float>& value, NmTile tile = NmTile::automatic) {
  const auto probabilities = bench.upload(cast<Element>(weights), "probabilities");
  const auto metadata = bench.upload(joined(per_matrix(plain, shape, hardware_metadata)), "metadata");
  const auto values = bench.upload(cast<Element>(value), "value");
  auto out = bench.template output<Element>(shape.elements(), "out");
  spmm_nm<Target, Element>(bench.stream(), shape, probabilities, metadata, values, out, tile);
  return to_float(bench.download(out));
}

struct NmAttention {
  std::vector<float> out, weights;
  std::vector<std::uint16_t> plain;
};

template <class Element, class Target>
NmAttention run_attention(testing::TestBench<Target>& bench, const NmProblem& p, NmPattern pattern,
                          NmTile tile = NmTile::automatic) {
  const auto query = bench.upload(cast<Element>(p.query), "query");
  const auto key = bench.upload(cast<Element>(p.key), "key");
  const auto value = bench.upload(cast<Element>(p.value), "value");
  const auto bias = bench.upload(p.bias, "bias");
  auto nonzeros = bench.template output<Element>(nonzeros_size(p.shape), "nonzeros");
  auto metadata = bench.template output<std::uint32_t>(metadata_size<Element>(p.shape), "metadata");
  auto out = bench.template output<Element>(p.shape.elements(), "out");
  nm_sparse_attention<Target, Element>(bench.stream(), p.shape, pattern, p.scale, query, key, value, bias,
                                       nonzeros, metadata, out, tile);
  return {to_float(bench.download(out)), to_float(bench.download(nonzeros)),
          per_matrix(halves(bench.download(metadata)), p.shape, plain_metadata)};
}

/// What the reference keeps, given scores, as nibbles in the form of the element type: TF32 has one per pair
/// of keys.
template <class Element, class Scalar>
std::vector<std::uint8_t> reference_nibbles(const std::vector<Scalar>& scores, NmPattern pattern) {
  std::vector<std::uint8_t> of_four(scores.size() / 4);
  choose_kept<Scalar>(scores, pattern, of_four);
  if (sizeof(Element) == 2) return of_four;
  std::vector<std::uint8_t> of_two;
  for (const std::uint8_t nibble : of_four) {
    of_two.push_back(kept_by(nibble).first == 0 ? 4 : 14);
    of_two.push_back(kept_by(nibble).second == 2 ? 4 : 14);
  }
  return of_two;
}

/// Scores at the kept positions, in order.
inline std::vector<float> kept_values(const std::vector<float>& scores,
                                      const std::vector<std::uint16_t>& plain, std::size_t rows,
                                      int keys_per_word) {
  std::vector<float> result;
  const std::size_t columns = scores.size() / rows, words = plain.size() / rows;
  for (std::size_t row = 0; row < rows; ++row) {
    for (const int key :
         kept_keys(std::span<const std::uint16_t>(plain).subspan(row * words, words), keys_per_word)) {
      result.push_back(scores[row * columns + static_cast<std::size_t>(key)]);
    }
  }
  return result;
}

/// Largest |a - b| over the largest |b|.
inline double worst(const std::vector<float>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - b[i]);
    difference = std::isnan(d) ? INFINITY : std::max(difference, d);
    size = std::max(size, std::abs(b[i]));
  }
  return difference / size;
}

}  // namespace remeasure::kernels
