// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/monarch_reference.h"

#include <testing/catch.h>
#include <cmath>
#include <numbers>

#include "kernels/device/testing/normal_values.h"
#include "kernels/sequences/testing/convolution_problem.h"

using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("roots of unity are exact on the axes, and right elsewhere", "[cpu]") {
  CHECK(root_of_unity(0, 8) == std::complex<double>(1, 0));
  CHECK(root_of_unity(2, 8) == std::complex<double>(0, -1));
  CHECK(root_of_unity(4, 8) == std::complex<double>(-1, 0));
  CHECK(root_of_unity(6, 8) == std::complex<double>(0, 1));
  for (const std::size_t n : {std::size_t{12}, std::size_t{64}, std::size_t{1} << 22}) {
    for (std::size_t k = 0; k < 64; ++k) {
      const std::size_t at = k * n / 64;
      CHECK(std::abs(root_of_unity(at, n) - std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(at) /
                                                                static_cast<double>(n))) < 1e-15);
    }
  }
}

TEST_CASE("a Monarch transform is the DFT in another order, and its inverse undoes it", "[cpu]") {
  for (const MonarchFactors& factors :
       {MonarchFactors{8}, {2, 4}, {4, 2}, {16, 16}, {4, 2, 8}, {2, 2, 2, 2, 2}, {64, 64}}) {
    const std::size_t n = factors.size();
    INFO(n << " by " << factors.order());
    const std::vector<float> values = normal_values(2 * n, 9);
    std::vector<std::complex<double>> x(n), original;
    for (std::size_t i = 0; i < n; ++i)
      x[i] = {static_cast<double>(values[2 * i]), static_cast<double>(values[2 * i + 1])};
    original = x;
    monarch_transform<double>(factors, x);
    double error = 0;
    for (std::size_t position = 0; position<n; position += n> 1000 ? 37 : 1) {
      const std::size_t k = factors.frequency(position);
      CHECK(factors.position(k) == position);
      std::complex<double> sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += original[i] * root_of_unity(i * k, n);
      error = std::max(error, std::abs(sum - x[position]));
    }
    CHECK(error < 1e-11);
    monarch_inverse<double>(factors, x);
    error = 0;
    for (std::size_t i = 0; i < n; ++i) error = std::max(error, std::abs(x[i] - original[i]));
    CHECK(error < 1e-13);
  }
  CHECK_THROWS_WITH((MonarchFactors{16, 12}), ContainsSubstring("a factor is 12"));
  CHECK_THROWS_WITH(monarch_factors(2048), ContainsSubstring("2048"));
}

TEST_CASE("every factorisation convolves as the FFT in double does: real, packed, complex, in windows",
          "[cpu]") {
  struct Row {
    ConvolutionShape shape;
    int taps;
    bool gated;
  };
  for (const Row& row :
       {Row{{2, 3, 256, 256}, 256, true}, Row{{1, 2, 512, 1024}, 512, false},
        Row{{2, 2, 512, 512, 0, Signal::packed}, 512, true},
        Row{{1, 1, 4096, 8192, 0, Signal::packed}, 4096, true},
        Row{{1, 2, 1024, 1024, 0, Signal::complex}, 1024, false}, Row{{1, 2, 1000, 256, 128}, 129, true},
        Row{{1, 2, 2000, 1024, 512, Signal::packed}, 513, true}}) {
    const Problem problem = make_problem(row.shape, row.taps, row.gated);
    const std::vector<double> exact = oracle(row.shape, problem);
    const MonarchFactors factors = monarch_factors(row.shape.points());
    std::vector<double> y(row.shape.values());
    monarch_convolution_reference<double>(row.shape, factors, problem.u, problem.pregate,
                                          std::span<const float>(problem.filters), problem.postgate, y);
    CHECK(relative_error(y, exact) < 1e-13);
    std::vector<float> y_float(row.shape.values());
    monarch_convolution_reference<float>(row.shape, factors, problem.u, problem.pregate,
                                         std::span<const float>(problem.filters), problem.postgate, y_float);
    CHECK(relative_error(y_float, exact) < 5e-6);
  }
  std::vector<double> y(256);
  CHECK_THROWS_WITH(monarch_convolution_reference<double>({1, 1, 256, 256}, {16, 16}, std::vector<float>(255),
                                                          {}, std::vector<float>(256), {}, y),
                    ContainsSubstring("u has 255 values; 256 follow"));
}

TEST_CASE(
    "the products of a factorisation are 16 N sum(N_i), half of it packed, less where frequencies are "
    "dropped",
    "[cpu]") {
  CHECK(monarch_matmul_flops({32, 32}) == 16.0 * 1024 * 64);
  CHECK(monarch_matmul_flops({16, 16, 16}) == 16.0 * 4096 * 48);
  CHECK(monarch_matmul_flops({32, 32, 32}, {16, 16, 16}) ==
        2 * (8.0 * 16 * 32'768 + 8.0 * 256 * 1024 + 8.0 * 4096 * 32));
  CHECK(sparsity({32, 32, 32}, {16, 16, 16}) == 0.875);
}
