// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/tc_spmm.h"

#include <testing/catch.h>
#include <cmath>
#include <limits>

#include "kernels/graphs/graph_reference.h"
#include "kernels/graphs/testing/graph_problem.h"
#include "kernels/simt/schedules.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

enum class Way { tensor_cores, rescan, cuda_cores, hybrid };

template <class Target>
std::vector<float> spmm(TestBench<Target>& bench, Way way, const HostCsr& csr, int dim,
                        const std::vector<float>& x, int most = kPartTiles, float least = 0) {
  const RowWindows windows = translate_rows(csr);
  OnDevice<Target> device(bench, csr, windows, split_windows(windows, most, least));
  const WindowPartsView<Target> parts = device.parts(bench, dim);
  auto in = bench.upload(x);
  auto y = bench.template output<float>(static_cast<std::size_t>(csr.rows) * static_cast<std::size_t>(dim));
  auto& stream = bench.stream();
  switch (way) {
    case Way::tensor_cores:
      tc_spmm<Target>(stream, device.windows(), parts, dim,
                      csr.values.empty() ? DeviceSpan<Target, const float>() : device.values, in, y);
      break;
    case Way::rescan:
      tc_spmm_rescan<Target>(stream, device.windows(), device.csr(false), device.condensed, device.edge_rows,
                             dim, in, y);
      break;
    case Way::cuda_cores:
      csr_spmm<Target>(stream, device.csr(), dim, in, y);
      break;
    case Way::hybrid:
      hybrid_spmm<Target>(stream, device.windows(), parts, device.csr(false), dim, in, y);
      break;
  }
  return bench.download(y);
}

struct Errors {
  double worst = 0;   ///< relative to sum |a||x|
  bool zeros = true;  ///< rows without an edge are zeros
};

Errors errors(const HostCsr& csr, int dim, const std::vector<float>& x, const std::vector<float>& y) {
  std::vector<double> exact(y.size()), scale(y.size());
  spmm_reference<double>(csr, dim, x, exact);
  spmm_scale(csr, dim, x, scale);
  Errors result;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (scale[i] == 0) {
      result.zeros = result.zeros && y[i] == 0;
    } else {
      const double error = std::abs(static_cast<double>(y[i]) - exact[i]) / scale[i];
      result.worst = error <= result.worst ? result.worst : error;  // a NaN stays
    }
  }
  return result;
}

constexpr double kTf32 = 0x1p-11 * 1.01;  // X is rounded once, 1 is exact; sums are f32
constexpr int kDims[] = {4, 16, 20, 32, 44, 64, 68, 128, 132};

}  // namespace

TEST_CASE("tc_spmm is the product with X rounded to TF32, at all widths and sizes around a window",
          "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : kDims) {
    for (const SparseProblem& problem :
         {random_sparse(1, 9, 3, 1), random_sparse(47, 80, 5, 2, 30), random_sparse(32, 20, 9, 3)}) {
      INFO("dim " << dim << ", " << problem.rows << " x " << problem.columns);
      const std::vector<float> x = random_dense(problem.columns, dim, 4);
      const Errors found =
          errors(problem.csr(), dim, x, spmm(bench, Way::tensor_cores, problem.csr(), dim, x));
      CHECK(found.zeros);
      CHECK(found.worst <= kTf32);
      if (problem.rows > 1) CHECK(found.worst > 0x1p-14);  // it is TF32, not f32
    }
  }
}

TEST_CASE(
    "windows that are split among blocks have the same product, and the sums of their slots the order of the "
    "parts",
    "[simt]") {
  TestBench<Simt> bench;
  const SparseProblem problem =
      random_sparse(43, 150, 6, 2, 40);  // a hub in the last window, which has 11 rows
  const RowWindows windows = translate_rows(problem.csr());
  for (const int dim : {4, 16, 20, 32, 64, 132}) {
    for (const int most : {1, 2, 5, 18}) {
      INFO("dim " << dim << ", parts of " << most << " tiles");
      REQUIRE(split_windows(windows, most).slots > 0);
      const std::vector<float> x = random_dense(problem.columns, dim, 4);
      for (const bool weighted : {false, true}) {
        const HostCsr csr = problem.csr(weighted);
        const Errors found = errors(csr, dim, x, spmm(bench, Way::tensor_cores, csr, dim, x, most));
        CHECK(found.zeros);
        CHECK(found.worst <= (weighted ? 2 : 1) * kTf32);
      }
      CHECK(errors(problem.csr(), dim, x, spmm(bench, Way::hybrid, problem.csr(), dim, x, most, 10)).worst <=
            kTf32);
    }
  }
}

TEST_CASE("parts cover each window's tiles once, and none is longer than it may be", "[cpu]") {
  const SparseProblem problem = random_sparse(100, 300, 5, 3, 50);
  const RowWindows windows = translate_rows(problem.csr());
  for (const int most : {1, 3, 32}) {
    const WindowParts parts = split_windows(windows, most);
    std::int64_t next = 0, slots = 0;
    std::int32_t window = -1;
    for (std::size_t i = 0; i < parts.parts.size(); i += 4) {
      if (parts.parts[i] != window) CHECK(parts.parts[i] == ++window);
      CHECK(parts.parts[i + 1] == next);
      next = parts.parts[i + 2];
      CHECK(next - parts.parts[i + 1] <= most);
      if (parts.parts[i + 3] != WindowParts::kWhole) CHECK(parts.parts[i + 3] == slots++);
    }
    CHECK(next == windows.tiles());
    CHECK(window + 1 == windows.windows());
    CHECK(slots == parts.slots);
    for (std::size_t i = 0; i < parts.splits.size(); i += 4) CHECK(parts.splits[i + 2] > 1);
  }
  CHECK_THROWS_WITH(split_windows(windows, 0), Catch::Matchers::ContainsSubstring("no tile"));
}

TEST_CASE("tc_spmm multiplies by the weights of the edges, in the CSR's order", "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : {16, 32, 64, 72}) {
    const SparseProblem problem = random_sparse(40, 70, 6, 5, 7);
    const std::vector<float> x = random_dense(problem.columns, dim, 6);
    const Errors found =
        errors(problem.csr(true), dim, x, spmm(bench, Way::tensor_cores, problem.csr(true), dim, x));
    CHECK(found.zeros);
    CHECK(found.worst <= 2 * kTf32);  // weights are rounded too
  }
}

TEST_CASE("tc_spmm_rescan adds the same tiles in the same order as tc_spmm", "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : kDims) {
    INFO("dim " << dim);
    const SparseProblem problem = random_sparse(47, 80, 5, 2, 30);
    const std::vector<float> x = random_dense(problem.columns, dim, 4);
    const std::vector<float> y = spmm(bench, Way::rescan, problem.csr(), dim, x);
    const Errors found = errors(problem.csr(), dim, x, y);
    CHECK(found.zeros);
    CHECK(found.worst <= kTf32);
    if (spmm_plan(dim).depth_warps == 1) CHECK(y == spmm(bench, Way::tensor_cores, problem.csr(), dim, x));
  }
}

TEST_CASE("csr_spmm is the product in f32, with and without values", "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : kDims) {
    for (const bool weighted : {false, true}) {
      INFO("dim " << dim);
      const SparseProblem problem = random_sparse(37, 80, 7, 7, 30);
      const HostCsr csr = problem.csr(weighted);
      const std::vector<float> x = random_dense(problem.columns, dim, 8);
      const Errors found = errors(csr, dim, x, spmm(bench, Way::cuda_cores, csr, dim, x));
      CHECK(found.zeros);
      CHECK(found.worst <= 1e-6);
    }
  }
}

TEST_CASE("hybrid_spmm sends each window to the cores that its edges per tile ask for", "[simt]") {
  TestBench<Simt> bench;
  const SparseProblem problem = random_sparse(64, 200, 2, 9);
  const RowWindows windows = translate_rows(problem.csr());
  const auto occupancy = [&](std::size_t w) {
    const std::int32_t begin = windows.tile_pointers[w], end = windows.tile_pointers[w + 1];
    const std::int32_t edges = windows.edge_pointers[static_cast<std::size_t>(end)] -
                               windows.edge_pointers[static_cast<std::size_t>(begin)];
    return static_cast<float>(edges) / static_cast<float>(end - begin);
  };
  const float least = (std::min({occupancy(0), occupancy(1), occupancy(2), occupancy(3)}) +
                       std::max({occupancy(0), occupancy(1), occupancy(2), occupancy(3)})) /
                      2;
  for (const int dim : {16, 32, 64, 128}) {
    const std::vector<float> x = random_dense(problem.columns, dim, 10);
    const std::vector<float> tensor = spmm(bench, Way::tensor_cores, problem.csr(), dim, x),
                             cuda = spmm(bench, Way::cuda_cores, problem.csr(), dim, x);
    CHECK(tensor != cuda);
    CHECK(spmm(bench, Way::hybrid, problem.csr(), dim, x, kPartTiles, 0) == tensor);
    CHECK(spmm(bench, Way::hybrid, problem.csr(), dim, x, kPartTiles, 129) == cuda);  // a tile holds 128
    const std::vector<float> mixed = spmm(bench, Way::hybrid, problem.csr(), dim, x, kPartTiles, least);
    int to_cuda = 0;
    for (std::size_t w = 0; w < 4; ++w) {
      const bool on_cuda = occupancy(w) < least;
      to_cuda += on_cuda;
      const std::size_t first = w * 16 * static_cast<std::size_t>(dim);
      for (std::size_t i = first; i < first + 16 * static_cast<std::size_t>(dim); ++i)
        REQUIRE(mixed[i] == (on_cuda ? cuda : tensor)[i]);
    }
    CHECK(to_cuda > 0);
    CHECK(to_cuda < 4);
  }
}

TEST_CASE("products over a translated graph have the same bits under every schedule", "[simt]") {
  TestBench<Simt> bench;
  const std::vector<std::uint64_t> seeds = {1, 2};
  const SparseProblem problem = random_sparse(40, 70, 6, 5, 7);
  for (const int dim : {16, 32, 128}) {
    const std::vector<float> x = random_dense(problem.columns, dim, 6);
    for (const Way way : {Way::tensor_cores, Way::rescan, Way::cuda_cores}) {
      CHECK_NOTHROW(simt::expect_schedule_independent(bench.device().engine(), seeds, [&] {
        const std::vector<float> y = spmm(bench, way, problem.csr(), dim, x, 3);
        const auto bytes = std::as_bytes(std::span(y));
        return std::vector<std::byte>(bytes.begin(), bytes.end());
      }));
    }
  }
}

TEST_CASE("the method's block loop is the product, in double and float, on any number of threads", "[cpu]") {
  const SparseProblem problem = random_sparse(50, 90, 6, 13, 20);
  const std::vector<float> x = random_dense(90, 12, 14);
  const RowWindows windows = translate_rows(problem.csr());
  std::vector<double> exact(50 * 12), blocks(50 * 12);
  spmm_reference<double>(problem.csr(true), 12, x, exact);
  translated_spmm<double>(windows, 12, problem.values, x, blocks);
  for (std::size_t i = 0; i < exact.size(); ++i) REQUIRE(std::abs(exact[i] - blocks[i]) < 1e-12);
  std::vector<float> one(50 * 12), four(50 * 12);
  translated_spmm<float>(windows, 12, {}, x, one, 1);
  translated_spmm<float>(windows, 12, {}, x, four, 4);
  CHECK(one == four);
  CHECK(errors(problem.csr(), 12, x, one).worst < 1e-6);
}

TEST_CASE("products over a graph refuse sizes that don't fit", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  TestBench<Simt> bench;
  const SparseProblem problem = random_sparse(20, 30, 4, 12);
  OnDevice<Simt> device(bench, problem.csr());
  auto x = bench.upload(random_dense(30, 16, 1)), y = bench.output<float>(20 * 16),
       few = bench.output<float>(20 * 16 - 1);
  CHECK_THROWS_WITH(tc_spmm<Simt>(bench.stream(), device.windows(), device.parts(bench, 16), 16, {}, x, few),
                    ContainsSubstring("480 values for [30, 16] and 319 for [20, 16]"));
  CHECK_THROWS_WITH(tc_spmm<Simt>(bench.stream(), device.windows(), device.parts(bench, 16), 10, {}, x, y),
                    ContainsSubstring("multiple of 4"));
  CHECK_THROWS_WITH(tc_spmm<Simt>(bench.stream(), device.windows(), device.parts(bench, 16), 16, few, x, y),
                    ContainsSubstring("tc_spmm: weights"));
  CHECK_THROWS_WITH(
      csr_spmm<Simt>(bench.stream(), {21, 30, device.row_pointers, device.column_indices, {}}, 16, x, y),
      ContainsSubstring("21 x 30 with 21 row pointers"));
  CHECK_THROWS_WITH(
      tc_spmm_rescan<Simt>(bench.stream(), device.windows(), device.csr(), device.condensed, {}, 16, x, y),
      ContainsSubstring("tc_spmm_rescan: arrays"));
}

TEST_CASE("On a GPU products over a translated graph have the errors that they have here", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    const SparseProblem problem = random_sparse(1000, 3000, 12, 21, 77);
    for (const int dim : kDims) {
      INFO("dim " << dim);
      const std::vector<float> x = random_dense(problem.columns, dim, 22);
      // Tensor cores keep fewer bits in their sums than the emulation; a row has up to 3,000 terms.
      CHECK(errors(problem.csr(), dim, x, spmm(bench, Way::tensor_cores, problem.csr(), dim, x)).worst <=
            kTf32 + 1e-5);
      CHECK(errors(problem.csr(true), dim, x, spmm(bench, Way::tensor_cores, problem.csr(true), dim, x))
                .worst <= 2 * kTf32 + 1e-5);
      CHECK(errors(problem.csr(), dim, x, spmm(bench, Way::rescan, problem.csr(), dim, x)).worst <=
            kTf32 + 1e-5);
      CHECK(errors(problem.csr(), dim, x, spmm(bench, Way::hybrid, problem.csr(), dim, x, 4, 10)).worst <=
            kTf32 + 1e-5);
      CHECK(
          errors(problem.csr(true), dim, x, spmm(bench, Way::cuda_cores, problem.csr(true), dim, x)).worst <=
          1e-5);
    }
  });
}
