// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/vmf_fit.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>

namespace remeasure::kernels {

double vmf_mean_resultant(double d, double kappa, const LogIv& log_iv) {
  return std::exp(log_iv(d / 2, kappa) - log_iv(d / 2 - 1, kappa));
}

VmfFit vmf_fit(double d, double mean_resultant, const LogIv& log_iv) {
  const double r = mean_resultant;
  if (!(d >= 2 && r > 0 && r < 1)) {
    throw std::invalid_argument("vmf_fit: d = " + std::to_string(d) + ", mean resultant length = " +
                                std::to_string(r) + "; needs d >= 2 and a length between 0 and 1");
  }
  constexpr int kMostIterations = 25;
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  VmfFit fit{.kappa = r * (d - r * r) / (1 - r * r)};
  for (; fit.iterations < kMostIterations; ++fit.iterations) {
    const double upper = log_iv(d / 2, fit.kappa), lower = log_iv(d / 2 - 1, fit.kappa);
    const double a = std::exp(upper - lower);
    fit.residual = std::abs(a - r);
    // The logarithms are rounded to this, so A is: more steps would only follow the rounding.
    const double resolution = kEpsilon * (1 + std::abs(upper) + std::abs(lower));
    fit.converged = fit.residual <= resolution;  // false for NaN
    if (fit.converged || !std::isfinite(fit.residual)) break;
    fit.kappa -= (a - r) / (1 - a * a - (d - 1) * a / fit.kappa);
    if (!(fit.kappa > 0) || std::isinf(fit.kappa)) break;
  }
  return fit;
}

double vmf_log_likelihood(double d, double n, double mean_resultant, double kappa, const LogIv& log_iv) {
  return n * ((d / 2 - 1) * std::log(kappa) - d / 2 * std::log(2 * std::numbers::pi) -
              log_iv(d / 2 - 1, kappa) + kappa * mean_resultant);
}

}  // namespace remeasure::kernels
