// SPDX-License-Identifier: Apache-2.0
//
// The inputs of dfss, where they lie, and which of the outputs are compared.
#pragma once

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "bench/trial.h"
#include "datasets/attention/attention_inputs.h"
#include "kernels/attention/nm_sparse_reference.h"

namespace remeasure::experiments::attention {

inline constexpr int kDim = 64;

/// The paper's two settings: 2:4 in bf16, 1:2 in fp32 (multiplied in TF32).
template <class Element>
struct Format {
  static constexpr bool kBf16 = sizeof(Element) == 2;
  static constexpr kernels::NmPattern kPattern =
      kBf16 ? kernels::NmPattern::two_of_four : kernels::NmPattern::one_of_two;
  static constexpr const char* kName = kBf16 ? "2:4" : "1:2";
  static constexpr const char* kDtype = kBf16 ? "bf16" : "tf32";
};

/// One data set, rounded to values that bf16, TF32 and fp32 all represent: every variant has the same
/// problem.
struct Inputs {
  kernels::AttentionShape shape;
  std::vector<float> query, key, value;

  kernels::AttentionProblem problem(double scale) const {
    return {.shape = shape, .scale = scale, .query = query, .key = key, .value = value};
  }
};

inline Inputs load(bench::Trial& t, int heads, int tokens, const std::string& generator, std::uint64_t seed) {
  const auto opened = t.open(datasets::attention_inputs_definition,
                             datasets::attention_inputs(1, heads, tokens, kDim, generator, seed));
  datasets::AttentionInputs read = datasets::read_attention_inputs(*opened.reader);
  for (auto* tensor : {&read.query, &read.key, &read.value}) {
    for (float& x : *tensor) x = static_cast<float>(bfloat16(x));
  }
  return {{1, heads, tokens, kDim}, std::move(read.query), std::move(read.key), std::move(read.value)};
}

/// One input set on a device: `batch` times the stored heads, each copy in memory of its own.
template <class Target, class Element>
struct DeviceInputs {
  DeviceSpan<Target, const Element> query, key, value;

  DeviceInputs(bench::DeviceBench<Target>& bench, const Inputs& in, int batch)
      : query(upload(bench, in.query, batch)),
        key(upload(bench, in.key, batch)),
        value(upload(bench, in.value, batch)) {}

 private:
  static DeviceSpan<Target, const Element> upload(bench::DeviceBench<Target>& bench,
                                                  const std::vector<float>& values, int batch) {
    std::vector<Element> repeated;
    repeated.reserve(values.size() * static_cast<std::size_t>(batch));
    for (int b = 0; b < batch; ++b) {
      for (const float x : values) repeated.push_back(Element(x));
    }
    return bench.input(repeated);
  }
};

/// Which rows are compared: all of a small problem; of a large one 128, spread over the heads, edges of tiles
/// among them.
struct CheckedRows {
  std::vector<std::size_t> rows;    ///< of the whole batch
  std::vector<std::size_t> stored;  ///< the same rows among the heads that are stored
  bool all = false;

  CheckedRows(const kernels::AttentionShape& shape, std::size_t stored_rows) : all(shape.rows() <= 512) {
    const auto tokens = static_cast<std::size_t>(shape.tokens),
               matrices = static_cast<std::size_t>(shape.matrices());
    const std::array<std::size_t, 8> places = {0, 31, 32, 127, 128, tokens / 2 + 5, tokens - 32, tokens - 1};
    for (std::size_t i = 0; i < (all ? shape.rows() : 128); ++i) {
      rows.push_back(all ? i : i * 37 % matrices * tokens + places[(i + i / 8) % 8]);
      stored.push_back(rows.back() % stored_rows);
    }
  }

  /// `values` of the rows as an oracle for an output of `columns` per row.
  bench::OracleOutput oracle(std::vector<double> values, std::vector<double> scale,
                             std::size_t columns) const {
    bench::OracleOutput result{.values = std::move(values), .scale = std::move(scale)};
    if (all) return result;
    for (const std::size_t row : rows) {
      for (std::size_t c = 0; c < columns; ++c) result.indices.push_back(row * columns + c);
    }
    return result;
  }
};

/// Metadata words of one matrix or several as the kernel should write them, from scores in double.
inline std::vector<double> expected_metadata(const kernels::AttentionProblem& problem,
                                             kernels::NmPattern pattern, int keys_per_word) {
  const auto tokens = static_cast<std::size_t>(problem.shape.tokens);
  const std::size_t words = tokens / static_cast<std::size_t>(keys_per_word);
  std::vector<double> result;
  for (int matrix = 0; matrix < problem.shape.matrices(); ++matrix) {
    const std::vector<double> scores = kernels::attention_scores<double>(problem, matrix);
    std::vector<std::uint8_t> groups(scores.size() / 4), nibbles;
    kernels::choose_kept<double>(scores, pattern, groups);
    for (const std::uint8_t group : groups) {
      const kernels::KeptPair kept = kernels::kept_by(group);
      if (keys_per_word == 16)
        nibbles.push_back(group);
      else
        nibbles.insert(nibbles.end(),
                       {std::uint8_t(kept.first == 0 ? 4 : 14), std::uint8_t(kept.second == 2 ? 4 : 14)});
    }
    std::vector<std::uint16_t> plain(tokens * words);
    for (std::size_t w = 0; w < plain.size(); ++w) {
      plain[w] =
          kernels::pack_word({nibbles[4 * w], nibbles[4 * w + 1], nibbles[4 * w + 2], nibbles[4 * w + 3]});
    }
    const std::vector<std::uint16_t> hardware = kernels::hardware_metadata(plain, tokens);
    for (std::size_t w = 0; w < hardware.size(); w += 2) {
      result.push_back(
          static_cast<double>(std::uint32_t{hardware[w]} | std::uint32_t{hardware[w + 1]} << 16));
    }
  }
  return result;
}

/// On a CPU, where a thread keeps a head's scores in its caches: floors that hold whatever stays there.
/// Inputs and outputs, and the n x n traffic only where no cache holds it.
inline bench::Work host_work(const kernels::AttentionShape& shape, double flops_per_score,
                             double bytes_per_score, double kept) {
  const double scores = static_cast<double>(shape.scores());
  const bool beyond_caches = 2 * scores > 256e6;
  return {
      .flops = flops_per_score * scores,
      .bytes = 16 * static_cast<double>(shape.elements()) + (beyond_caches ? bytes_per_score * scores : 0),
      .special = kept * scores};
}

/// Softmax of the rows by kernels::row_softmax: of each element the difference, its multiple, the sum and the
/// quotient, and an exponential; of each row the sum over 32 lanes in 5 steps and 1 / sum in each.
inline double softmax_flops(const kernels::AttentionShape& shape, double kept) {
  return 4 * kept * static_cast<double>(shape.scores()) + 32 * (5 + 1) * static_cast<double>(shape.rows());
}

/// Full attention in three launches, each with memory between: scores written, read and written by the
/// softmax, read. Their scale is a factor of the first product.
inline bench::Work unfused_work(const kernels::AttentionShape& shape, double element) {
  const double scores = static_cast<double>(shape.scores());
  return {.flops = 4 * shape.dim * scores + softmax_flops(shape, 1),
          .bytes = element * (4 * static_cast<double>(shape.elements()) + 4 * scores),
          .special = scores};
}

/// The same in one launch, whose scores stay on the chip.
inline bench::Work fused_work(const kernels::AttentionShape& shape, double element) {
  const double scores = static_cast<double>(shape.scores());
  return {.flops = (4 * shape.dim + 4) * scores,
          .bytes = element * 4 * static_cast<double>(shape.elements()),
          .special = scores};
}

/// DFSS in three launches. The first multiplies 2 dim per score, scales and adds a bias (an FMA), and writes
/// the kept half and metadata of 1/16 of a score's size; the softmax reads and writes the half; the last
/// reads both and multiplies the half. Tokens are a multiple of a tile's rows and keys at all sizes here, so
/// no product is of padding.
inline bench::Work pruned_work(const kernels::AttentionShape& shape, double element) {
  const double scores = static_cast<double>(shape.scores());
  return {.flops = (2 * shape.dim + 2 + shape.dim) * scores + softmax_flops(shape, 0.5),
          .bytes = element * (4 * static_cast<double>(shape.elements()) + (0.5625 + 1 + 0.5625) * scores),
          .special = scores / 2};
}

}  // namespace remeasure::experiments::attention
