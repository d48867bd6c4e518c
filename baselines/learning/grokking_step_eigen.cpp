// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <cmath>

#include "baselines/learning/grokking_step.h"

namespace remeasure::baselines {

std::vector<float> one_hot_pairs(const GrokkingShape& shape, std::span<const std::uint16_t> pairs) {
  const auto modulus = static_cast<std::size_t>(shape.modulus);
  std::vector<float> features(pairs.size() / 2 * 2 * modulus, 0.0f);
  for (std::size_t i = 0; i < pairs.size() / 2; ++i) {
    features[i * 2 * modulus + pairs[2 * i]] = 1;
    features[i * 2 * modulus + modulus + pairs[2 * i + 1]] = 1;
  }
  return features;
}

namespace {

template <class T>
using Rows = Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using Column = Eigen::Array<T, Eigen::Dynamic, 1>;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Flat = Eigen::Map<Eigen::ArrayXf>;
using ConstFlat = Eigen::Map<const Eigen::ArrayXf>;

/// Turns logits into the gradient of the mean loss by them.
template <class Q>
void softmax_rows(Matrix& logits, std::span<const std::uint16_t> labels, std::span<float> losses) {
  Rows<Q> z = logits.array().cast<Q>();
  const Column<Q> largest = z.rowwise().maxCoeff();
  z.colwise() -= largest;
  Rows<Q> terms = z.exp();
  const Column<Q> sums = terms.rowwise().sum(), logs = sums.log();
  terms.colwise() /= sums;
  for (Eigen::Index i = 0; i < z.rows(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    losses[row] = -static_cast<float>(z(i, labels[row]) - logs(i));
    terms(i, labels[row]) -= Q(1);
  }
  logits = (terms.template cast<float>() / static_cast<float>(z.rows())).matrix();
}

void stable_max_rows(Matrix& logits, std::span<const std::uint16_t> labels, std::span<float> losses) {
  const Rows<double> z = logits.array().cast<double>();
  const Rows<double> terms = (z >= 0).select(z + 1, 1 / (1 - z));
  const Column<double> sums = terms.rowwise().sum();
  Rows<double> slopes = (z >= 0).select(Rows<double>::Ones(z.rows(), z.cols()), terms.square());
  for (Eigen::Index i = 0; i < z.rows(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    const double of_label = terms(i, labels[row]);
    losses[row] = -static_cast<float>(std::log(of_label / sums(i)));
    const double slope = slopes(i, labels[row]);
    slopes.row(i) /= sums(i);
    slopes(i, labels[row]) -= slope / of_label;
  }
  logits = (slopes / static_cast<double>(z.rows())).cast<float>().matrix();
}

void loss_rows(GrokkingLoss loss, Matrix& logits, std::span<const std::uint16_t> labels,
               std::span<float> losses) {
  switch (loss) {
    case GrokkingLoss::ce16:
      return softmax_rows<Eigen::half>(logits, labels, losses);
    case GrokkingLoss::ce32:
      return softmax_rows<float>(logits, labels, losses);
    case GrokkingLoss::ce64:
      return softmax_rows<double>(logits, labels, losses);
    case GrokkingLoss::stable_max:
      return stable_max_rows(logits, labels, losses);
  }
}

}  // namespace

void grokking_step_eigen(const GrokkingShape& shape, GrokkingLoss loss, const PerpAdamW& optimizer, int step,
                         const HostTraining& a) {
  const kernels::TensorList tensors = shape.tensors();
  const int n = shape.rows, p = shape.modulus, h = shape.hidden;
  const auto weights = [&](int t, int rows, int columns) {
    return Eigen::Map<const Matrix>(a.weights.data() + tensors.begin[t], rows, columns);
  };
  const auto gradient = [&](int t, int rows, int columns) {
    return Eigen::Map<Matrix>(a.gradient.data() + tensors.begin[t], rows, columns);
  };
  const Eigen::Map<const Matrix> one_hot(a.one_hot.data(), n, 2 * p);
  const Matrix first = (one_hot * weights(0, 2 * p, h)).cwiseMax(0.0f);
  const Matrix second = (first * weights(1, h, h).transpose()).cwiseMax(0.0f);
  Matrix logits = second * weights(2, p, h).transpose();
  loss_rows(loss, logits, a.labels, a.losses);
  gradient(2, p, h).noalias() = logits.transpose() * second;
  Matrix by_second = logits * weights(2, p, h);
  by_second.array() *= (second.array() > 0).cast<float>();
  gradient(1, h, h).noalias() = by_second.transpose() * first;
  Matrix by_first = by_second * weights(1, h, h);
  by_first.array() *= (first.array() > 0).cast<float>();
  gradient(0, 2 * p, h).noalias() = one_hot.transpose() * by_first;

  const auto beta1 = static_cast<float>(optimizer.beta1), beta2 = static_cast<float>(optimizer.beta2);
  const auto rate = static_cast<float>(optimizer.learning_rate / (1 - std::pow(optimizer.beta1, step))),
             root = static_cast<float>(std::sqrt(1 - std::pow(optimizer.beta2, step))),
             keep = static_cast<float>(1 - optimizer.learning_rate * optimizer.weight_decay),
             epsilon = static_cast<float>(optimizer.epsilon);
  for (int t = 0; t < tensors.count; ++t) {
    const int begin = tensors.begin[t], size = tensors.size(t);
    const ConstFlat w(a.weights.data() + begin, size), before_m(a.mean.data() + begin, size),
        before_v(a.square.data() + begin, size);
    Eigen::ArrayXf g = Flat(a.gradient.data() + begin, size);
    if (optimizer.project) {
      const float norm = g.matrix().norm();
      g -= (w * g).sum() / (w.square().sum() + 1e-30f) * w;
      g *= norm / (g.matrix().norm() + 1e-30f);
    }
    Flat m(a.new_mean.data() + begin, size), v(a.new_square.data() + begin, size);
    m = beta1 * before_m + (1 - beta1) * g;
    v = beta2 * before_v + (1 - beta2) * g.square();
    Flat(a.new_weights.data() + begin, size) = keep * w - rate * m / (v.sqrt() / root + epsilon);
  }
}

}  // namespace remeasure::baselines
