// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/layer_norm.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/convolution/testing/block_problem.h"
#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using remeasure::testing::TestBench;

namespace {

template <class Element, class Bench>
void check_norm(Bench& bench, int channels, int pixels, double limit) {
  const auto c = static_cast<std::size_t>(channels), size = c * static_cast<std::size_t>(pixels);
  const std::vector<float> drawn = kernels::testing::normal_values(size, 1, 2);
  const std::vector<float> norm = kernels::testing::normal_values(2 * c, 2, 1);
  std::vector<Element> x;
  std::vector<double> must;
  for (const float v : drawn) x.push_back(Element(v + 3));
  for (std::size_t p = 0; p < size; p += c) {
    double mean = 0, variance = 0;
    for (std::size_t i = 0; i < c; ++i) mean += static_cast<double>(static_cast<float>(x[p + i])) / channels;
    for (std::size_t i = 0; i < c; ++i)
      variance += std::pow(static_cast<double>(static_cast<float>(x[p + i])) - mean, 2) / channels;
    for (std::size_t i = 0; i < c; ++i) {
      must.push_back((static_cast<double>(static_cast<float>(x[p + i])) - mean) / std::sqrt(variance + 1e-6) *
                         static_cast<double>(norm[i]) +
                     static_cast<double>(norm[c + i]));
    }
  }
  const auto in = bench.upload(x);
  const auto gains = bench.upload(norm);
  auto out = bench.template output<Element>(size);
  channel_norm(bench.stream(), channels, 1e-6f, in.span(), gains.span(), out.span());
  INFO(channels << " channels");
  CHECK(kernels::testing::relative_l2(bench.download(out), must) < limit);
}

/// Some of each number of pairs that a lane can hold, and both ends.
template <class Element, class Bench>
void check_widths(Bench& bench, double limit) {
  for (const int channels : {2, 30, 64, 96, 192, 384, 768, 2048})
    check_norm<Element>(bench, channels, 11, limit);
}

}  // namespace

TEST_CASE("layer norm of channels is the definition at every width", "[simt]") {
  TestBench<Simt> bench;
  check_widths<float>(bench, 1e-5);
  check_widths<half>(bench, 1e-3);
  check_widths<bfloat16>(bench, 8e-3);
}

TEST_CASE("layer norm executes what is stated", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  for (const int channels : {32, 96, 384}) {
    TestBench<Simt> bench;
    check_norm<half>(bench, channels, 16, 1e-3);
    const simt::LaunchCounts& counts = bench.device().engine().last_launch();
    CHECK(std::abs(static_cast<double>(counts[simt::Counter::scalar_flops]) /
                       (16 * channel_norm_flops(channels)) -
                   1) < 0.03);
  }
}

TEST_CASE("layer norm refuses odd channels and sizes that don't fit", "[simt]") {
  TestBench<Simt> bench;
  const auto x = bench.upload(std::vector<float>(9)), norm = bench.upload(std::vector<float>(6));
  auto y = bench.output<float>(9);
  CHECK_THROWS_WITH(channel_norm(bench.stream(), 3, 1e-6f, x.span(), norm.span(), y.span()),
                    Catch::Matchers::ContainsSubstring("3 channels; an even number up to 2048"));
  CHECK_THROWS_WITH(channel_norm(bench.stream(), 4, 1e-6f, x.span(), norm.span(), y.span()),
                    Catch::Matchers::ContainsSubstring("whole rows of 4"));
}

TEST_CASE("On a GPU layer norm of channels is the definition", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& gpu) {
    check_norm<float>(gpu, 96, 1001, 1e-6);
    check_norm<half>(gpu, 768, 1001, 1e-3);
    check_widths<float>(gpu, 1e-5);
    check_widths<half>(gpu, 1e-3);
    check_widths<bfloat16>(gpu, 8e-3);
  });
}
