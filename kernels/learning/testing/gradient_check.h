// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <span>

namespace remeasure::kernels::testing {

/// Largest difference between `gradient` and central differences of `loss` over up to `most` elements of
/// `parameter` (all of them, or evenly spread with the first and the last), relative to the gradient's
/// largest element. In double a smooth loss agrees within about 1e-9 / step + step^2; a kink (ReLU) within
/// `step` of a pre-activation shows too: choose another seed then, not another limit. `parameter` is changed
/// and put back; `loss` must read it.
inline double gradient_error(const std::function<double()>& loss, std::span<double> parameter,
                             std::span<const double> gradient, double step = 1e-5, std::size_t most = 64) {
  double largest = 0, worst = 0;
  for (const double g : gradient) largest = std::max(largest, std::abs(g));
  const std::size_t size = parameter.size(), count = std::min(size, most);
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t i = count < 2 ? 0 : k * (size - 1) / (count - 1);
    const double before = parameter[i];
    parameter[i] = before + step;
    const double up = loss();
    parameter[i] = before - step;
    const double down = loss();
    parameter[i] = before;
    worst = std::max(worst, std::abs((up - down) / (2 * step) - gradient[i]));
  }
  return size != gradient.size() || largest == 0 ? INFINITY : worst / largest;
}

}  // namespace remeasure::kernels::testing
