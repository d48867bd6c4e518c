// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/learning/perp_adamw.h"

namespace remeasure::kernels {

TensorList::TensorList(std::span<const int> sizes) : count(static_cast<int>(sizes.size())) {
  if (sizes.empty() || sizes.size() > kMostTensors) {
    throw std::invalid_argument("a list of " + std::to_string(sizes.size()) + " tensors; 1 to " +
                                std::to_string(kMostTensors));
  }
  for (int i = 0; i < count; ++i) {
    const int size = sizes[static_cast<std::size_t>(i)];
    if (size < 1) throw std::invalid_argument("tensor " + std::to_string(i) + " of the list is empty");
    begin[i + 1] = begin[i] + size;
  }
}

int TensorList::largest() const {
  int most = 0;
  for (int i = 0; i < count; ++i) most = std::max(most, size(i));
  return most;
}

namespace {

struct Sums {
  double weights = 0, both = 0, gradient = 0;  // w.w, w.g, g.g
};

template <class T>
Sums sums_of(std::span<const T> weights, std::span<const T> gradient) {
  Sums sums;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto w = static_cast<double>(weights[i]), g = static_cast<double>(gradient[i]);
    sums.weights += w * w;
    sums.both += w * g;
    sums.gradient += g * g;
  }
  return sums;
}

}  // namespace

template <class T>
void project_gradient(std::span<const T> weights, std::span<T> gradient) {
  const Sums sums = sums_of<T>(weights, gradient);
  const double along = sums.both / (sums.weights + 1e-30);
  double square = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double g = static_cast<double>(gradient[i]) - along * static_cast<double>(weights[i]);
    square += g * g;
  }
  const double scale = std::sqrt(sums.gradient) / (std::sqrt(square) + 1e-30);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    gradient[i] =
        static_cast<T>(scale * (static_cast<double>(gradient[i]) - along * static_cast<double>(weights[i])));
  }
}

template <class T>
double alignment(std::span<const T> weights, std::span<const T> gradient) {
  const Sums sums = sums_of<T>(weights, gradient);
  const double size = std::sqrt(sums.weights * sums.gradient);
  return size > 0 ? -sums.both / size : 0;
}

template void project_gradient<float>(std::span<const float>, std::span<float>);
template void project_gradient<double>(std::span<const double>, std::span<double>);
template double alignment<float>(std::span<const float>, std::span<const float>);
template double alignment<double>(std::span<const double>, std::span<const double>);

}  // namespace remeasure::kernels
