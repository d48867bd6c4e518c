// SPDX-License-Identifier: Apache-2.0
#include <boost/math/policies/policy.hpp>
#include <boost/math/special_functions/bessel.hpp>
#include <cmath>

#include "baselines/science/bessel.h"

namespace remeasure::baselines {
namespace {

namespace policies = boost::math::policies;

// Boost's fastest setting: in double throughout, and inf or nan instead of an exception.
using Fast =
    policies::policy<policies::promote_double<false>, policies::overflow_error<policies::ignore_error>,
                     policies::underflow_error<policies::ignore_error>,
                     policies::domain_error<policies::ignore_error>,
                     policies::evaluation_error<policies::ignore_error>>;

/// Boost 1.74 has an assertion that NaN fails, in builds with assertions.
bool is_number(double v, double x) {
  return !(std::isnan(v) || std::isnan(x));
}

}  // namespace

void boost_log_iv(std::span<const double> v, std::span<const double> x, std::span<double> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = is_number(v[i], x[i]) ? std::log(boost::math::cyl_bessel_i(v[i], x[i], Fast())) : v[i] + x[i];
  }
}

void boost_log_kv(std::span<const double> v, std::span<const double> x, std::span<double> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = is_number(v[i], x[i]) ? std::log(boost::math::cyl_bessel_k(v[i], x[i], Fast())) : v[i] + x[i];
  }
}

}  // namespace remeasure::baselines
