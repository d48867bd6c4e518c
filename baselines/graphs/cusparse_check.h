// SPDX-License-Identifier: Apache-2.0
//
// For the *_cuda.cpp files of this room alone: it includes CUDA.
#pragma once

#include <cusparse.h>

#include <string>

#include "baselines/matmul/library_handle.h"
#include "kernels/device/device.h"

namespace remeasure::baselines {

/// Throws DeviceError with the call, the status and its meaning.
inline void check(cusparseStatus_t status, const char* call) {
  if (status == CUSPARSE_STATUS_SUCCESS) return;
  throw DeviceError(std::string(call) + " failed: " + cusparseGetErrorName(status) + " (" +
                    cusparseGetErrorString(status) + ")");
}

/// A handle on a stream.
struct CusparseHandle : LibraryHandle<cusparseHandle_t, cusparseDestroy> {
  explicit CusparseHandle(Stream<Cuda>& stream) {
    check(cusparseCreate(&handle), "cusparseCreate");
    check(cusparseSetStream(handle, static_cast<cudaStream_t>(stream.native())), "cusparseSetStream");
  }
};

/// A row-major dense matrix. The library takes pointers to const for operands, but its descriptors don't.
class DenseDescriptor {
 public:
  DenseDescriptor(std::int64_t rows, std::int64_t columns, const float* values) {
    check(cusparseCreateDnMat(&descriptor_, rows, columns, columns, const_cast<float*>(values), CUDA_R_32F,
                              CUSPARSE_ORDER_ROW),
          "cusparseCreateDnMat");
  }
  ~DenseDescriptor() { cusparseDestroyDnMat(descriptor_); }
  DenseDescriptor(const DenseDescriptor&) = delete;
  DenseDescriptor& operator=(const DenseDescriptor&) = delete;
  void set(const float* values) {
    check(cusparseDnMatSetValues(descriptor_, const_cast<float*>(values)), "cusparseDnMatSetValues");
  }
  operator cusparseDnMatDescr_t() const { return descriptor_; }

 private:
  cusparseDnMatDescr_t descriptor_ = nullptr;
};

/// A CSR, or whatever `make(&descriptor)` creates.
class SparseDescriptor {
 public:
  template <class Make>
  SparseDescriptor(Make make, const char* call) {
    check(make(&descriptor_), call);
  }
  static auto csr(std::int64_t rows, std::int64_t columns, std::int64_t edges,
                  const std::int32_t* row_pointers, const std::int32_t* column_indices, const float* values) {
    return [=](cusparseSpMatDescr_t* descriptor) {
      return cusparseCreateCsr(descriptor, rows, columns, edges, const_cast<std::int32_t*>(row_pointers),
                               const_cast<std::int32_t*>(column_indices), const_cast<float*>(values),
                               CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, CUDA_R_32F);
    };
  }
  ~SparseDescriptor() { cusparseDestroySpMat(descriptor_); }
  SparseDescriptor(const SparseDescriptor&) = delete;
  SparseDescriptor& operator=(const SparseDescriptor&) = delete;
  void set(const float* values) {
    check(cusparseSpMatSetValues(descriptor_, const_cast<float*>(values)), "cusparseSpMatSetValues");
  }
  operator cusparseSpMatDescr_t() const { return descriptor_; }

 private:
  cusparseSpMatDescr_t descriptor_ = nullptr;
};

}  // namespace remeasure::baselines
