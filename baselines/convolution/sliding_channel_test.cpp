// SPDX-License-Identifier: Apache-2.0
#include "baselines/convolution/sliding_channel.h"

#include <testing/catch.h>

#include <type_traits>

#include "kernels/convolution/testing/sliding_channel_problem.h"
#include "kernels/device/testing/test_bench.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

/// The dense gradient of all channels; where a window is, it is the oracle's dw.
std::vector<double> expected_dense_gradient(const SlidingInputs& in) {
  SlidingInputs all = in;
  all.shape.window = in.shape.inputs;
  all.shape.step = 0;
  return expected_weight_gradient(all);
}

}  // namespace

TEST_CASE("dense products on Eigen are SCC, forward and backward, on any number of threads", "[cpu]") {
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    const SlidingInputs in = sliding_inputs(shape);
    const std::vector<float> dense = kernels::dense_weights(shape, in.w);
    std::vector<float> y(shape.y_elements()), dx(shape.x_elements()), gradient(dense.size());
    for (const int threads : {1, 3}) {
      sliding_dense_eigen(shape, in.x, dense, y, threads);
      CHECK(error_of(y, expected_output(in)) < 1e-6);
      sliding_dense_data_eigen(shape, in.dy, dense, dx, threads);
      CHECK(error_of(dx, expected_input_gradient(in)) < 1e-6);
      sliding_dense_weight_eigen(shape, in.x, in.dy, gradient, threads);
      CHECK(error_of(gradient, expected_dense_gradient(in)) < 1e-6);
    }
    CHECK_THROWS_WITH(sliding_dense_eigen(shape, in.x, std::span(dense).first(2), y),
                      ContainsSubstring("sliding_dense_eigen: 2 weights"));
  }
}

TEST_CASE("a grouped 1x1 convolution on Eigen is a dense one with blocks", "[cpu]") {
  const SlidingChannelShape shape = scc(12, 20, 3, 5, 4, 0.5);
  const SlidingInputs in = sliding_inputs(shape);
  std::vector<float> y(shape.y_elements()), dense(12 * 20, 0.0f);
  for (std::size_t output = 0; output < 20; ++output) {
    for (std::size_t j = 0; j < 3; ++j) dense[output * 12 + output / 5 * 3 + j] = in.w[output * 3 + j];
  }
  grouped_pointwise_eigen(shape, in.x, in.w, y);
  std::vector<float> blocks(y.size());
  sliding_dense_eigen(shape, in.x, dense, blocks);
  CHECK(error_of(y, std::vector<double>(blocks.begin(), blocks.end())) < 1e-6);
  const SlidingInputs odd = sliding_inputs(scc(12, 21, 3, 5, 4, 0.5));
  std::vector<float> other(odd.shape.y_elements());
  CHECK_THROWS_WITH(grouped_pointwise_eigen(odd.shape, odd.x, odd.w, other),
                    ContainsSubstring("inputs / window the outputs"));
}

TEST_CASE("a stack needs windows with equally many outputs", "[cpu]") {
  CHECK(SlidingStackCublas<float>::why_not(scc(64, 128, 2, 2, 2, 0.5)) == "");
  CHECK_THAT(SlidingStackCublas<float>::why_not(scc(64, 48, 2, 2, 2, 0.33)),
             ContainsSubstring("32 windows don't have equally many of 48 outputs"));
}

TEST_CASE("On a GPU dense products and stacks of cuBLAS are SCC", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    remeasure::testing::TestBench<Cuda> bench;
    for (SlidingChannelShape shape : sliding_shapes()) {
      for (const int batch : {2, 20}) {  // a batch over windows, and one over images
        shape.batch = batch;
        INFO(in_words(shape));
        const SlidingInputs in = sliding_inputs(shape);
        auto x = bench.upload(in.x), w = bench.upload(in.w), dy = bench.upload(in.dy),
             dense = bench.upload(kernels::dense_weights(shape, in.w)),
             ones = bench.upload(std::vector<float>(static_cast<std::size_t>(batch), 1.0f));
        auto y = bench.output<float>(shape.y_elements()), dx = bench.output<float>(shape.x_elements()),
             images = bench.output<float>(static_cast<std::size_t>(batch) * dense.size()),
             gradient = bench.output<float>(dense.size());
        SlidingDenseCublas<float> product(bench.stream(), shape, false);
        product.forward(x, dense, y);
        CHECK(error_of(bench.download(y), expected_output(in)) < 1e-6);
        product.backward_data(dy, dense, dx);
        CHECK(error_of(bench.download(dx), expected_input_gradient(in)) < 1e-6);
        product.backward_weight(x, dy, ones, images, gradient);
        CHECK(error_of(bench.download(gradient), expected_dense_gradient(in)) < 1e-6);
        if (!SlidingStackCublas<float>::why_not(shape).empty()) continue;
        auto stack = bench.output<float>(static_cast<std::size_t>(shape.cycle() * shape.window) *
                                         static_cast<std::size_t>(shape.columns()));
        SlidingStackCublas<float> stacked(bench.stream(), shape, false);
        stacked.forward(x, w, stack, y);
        CHECK(error_of(bench.download(y), expected_output(in)) < 1e-6);
      }
    }
  }
}
