// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/monarch_conv.h"

#include <testing/catch.h>
#include <cmath>
#include <functional>

#include "kernels/device/testing/test_bench.h"
#include "kernels/sequences/testing/convolution_problem.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;
using remeasure::testing::TestBench;

namespace {

template <class Element>
std::vector<Element> rounded(const std::vector<float>& values) {
  std::vector<Element> result;
  for (const float value : values) result.push_back(Element(value));
  return result;
}
template <class Element>
std::vector<float> widened(const std::vector<Element>& values) {
  std::vector<float> result;
  for (const Element value : values) result.push_back(static_cast<float>(value));
  return result;
}

/// The kernel on a target. `edit` may change the filters' spectra.
template <class Element, class Target>
std::vector<float> convolve(TestBench<Target>& bench, const ConvolutionShape& shape,
                            const MonarchFactors& factors, const MonarchKept& kept, const Problem& problem,
                            const std::function<void(std::vector<Element>&)>& edit = {}) {
  const MonarchPlan<Target, Element> plan(bench.stream(), factors);
  std::vector<Element> spectra = monarch_device_filters<Element>(shape, factors, problem.filters);
  if (edit) edit(spectra);
  const auto u = bench.upload(rounded<Element>(problem.u)), k = bench.upload(spectra);
  const auto pre = bench.upload(rounded<Element>(problem.pregate)),
             post = bench.upload(rounded<Element>(problem.postgate));
  auto y = bench.template output<Element>(shape.values());
  monarch_convolution<Target, Element>(bench.stream(), shape, plan, kept, u, pre, k, post, y);
  return widened(bench.download(y));
}

template <class Element>
double error_of(const ConvolutionShape& shape, const MonarchFactors& factors, const Problem& problem) {
  TestBench<Simt> bench;
  Problem seen = problem;  // the oracle begins at what the kernel reads
  seen.u = widened(rounded<Element>(problem.u));
  seen.pregate = widened(rounded<Element>(problem.pregate)),
  seen.postgate = widened(rounded<Element>(problem.postgate));
  return relative_error(convolve<Element>(bench, shape, factors, {}, problem), oracle(shape, seen));
}

}  // namespace

TEST_CASE("fused convolution in f16, bf16 and f32 is the convolution in double, for every order", "[simt]") {
  struct Row {
    int batch, channels, length, transform;
    MonarchFactors factors;
    bool gated;
  };
  const Row rows[] = {{3, 2, 256, 256, {16, 16}, true},
                      {1, 1, 256, 512, {16, 32}, false},
                      {2, 1, 512, 512, {32, 16}, false},
                      {1, 2, 1024, 1024, {32, 32}, true},
                      {1, 1, 4096, 4096, {16, 16, 16}, false}};
  for (const Row& row : rows) {
    const ConvolutionShape shape{row.batch, row.channels, row.length, row.transform};
    INFO(row.length << " in " << row.transform);
    const Problem problem = make_problem(shape, row.length, row.gated);
    CHECK(error_of<half>(shape, row.factors, problem) < 5e-3);
    CHECK(error_of<bfloat16>(shape, row.factors, problem) < 2e-2);
    CHECK(error_of<float>(shape, row.factors, problem) < 5e-6);
  }
  // Low precision is low: an f16 that were as good as f32 would not be one.
  const ConvolutionShape shape{1, 1, 256, 256};
  CHECK(error_of<half>(shape, {16, 16}, make_problem(shape, 256, false)) > 1e-4);
}

TEST_CASE("64 x 64 is 16 x 16 x 16", "[simt]") {
  const ConvolutionShape shape{1, 1, 4096, 4096};
  const Problem problem = make_problem(shape, 4096, false);
  CHECK(error_of<half>(shape, {64, 64}, problem) < 5e-3);
  CHECK(error_of<bfloat16>(shape, {64, 64}, problem) < 2e-2);
}

TEST_CASE("the largest transform fits shared memory", "[simt]") {
  const ConvolutionShape shape{1, 1, 32'768, 32'768};
  CHECK(error_of<half>(shape, {32, 32, 32}, make_problem(shape, 32'768, false)) < 5e-3);
}

TEST_CASE("packed signals give what real ones give; without the mirrored frequency they don't", "[simt]") {
  for (const auto& [length, transform] : {std::pair{512, 512}, {256, 512}, {8192, 8192}}) {
    const ConvolutionShape packed{2, 1, length, transform, 0, Signal::packed};
    const Problem problem = make_problem(packed, length, true);
    const MonarchFactors half_size = monarch_factors(packed.points());
    const std::vector<double> exact = oracle(packed, problem);
    TestBench<Simt> bench;
    const std::vector<float> result = convolve<float>(bench, packed, half_size, {}, problem);
    CHECK(relative_error(result, exact) < 5e-6);
    ConvolutionShape real = packed;
    real.signal = Signal::real;
    const std::vector<float> unpacked =
        convolve<float>(bench, real, monarch_factors(real.points()), {}, problem);
    CHECK(relative_error(result, std::vector<double>(unpacked.begin(), unpacked.end())) < 1e-5);
    CHECK(error_of<half>(packed, half_size, problem) < 5e-3);
    CHECK(error_of<bfloat16>(packed, half_size, problem) < 2e-2);
    const std::vector<float> without =
        convolve<float>(bench, packed, half_size, {}, problem, [](std::vector<float>& spectra) {
          for (std::size_t i = 0; i < spectra.size(); i += 4) spectra[i + 2] = spectra[i + 3] = 0;
        });
    CHECK(relative_error(without, exact) > 0.1);
  }
}

TEST_CASE("dropped frequencies: skipping blocks is multiplying by zeros, and nothing dropped changes no bit",
          "[simt]") {
  struct Row {
    MonarchFactors factors;
    MonarchKept kept;
    double sparsity;
  };
  for (const Row& row :
       {Row{{32, 32}, {16, 16}, 0.75}, Row{{32, 32}, {32, 16}, 0.5}, Row{{32, 16, 16}, {16, 16, 16}, 0.5},
        Row{{16, 32, 32}, {16, 16, 16}, 0.75}, Row{{16, 32, 32}, {16, 32, 16}, 0.5}}) {
    const int size = static_cast<int>(row.factors.size());
    const ConvolutionShape shape{1, 1, size, size, 0, Signal::complex};
    INFO(size << ", " << row.kept[0]);
    CHECK(sparsity(row.factors, row.kept) == row.sparsity);
    const Problem problem = make_problem(shape, size, false);
    TestBench<Simt> bench;
    const auto kept_frequency = [&](std::size_t position) {
      bool kept = true;
      for (int i = 0; i < row.factors.order(); ++i) {
        kept = kept && position / row.factors.inner(i) % static_cast<std::size_t>(row.factors.factor(i)) <
                           static_cast<std::size_t>(row.kept[static_cast<std::size_t>(i)]);
      }
      return kept;
    };
    const std::vector<float> sparse = convolve<float>(bench, shape, row.factors, row.kept, problem);
    const std::vector<float> zeroed =
        convolve<float>(bench, shape, row.factors, {}, problem, [&](std::vector<float>& spectra) {
          for (std::size_t p = 0; p < row.factors.size(); ++p) {
            if (!kept_frequency(p)) spectra[2 * p] = spectra[2 * p + 1] = 0;
          }
        });
    CHECK(relative_error(sparse, std::vector<double>(zeroed.begin(), zeroed.end())) < 1e-6);
    const std::vector<float> dense = convolve<float>(bench, shape, row.factors, {}, problem);
    CHECK(relative_error(sparse, std::vector<double>(dense.begin(), dense.end())) > 0.1);
    MonarchKept all;
    for (int i = 0; i < row.factors.order(); ++i) all.push_back(row.factors.factor(i));
    CHECK(convolve<float>(bench, shape, row.factors, all, problem) == dense);
  }
}

TEST_CASE("overlap-save over windows is the whole convolution with a short filter", "[simt]") {
  for (const auto& [transform, hop, signal] :
       {std::tuple{256, 128, Signal::real}, {512, 256, Signal::packed}, {1024, 512, Signal::real}}) {
    const ConvolutionShape windows{2, 2, 1536 - 32, transform, hop, signal};  // the last window is cut
    const Problem problem = make_problem(windows, transform - hop, true);
    CHECK(error_of<float>(windows, monarch_factors(windows.points()), problem) < 5e-6);
  }
}

TEST_CASE("a filter of a quarter of the taps reads a quarter of the past", "[simt]") {
  const ConvolutionShape shape{1, 1, 512, 1024, 0, Signal::real};
  Problem problem = make_problem(shape, 128, false);
  TestBench<Simt> bench;
  const std::vector<float> before = convolve<float>(bench, shape, {32, 32}, {}, problem);
  for (std::size_t i = 0; i < 256; ++i) problem.u[i] += 10;
  const std::vector<float> after = convolve<float>(bench, shape, {32, 32}, {}, problem);
  double unreached = 0, reached = 0;
  for (std::size_t i = 256 + 128; i < 512; ++i)
    unreached = std::max(unreached, std::abs(static_cast<double>(after[i]) - static_cast<double>(before[i])));
  for (std::size_t i = 256; i < 256 + 127; ++i)
    reached = std::max(reached, std::abs(static_cast<double>(after[i]) - static_cast<double>(before[i])));
  CHECK(unreached < 1e-3);
  CHECK(reached > 1);
}

TEST_CASE("monarch_convolution executes the products that its cost says, dense and sparse", "[simt]") {
  const auto counted = [](const ConvolutionShape& shape, const MonarchFactors& factors,
                          const MonarchKept& kept) {
    TestBench<Simt> bench;
    convolve<half>(bench, shape, factors, kept,
                   make_problem(shape, shape.length, shape.signal != Signal::complex));
    const simt::LaunchCounts counts = bench.device().engine().counts("monarch_convolution");
    if (bench.device().engine().checked()) {
      const MonarchCost cost = monarch_cost<half>(shape, factors, kept, shape.signal != Signal::complex);
      CHECK(cost.bytes == static_cast<double>(counts[simt::Counter::distinct_global_bytes_read] +
                                              counts[simt::Counter::distinct_global_bytes_written]));
    }
    return static_cast<double>(counts[simt::Counter::mma_flops]);
  };
  CHECK(counted({3, 2, 256, 256}, {16, 16}, {}) == 6 * 16.0 * 256 * 32);
  CHECK(counted({2, 1, 512, 512, 0, Signal::packed}, {16, 16}, {}) ==
        2 * 16.0 * 256 * 32);  // half of 16 N sum(N_i)
  CHECK(counted({1, 1, 1024, 1024, 0, Signal::complex}, {32, 32}, {16, 16}) ==
        2 * (8.0 * 16 * 1024 + 8.0 * 16 * 16 * 32));
  const MonarchFactors cube{16, 32, 32};
  CHECK(counted({1, 1, 16'384, 16'384, 0, Signal::complex}, cube, {16, 16, 16}) ==
        monarch_matmul_flops(cube, {16, 16, 16}));
  CHECK(monarch_matmul_flops(cube, {16, 16, 16}) ==
        2 * (8.0 * 16 * 16'384 + 8.0 * 16 * 16 * 32 * 32 + 8.0 * 16 * 16 * 16 * 32));
}

TEST_CASE("monarch_convolution refuses what doesn't fit", "[simt]") {
  TestBench<Simt> bench;
  const auto refused = [&](const ConvolutionShape& shape, const MonarchFactors& factors,
                           const MonarchKept& kept, bool gated) {
    return [=, &bench] { convolve<float>(bench, shape, factors, kept, make_problem(shape, 16, gated)); };
  };
  CHECK_THROWS_WITH(refused({1, 1, 256, 256}, {64, 4}, {}, false)(),
                    ContainsSubstring("factor 64; factors are 16 or 32"));
  CHECK_THROWS_WITH(refused({1, 1, 250, 256}, {16, 16}, {}, false)(),
                    ContainsSubstring("length 250; a multiple of 16"));
  CHECK_THROWS_WITH(refused({1, 1, 512, 256}, {16, 16}, {}, false)(), ContainsSubstring("give a hop"));
  CHECK_THROWS_WITH(refused({1, 1, 512, 512}, {16, 16}, {}, false)(),
                    ContainsSubstring("plan has 256 elements; 512 follow"));
  CHECK_THROWS_WITH(refused({1, 1, 256, 256}, {16, 16}, {16, 8}, false)(), ContainsSubstring("kept[1] is 8"));
  CHECK_THROWS_WITH(refused({1, 1, 512, 256, 100}, {16, 16}, {}, false)(), ContainsSubstring("hop 100"));
  CHECK_THROWS_WITH(refused({1, 1, 256, 256, 0, Signal::complex}, {16, 16}, {}, true)(),
                    ContainsSubstring("complex signals have no gates"));
}
