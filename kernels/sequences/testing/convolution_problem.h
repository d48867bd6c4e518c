// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/relative_error.h"
#include "kernels/sequences/monarch_reference.h"

namespace remeasure::kernels::testing {

struct Problem {
  std::vector<float> u, pregate, filters, postgate;
};

/// White signals; filters of white noise that decays to e^-2, sums of squares about 1.
inline Problem make_problem(const ConvolutionShape& shape, int taps, bool gated) {
  Problem problem;
  problem.u = normal_values(shape.values(), 1);
  if (gated)
    problem.pregate = normal_values(shape.values(), 2), problem.postgate = normal_values(shape.values(), 3);
  problem.filters =
      normal_values(static_cast<std::size_t>(shape.channels) * static_cast<std::size_t>(taps), 4);
  for (std::size_t i = 0; i < problem.filters.size(); ++i) {
    const double phase = static_cast<double>(i % static_cast<std::size_t>(taps)) / taps;
    problem.filters[i] *= static_cast<float>(2 * std::exp(-2 * phase) / std::sqrt(taps));
  }
  return problem;
}

/// Every sequence in double by Eigen's FFT. Windows give the causal convolution of the whole length.
inline std::vector<double> oracle(const ConvolutionShape& shape, const Problem& problem) {
  const std::size_t row = shape.planes() * static_cast<std::size_t>(shape.length);
  const std::size_t taps = problem.filters.size() / static_cast<std::size_t>(shape.channels);
  const std::size_t transform = shape.hop == 0 ? static_cast<std::size_t>(shape.transform)
                                               : static_cast<std::size_t>(shape.length) + taps;
  std::vector<double> result;
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape.batch * shape.channels); ++i) {
    const auto part = [&](const std::vector<float>& values) {
      return values.empty() ? std::span<const float>() : std::span<const float>(values).subspan(i * row, row);
    };
    const std::span<const float> filter =
        std::span<const float>(problem.filters)
            .subspan(i % static_cast<std::size_t>(shape.channels) * taps, taps);
    const std::vector<double> y =
        convolution_oracle(transform, part(problem.u), part(problem.pregate), filter, part(problem.postgate),
                           {}, shape.signal == Signal::complex);
    result.insert(result.end(), y.begin(), y.end());
  }
  return result;
}

}  // namespace remeasure::kernels::testing
