// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>
#include <stdexcept>

#include "baselines/science/bessel.h"

namespace remeasure::baselines {
namespace {

template <class Function>
void each(std::span<const double> v, std::span<const double> x, std::span<double> out, Function function) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    try {
      out[i] = std::log(function(v[i], x[i]));
    } catch (const std::exception&) {  // libstdc++ throws where its continued fraction doesn't converge
      out[i] = std::numeric_limits<double>::quiet_NaN();
    }
  }
}

}  // namespace

void std_log_iv(std::span<const double> v, std::span<const double> x, std::span<double> out) {
  each(v, x, out, [](double order, double argument) { return std::cyl_bessel_i(order, argument); });
}

void std_log_kv(std::span<const double> v, std::span<const double> x, std::span<double> out) {
  each(v, x, out, [](double order, double argument) { return std::cyl_bessel_k(order, argument); });
}

}  // namespace remeasure::baselines
