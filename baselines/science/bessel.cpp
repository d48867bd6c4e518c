// SPDX-License-Identifier: Apache-2.0
#include "baselines/science/bessel.h"

#include <array>

namespace remeasure::baselines {
namespace {

constexpr double kLogLargest = 709.78;    // ln DBL_MAX
constexpr double kLogSmallest = -708.39;  // ln DBL_MIN: below, a double loses digits

bool fits_a_double(double, double log_value) {
  return log_value > kLogSmallest && log_value < kLogLargest;
}
bool fits_scaled(double x, double log_value) {
  return log_value - x > kLogSmallest;
}
bool always(double, double) {
  return true;
}

}  // namespace

std::span<const BesselLibrary> bessel_libraries() {
  static const std::array<BesselLibrary, 3> kLibraries = {{
      {"std", "libstdc++ std::cyl_bessel_i, std::cyl_bessel_k; ln after", std_log_iv, std_log_kv, "",
       fits_a_double, fits_a_double},
      {"boost", "Boost.Math cyl_bessel_i, cyl_bessel_k, no promotion to long double; ln after", boost_log_iv,
       boost_log_kv, "", fits_a_double, fits_a_double},
      {"gsl", "GSL gsl_sf_bessel_Inu_scaled_e (ln after, + x), gsl_sf_bessel_lnKnu_e", gsl_log_iv, gsl_log_kv,
       has_gsl() ? "" : "built without GSL (libgsl-dev)", fits_scaled, always},
  }};
  return kLibraries;
}

}  // namespace remeasure::baselines
