// SPDX-License-Identifier: Apache-2.0
#include "baselines/science/bessel.h"

#ifdef REMEASURE_HAS_GSL
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf_bessel.h>
#include <cmath>
#include <limits>
#else
#include <stdexcept>
#endif

namespace remeasure::baselines {

#ifdef REMEASURE_HAS_GSL

namespace {

/// GSL's default handler aborts the program on an underflow. It is a global of GSL: set once.
void no_abort() {
  static const bool done = (gsl_set_error_handler_off(), true);
  (void)done;
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

bool has_gsl() {
  return true;
}

void gsl_log_iv(std::span<const double> v, std::span<const double> x, std::span<double> out) {
  no_abort();
  for (std::size_t i = 0; i < out.size(); ++i) {
    gsl_sf_result result;
    const int status = gsl_sf_bessel_Inu_scaled_e(v[i], x[i], &result);
    out[i] = status == GSL_SUCCESS || status == GSL_EUNDRFLW ? std::log(result.val) + x[i] : kNan;
  }
}

void gsl_log_kv(std::span<const double> v, std::span<const double> x, std::span<double> out) {
  no_abort();
  for (std::size_t i = 0; i < out.size(); ++i) {
    gsl_sf_result result;
    out[i] = gsl_sf_bessel_lnKnu_e(v[i], x[i], &result) == GSL_SUCCESS ? result.val : kNan;
  }
}

#else

bool has_gsl() {
  return false;
}

void gsl_log_iv(std::span<const double>, std::span<const double>, std::span<double>) {
  throw std::logic_error("gsl_log_iv: built without GSL");
}
void gsl_log_kv(std::span<const double>, std::span<const double>, std::span<double>) {
  throw std::logic_error("gsl_log_kv: built without GSL");
}

#endif

}  // namespace remeasure::baselines
