// SPDX-License-Identifier: Apache-2.0
#include "baselines/matmul/linear.h"

#include <fmt/format.h>

#include <stdexcept>

namespace remeasure::baselines {

void check_linear(const LinearShape& shape) {
  if (shape.rows < 1 || shape.inputs < 1 || shape.outputs < 1) {
    throw std::invalid_argument(
        fmt::format("dense layer of {} rows, {} inputs, {} outputs: all must be at least 1", shape.rows,
                    shape.inputs, shape.outputs));
  }
  if (shape.gelu && shape.residual)
    throw std::invalid_argument("dense layer: cublasLt has no epilogue of gelu and then a residual");
}

}  // namespace remeasure::baselines
