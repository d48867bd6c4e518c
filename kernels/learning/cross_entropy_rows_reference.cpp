// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/learning/cross_entropy_rows.h"
#include "kernels/learning/loss_arithmetic.h"

namespace remeasure::kernels {
namespace {

constexpr int kLanes = 32;

template <class Q>
struct Row {
  using A = LossArithmetic<Q>;
  using C = typename A::Compute;

  /// Terms beyond the classes are zeros.
  static C sum(const C (&terms)[kMostClasses], int classes) {
    C lane[kLanes];
    std::copy_n(terms, kLanes, lane);
    for (int k = kLanes; k < classes; k += kLanes) {
      for (int l = 0; l < kLanes; ++l) lane[l] = A::round(lane[l] + terms[k + l]);
    }
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      for (int l = 0; l < distance; ++l) lane[l] = A::round(lane[l] + lane[l + distance]);
    }
    return lane[0];
  }

  template <class T>
  static C softmax(const T* logits, int classes, int label, T scale, T* gradient) {
    C z[kMostClasses], terms[kMostClasses] = {};
    for (int k = 0; k < classes; ++k) z[k] = A::round(static_cast<C>(logits[k]));
    const C largest = *std::max_element(z, z + classes);
    for (int k = 0; k < classes; ++k) terms[k] = A::round(std::exp(A::round(z[k] - largest)));
    const C total = sum(terms, classes);
    for (int k = 0; k < classes; ++k) {
      const C share = A::round(terms[k] / total);
      gradient[k] = scale * static_cast<T>(k == label ? A::round(share - C(1)) : share);
    }
    return -A::round(A::round(z[label] - largest) - A::round(std::log(total)));
  }

  template <class T>
  static C stable_max(const T* logits, int classes, int label, T scale, T* gradient) {
    C z[kMostClasses], terms[kMostClasses] = {};
    for (int k = 0; k < classes; ++k) {
      z[k] = A::round(static_cast<C>(logits[k]));
      terms[k] = z[k] >= 0 ? A::round(z[k] + C(1)) : A::round(C(1) / A::round(C(1) - z[k]));
    }
    const C total = sum(terms, classes), of_all = A::round(C(1) / total),
            of_label = A::round(C(1) / terms[label]);
    for (int k = 0; k < classes; ++k) {
      const C slope = z[k] >= 0 ? C(1) : A::round(terms[k] * terms[k]);
      gradient[k] =
          scale * static_cast<T>(A::round(slope * (k == label ? A::round(of_all - of_label) : of_all)));
    }
    return -A::round(std::log(A::round(terms[label] / total)));
  }
};

}  // namespace

template <class Q, RowLoss kLoss, class T>
int cross_entropy_rows_reference(const RowLossShape& shape, std::span<const T> logits,
                                 std::span<const std::uint16_t> labels, std::span<T> gradient,
                                 std::span<double> losses) {
  if (shape.classes < 1 || shape.classes > kMostClasses || logits.size() != shape.logits() ||
      gradient.size() != shape.logits() || labels.size() != static_cast<std::size_t>(shape.rows))
    throw std::invalid_argument("cross_entropy_rows_reference: sizes don't fit the shape");
  const T scale = T(1) / static_cast<T>(shape.rows);
  int collapsed = 0;
  for (int row = 0; row < shape.rows; ++row) {
    const auto at = static_cast<std::size_t>(row) * static_cast<std::size_t>(shape.classes);
    const int label = labels[static_cast<std::size_t>(row)];
    const T* const z = logits.data() + at;
    T* const dz = gradient.data() + at;
    const auto loss = kLoss == RowLoss::softmax ? Row<Q>::softmax(z, shape.classes, label, scale, dz)
                                                : Row<Q>::stable_max(z, shape.classes, label, scale, dz);
    collapsed += loss == 0 ? 1 : 0;
    if (!losses.empty()) losses[static_cast<std::size_t>(row)] = static_cast<double>(loss);
  }
  return collapsed;
}

#define RM_INSTANTIATE_ROWS(Q, loss, T)                                                               \
  template int cross_entropy_rows_reference<Q, loss, T>(const RowLossShape&, std::span<const T>,      \
                                                        std::span<const std::uint16_t>, std::span<T>, \
                                                        std::span<double>);
#define RM_INSTANTIATE_LOSSES(Q)                     \
  RM_INSTANTIATE_ROWS(Q, RowLoss::softmax, float)    \
  RM_INSTANTIATE_ROWS(Q, RowLoss::softmax, double)   \
  RM_INSTANTIATE_ROWS(Q, RowLoss::stable_max, float) \
  RM_INSTANTIATE_ROWS(Q, RowLoss::stable_max, double)
RM_INSTANTIATE_LOSSES(half)
RM_INSTANTIATE_LOSSES(float)
RM_INSTANTIATE_LOSSES(double)
#undef RM_INSTANTIATE_LOSSES
#undef RM_INSTANTIATE_ROWS

}  // namespace remeasure::kernels
