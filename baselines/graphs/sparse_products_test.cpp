// SPDX-License-Identifier: Apache-2.0
#include "baselines/graphs/sparse_products.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/graphs/graph_reference.h"
#include "kernels/graphs/testing/graph_problem.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels::testing;

namespace {

/// Largest error relative to sum |a||x|.
double worst(const HostCsr& csr, int dim, const std::vector<float>& x, const std::vector<float>& y) {
  std::vector<double> exact(y.size()), scale(y.size());
  kernels::spmm_reference<double>(csr, dim, x, exact);
  kernels::spmm_scale(csr, dim, x, scale);
  double error = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double each = std::abs(static_cast<double>(y[i]) - exact[i]) / (scale[i] > 0 ? scale[i] : 1);
    error = each <= error ? error : each;
  }
  return error;
}

double worst_score(const HostCsr& csr, int dim, const std::vector<float>& a, const std::vector<float>& b,
                   const std::vector<float>& scores) {
  std::vector<double> exact(scores.size()), scale(scores.size());
  kernels::sddmm_reference<double>(csr, dim, a, b, exact);
  kernels::sddmm_scale(csr, dim, a, b, scale);
  double error = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double each = std::abs(static_cast<double>(scores[i]) - exact[i]) / scale[i];
    error = each <= error ? error : each;
  }
  return error;
}

}  // namespace

TEST_CASE("Eigen's sparse products are the references, with and without values", "[cpu]") {
  for (const bool weighted : {false, true}) {
    const SparseProblem problem = random_sparse(300, 170, 6, 1, 11);
    const HostCsr csr = problem.csr(weighted);
    const std::vector<float> x = random_dense(170, 20, 2), a = random_dense(300, 20, 3);
    std::vector<float> y(300 * 20), scores(problem.column_indices.size());
    EigenSpmm product(csr);
    product(20, x, y);
    CHECK(worst(csr, 20, x, y) < 1e-6);
    sddmm_eigen(csr, 20, a, x, scores);
    CHECK(worst_score(csr, 20, a, x, scores) < 1e-6);
    CHECK_THROWS_WITH(product(20, a, y), Catch::Matchers::ContainsSubstring("6000 values for [170, 20]"));
  }
}

TEST_CASE("Blocked-ELL holds the matrix, padded to the fullest row of blocks", "[cpu]") {
  const SparseProblem problem = random_sparse(37, 50, 3, 4, 20);
  const HostCsr csr = problem.csr(true);
  for (const std::int64_t block : {4, 16}) {
    const BlockedEll ell = blocked_ell(csr, block);
    CHECK(static_cast<std::int64_t>(4 * ell.columns.size() + 4 * ell.values.size()) ==
          BlockedEll::bytes(csr, block));
    CHECK(ell.width == (50 + block - 1) / block);  // row 20 has all columns
    CHECK(BlockedEll::bytes_without_padding(csr, block) == ell.stored_blocks * (4 + 4 * block * block));
    CHECK(BlockedEll::bytes_without_padding(csr, block) < BlockedEll::bytes(csr, block));
    std::size_t found = 0;
    for (std::int64_t row = 0; row < ell.block_rows * block; ++row) {
      for (std::int64_t place = 0; place < ell.width * block; ++place) {
        const float value = ell.values[static_cast<std::size_t>(row * ell.width * block + place)];
        if (value == 0) continue;
        const std::int32_t of =
            ell.columns[static_cast<std::size_t>(row / block * ell.width + place / block)];
        REQUIRE(of >= 0);
        REQUIRE(row < 37);
        const std::int64_t column = of * block + place % block;
        bool exists = false;
        for (std::int32_t e = problem.row_pointers[static_cast<std::size_t>(row)];
             e < problem.row_pointers[static_cast<std::size_t>(row) + 1]; ++e) {
          exists = exists || (problem.column_indices[static_cast<std::size_t>(e)] == column &&
                              problem.values[static_cast<std::size_t>(e)] == value);
        }
        REQUIRE(exists);
        ++found;
      }
    }
    CHECK(found == problem.column_indices.size());
    std::int64_t stored = 0;
    for (const std::int32_t column : ell.columns) stored += column >= 0;
    CHECK(stored == ell.stored_blocks);
  }
}

TEST_CASE("On a GPU cuSPARSE's products agree with the references", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    remeasure::testing::on_gpu([](auto& bench) {
      const SparseProblem problem = random_sparse(500, 500, 6, 1, 11);
      for (const bool weighted : {false, true}) {
        const HostCsr csr = problem.csr(weighted);
        OnDevice<Cuda> device(bench, csr);
        for (const int dim : {16, 64}) {
          const std::vector<float> host = random_dense(500, dim, 2);
          auto x = bench.upload(host);
          auto y = bench.template output<float>(host.size()),
               scores = bench.template output<float>(problem.column_indices.size());
          CusparseSpmm product(bench.stream(), device.csr(), dim);
          product(x, y);
          product(x, y);
          CHECK(worst(csr, dim, host, bench.download(y)) < 1e-6);
          CHECK_FALSE(product.setting().empty());
          CusparseBlockedSpmm blocked(bench.stream(), csr, dim);
          blocked.load(std::as_const(x).span());
          blocked(y);
          CHECK(worst(csr, dim, host, bench.download(y)) < 2.1e-3);  // TF32
          CusparseSddmm sampled(bench.stream(), device.csr(), dim);
          sampled(x, x, scores);
          CHECK(worst_score(csr, dim, host, host, bench.download(scores)) < 1e-6);
        }
      }
    });
  }
}
