// SPDX-License-Identifier: Apache-2.0
//
// Products of a sparse matrix with dense ones as libraries do them. X: [columns, dim], Y: [rows, dim],
// row-major; scores: one per edge, in the CSR's order. A matrix without values is all ones.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/graphs/csr_view.h"

namespace remeasure::baselines {

using kernels::CsrView;
using kernels::HostCsr;

/// Eigen: SparseMatrix<float, RowMajor> * Matrix<float, Dynamic, Dynamic, RowMajor>, on all cores. Keeps
/// references to the CSR's arrays.
class EigenSpmm {
 public:
  explicit EigenSpmm(const HostCsr& csr);
  void operator()(int dim, std::span<const float> x, std::span<float> y) const;

 private:
  HostCsr csr_;
  std::vector<float> ones_;
};

/// Eigen: a dot product per edge, rows split over all cores.
void sddmm_eigen(const HostCsr& csr, int dim, std::span<const float> a, std::span<const float> b,
                 std::span<float> scores);

/// cuSPARSE: cusparseSpMM on CSR in f32, the fastest of its algorithms for this problem, preprocessed. The
/// first call tries them: make it before anything is timed. The arrays of `csr` outlive the object; its
/// values may change between calls, its pattern may not. Throws DeviceError where cuSPARSE fails.
class CusparseSpmm {
 public:
  CusparseSpmm(Stream<Cuda>& stream, const CsrView<Cuda>& csr, int dim);
  ~CusparseSpmm();
  void operator()(DeviceSpan<Cuda, const float> x, DeviceSpan<Cuda, float> y);
  const std::string& setting() const;  ///< empty before the first call
  double preprocess_seconds()
      const;  ///< of the chosen algorithm, on the host's clock; 0 before the first call

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The same matrix as Blocked-ELL: every row of blocks has as many blocks as the fullest one.
struct BlockedEll {
  std::int64_t block = 16, block_rows = 0, block_columns = 0, width = 0;  ///< width: blocks per row of blocks
  std::vector<std::int32_t> columns =
      {};                          ///< [block_rows, width]: block column, ascending; -1 = none, at the end
  std::vector<float> values = {};  ///< [block_rows * block, width * block] row-major
  std::int64_t stored_blocks = 0;  ///< that aren't padding

  /// Bytes of columns and values, known before they are made.
  static std::int64_t bytes(const HostCsr& csr, std::int64_t block);
  /// Of them those that aren't padding: what one Blocked-ELL for each width of a row of blocks would take.
  static std::int64_t bytes_without_padding(const HostCsr& csr, std::int64_t block);
};
BlockedEll blocked_ell(const HostCsr& csr, std::int64_t block = 16);

/// cuSPARSE: cusparseSpMM on Blocked-ELL (TF32 tensor cores). Rows and columns are padded to whole blocks: x
/// is copied to a padded array at the first call with it (`load`), y from one in each call where rows aren't
/// whole blocks.
class CusparseBlockedSpmm {
 public:
  CusparseBlockedSpmm(Stream<Cuda>& stream, const HostCsr& csr, int dim);
  ~CusparseBlockedSpmm();
  void load(DeviceSpan<Cuda, const float> x);
  void operator()(DeviceSpan<Cuda, float> y);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// cuSPARSE: cusparseSDDMM, scores[e] = <a[row of e], b[column of e]> in f32. a: [rows, dim], b: [columns,
/// dim]
class CusparseSddmm {
 public:
  CusparseSddmm(Stream<Cuda>& stream, const CsrView<Cuda>& csr, int dim);
  ~CusparseSddmm();
  void operator()(DeviceSpan<Cuda, const float> a, DeviceSpan<Cuda, const float> b,
                  DeviceSpan<Cuda, float> scores);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
