// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of minnorm_sweep.cu do, counted from their loops. Tiles are computed whole: at n = 24 a
// block of 32 rows does 2 * 32 * 32 operations per feature where the lower triangle needs 24 * 25, so that
// the textbook's operations (minnorm_nested_flops) are an eighth of these; at n = 128 they are a third.
#include <algorithm>
#include <vector>

#include "kernels/learning/minnorm_sweep.h"

namespace remeasure::kernels {
namespace {

constexpr double kWarp = 32;
constexpr int kChunkRows = 32;     // kChunk of the kernel
constexpr int kPanelColumns = 16;  // kPanel of block_cholesky.h

/// One block of the launch; names as in the kernel.
struct BlockFlops {
  double n, features, side, groups;
  bool weighted;
  double threads = side * side;
  double tiles = groups * (groups + 1) / 2;

  explicit BlockFlops(const SweepShape& shape)
      : n(shape.samples),
        features(shape.features),
        side(sweep_tiling(shape.samples).side),
        groups(sweep_tiling(shape.samples).groups),
        weighted(!shape.isotropic) {}

  /// Triangle::add_outer: 16 multiply-adds of each tile; a weight that isn't 1 is a product of each row.
  double add_outer(bool with_weight) const { return threads * (32 * tiles + (with_weight ? 4 * groups : 0)); }

  /// warp_sum in each thread, then the warps' sums.
  double block_sum() const { return threads * (5 + threads / kWarp - 1); }

  /// X_p^T X_p by whole chunks of samples, and X_p^T y.
  double gram_of_features(double size) const {
    const double chunks = (static_cast<int>(n) + kChunkRows - 1) / kChunkRows;
    return chunks * kChunkRows * add_outer(false) + 2 * n * size;
  }

  /// block_cholesky.h's factor.
  double factor(int columns, int rows) const {
    double flops = 0;
    const int step = 4 * static_cast<int>(side);
    for (int first = 0; first < columns; first += kPanelColumns) {
      const int width = std::min(kPanelColumns, columns - first), next = first + width;
      for (int c = 0; c < width; ++c) {
        const double below = width - 1 - c;
        flops +=
            kWarp + below + below * (below + 1);  // a root in each lane, quotients, products and differences
      }
      flops += static_cast<double>(rows - next) * width * width;  // rows of the panel: substitution
      for (int row = next; row < rows; row += step) {
        for (int column = next; column < columns && column < row + step; column += step)
          flops += threads * 32 * width;
      }
      for (int row = next; row < rows; ++row)
        flops += std::min(columns - 1, row) - next + 1;  // what is stored
    }
    return flops;
  }

  /// A quotient in each lane, and a product and a difference for each element below.
  double back_substitute(double p) const { return kWarp * p + p * (p - 1); }

  /// sweep_below for the ascending sizes <= n.
  double below(const std::vector<int>& sizes) const {
    if (sizes.empty()) return 0;
    double flops = gram_of_features(sizes.back()) + factor(sizes.back(), sizes.back() + 1);
    for (const double p : sizes) flops += back_substitute(p) + 4 * p + 3 * (features - p) + kWarp * 5 + 1;
    return flops;
  }

  double nested(const std::vector<int>& sizes) const {
    const auto above = std::upper_bound(sizes.begin(), sizes.end(), static_cast<int>(n));
    double flops = below({sizes.begin(), above}) + 3 * features + block_sum();
    if (above == sizes.end()) return flops;
    const double largest = sizes.back();
    flops += largest * (add_outer(false) + (weighted ? add_outer(true) : 0) + 3 * n);
    const double part = weighted ? 3 * n + back_substitute(n) + 4 * n * (n + 1) / 2 : 4 * n;
    const int order = static_cast<int>(n);
    return flops +
           static_cast<double>(sizes.end() - above) * (factor(order, order + 2) + part + block_sum() + 2);
  }

  double naive(int p) const {
    const int size = std::min(p, static_cast<int>(n));
    const bool wide = p > n;
    double flops = wide ? p * add_outer(false) : gram_of_features(size);
    flops += factor(size, size + 1) + back_substitute(size);
    if (wide) flops += p * (2 * n + kWarp * 5);
    return flops + features * 4 + block_sum() + 1;
  }
};

std::vector<int> solved(const SweepShape& shape, std::span<const int> sizes, bool in_double) {
  std::vector<int> result;
  for (const int p : sizes) {
    if (shape.in_double(p) == in_double) result.push_back(p);
  }
  return result;
}

/// Features up to the largest size, y, the truth; and a risk for each size.
double launch_bytes(const SweepShape& shape, const std::vector<int>& sizes) {
  if (sizes.empty()) return 0;
  const double n = shape.samples, largest = sizes.back(), count = static_cast<double>(sizes.size());
  return 4 * shape.trials * (n * largest + n + count) + 8.0 * shape.features;
}

SweepWork work_of(const SweepShape& shape, std::span<const int> sizes, bool nested) {
  const BlockFlops block(shape);
  const std::vector<int> in_float = solved(shape, sizes, false), in_double = solved(shape, sizes, true);
  double flops = 0;
  if (nested && !in_float.empty()) flops = block.nested(in_float);
  if (!nested) {
    for (const int p : in_float) flops += block.naive(p);
  }
  for (const int p : in_double) flops += block.naive(p);
  return {shape.trials * flops, launch_bytes(shape, in_float) + launch_bytes(shape, in_double)};
}

}  // namespace

SweepWork minnorm_sweep_work(const SweepShape& shape, std::span<const int> sizes) {
  return work_of(shape, sizes, true);
}
SweepWork minnorm_naive_work(const SweepShape& shape, std::span<const int> sizes) {
  return work_of(shape, sizes, false);
}

}  // namespace remeasure::kernels
