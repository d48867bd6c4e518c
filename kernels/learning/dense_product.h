// SPDX-License-Identifier: Apache-2.0
//
// Products of small dense layers in float, with what follows them in a network: forward y = relu(x W^T),
// backward dx = dy W where the layer below was positive, dW = dy^T x.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/device/device.h"

namespace remeasure::kernels {

enum class DenseEpilogue {
  none,
  relu,  ///< max(c, 0)
  mask,  ///< c where the mask is positive, else 0
};

/// c[rows, columns] = op(a)[rows, inner] op(b)[inner, columns], row-major. transpose_a: a is [inner, rows];
/// transpose_b: b is [columns, inner]; not both.
struct DenseProduct {
  int rows = 0, columns = 0, inner = 0;
  bool transpose_a = false, transpose_b = false;
  DenseEpilogue epilogue = DenseEpilogue::none;
};

inline constexpr int kDenseTile = 64, kDenseDepth = 16;

/// Parts of the inner dimension that blocks of their own sum: a weight's gradient has few outputs and
/// thousands of terms. The parts are added in order, so the bits are the same in every run.
struct DensePlan {
  int row_tiles = 0, column_tiles = 0, parts = 1, inner_of_part = 0;
};
inline DensePlan dense_plan(const DenseProduct& p) {
  const auto over = [](int a, int b) { return (a + b - 1) / b; };
  DensePlan plan{over(p.rows, kDenseTile), over(p.columns, kDenseTile)};
  const int tiles = plan.row_tiles * plan.column_tiles;
  if (p.inner >= 1024 && p.epilogue == DenseEpilogue::none)
    plan.parts = std::max(1, std::min(over(p.inner, 256), over(264, tiles)));
  plan.inner_of_part = over(over(p.inner, plan.parts), kDenseDepth) * kDenseDepth;
  plan.parts = over(p.inner, plan.inner_of_part);
  return plan;
}
/// Floats of workspace; 0 where there is one part.
inline std::size_t dense_workspace(const DenseProduct& p) {
  const DensePlan plan = dense_plan(p);
  return plan.parts == 1 ? 0
                         : static_cast<std::size_t>(plan.parts) * static_cast<std::size_t>(p.rows) *
                               static_cast<std::size_t>(p.columns);
}

/// What the launches do: whole tiles, and the additions of the parts.
struct DenseWork {
  double flops = 0, bytes = 0;
};
DenseWork dense_work(const DenseProduct& p);

/// `mask`: [rows, columns], only with DenseEpilogue::mask; `workspace`: at least dense_workspace(). Bitwise
/// deterministic. Throws std::invalid_argument for sizes that don't fit.
template <class Target>
void dense_product(Stream<Target>& stream, const DenseProduct& product, DeviceSpan<Target, const float> a,
                   DeviceSpan<Target, const float> b, DeviceSpan<Target, float> c,
                   DeviceSpan<Target, const float> mask = {}, DeviceSpan<Target, float> workspace = {});

}  // namespace remeasure::kernels
