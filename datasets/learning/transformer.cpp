// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/transformer.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "datasets/learning/dense_math.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

/// Sums in eight parts, so that it vectorises, in an order that no machine changes.
template <class T, class Term>
T ordered_sum(std::ptrdiff_t n, Term term) {
  T part[8] = {};
  std::ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (std::ptrdiff_t l = 0; l < 8; ++l) part[l] += term(i + l);
  }
  for (; i < n; ++i) part[i % 8] += term(i);
  return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

template <class T>
T portable_tanh(T x) {
  return T(1) - T(2) / (portable_exp<T>(2 * x) + T(1));
}

template <class T>
void softmax(T* x, std::ptrdiff_t n, T scale) {
  T largest = x[0];
  for (std::ptrdiff_t i = 1; i < n; ++i) largest = std::max(largest, x[i]);
  for (std::ptrdiff_t i = 0; i < n; ++i) x[i] = portable_exp<T>((x[i] - largest) * scale);
  const T inverse = T(1) / ordered_sum<T>(n, [x](std::ptrdiff_t i) { return x[i]; });
  for (std::ptrdiff_t i = 0; i < n; ++i) x[i] *= inverse;
}

std::size_t size_of_matrix(int rows, int columns) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
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
const T* Transformer<T>::at(const std::string& name) const {
  return weights_.data() + find_slice(slices_, name).offset;
}
template <class T>
T* Transformer<T>::gradient_of(const std::string& name) const {
  return gradient_ + find_slice(slices_, name).offset;
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
void Transformer<T>::dense_backward(Site site, int layer, const std::string& name, const std::vector<T>& x,
                                    std::size_t rows, const std::vector<T>& dy, std::vector<T>* dx) {
  if (on_gradient) on_gradient(site, layer, std::span<const T>(dy));
  const WeightSlice& slice = find_slice(slices_, name + ".weight");
  const auto m = static_cast<std::ptrdiff_t>(rows);
  multiply<T>(slice.rows, slice.columns, m, row_major(x.data(), slice.rows).transposed(),
              row_major(dy.data(), slice.columns), gradient_ + slice.offset, slice.columns, true);
  T* bias = gradient_of(name + ".bias");
  for (std::size_t r = 0; r < rows; ++r) {
    const T* row = dy.data() + r * static_cast<std::size_t>(slice.columns);
    for (int j = 0; j < slice.columns; ++j) bias[j] += row[j];
  }
  if (dx == nullptr) return;
  dx->resize(rows * static_cast<std::size_t>(slice.rows));
  multiply<T>(m, slice.rows, slice.columns, row_major(dy.data(), slice.columns),
              row_major(weights_.data() + slice.offset, slice.columns).transposed(), dx->data(), slice.rows);
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

/// dx += the gradient by the norm's input.
template <class T>
void Transformer<T>::norm_backward(const std::string& name, const Norm& kept, const std::vector<T>& dy,
                                   std::vector<T>& dx) {
  const std::ptrdiff_t d = shape_.dim;
  const T* gain = at(name + ".gain");
  T *dgain = gradient_of(name + ".gain"), *dbias = gradient_of(name + ".bias");
  for (std::size_t r = 0; r < kept.inverse.size(); ++r) {
    const T* up = dy.data() + r * static_cast<std::size_t>(d);
    const T* scaled = kept.scaled.data() + r * static_cast<std::size_t>(d);
    T* down = dx.data() + r * static_cast<std::size_t>(d);
    for (std::ptrdiff_t i = 0; i < d; ++i) {
      dgain[i] += up[i] * scaled[i];
      dbias[i] += up[i];
    }
    const T mean = ordered_sum<T>(d, [=](std::ptrdiff_t i) { return up[i] * gain[i]; }) / T(d);
    T along = 0;
    if (shape_.normalisation == Normalisation::layer) {
      along = ordered_sum<T>(d, [=](std::ptrdiff_t i) { return up[i] * gain[i] * scaled[i]; }) / T(d);
    }
    for (std::ptrdiff_t i = 0; i < d; ++i)
      down[i] += kept.inverse[r] * (up[i] * gain[i] - mean - along * scaled[i]);
  }
}

namespace {

/// [samples, rows, part of 3 dim] to and from [samples, heads, rows, head dim].
template <class T, bool kBack>
void split_heads(const TransformerShape& s, int samples, std::ptrdiff_t width, std::ptrdiff_t first,
                 std::conditional_t<kBack, T*, const T*> wide,
                 std::conditional_t<kBack, const T*, T*> heads) {
  const std::ptrdiff_t rows = s.rows(), d = s.head_dim();
  for (std::ptrdiff_t sample = 0; sample < samples; ++sample) {
    for (std::ptrdiff_t h = 0; h < s.heads; ++h) {
      for (std::ptrdiff_t r = 0; r < rows; ++r) {
        auto* in = wide + (sample * rows + r) * width + first + h * d;
        auto* out = heads + ((sample * s.heads + h) * rows + r) * d;
        for (std::ptrdiff_t i = 0; i < d; ++i) {
          if constexpr (kBack)
            in[i] = out[i];
          else
            out[i] = in[i];
        }
      }
    }
  }
}

}  // namespace

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
void Transformer<T>::attention_backward(int layer, Block& block, const std::vector<T>& x,
                                        const std::vector<T>& dy, std::vector<T>& dx) {
  const std::string name = fmt::format("block{}.", layer);
  const std::ptrdiff_t rows = shape_.rows(), d = shape_.head_dim();
  const std::size_t total = size_of_matrix(samples_, shape_.rows()),
                    matrices = size_of_matrix(samples_, shape_.heads);
  const auto each = static_cast<std::size_t>(rows * rows), head = static_cast<std::size_t>(rows * d);
  std::vector<T> dmixed, dheads(block.query.size()), dscores(block.weights.size());
  dense_backward(Site::proj, layer, name + "proj", block.mixed, total, dy, &dmixed);
  split_heads<T, false>(shape_, samples_, shape_.dim, 0, dmixed.data(), dheads.data());
  if (on_gradient) on_gradient(Site::mix, layer, std::span<const T>(dheads));
  std::vector<T> dquery(block.query.size()), dkey(block.query.size()), dvalue(block.query.size());
  const T scale = T(1) / std::sqrt(T(d));
  for (std::size_t i = 0; i < matrices; ++i) {
    const T* p = block.weights.data() + i * each;
    T* ds = dscores.data() + i * each;
    multiply<T>(rows, rows, d, row_major(dheads.data() + i * head, d),
                row_major(block.value.data() + i * head, d).transposed(), ds, rows);
    multiply<T>(rows, d, rows, row_major(p, rows).transposed(), row_major(dheads.data() + i * head, d),
                dvalue.data() + i * head, d);
    for (std::ptrdiff_t r = 0; r < rows; ++r) {
      const T* row = p + r * rows;
      T* drow = ds + r * rows;
      const T mean = ordered_sum<T>(rows, [=](std::ptrdiff_t j) { return row[j] * drow[j]; });
      for (std::ptrdiff_t j = 0; j < rows; ++j) drow[j] = row[j] * (drow[j] - mean) * scale;
    }
    multiply<T>(rows, d, rows, row_major(ds, rows), row_major(block.key.data() + i * head, d),
                dquery.data() + i * head, d);
    multiply<T>(rows, d, rows, row_major(ds, rows).transposed(), row_major(block.query.data() + i * head, d),
                dkey.data() + i * head, d);
  }
  if (on_gradient) on_gradient(Site::scores, layer, std::span<const T>(dscores));
  std::vector<T> dqkv(total * static_cast<std::size_t>(3 * shape_.dim));
  int part = 0;
  for (const std::vector<T>* from : {&dquery, &dkey, &dvalue}) {
    split_heads<T, true>(shape_, samples_, 3 * shape_.dim, part++ * shape_.dim, dqkv.data(), from->data());
  }
  dense_backward(Site::qkv, layer, name + "qkv", x, total, dqkv, &dx);
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

template <class T>
void Transformer<T>::backward(std::span<const T> logit_gradient, std::span<T> gradient) {
  const auto tokens = static_cast<std::size_t>(shape_.tokens), dim = static_cast<std::size_t>(shape_.dim);
  const auto rows = static_cast<std::size_t>(shape_.rows()), count = static_cast<std::size_t>(samples_);
  if (logit_gradient.size() != logits_.size() || gradient.size() != weights_.size()) {
    throw std::invalid_argument("the gradient's size isn't that of the last logits, or of the weights");
  }
  gradient_ = gradient.data();
  const std::vector<T> dlogits(logit_gradient.begin(), logit_gradient.end());
  std::vector<T> dpooled, dlater;
  dense_backward(Site::head, 0, "head", shape_.pooler ? pooler_ : pooled_, count, dlogits, &dpooled);
  if (shape_.pooler) {
    for (std::size_t i = 0; i < dpooled.size(); ++i) dpooled[i] *= T(1) - pooler_[i] * pooler_[i];
    const std::vector<T> dtanh = dpooled;
    dense_backward(Site::pooler, 0, "pooler", pooled_, count, dtanh, &dpooled);
  }
  std::vector<T> dnormed(count * rows * dim, T(0)), dx;
  for (std::size_t s = 0; s < count; ++s) {
    const std::size_t seen = shape_.class_token ? 1 : rows;
    for (std::size_t r = 0; r < seen; ++r) {
      for (std::size_t i = 0; i < dim; ++i)
        dnormed[(s * rows + r) * dim + i] = dpooled[s * dim + i] / T(seen);
    }
  }
  if (shape_.norm_first) {
    dx.assign(dnormed.size(), T(0));
    norm_backward("norm", last_norm_, dnormed, dx);
  } else {
    dx = dnormed;
  }
  std::vector<T> dhidden, dinner;
  for (int layer = shape_.layers - 1; layer >= 0; --layer) {
    Block& block = blocks_[static_cast<std::size_t>(layer)];
    const std::string name = fmt::format("block{}.", layer);
    if (!shape_.norm_first) {
      const std::vector<T> dy = dx;
      dx.assign(dx.size(), T(0));
      norm_backward(name + "norm2", block.norm2, dy, dx);
    }
    dense_backward(Site::fc2, layer, name + "fc2", block.after, count * rows, dx, &dhidden);
    const T* before = block.before.data();
    T* slope = dhidden.data();
    const auto hidden = static_cast<std::ptrdiff_t>(dhidden.size());
    if (shape_.activation == Activation::gelu) {
      for (std::ptrdiff_t i = 0; i < hidden; ++i) slope[i] *= gelu_slope(before[i]);
    } else {
      for (std::ptrdiff_t i = 0; i < hidden; ++i) slope[i] = before[i] > 0 ? slope[i] : T(0);
    }
    dense_backward(Site::fc1, layer, name + "fc1", block.normed2, count * rows, dhidden, &dinner);
    if (shape_.norm_first) {
      norm_backward(name + "norm2", block.norm2, dinner, dx);
    } else {
      for (std::size_t i = 0; i < dx.size(); ++i) dx[i] += dinner[i];
      const std::vector<T> dy = dx;
      dx.assign(dx.size(), T(0));
      norm_backward(name + "norm1", block.norm1, dy, dx);
    }
    attention_backward(layer, block, block.normed1, dx, dinner);
    if (shape_.norm_first) {
      norm_backward(name + "norm1", block.norm1, dinner, dx);
    } else {
      for (std::size_t i = 0; i < dx.size(); ++i) dx[i] += dinner[i];
    }
  }
  T* dposition = gradient_of("position");
  std::vector<T> dembedded(count * tokens * dim);
  for (std::size_t s = 0; s < count; ++s) {
    for (std::size_t r = 0; r < rows; ++r) {
      const T* from = &dx[(s * rows + r) * dim];
      for (std::size_t i = 0; i < dim; ++i) dposition[r * dim + i] += from[i];
      T* to = rows == tokens ? &dembedded[(s * tokens + r) * dim]
              : r == 0       ? nullptr
                             : &dembedded[(s * tokens + r - 1) * dim];
      if (to != nullptr) {
        std::copy_n(from, dim, to);
      } else {
        T* token = gradient_of("class_token");
        for (std::size_t i = 0; i < dim; ++i) token[i] += from[i];
      }
    }
  }
  dense_backward(Site::embed, 0, "embed", inputs_, count * tokens, dembedded, nullptr);
}

template <class T>
T cross_entropy(std::span<const T> logits, std::span<const std::uint8_t> labels, int classes,
                std::span<T> gradient) {
  const auto width = static_cast<std::size_t>(classes);
  T loss = 0;
  std::vector<T> p(width);
  for (std::size_t s = 0; s < labels.size(); ++s) {
    std::copy_n(logits.data() + s * width, width, p.data());
    softmax(p.data(), classes, T(1));
    const T of_label = std::max(p[labels[s]], T(1e-30));
    loss -= static_cast<T>(portable_log(static_cast<double>(of_label))) / T(labels.size());
    if (gradient.empty()) continue;
    for (std::size_t i = 0; i < width; ++i) {
      gradient[s * width + i] = (p[i] - (i == labels[s] ? T(1) : T(0))) / T(labels.size());
    }
  }
  return loss;
}

template class Transformer<float>;
template class Transformer<double>;
template float cross_entropy(std::span<const float>, std::span<const std::uint8_t>, int, std::span<float>);
template double cross_entropy(std::span<const double>, std::span<const std::uint8_t>, int, std::span<double>);

}  // namespace remeasure::datasets
