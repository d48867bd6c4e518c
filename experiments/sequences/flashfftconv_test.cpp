// SPDX-License-Identifier: Apache-2.0
//
// What must hold of flashfftconv without a GPU, and that its checks can fail.
#include <testing/catch.h>

#include "experiments/sequences/flashfftconv_problem.h"

using namespace remeasure;
using namespace remeasure::experiments::flashfftconv_problem;

TEST_CASE("the authors' chain holds 5 to 8 times the kernel's memory", "[cpu]") {
  const double ratio = memory_peaks(64, 1024, 1024, 768).ratio();
  CHECK(ratio > 5);
  CHECK(ratio < 8);
  // By hand, bytes per sample of a sequence: three inputs of 2, the widened gates, signal and two products,
  // three complex arrays, the result; the filter's spectrum over the batch.
  const double chain = 3 * 2 + 5 * 4 + 3 * 8 + 2 + 8.0 / 64, kernel = 4 * 2 + 4.0 / 64;
  CHECK(std::abs(ratio / (chain / kernel) - 1) < 1e-3);
  // Padding makes the chain's part larger, and more channels the tables' smaller.
  CHECK(memory_peaks(64, 1024, 2048, 768).ratio() > ratio);
  CHECK(memory_peaks(64, 1024, 1024, 1).ratio() < ratio);
}

TEST_CASE(
    "dropping the top of a spectrum changes a smooth filter's result little, a white one's by what is "
    "dropped",
    "[cpu]") {
  const std::size_t length = 1024;
  const std::vector<float> u = white(length, 5), noise = white(8 * length, 6);
  CHECK(std::abs(sparse_change(u, noise, length, 0.75) - std::sqrt(0.75)) < 0.05);
  CHECK(sparse_change(u, noise, length, 0) == 0);
  for (const double fc : {0.05, 0.1}) {
    std::vector<float> smooth;
    for (std::size_t h = 0; h < 8; ++h) {
      const std::vector<float> each =
          datasets::gaussian_lowpass(std::span(noise).subspan(h * length, length), fc);
      smooth.insert(smooth.end(), each.begin(), each.end());
    }
    CHECK(sparse_change(u, smooth, length, 0.75) <= 3e-2);
    CHECK(sparse_change(u, smooth, length, 0.9) > sparse_change(u, smooth, length, 0.75));
  }
}

TEST_CASE("the cost model counts 16 N N_i, and small factors leave the tensor cores", "[cpu]") {
  const Rates flat{1, 1, 1e300, 1e300};
  CHECK(modelled_seconds({32, 32}, flat) == 16.0 * 1024 * 64);
  const Rates no_scalar{1e300, 1, 1e300, 1e300};
  CHECK(modelled_seconds({32, 32}, no_scalar) < 1e-200);
  CHECK(modelled_seconds({16, 8, 8}, no_scalar) == 16.0 * 1024 * 16);
  CHECK(balanced_factors(4096, 3) == MonarchFactors{16, 16, 16});
  CHECK(balanced_factors(32'768, 2) == MonarchFactors{256, 128});
  CHECK(modelled_best_order(256) == 2);
  CHECK(modelled_best_order(1 << 20) > 2);
}

TEST_CASE("a packed shape is chosen where half the transform has factors", "[cpu]") {
  CHECK(shape_of(Mode::gated, 1, 1, 256).signal == Signal::real);
  CHECK(shape_of(Mode::gated, 1, 1, 1024).signal == Signal::packed);
  CHECK(shape_of(Mode::gated, 1, 1, 4096).signal == Signal::real);
  for (const int length : {256, 1024, 4096, 8192, 16'384, 32'768}) {
    const ConvolutionShape shape = shape_of(Mode::causal, 1, 1, length);
    CHECK(shape.signal == Signal::packed);
    CHECK(kernels::monarch_factors(shape.points()).size() == static_cast<std::size_t>(length));
  }
}
