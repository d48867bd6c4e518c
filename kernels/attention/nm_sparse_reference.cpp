// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/nm_sparse_reference.h"

#define EIGEN_DONT_PARALLELIZE  // the threads are for_each_row_block's, one per head
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Scalar>
using Row = Eigen::Array<Scalar, 1, Eigen::Dynamic>;

Eigen::Map<const Matrix<float>> head_of(std::span<const float> tensor, const AttentionShape& shape,
                                        int matrix) {
  const auto size = static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(shape.dim);
  return {tensor.data() + static_cast<std::size_t>(matrix) * size, shape.tokens, shape.dim};
}

/// Scores of rows [first, first + count) of one head.
template <class Scalar>
Matrix<Scalar> scores_of(const AttentionProblem& problem, int matrix, Eigen::Index first,
                         Eigen::Index count) {
  const AttentionShape& shape = problem.shape;
  const Matrix<Scalar> query =
      head_of(problem.query, shape, matrix).middleRows(first, count).template cast<Scalar>();
  const Matrix<Scalar> key = head_of(problem.key, shape, matrix).template cast<Scalar>();
  Matrix<Scalar> scores = static_cast<Scalar>(problem.scale) * query * key.transpose();
  if (!problem.key_bias.empty()) {
    const Eigen::Map<const Eigen::RowVectorXf> bias(
        problem.key_bias.data() +
            static_cast<std::size_t>(matrix / shape.heads) * static_cast<std::size_t>(shape.tokens),
        shape.tokens);
    scores.rowwise() += bias.template cast<Scalar>();
  }
  return scores;
}

/// Philox would be in datasets/, which this room doesn't know; a mixed counter is enough to pick a pair.
std::uint64_t mixed(std::uint64_t x) {  // splitmix64 (Steele, Lea, Flood 2014)
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

/// Kept keys of a row and their softmax. The buffers are reused from row to row.
template <class Scalar>
struct SparseRow {
  Row<Scalar> weights;
  std::vector<int> keys;

  void gather(const Scalar* scores, std::span<const std::uint8_t> nibbles) {
    weights.resize(static_cast<Eigen::Index>(nibbles.size() * 2));
    keys.resize(nibbles.size() * 2);
    for (std::size_t g = 0; g < nibbles.size(); ++g) {
      const KeptPair kept = kept_by(nibbles[g]);
      const int base = static_cast<int>(4 * g);
      keys[2 * g] = base + kept.first;
      keys[2 * g + 1] = base + kept.second;
      weights[static_cast<Eigen::Index>(2 * g)] = scores[base + kept.first];
      weights[static_cast<Eigen::Index>(2 * g + 1)] = scores[base + kept.second];
    }
  }
  void softmax() {
    weights = (weights - weights.maxCoeff()).exp();
    weights /= weights.sum();
  }
  /// out = sum of weights * rows of `value`. kDim is fixed, so that the sum stays in registers.
  template <int kDim>
  void multiply(const Scalar* value, Eigen::Index dim, Scalar* out) const {
    Eigen::Array<Scalar, 1, kDim> sum = Eigen::Array<Scalar, 1, kDim>::Zero(1, dim);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      sum += weights[static_cast<Eigen::Index>(i)] *
             Eigen::Map<const Eigen::Array<Scalar, 1, kDim>>(value + keys[i] * dim, 1, dim);
    }
    Eigen::Map<Eigen::Array<Scalar, 1, kDim>>(out, 1, dim) = sum;
  }
  void multiply(const Scalar* value, Eigen::Index dim, Scalar* out) const {
    if (dim == 64)
      multiply<64>(value, dim, out);
    else if (dim == 32)
      multiply<32>(value, dim, out);
    else
      multiply<Eigen::Dynamic>(value, dim, out);
  }
};

/// The method for all rows; `choose(scores of a row, number of the row, nibbles)` fills in what is kept.
template <class Scalar, class Choose>
void run_method(const AttentionProblem& problem, std::span<Scalar> out, int threads, Choose choose) {
  const AttentionShape& shape = problem.shape;
  for_each_row_block(shape.matrices(), shape.tokens, threads, [&](int matrix, int first, int count) {
    const Matrix<Scalar> scores = scores_of<Scalar>(problem, matrix, first, count);
    const Matrix<Scalar> value = head_of(problem.value, shape, matrix).template cast<Scalar>();
    SparseRow<Scalar> row;
    std::vector<std::uint8_t> nibbles(static_cast<std::size_t>(shape.tokens) / 4);
    for (int r = 0; r < count; ++r) {
      const auto number = static_cast<std::size_t>(matrix) * static_cast<std::size_t>(shape.tokens) +
                          static_cast<std::size_t>(first + r);
      choose(std::span<const Scalar>(scores.row(r).data(), static_cast<std::size_t>(shape.tokens)), number,
             std::span<std::uint8_t>(nibbles));
      row.gather(scores.row(r).data(), nibbles);
      row.softmax();
      row.multiply(value.data(), shape.dim, out.data() + number * static_cast<std::size_t>(shape.dim));
    }
  });
}

/// Which two of four beat the others, from the six comparisons "the later key is larger", bit 0 for (0,1),
/// then (0,2), (0,3), (1,2), (1,3), (2,3). A key's rank is the number of keys that beat it; an earlier key
/// beats a later one in a tie.
constexpr std::array<std::uint8_t, 64> kTopTwo = [] {
  std::array<std::uint8_t, 64> table{};
  for (unsigned code = 0; code < table.size(); ++code) {
    const auto bit = [&](unsigned i) { return static_cast<int>(code >> i & 1u); };
    const std::array<int, 4> rank = {bit(0) + bit(1) + bit(2), 1 - bit(0) + bit(3) + bit(4),
                                     2 - bit(1) - bit(3) + bit(5), 3 - bit(2) - bit(4) - bit(5)};
    const int first = rank[0] < 2 ? 0 : rank[1] < 2 ? 1 : 2;
    const int second = rank[3] < 2 ? 3 : rank[2] < 2 ? 2 : 1;
    table[code] = nibble_of({first, second});  // codes that no order of four numbers has are never looked up
  }
  return table;
}();

template <class Value>
std::uint8_t top_two(const std::array<Value, 4>& v) {
  const auto bit = [](bool larger, int place) { return static_cast<unsigned>(larger) << place; };
  return kTopTwo[bit(v[1] > v[0], 0) | bit(v[2] > v[0], 1) | bit(v[3] > v[0], 2) | bit(v[2] > v[1], 3) |
                 bit(v[3] > v[1], 4) | bit(v[3] > v[2], 5)];
}

}  // namespace

template <class Scalar>
void choose_kept(std::span<const Scalar> scores, NmPattern pattern, std::span<std::uint8_t> nibbles,
                 Keep keep, std::uint64_t row) {
  for (std::size_t g = 0; g < nibbles.size(); ++g) {
    std::array<Scalar, 4> v = {scores[4 * g], scores[4 * g + 1], scores[4 * g + 2], scores[4 * g + 3]};
    const std::uint64_t random = keep == Keep::random ? mixed(row * nibbles.size() + g) : 0;
    if (keep == Keep::smallest) {
      for (Scalar& x : v) x = -x;
    } else if (keep == Keep::largest_magnitude) {
      for (Scalar& x : v) x = std::abs(x);
    } else if (keep == Keep::random) {
      if (pattern == NmPattern::two_of_four) {
        nibbles[g] = kNibbles[random % kNibbles.size()];
        continue;
      }
      v = {Scalar(random & 1), Scalar(~random & 1), Scalar(random >> 1 & 1), Scalar(~random >> 1 & 1)};
    }
    nibbles[g] = pattern == NmPattern::two_of_four ? top_two(v) : nibble_of({v[1] > v[0], 2 + (v[3] > v[2])});
  }
}

template <class Scalar>
void choose_by_pair_sum(std::span<const Scalar> scores, std::span<std::uint8_t> nibbles) {
  for (std::size_t g = 0; g < nibbles.size(); ++g) {
    Scalar best = scores[4 * g] + scores[4 * g + 1];
    nibbles[g] = kNibbles[0];
    for (std::size_t p = 1; p < kNibbles.size(); ++p) {
      const KeptPair pair = kept_by(kNibbles[p]);
      const Scalar sum = scores[4 * g + static_cast<std::size_t>(pair.first)] +
                         scores[4 * g + static_cast<std::size_t>(pair.second)];
      if (sum > best) {
        best = sum;
        nibbles[g] = kNibbles[p];
      }
    }
  }
}

template <class Scalar>
std::vector<Scalar> attention_scores(const AttentionProblem& problem, int matrix) {
  const Matrix<Scalar> scores = scores_of<Scalar>(problem, matrix, 0, problem.shape.tokens);
  return {scores.data(), scores.data() + scores.size()};
}

template <class Scalar>
void nm_sparse_reference(const AttentionProblem& problem, NmPattern pattern, std::span<Scalar> out,
                         int threads) {
  run_method<Scalar>(problem, out, threads,
                     [&](std::span<const Scalar> scores, std::size_t row, std::span<std::uint8_t> nibbles) {
                       choose_kept<Scalar>(scores, pattern, nibbles, Keep::largest, row);
                     });
}

template <class Scalar>
void nm_sparse_reference_given(const AttentionProblem& problem, std::span<const std::uint8_t> nibbles,
                               std::span<Scalar> out, int threads) {
  run_method<Scalar>(problem, out, threads,
                     [&](std::span<const Scalar>, std::size_t row, std::span<std::uint8_t> chosen) {
                       std::copy_n(nibbles.begin() + static_cast<std::ptrdiff_t>(row * chosen.size()),
                                   chosen.size(), chosen.begin());
                     });
}

SampledAttention sampled_attention(const AttentionProblem& problem, const NmPattern* pattern,
                                   std::span<const std::size_t> rows, int threads) {
  const AttentionShape& shape = problem.shape;
  const auto dim = static_cast<std::size_t>(shape.dim);
  const auto tokens = static_cast<std::size_t>(shape.tokens);
  const std::size_t kept = pattern == nullptr ? tokens : tokens / 2;
  SampledAttention result{std::vector<double>(rows.size() * dim), std::vector<double>(rows.size() * dim),
                          std::vector<double>(rows.size() * kept), std::vector<double>(rows.size() * kept)};
  for_each_row_block(1, static_cast<int>(rows.size()), threads, [&](int, int begin, int count) {
    SparseRow<double> row;
    std::vector<std::uint8_t> nibbles(tokens / 4);
    for (int i = begin; i < begin + count; ++i) {
      const std::size_t number = rows[static_cast<std::size_t>(i)];
      const int matrix = static_cast<int>(number / tokens);
      const Matrix<double> scores =
          scores_of<double>(problem, matrix, static_cast<Eigen::Index>(number % tokens), 1);
      if (pattern != nullptr) {
        choose_kept<double>({scores.data(), tokens}, *pattern, nibbles);
        row.gather(scores.data(), nibbles);
      } else {
        row.weights = scores.array();
        row.keys.resize(tokens);
        std::iota(row.keys.begin(), row.keys.end(), 0);
      }
      const auto place = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(i) * kept);
      std::copy(row.weights.begin(), row.weights.end(), result.scores.begin() + place);
      row.softmax();
      std::copy(row.weights.begin(), row.weights.end(), result.weights.begin() + place);
      const Matrix<double> value = head_of(problem.value, shape, matrix).cast<double>();
      const Matrix<double> magnitude = value.cwiseAbs();
      row.multiply(value.data(), shape.dim, result.values.data() + static_cast<std::size_t>(i) * dim);
      row.multiply(magnitude.data(), shape.dim, result.scales.data() + static_cast<std::size_t>(i) * dim);
    }
  });
  return result;
}

ApproximationQuality approximation_quality(const AttentionProblem& problem, NmPattern pattern, Keep keep,
                                           int threads) {
  const AttentionShape& shape = problem.shape;
  const auto tokens = static_cast<std::size_t>(shape.tokens);
  struct Sums {
    double mass = 0, difference = 0, full = 0, differing = 0;
  };
  std::vector<Sums> of_row(shape.rows());  // summed in the order of rows, whatever the number of threads
  for_each_row_block(shape.matrices(), shape.tokens, threads, [&](int matrix, int first, int count) {
    const Matrix<double> scores = scores_of<double>(problem, matrix, first, count);
    const Matrix<double> value = head_of(problem.value, shape, matrix).cast<double>();
    SparseRow<double> row;
    std::vector<std::uint8_t> nibbles(tokens / 4), largest(tokens / 4);
    Row<double> out(shape.dim);
    for (int r = 0; r < count; ++r) {
      const auto number = static_cast<std::size_t>(matrix) * tokens + static_cast<std::size_t>(first + r);
      const std::span<const double> of_keys(scores.row(r).data(), tokens);
      choose_kept<double>(of_keys, pattern, nibbles, keep, number);
      choose_kept<double>(of_keys, pattern, largest);
      row.gather(of_keys.data(), nibbles);
      const Row<double> full = (scores.row(r).array() - scores.row(r).maxCoeff()).exp();
      Sums& sums = of_row[number];
      for (const int key : row.keys) sums.mass += full[key];
      sums.mass /= full.sum();
      row.softmax();
      row.multiply(value.data(), shape.dim, out.data());
      const Row<double> full_out = (full.matrix() * value).array() / full.sum();
      sums.difference = (out - full_out).square().sum();
      sums.full = full_out.square().sum();
      for (std::size_t g = 0; g < nibbles.size(); ++g) sums.differing += nibbles[g] != largest[g];
    }
  });
  Sums total;
  for (const Sums& sums : of_row) {
    total.mass += sums.mass;
    total.difference += sums.difference;
    total.full += sums.full;
    total.differing += sums.differing;
  }
  return {.retained_mass = total.mass / static_cast<double>(shape.rows()),
          .output_error = std::sqrt(total.difference / total.full),
          .differing_groups = total.differing / static_cast<double>(shape.scores() / 4)};
}

double pair_sum_disagreement(const AttentionProblem& problem) {
  std::size_t differing = 0;
  for (int matrix = 0; matrix < problem.shape.matrices(); ++matrix) {
    const std::vector<float> scores = attention_scores<float>(problem, matrix);
    std::vector<std::uint8_t> compared(scores.size() / 4), summed(scores.size() / 4);
    choose_kept<float>(scores, NmPattern::two_of_four, compared);
    choose_by_pair_sum<float>(scores, summed);
    for (std::size_t g = 0; g < compared.size(); ++g) differing += compared[g] != summed[g];
  }
  return static_cast<double>(differing) / static_cast<double>(problem.shape.scores() / 4);
}

template void choose_kept(std::span<const float>, NmPattern, std::span<std::uint8_t>, Keep, std::uint64_t);
template void choose_kept(std::span<const double>, NmPattern, std::span<std::uint8_t>, Keep, std::uint64_t);
template void choose_by_pair_sum(std::span<const float>, std::span<std::uint8_t>);
template void choose_by_pair_sum(std::span<const double>, std::span<std::uint8_t>);
template std::vector<float> attention_scores(const AttentionProblem&, int);
template std::vector<double> attention_scores(const AttentionProblem&, int);
template void nm_sparse_reference(const AttentionProblem&, NmPattern, std::span<float>, int);
template void nm_sparse_reference(const AttentionProblem&, NmPattern, std::span<double>, int);
template void nm_sparse_reference_given(const AttentionProblem&, std::span<const std::uint8_t>,
                                        std::span<float>, int);
template void nm_sparse_reference_given(const AttentionProblem&, std::span<const std::uint8_t>,
                                        std::span<double>, int);

}  // namespace remeasure::kernels
