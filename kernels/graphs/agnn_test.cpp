// SPDX-License-Identifier: Apache-2.0
#include "kernels/graphs/agnn.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/device/testing/relative_error.h"
#include "kernels/graphs/graph_reference.h"
#include "kernels/graphs/testing/graph_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

template <class Target>
std::vector<float> sddmm(TestBench<Target>& bench, const HostCsr& csr, int dim, const std::vector<float>& a,
                         const std::vector<float>& b) {
  const RowWindows translated = translate_rows(csr);
  OnDevice<Target> device(bench, csr, translated,
                          split_windows(translated, 3));  // hubs are split, also in odd parts
  auto of_a = bench.upload(a), of_b = bench.upload(b);
  auto scores = bench.template output<float>(static_cast<std::size_t>(csr.edges()), "scores");
  tc_sddmm<Target>(bench.stream(), device.windows(), device.parts(bench, dim), dim, of_a, of_b, scores);
  return bench.download(scores);
}

double worst_score(const HostCsr& csr, int dim, const std::vector<float>& a, const std::vector<float>& b,
                   const std::vector<float>& scores) {
  std::vector<double> exact(scores.size()), scale(scores.size());
  sddmm_reference<double>(csr, dim, a, b, exact);
  sddmm_scale(csr, dim, a, b, scale);
  double worst = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double error = std::abs(static_cast<double>(scores[i]) - exact[i]) / scale[i];
    worst = error <= worst ? worst : error;
  }
  return worst;
}

template <class Target>
std::vector<float> layer(TestBench<Target>& bench, const HostCsr& csr, float beta, int dim,
                         const std::vector<float>& x) {
  const RowWindows translated = translate_rows(csr);
  OnDevice<Target> device(bench, csr, translated,
                          split_windows(translated, 3));  // hubs are split, also in odd parts
  auto in = bench.upload(x);
  auto unit = bench.template output<float>(x.size()), y = bench.template output<float>(x.size());
  auto scores = bench.template output<float>(static_cast<std::size_t>(csr.edges()));
  agnn_layer<Target>(bench.stream(), device.windows(), device.parts(bench, dim), device.csr(), beta, dim, in,
                     unit, scores, y);
  return bench.download(y);
}

constexpr double kTwoRoundings = 0x1p-10 * 1.01;  // both rows are rounded to TF32

}  // namespace

TEST_CASE("tc_sddmm gives the scores of the edges, at all widths and sizes around a window", "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : {4, 16, 20, 32, 64, 100, 128}) {
    for (const SparseProblem& problem :
         {random_sparse(1, 9, 3, 1), random_sparse(47, 80, 5, 2, 30), random_sparse(32, 20, 9, 3)}) {
      INFO("dim " << dim << ", " << problem.rows << " x " << problem.columns);
      const std::vector<float> a = random_dense(problem.rows, dim, 4),
                               b = random_dense(problem.columns, dim, 5);
      const double worst = worst_score(problem.csr(), dim, a, b, sddmm(bench, problem.csr(), dim, a, b));
      CHECK(worst <= kTwoRoundings);
      if (problem.rows > 1) CHECK(worst > 1e-5);  // it is TF32
    }
  }
}

TEST_CASE("rows are normalised, and zero rows stay zero", "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : {4, 31, 32, 100}) {
    std::vector<float> x = random_dense(7, dim, 3);
    std::fill_n(x.begin() + 2 * dim, dim, 0.0f);
    auto in = bench.upload(x);
    auto out = bench.output<float>(x.size());
    normalise_rows<Simt>(bench.stream(), dim, in, out);
    const std::vector<float> unit = bench.download(out);
    for (std::size_t row = 0; row < 7; ++row) {
      double squares = 0;
      for (std::size_t d = 0; d < static_cast<std::size_t>(dim); ++d) {
        const std::size_t i = row * static_cast<std::size_t>(dim) + d;
        squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      }
      for (std::size_t d = 0; d < static_cast<std::size_t>(dim); ++d) {
        const std::size_t i = row * static_cast<std::size_t>(dim) + d;
        REQUIRE(std::abs(static_cast<double>(unit[i]) -
                         (row == 2 ? 0 : static_cast<double>(x[i]) / std::sqrt(squares))) < 1e-6);
      }
    }
  }
}

TEST_CASE("edge_softmax is the softmax of each row's scores", "[simt]") {
  TestBench<Simt> bench;
  const SparseProblem problem = random_sparse(45, 200, 20, 6, 11);  // a row of 200 edges, and empty ones
  OnDevice<Simt> device(bench, problem.csr());
  for (const float beta : {1.0f, -30.0f}) {
    auto scores = bench.upload(problem.values);
    edge_softmax<Simt>(bench.stream(), device.csr(), beta, scores);
    const std::vector<float> weights = bench.download(scores);
    for (std::size_t row = 0; row < 45; ++row) {
      const auto first = static_cast<std::size_t>(problem.row_pointers[row]),
                 end = static_cast<std::size_t>(problem.row_pointers[row + 1]);
      double sum = 0;
      for (std::size_t e = first; e < end; ++e)
        sum += std::exp(static_cast<double>(beta) * static_cast<double>(problem.values[e]));
      for (std::size_t e = first; e < end; ++e) {
        const double exact =
            std::exp(static_cast<double>(beta) * static_cast<double>(problem.values[e])) / sum;
        REQUIRE(std::abs(static_cast<double>(weights[e]) - exact) <= 2e-5 * exact + 1e-30);
      }
    }
  }
}

TEST_CASE("agnn_layer is the layer in double, up to TF32", "[simt]") {
  TestBench<Simt> bench;
  for (const int dim : {16, 32, 64}) {
    const SparseProblem problem = random_sparse(60, 60, 7, 14, 5);
    const std::vector<float> x = random_dense(60, dim, 15);
    std::vector<double> exact(x.size());
    agnn_reference<double>(problem.csr(), 1.5, dim, x, exact);
    CHECK(relative_error(layer(bench, problem.csr(), 1.5f, dim, x), exact) < 1.5e-3);
    std::vector<double> other(x.size());
    agnn_reference<double>(problem.csr(), 0.0, dim, x, other);  // plain means: another result
    CHECK(relative_error(layer(bench, problem.csr(), 1.5f, dim, x), other) > 0.01);
  }
}

TEST_CASE("kernels of AGNN refuse sizes that don't fit", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  TestBench<Simt> bench;
  const SparseProblem problem = random_sparse(20, 20, 4, 12);
  OnDevice<Simt> device(bench, problem.csr());
  auto x = bench.upload(random_dense(20, 16, 1)), few = bench.output<float>(3);
  CHECK_THROWS_WITH(tc_sddmm<Simt>(bench.stream(), device.windows(), device.parts(bench, 16), 16, x, x, few),
                    ContainsSubstring("tc_sddmm: arrays"));
  CHECK_THROWS_WITH(edge_softmax<Simt>(bench.stream(), device.csr(), 1, few),
                    ContainsSubstring("a score for each edge"));
  CHECK_THROWS_WITH(normalise_rows<Simt>(bench.stream(), 16, x, few), ContainsSubstring("[rows, dim]"));
}

TEST_CASE("On a GPU AGNN's kernels have the errors that they have here", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    const SparseProblem problem = random_sparse(1000, 1000, 12, 21, 77);
    for (const int dim : {16, 32, 100, 128}) {
      const std::vector<float> x = random_dense(1000, dim, 22);
      CHECK(worst_score(problem.csr(), dim, x, x, sddmm(bench, problem.csr(), dim, x, x)) <= kTwoRoundings);
      std::vector<double> exact(x.size());
      agnn_reference<double>(problem.csr(), 1.5, dim, x, exact);
      CHECK(relative_error(layer(bench, problem.csr(), 1.5f, dim, x), exact) < 1.5e-3);
    }
  });
}
