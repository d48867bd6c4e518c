// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/monarch.h"

#include <bit>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace remeasure::kernels {

std::complex<double> root_of_unity(std::size_t k, std::size_t n) {
  k %= n;
  // 8 k / n = octant + rest; the angle is measured from the nearer axis, so that sin and cos see at most pi
  // / 4.
  const std::size_t quarter = (4 * k + n / 2) / n;  // nearest multiple of a quarter turn
  const double angle = 2 * std::numbers::pi *
                       (static_cast<double>(4 * k) - static_cast<double>(quarter * n)) /
                       (4 * static_cast<double>(n));
  const double c = std::cos(angle), s = std::sin(angle);
  switch (quarter % 4) {
    case 0:
      return {c, -s};
    case 1:
      return {-s, -c};
    case 2:
      return {-c, s};
    default:
      return {s, c};
  }
}

MonarchFactors::MonarchFactors(std::vector<int> factors) : factors_(std::move(factors)) {
  if (factors_.empty())
    throw std::invalid_argument("MonarchFactors: no factors; give at least one power of two");
  for (const int each : factors_) {
    if (each < 2 || !std::has_single_bit(static_cast<unsigned>(each))) {
      throw std::invalid_argument("MonarchFactors: a factor is " + std::to_string(each) +
                                  "; it must be a power of two, at least 2");
    }
    size_ *= static_cast<std::size_t>(each);
  }
  std::size_t inner = size_;
  for (const int each : factors_) inner_.push_back(inner /= static_cast<std::size_t>(each));
}

int MonarchFactors::sum() const {
  int sum = 0;
  for (const int each : factors_) sum += each;
  return sum;
}

std::size_t MonarchFactors::frequency(std::size_t position) const {
  std::size_t frequency = 0, weight = 1;
  for (std::size_t i = 0; i < factors_.size(); ++i) {
    const auto factor = static_cast<std::size_t>(factors_[i]);
    frequency += weight * (position / inner_[i] % factor);
    weight *= factor;
  }
  return frequency;
}

std::size_t MonarchFactors::position(std::size_t frequency) const {
  std::size_t position = 0;
  for (std::size_t i = 0; i < factors_.size(); ++i) {
    const auto factor = static_cast<std::size_t>(factors_[i]);
    position += frequency % factor * inner_[i];
    frequency /= factor;
  }
  return position;
}

MonarchFactors monarch_factors(std::size_t size) {
  switch (size) {
    case 256:
      return {16, 16};
    case 512:
      return {16, 32};
    case 1024:
      return {32, 32};
    case 4096:
      return {16, 16, 16};
    case 8192:
      return {32, 16, 16};
    case 16'384:
      return {16, 32, 32};
    case 32'768:
      return {32, 32, 32};
    default:
      throw std::invalid_argument("monarch_factors: no factors for a complex transform of " +
                                  std::to_string(size) +
                                  "; there are 256, 512, 1024, 4096, 8192, 16384 and 32768");
  }
}

MonarchFactors monarch_outer_factors(std::size_t size) {
  for (const std::size_t outer : {16, 32, 64, 128}) {
    for (const std::size_t inner : {4096, 8192, 16'384, 32'768}) {
      if (outer * inner != size || size <= 32'768 || (outer > 16 && inner < 32'768)) continue;
      std::vector<int> factors = {static_cast<int>(outer)};
      const MonarchFactors rest = monarch_factors(inner);
      for (int i = 0; i < rest.order(); ++i) factors.push_back(rest.factor(i));
      return MonarchFactors(factors);
    }
  }
  throw std::invalid_argument("monarch_outer_factors: no factors for a complex transform of " +
                              std::to_string(size) + "; there are the powers of two from 65536 to 4194304");
}

double sparsity(const MonarchFactors& factors, const MonarchKept& kept) {
  double share = 1;
  for (std::size_t i = 0; i < kept.size(); ++i)
    share *= static_cast<double>(kept[i]) / factors.factor(static_cast<int>(i));
  return 1 - share;
}

double monarch_matmul_flops(const MonarchFactors& factors, const MonarchKept& kept) {
  double flops = 0, rows = 1;
  for (int i = 0; i < factors.order(); ++i) {
    rows *= kept.empty() ? factors.factor(i) : kept[static_cast<std::size_t>(i)];
    flops += 8 * rows * factors.factor(i) * static_cast<double>(factors.inner(i));
  }
  return 2 * flops;
}

}  // namespace remeasure::kernels
