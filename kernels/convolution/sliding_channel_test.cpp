// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/sliding_channel.h"

#include <testing/catch.h>

#include <algorithm>

#include "kernels/convolution/testing/sliding_channel_problem.h"
#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;
using remeasure::testing::TestBench;

namespace {

/// The arrays of one problem on a device.
template <class Target>
struct Problem {
  explicit Problem(const SlidingInputs& in, const simt::EngineOptions& options = {})
      : shape(in.shape), bench(make(options)), order(sliding_channel_order(in.shape)) {
    output = bench.upload(order.output, "output of a position");
    start = bench.upload(order.start, "start of a position");
    first = bench.upload(order.first, "first position of a start");
    x = bench.upload(in.x);
    w = bench.upload(in.w);
    dy = bench.upload(in.dy);
  }
  static TestBench<Target> make(const simt::EngineOptions& options) {
    if constexpr (std::is_same_v<Target, Simt>)
      return TestBench<Simt>(options);
    else
      return TestBench<Target>();
  }
  SlidingChannelTables<Target> tables() {
    return {std::as_const(output).span(), std::as_const(start).span(), std::as_const(first).span()};
  }
  std::vector<float> forward(SlidingProduct product) {
    auto y = bench.template output<float>(shape.y_elements());
    scc_forward<Target, float>(bench.stream(), shape, product, tables(), x, w, y);
    return bench.download(y);
  }
  std::vector<float> forward_bf16(const SlidingInputs& in) {
    const auto rounded = [&](const std::vector<float>& values) {
      std::vector<bfloat16> result;
      for (const float value : values) result.push_back(bfloat16(value));
      return bench.upload(result);
    };
    auto short_x = rounded(in.x), short_w = rounded(in.w);
    auto y = bench.template output<bfloat16>(shape.y_elements());
    scc_forward<Target, bfloat16>(bench.stream(), shape, SlidingProduct::bf16, tables(), short_x, short_w, y);
    std::vector<float> result;
    for (const bfloat16 value : bench.download(y)) result.push_back(static_cast<float>(value));
    return result;
  }
  std::vector<float> data(SlidingProduct product) {
    auto dx = bench.template output<float>(shape.x_elements());
    scc_backward_data<Target>(bench.stream(), shape, product, tables(), dy, w, dx);
    return bench.download(dx);
  }
  std::vector<float> scattered_data() {
    auto dx = bench.template output<float>(shape.x_elements());
    scc_backward_data_output_centric<Target>(bench.stream(), shape, dy, w, dx);
    return bench.download(dx);
  }
  std::vector<float> weight(SlidingProduct product) {
    auto dw = bench.template output<float>(shape.w_elements());
    auto partial =
        bench.template output<float>(static_cast<std::size_t>(scc_weight_parts(shape)) * shape.w_elements());
    scc_backward_weight<Target>(bench.stream(), shape, product, tables(), x, dy, partial, dw);
    return bench.download(dw);
  }

  SlidingChannelShape shape;
  TestBench<Target> bench;
  SlidingChannelOrder order;
  DeviceBuffer<Target, int> output, start, first;
  DeviceBuffer<Target, float> x, w, dy;
};

constexpr double kSingle = 1e-6;  // f32 sums of at most some hundred products
/// TF32 keeps 11 bits of a factor, bf16's 8 are those that the inputs have. Sums of random signs: each error
/// counts once.
constexpr double kTf32 = 1e-3, kBf16Output = 3e-3;

struct BlockInputs {
  SlidingInputs in;
  std::vector<float> x, depthwise, depthwise_bias, bias;
  int stride;
  SlidingChannelBlockInputs on_host() const { return {stride, depthwise, depthwise_bias, in.w, bias}; }
};
BlockInputs block_inputs(const SlidingChannelShape& shape, int stride) {
  const auto inputs = static_cast<std::size_t>(shape.inputs);
  const std::size_t area = static_cast<std::size_t>(stride * stride);
  return {sliding_inputs(shape),
          normal_values<bfloat16>(shape.x_elements() * area, 7),
          normal_values<bfloat16>(9 * inputs, 8),
          normal_values<bfloat16>(inputs, 9),
          normal_values<bfloat16>(static_cast<std::size_t>(shape.outputs), 10),
          stride};
}
template <class Target>
std::vector<float> run_block(const BlockInputs& block, SlidingProduct product,
                             const simt::EngineOptions& options = {}) {
  Problem<Target> p(block.in, options);
  auto x = p.bench.upload(block.x), depthwise = p.bench.upload(block.depthwise),
       depthwise_bias = p.bench.upload(block.depthwise_bias), bias = p.bench.upload(block.bias);
  auto y = p.bench.template output<float>(p.shape.y_elements());
  scc_block<Target>(p.bench.stream(), p.shape, product, p.tables(),
                    {block.stride, std::as_const(depthwise).span(), std::as_const(depthwise_bias).span(),
                     std::as_const(p.w).span(), std::as_const(bias).span()},
                    x, y);
  return p.bench.download(y);
}
std::vector<double> expected_block(const BlockInputs& block) {
  return every_element(block.in.shape.y_elements(), [&](std::size_t i) {
    return scc_block_at(block.in.shape, block.on_host(), block.x, i);
  });
}
std::vector<std::pair<SlidingChannelShape, int>> block_shapes() {
  return {{scc(32, 40, 6, 5, 2, 0.5), 1},
          {scc(40, 70, 3, 3, 2, 0.33, 3), 2},
          {scc(96, 64, 4, 8, 1, 0.0), 1},
          {scc(64, 128, 2, 7, 8, 0.25, 1), 2}};
}

template <class Element>
void check_stack() {
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    const SlidingInputs in = sliding_inputs(shape);
    const int cycle = shape.cycle(), pixels = shape.pixels();
    TestBench<Simt> bench;
    const auto x = bench.upload(std::vector<Element>(in.x.begin(), in.x.end()));
    auto stack = bench.output<Element>(static_cast<std::size_t>(cycle * shape.window) *
                                       static_cast<std::size_t>(shape.columns()));
    stack_channels<Simt, Element>(bench.stream(), shape, x, stack);
    const std::vector<Element> values = bench.download(stack);
    std::size_t i = 0, wrong = 0;
    for (int b = 0; b < shape.batch; ++b) {
      for (int q = 0; q < cycle; ++q) {
        for (int j = 0; j < shape.window; ++j) {
          for (int p = 0; p < pixels; ++p, ++i) {
            const int row = b * shape.inputs + (q * shape.step + j) % shape.inputs;
            wrong +=
                static_cast<float>(values[i]) != in.x[static_cast<std::size_t>(row * pixels + p)] ? 1 : 0;
          }
        }
      }
    }
    CHECK(wrong == 0);
  }
}

}  // namespace

TEST_CASE("scc_forward is the oracle for every window, step and tail", "[simt]") {
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    const SlidingInputs in = sliding_inputs(shape);
    Problem<Simt> problem(in);
    const std::vector<double> expected = expected_output(in);
    CHECK(error_of(problem.forward(SlidingProduct::fma), expected) < kSingle);
    CHECK(error_of(problem.forward(SlidingProduct::tf32), expected) < kTf32);
    CHECK(error_of(problem.forward_bf16(in), expected) < kBf16Output);
  }
}

TEST_CASE("scc_backward_data is the oracle, gathered and scattered", "[simt]") {
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    const SlidingInputs in = sliding_inputs(shape);
    Problem<Simt> problem(in);
    const std::vector<double> expected = expected_input_gradient(in);
    CHECK(error_of(problem.data(SlidingProduct::fma), expected) < kSingle);
    CHECK(error_of(problem.data(SlidingProduct::tf32), expected) < kTf32);
    CHECK(error_of(problem.scattered_data(), expected) < kSingle);
  }
}

TEST_CASE("scc_backward_weight is the oracle, in one part and in several", "[simt]") {
  std::vector<SlidingChannelShape> shapes = sliding_shapes();
  shapes.push_back(scc(16, 24, 16, 20, 2, 0.5, 3));  // 960 columns: three parts
  shapes.push_back(scc(16, 24, 27, 27, 2, 0.5, 1));  // two parts, the last of them shorter
  int parts = 0;
  for (const SlidingChannelShape& shape : shapes) {
    INFO(in_words(shape));
    const SlidingInputs in = sliding_inputs(shape);
    Problem<Simt> problem(in);
    const std::vector<double> expected = expected_weight_gradient(in);
    CHECK(error_of(problem.weight(SlidingProduct::fma), expected) < kSingle);
    CHECK(error_of(problem.weight(SlidingProduct::tf32), expected) < kTf32);
    parts = std::max(parts, scc_weight_parts(shape));
  }
  CHECK(parts == 3);
}

TEST_CASE("scc_block is depthwise, ReLU, SCC and ReLU in one, with strides and borders", "[simt]") {
  for (const auto& [shape, stride] : block_shapes()) {
    INFO(in_words(shape) << ", stride " << stride);
    const BlockInputs block = block_inputs(shape, stride);
    const std::vector<double> expected = expected_block(block);
    CHECK(std::count(expected.begin(), expected.end(), 0.0) > 0);
    CHECK(error_of(run_block<Simt>(block, SlidingProduct::fma), expected) < kSingle);
    CHECK(error_of(run_block<Simt>(block, SlidingProduct::tf32), expected) < kTf32);
  }
}

TEST_CASE("stack_channels copies every window, cyclically", "[simt]") {
  check_stack<float>();
  check_stack<bfloat16>();
}

TEST_CASE("SCC's kernels have the same bits in every schedule, with late and early copies", "[simt]") {
  const SlidingInputs in = sliding_inputs(scc(64, 70, 16, 16, 2, 0.33));
  const BlockInputs block = block_inputs(scc(64, 70, 5, 5, 2, 0.33), 1);
  const auto all = [&](const simt::EngineOptions& options) {
    Problem<Simt> problem(in, options);
    std::vector<std::vector<float>> results = {problem.forward_bf16(in),
                                               run_block<Simt>(block, SlidingProduct::fma, options)};
    for (const SlidingProduct product : {SlidingProduct::fma, SlidingProduct::tf32}) {
      results.push_back(problem.forward(product));
      results.push_back(problem.data(product));
      results.push_back(problem.weight(product));
    }
    return results;
  };
  const auto expected = all({});
  for (const simt::CopyTiming timing : {simt::CopyTiming::late, simt::CopyTiming::early}) {
    for (const std::uint64_t seed : {1u, 2u}) {
      simt::EngineOptions options;
      options.cp_async = timing;
      options.schedule_seed = seed;
      CHECK(all(options) == expected);
    }
  }
}

TEST_CASE("atomics: none input-centric, one for each product output-centric", "[simt]") {
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    Problem<Simt> problem(sliding_inputs(shape));
    simt::Engine& engine = problem.bench.device().engine();
    problem.data(SlidingProduct::fma);
    CHECK(engine.last_kernel() == "scc_backward_data");
    CHECK(engine.last_launch()[simt::Counter::atomics] == 0);
    problem.weight(SlidingProduct::fma);
    CHECK(engine.counts("scc_backward_weight")[simt::Counter::atomics] == 0);
    problem.scattered_data();
    CHECK(engine.last_kernel() == "scc_backward_data_output_centric");
    CHECK(static_cast<double>(engine.last_launch()[simt::Counter::atomics]) == shape.products());
  }
}

TEST_CASE("the operations counted are those that SCC's formulas say", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  const auto flops = [](const simt::LaunchCounts& counts) {
    return static_cast<double>(counts[simt::Counter::mma_flops] + counts[simt::Counter::scalar_flops]);
  };
  for (const SlidingChannelShape& shape : sliding_shapes()) {
    INFO(in_words(shape));
    const SlidingInputs in = sliding_inputs(shape);
    Problem<Simt> problem(in);
    simt::Engine& engine = problem.bench.device().engine();
    for (const SlidingProduct product : {SlidingProduct::fma, SlidingProduct::tf32}) {
      problem.forward(product);
      CHECK(flops(engine.last_launch()) == scc_forward_flops(shape, product));
      problem.data(product);
      CHECK(flops(engine.last_launch()) == scc_backward_data_flops(shape, product));
      engine.reset_counts();
      problem.weight(product);
      CHECK(flops(engine.counts("scc_backward_weight")) + flops(engine.counts("scc_add_parts")) ==
            scc_backward_weight_flops(shape, product));
    }
    problem.forward_bf16(in);
    CHECK(flops(engine.last_launch()) == scc_forward_flops(shape, SlidingProduct::bf16));
  }
}

TEST_CASE("in the order of windows the padding of bands is small", "[cpu]") {
  // 2 columns outputs window is the formula; 16 outputs in a row of VGG's layers read a few channels more.
  for (const int channels : {64, 128, 256, 512}) {
    for (const double overlap : {0.25, 0.33, 0.5, 0.75}) {
      const SlidingChannelShape shape = SlidingChannelShape::of(1, channels, channels, 8, 8, 2, overlap);
      INFO(in_words(shape));
      const double executed = scc_forward_flops(shape, SlidingProduct::tf32), needed = 2 * shape.products();
      CHECK(executed >= needed);
      CHECK(executed <= needed * (1 + 32.0 / shape.window));
    }
  }
}

TEST_CASE("SCC's kernels refuse what doesn't fit", "[simt]") {
  const SlidingInputs in = sliding_inputs(scc(12, 20, 3, 3, 2, 0.33));
  Problem<Simt> problem(in);
  CHECK_THROWS_WITH(problem.forward(SlidingProduct::bf16),
                    ContainsSubstring("float is multiplied by fma or in tf32"));
  CHECK_THROWS_WITH(problem.data(SlidingProduct::bf16), ContainsSubstring("scc_backward_data"));
  CHECK_THROWS_WITH(problem.weight(SlidingProduct::bf16), ContainsSubstring("scc_backward_weight"));
  CHECK_THROWS_WITH(run_block<Simt>(block_inputs(in.shape, 1), SlidingProduct::fma),
                    ContainsSubstring("12 inputs; from 32 to 1024"));
  problem.shape.window = 13;
  CHECK_THROWS_WITH(problem.forward(SlidingProduct::fma), ContainsSubstring("the window is 13"));
  problem.shape.window = 5;
  CHECK_THROWS_WITH(problem.forward(SlidingProduct::fma),
                    ContainsSubstring("w or its gradient has 120 elements; 100 follow from the shape"));
  problem.shape = in.shape;
  problem.first = problem.bench.upload(std::vector<int>(4));
  CHECK_THROWS_WITH(problem.forward(SlidingProduct::fma),
                    ContainsSubstring("those of sliding_channel_order"));
}

TEST_CASE("On a GPU SCC's kernels agree with the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    for (const SlidingChannelShape& shape : sliding_shapes()) {
      INFO(in_words(shape));
      const SlidingInputs in = sliding_inputs(shape);
      Problem<Cuda> problem(in);
      const std::vector<double> y = expected_output(in), dx = expected_input_gradient(in),
                                dw = expected_weight_gradient(in);
      CHECK(error_of(problem.forward(SlidingProduct::fma), y) < kSingle);
      CHECK(error_of(problem.forward(SlidingProduct::tf32), y) < kTf32);
      CHECK(error_of(problem.forward_bf16(in), y) < kBf16Output);
      CHECK(error_of(problem.data(SlidingProduct::fma), dx) < kSingle);
      CHECK(error_of(problem.data(SlidingProduct::tf32), dx) < kTf32);
      CHECK(error_of(problem.scattered_data(), dx) < kSingle);
      CHECK(error_of(problem.weight(SlidingProduct::fma), dw) < kSingle);
      CHECK(error_of(problem.weight(SlidingProduct::tf32), dw) < kTf32);
    }
    for (const auto& [shape, stride] : block_shapes()) {
      const BlockInputs block = block_inputs(shape, stride);
      CHECK(error_of(run_block<Cuda>(block, SlidingProduct::fma), expected_block(block)) < kSingle);
    }
  }
}
