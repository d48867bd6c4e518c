// SPDX-License-Identifier: Apache-2.0
//
// ln I_v(x) and ln K_v(x) as a user of today's libraries gets them: the library's function of general order,
// in its scaled form where it has one, and the logarithm after. Each on one thread, elementwise, f64.
#pragma once

#include <span>
#include <string_view>

namespace remeasure::baselines {

using BesselFunction = void (*)(std::span<const double> v, std::span<const double> x, std::span<double> out);

/// One of the two functions in one library.
struct BesselLibrary {
  std::string_view name;  ///< of the variant: "std", "boost", "gsl"
  std::string_view what;  ///< library, function, setting
  BesselFunction log_iv;
  BesselFunction log_kv;
  std::string_view missing;  ///< if not empty: not in this build, and why
  /// Whether the value is inside the range of the form that the library computes, given the true logarithm.
  /// Outside, it overflows to inf, underflows to 0 or gives up (nan): the price of taking the logarithm last.
  bool (*can_hold_i)(double x, double log_iv);
  bool (*can_hold_k)(double x, double log_kv);
};

/// libstdc++, Boost.Math, GSL: all that is compiled in, and an entry with `missing` for what isn't.
std::span<const BesselLibrary> bessel_libraries();

/// The logarithm of what doesn't exist is nan, of 0 -inf, of an overflow +inf; an exception of the library is
/// nan.
void std_log_iv(std::span<const double> v, std::span<const double> x, std::span<double> out);
void std_log_kv(std::span<const double> v, std::span<const double> x, std::span<double> out);
void boost_log_iv(std::span<const double> v, std::span<const double> x, std::span<double> out);
void boost_log_kv(std::span<const double> v, std::span<const double> x, std::span<double> out);
void gsl_log_iv(std::span<const double> v, std::span<const double> x, std::span<double> out);
void gsl_log_kv(std::span<const double> v, std::span<const double> x, std::span<double> out);
bool has_gsl();

/// Eigen's (unsupported) array functions, which have the orders 0 and 1 only: ln(i0e(x)) + x and so on,
/// vectorised. Throws std::invalid_argument for another order.
void eigen_log_iv(int order, std::span<const double> x, std::span<double> out);
void eigen_log_kv(int order, std::span<const double> x, std::span<double> out);

}  // namespace remeasure::baselines
