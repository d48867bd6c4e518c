// SPDX-License-Identifier: Apache-2.0
//
// Sparse times sparse, C = A B, by libraries: Eigen and cuSPARSE. Matrices as in
// kernels/graphs/product_windows.h.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "kernels/graphs/hash_spgemm.h"
#include "kernels/graphs/hash_spgemm_reference.h"

namespace remeasure::baselines {

using kernels::CsrResult;
using kernels::CsrView;
using kernels::DeviceCsrResult;
using kernels::HostCsr;

/// Eigen's product of two row-major sparse matrices, which has no threads of its own: blocks of rows of A are
/// dealt out to `threads` (0 = all cores). Columns of C ascend. Throws std::invalid_argument where C has no
/// room.
void spgemm_eigen(const HostCsr& a, const HostCsr& b, const CsrResult<float>& c, int threads = 0);

/// cusparseSpGEMM with the algorithm that is fastest on this product, chosen by the constructor, and buffers
/// that stay. cuSPARSE sorts the columns of C (its authors in CUDALibrarySamples, issue 84); it waits for the
/// GPU in each product to learn how many entries there are. Only in builds with the CUDA toolkit. Throws
/// DeviceError where no algorithm can do it.
class CusparseSpgemm {
 public:
  CusparseSpgemm(Stream<Cuda>& stream, const CsrView<Cuda>& a, const CsrView<Cuda>& b,
                 const DeviceCsrResult<Cuda>& c);
  ~CusparseSpgemm();
  CusparseSpgemm(const CusparseSpgemm&) = delete;
  CusparseSpgemm& operator=(const CusparseSpgemm&) = delete;

  /// Everything: work estimation, computation, copy to C.
  void run();
  /// Computation and copy, on an estimation that was made once.
  void run_estimated();
  /// "CUSPARSE_SPGEMM_ALG1, buffers ..."
  std::string setting() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
