// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Core>
#include <stdexcept>
#include <string>
#include <unsupported/Eigen/SpecialFunctions>

#include "baselines/science/bessel.h"

namespace remeasure::baselines {
namespace {

using Input = Eigen::Map<const Eigen::ArrayXd>;
using Output = Eigen::Map<Eigen::ArrayXd>;

Input input(std::span<const double> x) {
  return {x.data(), static_cast<Eigen::Index>(x.size())};
}
Output output(std::span<double> out) {
  return {out.data(), static_cast<Eigen::Index>(out.size())};
}

void check(const char* name, int order, std::size_t x, std::size_t out) {
  if ((order != 0 && order != 1) || x != out) {
    throw std::invalid_argument(std::string(name) + ": order " + std::to_string(order) + ", x of " +
                                std::to_string(x) + ", out of " + std::to_string(out) +
                                "; Eigen has orders 0 and 1, and the sizes must agree");
  }
}

}  // namespace

void eigen_log_iv(int order, std::span<const double> x, std::span<double> out) {
  check("eigen_log_iv", order, x.size(), out.size());
  if (order == 0)
    output(out) = Eigen::bessel_i0e(input(x)).log() + input(x);
  else
    output(out) = Eigen::bessel_i1e(input(x)).log() + input(x);
}

void eigen_log_kv(int order, std::span<const double> x, std::span<double> out) {
  check("eigen_log_kv", order, x.size(), out.size());
  if (order == 0)
    output(out) = Eigen::bessel_k0e(input(x)).log() - input(x);
  else
    output(out) = Eigen::bessel_k1e(input(x)).log() - input(x);
}

}  // namespace remeasure::baselines
