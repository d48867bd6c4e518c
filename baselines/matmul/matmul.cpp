// SPDX-License-Identifier: Apache-2.0
#include "baselines/matmul/matmul.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace remeasure::baselines {
namespace {

void check_leading(const char* matrix, int leading, int least) {
  if (leading != 0 && leading < least) {
    throw std::invalid_argument(fmt::format(
        "matrix product: the leading dimension of {} is {}, at least {} is needed", matrix, leading, least));
  }
}

}  // namespace

void check_problem(const MatmulProblem& p) {
  if (p.rows < 1 || p.columns < 1 || p.inner < 1 || p.batch < 1) {
    throw std::invalid_argument(
        fmt::format("matrix product of {} x {} x {}, batch {}: all must be at least 1", p.rows, p.columns,
                    p.inner, p.batch));
  }
  check_leading("a", p.lda, p.transpose_a ? p.inner : p.rows);
  check_leading("b", p.ldb, p.transpose_b ? p.columns : p.inner);
  check_leading("c", p.ldc, p.rows);
  MatmulProblem one = p;
  one.batch = 1;
  // Columns of one product may lie between those of another, each within one leading dimension; else products
  // lie apart.
  const std::int64_t leading = p.ldc > 0 ? p.ldc : p.rows;
  const bool interleaved = p.stride_c >= p.rows && (p.batch - 1) * p.stride_c + p.rows <= leading;
  if (p.batch > 1 && p.columns > 1 && !interleaved &&
      p.stride_c < static_cast<std::int64_t>(c_elements(one))) {
    throw std::invalid_argument(
        fmt::format("matrix product: products overlap in c: stride {}, each has {} elements", p.stride_c,
                    c_elements(one)));
  }
}

std::size_t c_elements(const MatmulProblem& p) {
  const auto leading = static_cast<std::size_t>(p.ldc > 0 ? p.ldc : p.rows);
  return static_cast<std::size_t>(p.batch - 1) * static_cast<std::size_t>(p.stride_c) +
         static_cast<std::size_t>(p.columns - 1) * leading + static_cast<std::size_t>(p.rows);
}

std::uint32_t alignment_of(const void* address) {
  const auto bits = reinterpret_cast<std::uintptr_t>(address);
  std::uint32_t alignment = 256;
  while (alignment > 1 && bits % alignment != 0) alignment /= 2;
  return alignment;
}

std::size_t matmul_workspace_bytes(int compute_capability) {
  return compute_capability >= 90 ? 64u << 20 : 32u << 20;
}

}  // namespace remeasure::baselines
