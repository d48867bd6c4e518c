// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/monarch_outer.h"

#include <testing/catch.h>

#include "kernels/device/testing/test_bench.h"
#include "kernels/sequences/testing/convolution_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;
using remeasure::testing::TestBench;

namespace {

template <class Element>
double outer_error(const ConvolutionShape& shape, const MonarchFactors& factors, const Problem& problem) {
  TestBench<Simt> bench;
  const auto rounded = [](const std::vector<float>& values) {
    std::vector<Element> result;
    for (const float value : values) result.push_back(Element(value));
    return result;
  };
  const MonarchOuterPlan<Simt, Element> plan(bench.stream(), factors);
  const auto u = bench.upload(rounded(problem.u)), pre = bench.upload(rounded(problem.pregate)),
             post = bench.upload(rounded(problem.postgate));
  const auto k = bench.upload(monarch_device_filters<Element>(shape, factors, problem.filters));
  auto planes = bench.template output<Element>(2 * static_cast<std::size_t>(shape.batch * shape.channels) *
                                               shape.points());
  auto y = bench.template output<Element>(shape.values());
  monarch_outer_convolution<Simt, Element>(bench.stream(), shape, plan, u, pre, k, post, planes, y);
  std::vector<float> result;
  for (const Element value : bench.download(y)) result.push_back(static_cast<float>(value));
  return relative_error(result, oracle(shape, problem));
}

}  // namespace

TEST_CASE("an outer DFT over global memory around fused rows is the convolution in double", "[simt]") {
  for (const auto& [outer, length] : {std::pair{16, 4096}, {32, 4096}, {16, 2048}}) {
    const ConvolutionShape shape{2, 2, length, 256 * outer};
    INFO(outer << " x 256, length " << length);
    const Problem problem = make_problem(shape, 2048, true);
    CHECK(outer_error<float>(shape, {outer, 16, 16}, problem) < 5e-6);
    CHECK(outer_error<half>(shape, {outer, 16, 16}, problem) < 5e-3);
    CHECK(outer_error<bfloat16>(shape, {outer, 16, 16}, problem) < 2e-2);
  }
  for (const int outer : {64, 128}) {
    const ConvolutionShape shape{1, 1, 256 * outer, 256 * outer};
    CHECK(outer_error<half>(shape, {outer, 16, 16}, make_problem(shape, 256 * outer, false)) < 5e-3);
  }
}

TEST_CASE("lengths from 64K to 4M have outer factors", "[cpu]") {
  for (std::size_t size = 65'536; size <= std::size_t{1} << 22; size *= 2) {
    const MonarchFactors factors = monarch_outer_factors(size);
    CHECK(factors.size() == size);
    CHECK(factors.order() == 4);
  }
  CHECK(monarch_outer_factors(std::size_t{1} << 21) == MonarchFactors{64, 32, 32, 32});
  CHECK_THROWS_WITH(monarch_outer_factors(32'768), ContainsSubstring("32768"));
}

TEST_CASE("monarch_outer_convolution refuses what doesn't fit", "[simt]") {
  const ConvolutionShape windows{1, 1, 4096, 4096, 2048};
  CHECK_THROWS_WITH(outer_error<float>(windows, {16, 16, 16}, make_problem(windows, 16, false)),
                    ContainsSubstring("whole sequences only"));
  const ConvolutionShape large{1, 1, 64 * 256, 64 * 256};
  CHECK_THROWS_WITH(outer_error<float>(large, {64, 16, 16}, make_problem(large, 16, false)),
                    ContainsSubstring("outer factor 64"));
}
