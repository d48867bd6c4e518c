// SPDX-License-Identifier: Apache-2.0
//
// The matrix product of cuBLAS at its best: every algorithm that cublasLt's heuristics propose, and cuBLAS's
// own choice beside them, is timed once on the problem itself; the fastest is used from then on.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/device/device.h"

namespace remeasure::baselines {

/// Elements of a, b and c, and how they are multiplied. tf32: float elements; i8: c is int32.
enum class MatmulType { f64, f32, tf32, bf16, f16, i8 };

/// c = alpha op(a) op(b) + beta c, column-major, for every product of a strided batch. op(a): [rows, inner],
/// op(b): [inner, columns], c: [rows, columns]. Leading dimensions and strides in elements; a leading
/// dimension of 0 is the least there can be.
struct MatmulProblem {
  MatmulType type = MatmulType::f32;
  bool transpose_a = false, transpose_b = false;
  int rows = 0, columns = 0, inner = 0;
  int lda = 0, ldb = 0, ldc = 0;
  std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;
  int batch = 1;
  double alpha = 1, beta = 0;

  auto operator<=>(const MatmulProblem&) const = default;
};

/// Throws std::invalid_argument: sizes below 1, leading dimensions too small, products of a batch that
/// overlap in c.
void check_problem(const MatmulProblem& problem);
/// Elements from c's first to the last of its last product.
std::size_t c_elements(const MatmulProblem& problem);
/// Largest power of two up to 256 that divides the address.
std::uint32_t alignment_of(const void* address);
/// What NVIDIA recommends for cuBLAS, doubled for Hopper's split-K algorithms.
std::size_t matmul_workspace_bytes(int compute_capability);

/// Handles and the workspace that all products on one stream share. Only where the CUDA toolkit is.
class MatmulLibrary {
 public:
  explicit MatmulLibrary(Stream<Cuda>& stream);
  ~MatmulLibrary();
  MatmulLibrary(const MatmulLibrary&) = delete;
  MatmulLibrary& operator=(const MatmulLibrary&) = delete;

 private:
  friend class Matmul;
  struct State;
  std::unique_ptr<State> state_;
};

/// One product. The first call tries all candidates (a few launches of each, c is overwritten and then
/// computed): make it once before anything is timed. So does a call whose pointers are aligned worse than
/// those of the first. The library outlives it.
class Matmul {
 public:
  Matmul(MatmulLibrary& library, const MatmulProblem& problem);
  ~Matmul();
  Matmul(Matmul&&) noexcept;
  Matmul& operator=(Matmul&&) noexcept;

  void operator()(const void* a, const void* b, void* c);
  /// The algorithm that was chosen; empty before the first call.
  const std::string& setting() const;
  /// Its time when it was chosen; 0 before the first call.
  double seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
