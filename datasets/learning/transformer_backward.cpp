// SPDX-License-Identifier: Apache-2.0
//
// The gradients of a transformer and of its loss.
#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "datasets/learning/transformer_math.h"
#include "datasets/random.h"

namespace remeasure::datasets {

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
T cross_entropy(std::span<const T> logits, std::span<const std::uint16_t> labels, int classes,
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

template void Transformer<float>::backward(std::span<const float>, std::span<float>);
template void Transformer<double>::backward(std::span<const double>, std::span<double>);
template float cross_entropy(std::span<const float>, std::span<const std::uint16_t>, int, std::span<float>);
template double cross_entropy(std::span<const double>, std::span<const std::uint16_t>, int,
                              std::span<double>);

}  // namespace remeasure::datasets
