// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/grokking_network.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "kernels/learning/cross_entropy_rows.h"

namespace remeasure::kernels {

using layers::Matrix;
using layers::values;

const char* to_string(GrokkingLoss loss) {
  static const char* const names[] = {"ce16", "ce32", "ce64", "stablemax"};
  return names[static_cast<int>(loss)];
}

namespace {

template <class T>
int loss_rows(GrokkingLoss loss, const Matrix<T>& logits, std::span<const std::uint16_t> labels,
              Matrix<T>& gradient, std::span<double> losses) {
  const RowLossShape shape{static_cast<int>(logits.rows()), static_cast<int>(logits.cols())};
  gradient.resize(logits.rows(), logits.cols());
  const std::span<const T> z = values(logits);
  const std::span<T> dz = values(gradient);
  switch (loss) {
    case GrokkingLoss::ce16:
      return cross_entropy_rows_reference<half, RowLoss::softmax, T>(shape, z, labels, dz, losses);
    case GrokkingLoss::ce32:
      return cross_entropy_rows_reference<float, RowLoss::softmax, T>(shape, z, labels, dz, losses);
    case GrokkingLoss::ce64:
      return cross_entropy_rows_reference<double, RowLoss::softmax, T>(shape, z, labels, dz, losses);
    case GrokkingLoss::stable_max:
      return cross_entropy_rows_reference<double, RowLoss::stable_max, T>(shape, z, labels, dz, losses);
  }
  return 0;
}

/// g becomes its component along w.
template <class T>
void keep_along(const Matrix<T>& w, Matrix<T>& g) {
  g = (w.cwiseProduct(g).sum() / (w.squaredNorm() + T(1e-30))) * w;
}

}  // namespace

template <class T>
GrokkingNetwork<T>::GrokkingNetwork(int inputs, int width, int classes)
    : embedding(inputs, width), hidden(width, width, false), output(width, classes, false) {}

template <class T>
void GrokkingNetwork<T>::set_weights(std::span<const float> first, std::span<const float> second,
                                     std::span<const float> third) {
  const std::span<const float> from[] = {first, second, third};
  const auto to = parameters();
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (from[i].size() != static_cast<std::size_t>(to[i]->value.size())) {
      throw std::invalid_argument("grokking network: tensor " + std::to_string(i) + " has " +
                                  std::to_string(to[i]->value.size()) + " weights, " +
                                  std::to_string(from[i].size()) + " were given");
    }
    to[i]->value = Eigen::Map<const Matrix<float>>(from[i].data(), to[i]->value.rows(), to[i]->value.cols())
                       .template cast<T>();
  }
}

template <class T>
const Matrix<T>& GrokkingNetwork<T>::forward(const GrokkingSamples<T>& samples) {
  if (samples.pairs.empty()) {
    first_.noalias() = samples.features * embedding.value;
  } else {
    const Eigen::Index modulus = embedding.value.rows() / 2;
    first_.resize(samples.rows(), embedding.value.cols());
    for (Eigen::Index i = 0; i < first_.rows(); ++i) {
      const std::uint16_t* const pair = samples.pairs.data() + 2 * i;
      first_.row(i) = embedding.value.row(pair[0]) + embedding.value.row(modulus + pair[1]);
    }
  }
  layers::relu(first_);
  hidden.forward(first_, second_);
  layers::relu(second_);
  output.forward(second_, logits_);
  return logits_;
}

template <class T>
int GrokkingNetwork<T>::gradients(const GrokkingSamples<T>& samples, GrokkingLoss loss,
                                  std::span<double> losses) {
  forward(samples);
  const int collapsed = loss_rows<T>(loss, logits_, samples.labels, by_logits_, losses);
  output.backward(second_, by_logits_, &by_second_);
  layers::relu_backward(second_, by_second_);
  hidden.backward(first_, by_second_, &by_first_);
  layers::relu_backward(first_, by_first_);
  if (samples.pairs.empty()) {
    embedding.gradient.noalias() = samples.features.transpose() * by_first_;
    return collapsed;
  }
  const Eigen::Index modulus = embedding.value.rows() / 2;
  embedding.gradient.setZero();
  for (Eigen::Index i = 0; i < by_first_.rows(); ++i) {
    const std::uint16_t* const pair = samples.pairs.data() + 2 * i;
    embedding.gradient.row(pair[0]) += by_first_.row(i);
    embedding.gradient.row(modulus + pair[1]) += by_first_.row(i);
  }
  return collapsed;
}

template <class T>
double GrokkingNetwork<T>::accuracy(const GrokkingSamples<T>& samples) {
  const std::vector<int> labels(samples.labels.begin(), samples.labels.end());
  return static_cast<double>(layers::correct_rows(forward(samples), labels)) / samples.rows();
}

template class GrokkingNetwork<float>;
template class GrokkingNetwork<double>;

template <class T>
void grokking_step_reference(GrokkingNetwork<T>& network, const GrokkingSamples<T>& samples,
                             GrokkingLoss loss, const PerpAdamW& optimizer, int step, std::span<T> weights,
                             std::span<T> mean, std::span<T> square, std::span<T> gradient,
                             std::span<double> losses) {
  const auto parameters = network.parameters();
  std::size_t at = 0;
  for (layers::Parameter<T>* parameter : parameters) {
    std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(at), parameter->value.size(),
                parameter->value.data());
    at += static_cast<std::size_t>(parameter->value.size());
  }
  network.gradients(samples, loss, losses);
  const layers::AdamWSettings settings{.learning_rate = optimizer.learning_rate,
                                       .beta1 = optimizer.beta1,
                                       .beta2 = optimizer.beta2,
                                       .epsilon = optimizer.epsilon,
                                       .weight_decay = optimizer.weight_decay};
  at = 0;
  for (layers::Parameter<T>* parameter : parameters) {
    const auto size = static_cast<std::size_t>(parameter->value.size());
    std::copy_n(parameter->gradient.data(), size, gradient.begin() + static_cast<std::ptrdiff_t>(at));
    if (optimizer.project)
      project_gradient<T>(values(std::as_const(parameter->value)), values(parameter->gradient));
    layers::adamw_update<T>(settings, step, values(std::as_const(parameter->gradient)),
                            mean.subspan(at, size), square.subspan(at, size), weights.subspan(at, size));
    at += size;
  }
}

template void grokking_step_reference(GrokkingNetwork<float>&, const GrokkingSamples<float>&, GrokkingLoss,
                                      const PerpAdamW&, int, std::span<float>, std::span<float>,
                                      std::span<float>, std::span<float>, std::span<double>);
template void grokking_step_reference(GrokkingNetwork<double>&, const GrokkingSamples<double>&, GrokkingLoss,
                                      const PerpAdamW&, int, std::span<double>, std::span<double>,
                                      std::span<double>, std::span<double>, std::span<double>);

namespace {

/// Of all tensors as one vector.
double whole_alignment(const std::vector<layers::Parameter<float>*>& parameters) {
  std::vector<float> weights, gradient;
  for (const layers::Parameter<float>* parameter : parameters) {
    const auto w = values(parameter->value), g = values(parameter->gradient);
    weights.insert(weights.end(), w.begin(), w.end());
    gradient.insert(gradient.end(), g.begin(), g.end());
  }
  return alignment<float>(weights, gradient);
}

}  // namespace

std::vector<GrokkingRecord> train_grokking(GrokkingNetwork<float>& network, const GrokkingPlan& plan,
                                           const GrokkingSamples<float>& train,
                                           const GrokkingSamples<float>& test, std::span<const int> when) {
  const auto parameters = network.parameters();
  layers::AdamW<float> optimizer(plan.optimizer);
  std::vector<double> losses(train.labels.size());
  std::vector<GrokkingRecord> records;
  std::size_t next = 0;
  for (int epoch = 0; epoch <= plan.epochs; ++epoch) {
    const int collapsed = network.gradients(train, plan.loss, losses);
    if (epoch == plan.epochs || (next < when.size() && epoch == when[next])) {
      while (next < when.size() && when[next] <= epoch) ++next;
      GrokkingRecord record{.epoch = epoch};
      record.loss = std::accumulate(losses.begin(), losses.end(), 0.0) / train.rows();
      record.collapsed = static_cast<double>(collapsed) / train.rows();
      record.output_norm = static_cast<double>(network.output.weight.value.norm());
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        record.alignment[i] = alignment<float>(values(std::as_const(parameters[i]->value)),
                                               values(std::as_const(parameters[i]->gradient)));
      }
      record.whole_alignment = whole_alignment(parameters);
      record.test = network.accuracy(test);
      record.train = network.accuracy(train);
      records.push_back(record);
    }
    if (epoch == plan.epochs) break;
    for (layers::Parameter<float>* parameter : parameters) {
      if (plan.rule == GradientRule::orthogonal)
        project_gradient<float>(values(std::as_const(parameter->value)), values(parameter->gradient));
      if (plan.rule == GradientRule::along) keep_along(parameter->value, parameter->gradient);
    }
    optimizer.step(parameters);
  }
  return records;
}

}  // namespace remeasure::kernels
