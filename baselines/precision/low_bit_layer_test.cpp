// SPDX-License-Identifier: Apache-2.0
#include "baselines/precision/low_bit_layer.h"

#include "baselines/precision/low_bit_convolution_cudnn.h"

#include <testing/catch.h>

#include "kernels/precision/low_bit_reference.h"
#include "kernels/precision/testing/low_bit_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

std::vector<LowBitShape> shapes() {
  return {low_bit_product(37, 20, 200, 1, 2, Encoding::signed_weights),
          low_bit_product(300, 16, 64, 1, 1, Encoding::signs),
          low_bit_product(9, 12, 100, 4, 4, Encoding::unsigned_codes),
          low_bit_convolution(2, 9, 20, 12, 3, 1, 1, 2, Encoding::signed_weights),
          low_bit_convolution(1, 15, 3, 8, 11, 4, 2, 2, Encoding::unsigned_codes)};
}

std::vector<float> values(const std::vector<std::uint8_t>& codes, Encoding encoding, bool weights) {
  std::vector<float> result;
  for (const std::uint8_t code : codes)
    result.push_back(weights ? weight_value<float>(encoding, code) : activation_value<float>(encoding, code));
  return result;
}

}  // namespace

TEST_CASE("Eigen's low-bit layers are the oracle's integers", "[cpu]") {
  for (const LowBitShape& shape : shapes()) {
    INFO(in_words(shape));
    const LowBitProblem problem(shape);
    std::vector<float> sums(shape.sums());
    baselines::low_bit_layer_eigen(shape, values(problem.activations, shape.encoding, false),
                                   values(problem.weights, shape.encoding, true), sums);
    CHECK(std::vector<std::int32_t>(sums.begin(), sums.end()) == problem.oracle());
  }
}

TEST_CASE("padded matrices have the values, and zeros behind them", "[cpu]") {
  const LowBitShape shape = low_bit_product(3, 2, 20, 1, 8, Encoding::signed_weights);
  const LowBitProblem problem(shape);
  const std::vector<std::int8_t> weights = baselines::padded_weights<std::int8_t>(shape, problem.weights);
  const std::vector<std::int8_t> activations =
      baselines::padded_activations<std::int8_t>(shape, problem.activations, 128);
  REQUIRE(weights.size() == 2 * 32);
  REQUIRE(activations.size() == 3 * 32);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t k = 0; k < 32; ++k) {
      CHECK(activations[32 * i + k] == (k < 20 ? problem.activations[20 * i + k] - 128 : 0));
      if (i < 2) CHECK(weights[32 * i + k] == (k < 20 ? 2 * problem.weights[20 * i + k] - 1 : 0));
    }
  }
}

TEST_CASE("On a GPU cuDNN's low-bit convolutions are the oracle's integers", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([]<class Bench>(Bench& bench) {
    const LowBitShape shape = low_bit_convolution(2, 9, 32, 16, 3, 1, 1, 2, Encoding::signed_weights);
    using Cudnn = baselines::LowBitConvolutionCudnn<std::int8_t>;
    if (!Cudnn::why_not(shape).empty()) SKIP_TEST(Cudnn::why_not(shape));
    const LowBitProblem problem(shape);
    Cudnn cudnn(bench.stream(), shape);
    const auto weights = bench.upload(baselines::weight_elements<std::int8_t>(shape, problem.weights));
    const auto activations =
        bench.upload(baselines::activation_elements<std::int8_t>(shape, problem.activations));
    auto sums = bench.template output<float>(shape.sums());
    cudnn(activations, weights, sums);
    const std::vector<float> found = bench.download(sums);
    CHECK(std::vector<std::int32_t>(found.begin(), found.end()) == problem.oracle());
  });
}

TEST_CASE("On a GPU cuBLAS's low-bit layers are the oracle's integers", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([]<class Bench>(Bench& bench) {
    for (const LowBitShape& shape : shapes()) {
      INFO(in_words(shape));
      const LowBitProblem problem(shape);
      baselines::LowBitLayerCublas<std::int8_t> cublas(bench.stream(), shape);
      const auto weights = bench.upload(baselines::padded_weights<std::int8_t>(shape, problem.weights));
      const auto codes = bench.upload(problem.activations);
      auto sums = bench.template output<std::int32_t>(shape.sums());
      cublas.convolution(codes, weights, sums);
      CHECK(bench.download(sums) == problem.oracle());
    }
  });
}
