// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/graph.h"

#include <testing/catch.h>

#include <stdexcept>
#include <vector>

#include "kernels/device/testing/saxpy.h"
#include "kernels/device/testing/test_bench.h"

namespace remeasure {
namespace {

using remeasure::testing::TestBench;

/// y after the graph of two saxpy was launched three times: recording itself adds nothing.
template <class Target>
std::vector<float> replayed(TestBench<Target>& bench) {
  const auto x = bench.upload(std::vector<float>{1, 2, 3});
  auto y = bench.upload(std::vector<float>{0, 0, 100});
  Graph<Target> graph(bench.stream(), [&] {
    kernels::saxpy<Target>(bench.stream(), 1, x, y.span());
    kernels::saxpy<Target>(bench.stream(), 10, x, y.span());
  });
  for (int i = 0; i < 3; ++i) graph.launch(bench.stream());
  return bench.download(y);
}

TEST_CASE("a graph replays what was recorded, and recording runs nothing", "[simt]") {
  TestBench<Simt> bench;
  CHECK(replayed(bench) == std::vector<float>{33, 66, 199});
}

TEST_CASE(
    "a graph on a GPU does what it does on Simt; one that fails while recording leaves the stream usable",
    "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  CHECK(remeasure::testing::same_on_gpu([](auto& bench) { return replayed(bench); }));
  remeasure::testing::on_gpu([](auto& bench) {
    CHECK_THROWS_AS(Graph(bench.stream(), [] { throw std::runtime_error("no"); }), std::runtime_error);
    CHECK(replayed(bench) == std::vector<float>{33, 66, 199});
  });
}

}  // namespace
}  // namespace remeasure
