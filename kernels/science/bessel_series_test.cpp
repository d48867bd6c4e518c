// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/bessel_series.h"

#include <testing/catch.h>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/science/log_bessel_oracle.h"

using namespace remeasure;
using namespace remeasure::kernels;

namespace {

std::vector<double> run(const std::vector<double>& v, const std::vector<double>& x) {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, double> orders(device, v.size()), arguments(device, v.size()), out(device, v.size());
  stream.upload(std::span<const double>(v), orders.span());
  stream.upload(std::span<const double>(x), arguments.span());
  bessel_series<Simt>(stream, orders, arguments, out);
  std::vector<double> result(v.size());
  stream.download(std::as_const(out).span(), std::span<double>(result));
  return result;
}

}  // namespace

TEST_CASE("bessel_series is right where I fits a double", "[simt]") {
  std::vector<double> v, x;
  for (const double order : {0.0, 0.5, 3.25, 40.0, 150.0}) {
    for (const double argument : {0.01, 1.0, 30.0, 149.0, 600.0}) {
      v.push_back(order);
      x.push_back(argument);
    }
  }
  const std::vector<double> out = run(v, x);
  std::size_t compared = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double exact = log_iv_oracle(v[i], x[i]);
    if (exact < -700) continue;
    INFO("v = " << v[i] << ", x = " << x[i]);
    // The first term is an exponential of up to 700: its rounding, 700 eps, is what the sum carries.
    CHECK(std::abs(out[i] - exact) <= 4e-13);
    ++compared;
  }
  CHECK(compared >= 20);
}

TEST_CASE("bessel_series overflows, underflows and rejects as an unscaled series does", "[simt]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> out = run({0.0, 500.0, 0.0, 2.0, -1.0, nan}, {720.0, 1.0, 0.0, 0.0, 1.0, 1.0});
  CHECK(out[0] == std::numeric_limits<double>::infinity());
  CHECK(out[1] == -std::numeric_limits<double>::infinity());
  CHECK(out[2] == 0);
  CHECK(out[3] == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(out[4]));
  CHECK(std::isnan(out[5]));
}

TEST_CASE("bessel_series covers sizes around a block", "[simt]") {
  for (const std::size_t n : std::initializer_list<std::size_t>{1, 127, 128, 129}) {
    const std::vector<double> out = run(std::vector<double>(n, 1.5), std::vector<double>(n, 4.0));
    for (const double value : out) REQUIRE(std::abs(value - log_iv_oracle(1.5, 4.0)) < 1e-14);
  }
}

TEST_CASE("bessel_order_0_1 has both orders and overflows where a double does", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  const std::vector<double> host = {0.25, 3.0, 40.0, 700.0, 720.0};
  DeviceBuffer<Simt, double> x(device, host.size()), out(device, host.size());
  stream.upload(std::span<const double>(host), x.span());
  for (const int order : {0, 1}) {
    bessel_order_0_1<Simt>(stream, order, x, out);
    std::vector<double> result(host.size());
    stream.download(std::as_const(out).span(), std::span<double>(result));
    for (std::size_t i = 0; i < 4; ++i) {
      INFO("order " << order << ", x = " << host[i]);
      CHECK(std::abs(result[i] - log_iv_oracle(order, host[i])) <= 2e-15 * (1 + host[i]));
    }
    CHECK(result[4] == std::numeric_limits<double>::infinity());
  }
  REQUIRE_THROWS_AS(bessel_order_0_1<Simt>(stream, 2, x, out), std::invalid_argument);
}
