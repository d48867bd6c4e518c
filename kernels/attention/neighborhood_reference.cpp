// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/neighborhood_reference.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Indices on each axis that the query at `at` sees, as indices of the whole axis.
using AxisWindow = std::vector<std::int64_t>;

AxisWindow axis_window(const NeighborhoodAxis& axis, int at, bool clipped) {
  const int group = at % axis.dilation, p = at / axis.dilation, length = axis.group_length(group);
  int begin = axis.first_key(p, length), end = axis.last_key(p, length);
  if (clipped && !axis.causal) {
    begin = std::max(0, p - axis.window / 2);
    end = std::min(length, p + axis.window / 2 + axis.window % 2);
  }
  AxisWindow indices;
  for (int j = begin; j < end; ++j) indices.push_back(static_cast<std::int64_t>(j) * axis.dilation + group);
  return indices;
}

std::vector<std::int64_t> window_tokens(const NeighborhoodShape& shape, std::int64_t token, bool clipped) {
  const auto& [a, b, c] = shape.axes;
  const auto at = static_cast<long long>(token);
  const AxisWindow first = axis_window(a, static_cast<int>(at / b.length / c.length), clipped);
  const AxisWindow second = axis_window(b, static_cast<int>(at / c.length % b.length), clipped);
  const AxisWindow third = axis_window(c, static_cast<int>(at % c.length), clipped);
  std::vector<std::int64_t> tokens;
  tokens.reserve(first.size() * second.size() * third.size());
  for (const std::int64_t i : first) {
    for (const std::int64_t j : second) {
      for (const std::int64_t k : third) tokens.push_back((i * b.length + j) * c.length + k);
    }
  }
  return tokens;
}

/// Element 0 of (batch entry, token, head).
std::size_t row_offset(const NeighborhoodShape& shape, std::size_t entry, std::int64_t token,
                       std::size_t head) {
  const std::size_t row = entry * shape.tokens() + static_cast<std::size_t>(token);
  return (row * static_cast<std::size_t>(shape.heads) + head) * static_cast<std::size_t>(shape.dim);
}

struct Box {
  std::array<int, 3> begin, end;
  template <class Use>  // use(number in the box, position)
  void for_each(Use use) const {
    int number = 0;
    for (int i = begin[0]; i < end[0]; ++i) {
      for (int j = begin[1]; j < end[1]; ++j) {
        for (int k = begin[2]; k < end[2]; ++k) use(number++, std::array<int, 3>{i, j, k});
      }
    }
  }
  int size() const { return (end[0] - begin[0]) * (end[1] - begin[1]) * (end[2] - begin[2]); }
};

/// One tile of queries of one dilation group with the box of their keys.
class TiledBlock {
 public:
  TiledBlock(const NeighborhoodShape& shape, const std::array<int, 3>& group, const Box& queries)
      : shape_(shape), group_(group), queries_(queries) {
    for (std::size_t i = 0; i < 3; ++i) {
      length_[i] = shape.axes[i].group_length(group[i]);
      keys_.begin[i] = shape.axes[i].first_key(queries.begin[i], length_[i]);
      keys_.end[i] = shape.axes[i].last_key(queries.end[i] - 1, length_[i]);
    }
  }

  void run(float scale, std::size_t entry, std::size_t head, const float* query, const float* key,
           const float* value, float* output) const {
    const Matrix q = gather(queries_, entry, head, query), k = gather(keys_, entry, head, key),
                 v = gather(keys_, entry, head, value);
    Matrix weights = scale * (q * k.transpose());
    queries_.for_each([&](int row, const std::array<int, 3>& at) {
      auto scores = weights.row(row);
      float largest = -std::numeric_limits<float>::infinity();
      keys_.for_each([&](int column, const std::array<int, 3>& other) {
        if (!sees(at, other)) scores[column] = -std::numeric_limits<float>::infinity();
        largest = std::max(largest, scores[column]);
      });
      scores = (scores.array() - largest).exp().matrix();
      scores /= scores.sum();
    });
    const Matrix out = weights * v;
    queries_.for_each([&](int row, const std::array<int, 3>& at) {
      Eigen::Map<Eigen::RowVectorXf>(output + row_offset(shape_, entry, token(at), head), shape_.dim) =
          out.row(row);
    });
  }

 private:
  std::int64_t token(const std::array<int, 3>& at) const {
    std::int64_t result = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      result = result * shape_.axes[i].length + static_cast<std::int64_t>(at[i]) * shape_.axes[i].dilation +
               group_[i];
    }
    return result;
  }
  bool sees(const std::array<int, 3>& at, const std::array<int, 3>& other) const {
    for (std::size_t i = 0; i < 3; ++i) {
      if (other[i] < shape_.axes[i].first_key(at[i], length_[i]) ||
          other[i] >= shape_.axes[i].last_key(at[i], length_[i]))
        return false;
    }
    return true;
  }
  Matrix gather(const Box& box, std::size_t entry, std::size_t head, const float* from) const {
    Matrix rows(box.size(), shape_.dim);
    box.for_each([&](int row, const std::array<int, 3>& at) {
      rows.row(row) =
          Eigen::Map<const Eigen::RowVectorXf>(from + row_offset(shape_, entry, token(at), head), shape_.dim);
    });
    return rows;
  }

  const NeighborhoodShape& shape_;
  std::array<int, 3> group_, length_ = {};
  Box queries_, keys_ = {};
};

std::vector<TiledBlock> tiled_blocks(const NeighborhoodShape& shape) {
  const NeighborhoodTiling tiling = neighborhood_tiling(shape);
  std::vector<TiledBlock> blocks;
  const Box groups{{0, 0, 0}, {shape.axes[0].dilation, shape.axes[1].dilation, shape.axes[2].dilation}};
  const Box tiles{{0, 0, 0}, tiling.tiles};
  groups.for_each([&](int, const std::array<int, 3>& group) {
    tiles.for_each([&](int, const std::array<int, 3>& tile) {
      Box queries{};
      for (std::size_t i = 0; i < 3; ++i) {
        const int extent = 1 << tiling.shift[i], length = shape.axes[i].group_length(group[i]);
        queries.begin[i] = std::min(length, tile[i] * extent);
        queries.end[i] = std::min(length, queries.begin[i] + extent);
      }
      if (queries.size() > 0) blocks.emplace_back(shape, group, queries);
    });
  });
  return blocks;
}

}  // namespace

std::vector<std::int64_t> neighbours(const NeighborhoodShape& shape, std::int64_t token) {
  return window_tokens(shape, token, false);
}

std::vector<std::int64_t> clipped_neighbours(const NeighborhoodShape& shape, std::int64_t token) {
  return window_tokens(shape, token, true);
}

NeighborhoodRows neighborhood_rows(const NeighborhoodShape& shape, double scale, std::span<const float> query,
                                   std::span<const float> key, std::span<const float> value,
                                   std::span<const std::size_t> rows, bool clipped) {
  check_neighborhood("neighborhood_rows", shape);
  check_neighborhood_sizes("neighborhood_rows", shape, {query.size(), key.size(), value.size()}, 0, 0);
  const auto dim = static_cast<std::size_t>(shape.dim), heads = static_cast<std::size_t>(shape.heads);
  NeighborhoodRows result{std::vector<double>(rows.size() * dim, 0.0), std::vector<double>(rows.size())};
  for_each_row_block(static_cast<int>(rows.size()), 1, 0, [&](int index, int, int) {
    const auto i = static_cast<std::size_t>(index);
    const std::size_t head = rows[i] % heads, entry = rows[i] / heads / shape.tokens();
    const auto token = static_cast<std::int64_t>(rows[i] / heads % shape.tokens());
    const std::vector<std::int64_t> keys = window_tokens(shape, token, clipped);
    std::vector<double> scores;
    for (const std::int64_t other : keys) {
      double sum = 0;
      for (std::size_t c = 0; c < dim; ++c) {
        sum += static_cast<double>(query[rows[i] * dim + c]) *
               static_cast<double>(key[row_offset(shape, entry, other, head) + c]);
      }
      scores.push_back(scale * sum);
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double total = 0;
    for (double& score : scores) total += score = std::exp(score - largest);
    for (std::size_t j = 0; j < keys.size(); ++j) {
      for (std::size_t c = 0; c < dim; ++c) {
        result.output[i * dim + c] +=
            scores[j] / total * static_cast<double>(value[row_offset(shape, entry, keys[j], head) + c]);
      }
    }
    result.log_sum_exp[i] = largest + std::log(total);
  });
  return result;
}

void neighborhood_attention_tiled(const NeighborhoodShape& shape, float scale, std::span<const float> query,
                                  std::span<const float> key, std::span<const float> value,
                                  std::span<float> output, int threads) {
  check_neighborhood("neighborhood_attention_tiled", shape);
  check_neighborhood_sizes("neighborhood_attention_tiled", shape,
                           {query.size(), key.size(), value.size(), output.size()}, 0, 0);
  const std::vector<TiledBlock> blocks = tiled_blocks(shape);
  const int matrices = shape.batch * shape.heads;
  for_each_row_block(
      matrices, static_cast<int>(blocks.size()), threads, [&](int matrix, int first, int count) {
        for (int i = first; i < first + count; ++i) {
          blocks[static_cast<std::size_t>(i)].run(scale, static_cast<std::size_t>(matrix / shape.heads),
                                                  static_cast<std::size_t>(matrix % shape.heads),
                                                  query.data(), key.data(), value.data(), output.data());
        }
      });
}

}  // namespace remeasure::kernels
