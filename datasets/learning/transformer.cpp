// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/transformer.h"

#include <fmt/format.h>

#include <stdexcept>

#include "datasets/learning/transformer_math.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

template <class T>
T portable_tanh(T x) {
  return T(1) - T(2) / (portable_exp<T>(2 * x) + T(1));
}

constexpr double kNormEpsilon = 1e-6;

}  // namespace

const char* to_string(Site site) {
  static const char* const names[] = {"embed", "qkv", "scores", "mix", "proj",
                                      "fc1",   "fc2", "pooler", "head"};
  return names[static_cast<int>(site)];
}

std::vector<WeightSlice> weight_slices(const TransformerShape& s) {
  if (s.tokens < 1 || s.inputs < 1 || s.dim < 1 || s.heads < 1 || s.dim % s.heads != 0 || s.layers < 0 ||
      s.mlp < 1 || s.classes < 1) {
    throw std::invalid_argument(fmt::format(
        "a transformer of {} tokens with {} inputs, dim {} in {} heads, {} layers with mlp {}, {} classes: "
        "all must be positive, and heads divide dim",
        s.tokens, s.inputs, s.dim, s.heads, s.layers, s.mlp, s.classes));
  }
  std::vector<WeightSlice> slices;
  std::size_t offset = 0;
  const auto add = [&](const std::string& name, int rows, int columns) {
    slices.push_back({name, offset, rows, columns});
    offset += slices.back().size();
  };
  const auto dense = [&](const std::string& name, int inputs, int outputs) {
    add(name + ".weight", inputs, outputs);
    add(name + ".bias", 1, outputs);
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".gain", 1, s.dim);
    add(name + ".bias", 1, s.dim);
  };
  dense("embed", s.inputs, s.dim);
  if (s.class_token) add("class_token", 1, s.dim);
  add("position", s.rows(), s.dim);
  for (int i = 0; i < s.layers; ++i) {
    const std::string block = fmt::format("block{}.", i);
    norm(block + "norm1");
    dense(block + "qkv", s.dim, 3 * s.dim);
    dense(block + "proj", s.dim, s.dim);
    norm(block + "norm2");
    dense(block + "fc1", s.dim, s.mlp);
    dense(block + "fc2", s.mlp, s.dim);
  }
  if (s.norm_first) norm("norm");
  if (s.pooler) dense("pooler", s.dim, s.dim);
  dense("head", s.dim, s.classes);
  return slices;
}

std::size_t weight_count(const TransformerShape& shape) {
  const std::vector<WeightSlice> slices = weight_slices(shape);
  return slices.back().offset + slices.back().size();
}

const WeightSlice& find_slice(std::span<const WeightSlice> slices, const std::string& name) {
  for (const WeightSlice& slice : slices) {
    if (slice.name == name) return slice;
  }
  throw std::invalid_argument("this transformer has no weights \"" + name + "\"");
}

template <class T>
Transformer<T>::Transformer(const TransformerShape& shape, std::span<const T> weights)
    : shape_(shape),
      slices_(weight_slices(shape)),
      weights_(weights),
      blocks_(static_cast<std::size_t>(shape.layers)) {
  if (weights.size() != weight_count(shape)) {
    throw std::invalid_argument(
        fmt::format("this transformer has {} weights, not {}", weight_count(shape), weights.size()));
  }
}

template <class T>
void Transformer<T>::multiply_call(const MatmulCall<T>& c) {
  if (on_matmul && on_matmul(c)) return;
  for (int i = 0; i < c.matrices; ++i) {
    const T* a = c.a + size_of_matrix(i, 1) * size_of_matrix(c.rows, c.inner);
    const bool shared = c.matrices == 1;
    const T* b = c.b + (shared ? 0 : size_of_matrix(i, 1) * size_of_matrix(c.inner, c.columns));
    const StridedMatrix<T> right =
        c.b_transposed ? row_major(b, c.inner).transposed() : row_major(b, c.columns);
    multiply<T>(c.rows, c.columns, c.inner, row_major(a, c.inner), right,
                c.y + size_of_matrix(i, 1) * size_of_matrix(c.rows, c.columns), c.columns);
  }
}

template <class T>
void Transformer<T>::dense(Site site, int layer, const std::string& name, const std::vector<T>& x,
                           std::size_t rows, std::vector<T>& y) {
  const WeightSlice& slice = find_slice(slices_, name + ".weight");
  y.resize(rows * static_cast<std::size_t>(slice.columns));
  multiply_call({.site = site,
                 .layer = layer,
                 .rows = static_cast<int>(rows),
                 .inner = slice.rows,
                 .columns = slice.columns,
                 .a = x.data(),
                 .b = weights_.data() + slice.offset,
                 .y = y.data()});
  const T* bias = at(name + ".bias");
  for (std::size_t r = 0; r < rows; ++r) {
    T* row = y.data() + r * static_cast<std::size_t>(slice.columns);
    for (int j = 0; j < slice.columns; ++j) row[j] += bias[j];
  }
}

template <class T>
void Transformer<T>::norm(const std::string& name, const std::vector<T>& x, Norm& kept, std::vector<T>& y) {
  const std::ptrdiff_t d = shape_.dim;
  const std::size_t rows = x.size() / static_cast<std::size_t>(d);
  const T *gain = at(name + ".gain"), *bias = at(name + ".bias");
  kept.scaled.resize(x.size());
  kept.inverse.resize(rows);
  y.resize(x.size());
  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = x.data() + r * static_cast<std::size_t>(d);
    T* scaled = kept.scaled.data() + r * static_cast<std::size_t>(d);
    T* out = y.data() + r * static_cast<std::size_t>(d);
    const T mean = ordered_sum<T>(d, [row](std::ptrdiff_t i) { return row[i]; }) / T(d);
    T inverse = 1;
    if (shape_.normalisation == Normalisation::layer) {
      const T variance =
          ordered_sum<T>(d, [row, mean](std::ptrdiff_t i) { return (row[i] - mean) * (row[i] - mean); }) /
          T(d);
      inverse = T(1) / std::sqrt(variance + T(kNormEpsilon));
    }
    kept.inverse[r] = inverse;
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      scaled[i] = (row[i] - mean) * inverse;
      out[i] = scaled[i] * gain[i] + bias[i];
    }
  }
}

template <class T>
void Transformer<T>::attention(int layer, Block& block, const std::vector<T>& x, std::vector<T>& y) {
  const std::string name = fmt::format("block{}.", layer);
  const int rows = shape_.rows(), d = shape_.head_dim(), matrices = samples_ * shape_.heads;
  const std::size_t total = size_of_matrix(samples_, rows), each = size_of_matrix(rows, rows);
  std::vector<T> qkv;
  dense(Site::qkv, layer, name + "qkv", x, total, qkv);
  int part = 0;
  for (std::vector<T>* to : {&block.query, &block.key, &block.value}) {
    to->resize(total * static_cast<std::size_t>(shape_.dim));
    split_heads<T, false>(shape_, samples_, 3 * shape_.dim, part++ * shape_.dim, qkv.data(), to->data());
  }
  block.weights.resize(static_cast<std::size_t>(matrices) * each);
  multiply_call({.site = Site::scores,
                 .layer = layer,
                 .matrices = matrices,
                 .rows = rows,
                 .inner = d,
                 .columns = rows,
                 .b_transposed = true,
                 .a = block.query.data(),
                 .b = block.key.data(),
                 .y = block.weights.data()});
  const T scale = T(1) / std::sqrt(T(d));
  for (std::size_t r = 0; r < static_cast<std::size_t>(matrices) * static_cast<std::size_t>(rows); ++r) {
    softmax(block.weights.data() + r * static_cast<std::size_t>(rows), rows, scale);
  }
  std::vector<T> heads(block.query.size());
  multiply_call({.site = Site::mix,
                 .layer = layer,
                 .matrices = matrices,
                 .rows = rows,
                 .inner = rows,
                 .columns = d,
                 .a = block.weights.data(),
                 .b = block.value.data(),
                 .y = heads.data()});
  block.mixed.resize(heads.size());
  split_heads<T, true>(shape_, samples_, shape_.dim, 0, block.mixed.data(), heads.data());
  dense(Site::proj, layer, name + "proj", block.mixed, total, y);
}

template <class T>
std::span<const T> Transformer<T>::forward(std::span<const T> inputs, int samples) {
  const auto tokens = static_cast<std::size_t>(shape_.tokens), dim = static_cast<std::size_t>(shape_.dim);
  const auto rows = static_cast<std::size_t>(shape_.rows()), count = static_cast<std::size_t>(samples);
  if (samples < 1 || inputs.size() != count * tokens * static_cast<std::size_t>(shape_.inputs)) {
    throw std::invalid_argument(fmt::format("{} values can't be {} samples of {} x {}", inputs.size(),
                                            samples, tokens, shape_.inputs));
  }
  samples_ = samples;
  inputs_.assign(inputs.begin(), inputs.end());
  std::vector<T> embedded, change;
  dense(Site::embed, 0, "embed", inputs_, count * tokens, embedded);
  std::vector<T> x(count * rows * dim);
  const T* position = at("position");
  for (std::size_t s = 0; s < count; ++s) {
    for (std::size_t r = 0; r < rows; ++r) {
      const T* from = rows == tokens ? &embedded[(s * tokens + r) * dim]
                      : r == 0       ? at("class_token")
                                     : &embedded[(s * tokens + r - 1) * dim];
      for (std::size_t i = 0; i < dim; ++i) x[(s * rows + r) * dim + i] = from[i] + position[r * dim + i];
    }
  }
  for (int layer = 0; layer < shape_.layers; ++layer) {
    Block& block = blocks_[static_cast<std::size_t>(layer)];
    const std::string name = fmt::format("block{}.", layer);
    if (shape_.norm_first)
      norm(name + "norm1", x, block.norm1, block.normed1);
    else
      block.normed1 = x;
    attention(layer, block, block.normed1, change);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += change[i];
    norm(name + (shape_.norm_first ? "norm2" : "norm1"), x, shape_.norm_first ? block.norm2 : block.norm1,
         block.normed2);
    if (!shape_.norm_first) x = block.normed2;
    dense(Site::fc1, layer, name + "fc1", block.normed2, count * rows, block.before);
    block.after.resize(block.before.size());
    const bool smooth = shape_.activation == Activation::gelu;
    const T* before = block.before.data();
    T* after = block.after.data();
    const auto hidden = static_cast<std::ptrdiff_t>(block.before.size());
    if (smooth) {
      for (std::ptrdiff_t i = 0; i < hidden; ++i) after[i] = gelu(before[i]);
    } else {
      for (std::ptrdiff_t i = 0; i < hidden; ++i) after[i] = std::max(before[i], T(0));
    }
    dense(Site::fc2, layer, name + "fc2", block.after, count * rows, change);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += change[i];
    if (!shape_.norm_first) {
      std::vector<T> normed;
      norm(name + "norm2", x, block.norm2, normed);
      x = std::move(normed);
    }
  }
  if (shape_.norm_first)
    norm("norm", x, last_norm_, normed_);
  else
    normed_ = x;
  pooled_.assign(count * dim, T(0));
  for (std::size_t s = 0; s < count; ++s) {
    const std::size_t seen = shape_.class_token ? 1 : rows;
    for (std::size_t r = 0; r < seen; ++r) {
      for (std::size_t i = 0; i < dim; ++i)
        pooled_[s * dim + i] += normed_[(s * rows + r) * dim + i] / T(seen);
    }
  }
  if (shape_.pooler) {
    dense(Site::pooler, 0, "pooler", pooled_, count, pooler_);
    for (T& value : pooler_) value = portable_tanh(value);
  }
  dense(Site::head, 0, "head", shape_.pooler ? pooler_ : pooled_, count, logits_);
  return logits_;
}

template Transformer<float>::Transformer(const TransformerShape&, std::span<const float>);
template Transformer<double>::Transformer(const TransformerShape&, std::span<const double>);
template std::span<const float> Transformer<float>::forward(std::span<const float>, int);
template std::span<const double> Transformer<double>::forward(std::span<const double>, int);

}  // namespace remeasure::datasets
