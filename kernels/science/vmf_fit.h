// SPDX-License-Identifier: Apache-2.0
//
// Maximum-likelihood concentration of a von Mises-Fisher distribution on the unit sphere of d dimensions.
// Plesner, Sorensen, Hauberg, ICS 2024 (arXiv 2409.08729); start value by Banerjee et al. (JMLR 2005), Newton
// by Sra (2012).
#pragma once

#include <functional>

namespace remeasure::kernels {

struct VmfFit {
  double kappa = 0;
  double residual = 0;     ///< |A_d(kappa) - R|
  int iterations = 0;      ///< Newton steps
  bool converged = false;  ///< residual down to the rounding of the logarithms, within 25 steps
};

/// ln I_v(x), called as log_iv(v, x).
using LogIv = std::function<double(double v, double x)>;

/// Solves A_d(kappa) = I_{d/2}(kappa) / I_{d/2-1}(kappa) = R. A log_iv that overflows or underflows gives
/// `converged` false. Throws std::invalid_argument unless d >= 2 and 0 < R < 1.
VmfFit vmf_fit(double d, double mean_resultant, const LogIv& log_iv);

/// A_d(kappa), from the difference of logarithms.
double vmf_mean_resultant(double d, double kappa, const LogIv& log_iv);

/// Log-likelihood of n points with mean resultant length R under concentration kappa and the best mean
/// direction.
double vmf_log_likelihood(double d, double n, double mean_resultant, double kappa, const LogIv& log_iv);

}  // namespace remeasure::kernels
