// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/layers.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "kernels/device/philox.h"

namespace remeasure::kernels::layers {

template <class T>
void initialise_uniform(Parameter<T>& parameter, double bound, std::uint64_t seed, std::uint64_t stream) {
  for (Eigen::Index i = 0; i < parameter.value.size(); ++i) {
    const Philox4 random = philox(seed, static_cast<std::uint64_t>(i), stream);
    parameter.value.data()[i] =
        static_cast<T>(bound * (2 * uniform_double(random.word[0], random.word[1]) - 1));
  }
}

template <class T>
Linear<T>::Linear(int inputs, int outputs, bool with_bias)
    : weight(outputs, inputs), bias(with_bias ? Parameter<T>(1, outputs) : Parameter<T>()) {}

template <class T>
void Linear<T>::initialise(std::uint64_t seed, std::uint64_t layer) {
  const double bound = 1 / std::sqrt(static_cast<double>(weight.value.cols()));
  initialise_uniform(weight, bound, seed, 2 * layer);
  initialise_uniform(bias, bound, seed, 2 * layer + 1);
}

template <class T>
void Linear<T>::forward(const Matrix<T>& x, Matrix<T>& y) const {
  y.noalias() = x * weight.value.transpose();
  if (!bias.empty()) y.rowwise() += bias.value.row(0);
}

template <class T>
void Linear<T>::backward(const Matrix<T>& x, const Matrix<T>& dy, Matrix<T>* dx) {
  weight.gradient.noalias() = dy.transpose() * x;
  if (!bias.empty()) bias.gradient.row(0) = dy.colwise().sum();
  if (dx != nullptr) dx->noalias() = dy * weight.value;
}

template <class T>
void relu(Matrix<T>& x) {
  x = x.cwiseMax(T(0));
}

template <class T>
void relu_backward(const Matrix<T>& y, Matrix<T>& dy) {
  dy = (y.array() > T(0)).select(dy, T(0));
}

namespace {

template <class T>
void check_labels(const Matrix<T>& logits, std::span<const int> labels) {
  if (static_cast<std::size_t>(logits.rows()) != labels.size() || labels.empty()) {
    throw std::invalid_argument("cross-entropy: " + std::to_string(logits.rows()) + " rows of logits, " +
                                std::to_string(labels.size()) +
                                " labels; it needs one for each, and one row");
  }
  for (const int label : labels) {
    if (label < 0 || label >= logits.cols()) {
      throw std::invalid_argument("cross-entropy: label " + std::to_string(label) + " of " +
                                  std::to_string(logits.cols()) + " classes");
    }
  }
}

}  // namespace

template <class T>
double softmax_cross_entropy(const Matrix<T>& logits, std::span<const int> labels, Matrix<T>* gradient) {
  check_labels(logits, labels);
  const auto rows = static_cast<double>(labels.size());
  if (gradient != nullptr) gradient->resize(logits.rows(), logits.cols());
  Eigen::Array<T, 1, Eigen::Dynamic> exponentials(logits.cols());
  double loss = 0;
  for (Eigen::Index row = 0; row < logits.rows(); ++row) {
    const int label = labels[static_cast<std::size_t>(row)];
    const T largest = logits.row(row).maxCoeff();
    exponentials = (logits.row(row).array() - largest).exp();
    const T sum = exponentials.sum();
    loss += (std::log(static_cast<double>(sum)) - static_cast<double>(logits(row, label) - largest)) / rows;
    if (gradient == nullptr) continue;
    gradient->row(row) = (exponentials / (sum * static_cast<T>(rows))).matrix();
    (*gradient)(row, label) -= static_cast<T>(1 / rows);
  }
  return loss;
}

template <class T>
std::size_t correct_rows(const Matrix<T>& logits, std::span<const int> labels) {
  check_labels(logits, labels);
  std::size_t correct = 0;
  for (Eigen::Index row = 0; row < logits.rows(); ++row) {
    const T* const begin = logits.data() + row * logits.cols();
    const auto guess = std::max_element(begin, begin + logits.cols()) - begin;
    correct += guess == labels[static_cast<std::size_t>(row)] ? 1 : 0;
  }
  return correct;
}

template <class T>
void adamw_update(const AdamWSettings& settings, int step, std::span<const T> gradient, std::span<T> mean,
                  std::span<T> square, std::span<T> value) {
  using Array = Eigen::Array<T, Eigen::Dynamic, 1>;
  const auto size = static_cast<Eigen::Index>(value.size());
  const Eigen::Map<const Array> g(gradient.data(), size);
  Eigen::Map<Array> m(mean.data(), size), v(square.data(), size), w(value.data(), size);
  const auto beta1 = static_cast<T>(settings.beta1), beta2 = static_cast<T>(settings.beta2);
  const auto rest1 = static_cast<T>(1 - settings.beta1), rest2 = static_cast<T>(1 - settings.beta2);
  const auto keep = static_cast<T>(1 - settings.learning_rate * settings.weight_decay);
  const auto rate = static_cast<T>(settings.learning_rate / (1 - std::pow(settings.beta1, step)));
  const auto root = static_cast<T>(std::sqrt(1 - std::pow(settings.beta2, step)));
  const auto epsilon = static_cast<T>(settings.epsilon);
  m = beta1 * m + rest1 * g;
  v = beta2 * v + rest2 * (g * g);
  w = keep * w - rate * (m / (v.sqrt() / root + epsilon));
}

template <class T>
void AdamW<T>::step(std::span<Parameter<T>* const> parameters) {
  if (steps_ == 0) {
    for (const Parameter<T>* parameter : parameters) {
      const auto size = static_cast<std::size_t>(parameter->value.size());
      moments_.push_back({std::vector<T>(size), std::vector<T>(size)});
    }
  }
  if (parameters.size() != moments_.size()) {
    throw std::invalid_argument("AdamW: " + std::to_string(parameters.size()) +
                                " parameters; it began with " + std::to_string(moments_.size()));
  }
  ++steps_;
  for (std::size_t i = 0; i < moments_.size(); ++i) {
    Parameter<T>& parameter = *parameters[i];
    if (static_cast<std::size_t>(parameter.value.size()) != moments_[i].mean.size()) {
      throw std::invalid_argument("AdamW: parameter " + std::to_string(i) + " has another size than before");
    }
    adamw_update<T>(settings_, steps_, values(std::as_const(parameter.gradient)), moments_[i].mean,
                    moments_[i].square, values(parameter.value));
  }
}

template <class T>
Mlp<T>::Mlp(const std::vector<int>& widths, bool with_bias) {
  for (const int width : widths) {
    if (width < 1) throw std::invalid_argument("a network's layer of width " + std::to_string(width));
  }
  if (widths.size() < 2) throw std::invalid_argument("a network needs the widths of its inputs and outputs");
  for (std::size_t i = 0; i + 1 < widths.size(); ++i)
    layers.emplace_back(widths[i], widths[i + 1], with_bias);
  outputs_.resize(layers.size());
  gradients_.resize(layers.size());
}

template <class T>
void Mlp<T>::initialise(std::uint64_t seed) {
  for (std::size_t i = 0; i < layers.size(); ++i) layers[i].initialise(seed, i);
}

template <class T>
const Matrix<T>& Mlp<T>::forward(const Matrix<T>& x) {
  input_ = &x;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].forward(i == 0 ? x : outputs_[i - 1], outputs_[i]);
    if (i + 1 < layers.size()) relu(outputs_[i]);
  }
  return outputs_.back();
}

template <class T>
void Mlp<T>::backward(const Matrix<T>& logit_gradient, Matrix<T>* dx) {
  if (input_ == nullptr) throw std::logic_error("Mlp::backward before forward");
  for (std::size_t i = layers.size(); i-- > 0;) {
    const Matrix<T>& dy = i + 1 == layers.size() ? logit_gradient : gradients_[i];
    layers[i].backward(i == 0 ? *input_ : outputs_[i - 1], dy, i == 0 ? dx : &gradients_[i - 1]);
    if (i > 0) relu_backward(outputs_[i - 1], gradients_[i - 1]);
  }
}

template <class T>
std::vector<Parameter<T>*> Mlp<T>::parameters() {
  std::vector<Parameter<T>*> all;
  for (Linear<T>& layer : layers) {
    all.push_back(&layer.weight);
    if (!layer.bias.empty()) all.push_back(&layer.bias);
  }
  return all;
}

#define RM_INSTANTIATE_LAYERS(T)                                                                        \
  template void initialise_uniform(Parameter<T>&, double, std::uint64_t, std::uint64_t);                \
  template class Linear<T>;                                                                             \
  template void relu(Matrix<T>&);                                                                       \
  template void relu_backward(const Matrix<T>&, Matrix<T>&);                                            \
  template double softmax_cross_entropy(const Matrix<T>&, std::span<const int>, Matrix<T>*);            \
  template std::size_t correct_rows(const Matrix<T>&, std::span<const int>);                            \
  template void adamw_update(const AdamWSettings&, int, std::span<const T>, std::span<T>, std::span<T>, \
                             std::span<T>);                                                             \
  template class AdamW<T>;                                                                              \
  template class Mlp<T>;
RM_INSTANTIATE_LAYERS(float)
RM_INSTANTIATE_LAYERS(double)
#undef RM_INSTANTIATE_LAYERS

}  // namespace remeasure::kernels::layers
