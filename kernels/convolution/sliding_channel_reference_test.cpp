// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/sliding_channel_reference.h"

#include <testing/catch.h>

#include <cmath>
#include <numeric>
#include <set>

#include "kernels/convolution/testing/sliding_channel_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

double dot(const std::vector<float>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}
std::vector<double> wide(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("the step is the window less the whole channels that neighbours share", "[cpu]") {
  CHECK(SlidingChannelShape::of(1, 64, 64, 1, 1, 2, 0.5).step == 16);
  CHECK(SlidingChannelShape::of(1, 64, 64, 1, 1, 2, 0.33).step == 22);  // 32 - floor(10.56)
  CHECK(SlidingChannelShape::of(1, 64, 64, 1, 1, 8, 0.75).step == 2);
  CHECK(SlidingChannelShape::of(1, 64, 64, 1, 1, 4, 0).step == 16);  // disjoint windows
  const SlidingChannelShape dense = SlidingChannelShape::of(1, 64, 64, 1, 1, 1, 0);
  CHECK(dense.step == 64);
  CHECK(dense.start(17) == 0);
  CHECK_THROWS_WITH(SlidingChannelShape::of(1, 64, 64, 1, 1, 3, 0.5),
                    ContainsSubstring("groups must divide"));
  CHECK_THROWS_WITH(SlidingChannelShape::of(1, 64, 64, 1, 1, 2, 1.0), ContainsSubstring("in [0, 1)"));
}

TEST_CASE("windows repeat after inputs / gcd(inputs, step) outputs, and not before", "[cpu]") {
  for (const int inputs : {12, 32, 64, 96, 256}) {
    for (const int groups : {1, 2, 4}) {
      for (const double overlap : {0.0, 0.25, 0.33, 0.5, 0.75}) {
        const SlidingChannelShape shape =
            SlidingChannelShape::of(1, inputs, 3 * inputs, 1, 1, groups, overlap);
        INFO(in_words(shape));
        std::set<int> starts;
        int repeats = 0;
        for (int c = 0; c < shape.outputs; ++c) {
          if (c > 0 && repeats == 0 && shape.start(c) == shape.start(0)) repeats = c;
          starts.insert(shape.start(c));
        }
        CHECK(static_cast<int>(starts.size()) == inputs / std::gcd(inputs, shape.step));
        CHECK(shape.cycle() == static_cast<int>(starts.size()));
        CHECK(repeats == shape.cycle());
      }
    }
  }
  SlidingChannelShape same = scc(32, 32, 1, 1, 2, 0.5);
  same.step = 0;
  CHECK(same.cycle() == 1);
}

TEST_CASE("the order of windows is a permutation, ascending, and knows where each start begins", "[cpu]") {
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    const SlidingChannelOrder order = sliding_channel_order(shape);
    REQUIRE(order.output.size() % kSlidingRows == 0);
    std::vector<int> seen(static_cast<std::size_t>(shape.outputs), 0);
    for (std::size_t i = 0; i < order.output.size(); ++i) {
      if (i >= seen.size()) {
        CHECK(order.output[i] == -1);
        continue;
      }
      ++seen[static_cast<std::size_t>(order.output[i])];
      CHECK(order.start[i] == shape.start(order.output[i]));
      if (i > 0) CHECK(order.start[i] >= order.start[i - 1]);
    }
    CHECK(std::count(seen.begin(), seen.end(), 1) == shape.outputs);
    CHECK(order.first.back() == shape.outputs);
    for (int start = 0; start < shape.inputs; ++start) {
      const auto before = std::count_if(order.start.begin(), order.start.begin() + shape.outputs,
                                        [&](int at) { return at < start; });
      CHECK(order.first[static_cast<std::size_t>(start)] == before);
    }
  }
}

TEST_CASE("products of blocks by window are the oracle, forward and backward, on any number of threads",
          "[cpu]") {
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    const SlidingInputs in = sliding_inputs(shape);
    const std::vector<double> x = wide(in.x), w = wide(in.w), dy = wide(in.dy);
    std::vector<double> y(shape.y_elements()), dx(shape.x_elements()), dw(shape.w_elements());
    for (const int threads : {1, 3}) {
      scc_forward_method<double>(shape, x, w, y, threads);
      scc_backward_data_method<double>(shape, dy, w, dx, threads);
      scc_backward_weight_method<double>(shape, x, dy, dw, threads);
      CHECK(error_of(y, expected_output(in)) < 1e-13);
      CHECK(error_of(dx, expected_input_gradient(in)) < 1e-13);
      CHECK(error_of(dw, expected_weight_gradient(in)) < 1e-13);
    }
  }
}

TEST_CASE("<dy, SCC(x)> = <SCC^T(dy), x> = <dw, w>, and a window one further breaks it", "[cpu]") {
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    const SlidingInputs in = sliding_inputs(shape);
    const double forward = dot(in.dy, expected_output(in));
    CHECK(dot(in.x, expected_input_gradient(in)) == Approx(forward).epsilon(1e-9));
    CHECK(dot(in.w, expected_weight_gradient(in)) == Approx(forward).epsilon(1e-9));
    // The control: the adjoint of another step isn't the adjoint of this one.
    SlidingInputs other = in;
    other.shape.step = (shape.step + 1) % std::max(2, shape.inputs);
    if (shape.window == shape.inputs && shape.outputs == 1) continue;
    CHECK(std::abs(dot(in.x, expected_input_gradient(other)) - forward) > 1e-3 * std::abs(forward));
  }
}

TEST_CASE("dense weights give the same product", "[cpu]") {
  const SlidingInputs in = sliding_inputs(scc(12, 20, 3, 3, 2, 0.33));
  SlidingInputs dense = in;
  dense.shape.window = 12;
  dense.shape.step = 0;
  dense.w = dense_weights(in.shape, in.w);
  CHECK(error_of(expected_output(dense), expected_output(in)) < 1e-14);
}

TEST_CASE("two SCC layers reach all inputs, two grouped ones a group", "[cpu]") {
  const SlidingChannelShape shape = SlidingChannelShape::of(1, 32, 32, 1, 1, 2, 0.5);
  const auto least_and_most = [](const Reach& reach) {
    int least = 32, most = 0;
    for (int output = 0; output < 32; ++output) {
      const int count = std::accumulate(reach.begin() + 32 * output, reach.begin() + 32 * (output + 1), 0);
      least = std::min(least, count);
      most = std::max(most, count);
    }
    return std::pair{least, most};
  };
  const Reach scc = reach_of(shape), grouped = grouped_reach(32, 32, 2);
  CHECK(least_and_most(scc) == std::pair{16, 16});
  CHECK(least_and_most(stacked(scc, scc, 32, 32, 32)) == std::pair{32, 32});
  CHECK(least_and_most(grouped) == std::pair{16, 16});
  CHECK(least_and_most(stacked(grouped, grouped, 32, 32, 32)) == std::pair{16, 16});
  SlidingChannelShape same = shape;
  same.step = 0;
  CHECK(least_and_most(stacked(reach_of(same), reach_of(same), 32, 32, 32)) == std::pair{16, 16});
}
