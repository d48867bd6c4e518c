// SPDX-License-Identifier: Apache-2.0
//
// The three products of a dense layer in float: forward, back to its input, back to its weights.
//
//   for (m in rows) for (n in columns) {
//     for (k in inner) sum += op(a)[m][k] * op(b)[k][n];
//     c[m][n] = epilogue(sum);
//   }
//
// Optimisation: 64 x 64 outputs a block, 4 x 4 a thread, operands of 16 inner values in shared memory with
// the inner dimension outermost, two buffers, the next operands on their way in registers meanwhile. ReLU and
// its derivative are done before anything is written: no launch and no pass of their own. Full-batch training
// makes the weights' gradients products with an inner dimension of thousands and few outputs: they are cut
// into parts over the inner dimension, and a second launch adds the parts in order (no atomics).
//
// Launch: (column tiles, row tiles, parts) blocks of 256 threads; then one thread per output for the parts.
// Flops and bytes: dense_work. Limits: 65535 row tiles.
#include "kernels/learning/dense_product.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr int kTile = kDenseTile, kDepth = kDenseDepth;
constexpr int kThreads = 256;
constexpr int kLoads = kTile * kDepth / kThreads;  // of each operand by a thread
constexpr int kPitch = kTile + 4;                  // keeps float4s aligned, and neighbours out of one bank

struct Arguments {
  const float *a, *b, *mask;
  float* c;
  int rows, columns, inner, inner_of_part;
};

struct alignas(16) Buffer {
  float at[kDepth][kPitch];
};

/// A thread's share of 64 x 16 values of an operand: lines are rows of a or columns of b. kInnerFirst: inner
/// values are neighbours in memory, so neighbouring threads take those; else they take neighbouring lines.
template <bool kInnerFirst>
struct Operand {
  float values[kLoads];

  RM_DEVICE static int line_of(int i) {
    const int thread = static_cast<int>(threadIdx.x);
    return kInnerFirst ? thread / kDepth + i * (kThreads / kDepth) : thread % kTile;
  }
  RM_DEVICE static int depth_of(int i) {
    const int thread = static_cast<int>(threadIdx.x);
    return kInnerFirst ? thread % kDepth : thread / kTile + i * (kThreads / kTile);
  }
  /// Zeros beyond the last line and from `end` on.
  RM_DEVICE void load(const float* data, int first_line, int lines, int first, int end, int inner) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int line = first_line + line_of(i), k = first + depth_of(i);
      const std::size_t at = kInnerFirst ? static_cast<std::size_t>(line) * static_cast<std::size_t>(inner) +
                                               static_cast<std::size_t>(k)
                                         : static_cast<std::size_t>(k) * static_cast<std::size_t>(lines) +
                                               static_cast<std::size_t>(line);
      values[i] = line < lines && k < end ? data[at] : 0.0f;
    }
  }
  RM_DEVICE void store(Buffer& tile) const {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) tile.at[depth_of(i)][line_of(i)] = values[i];
  }
};

template <bool kTransposeA, bool kTransposeB, DenseEpilogue kEpilogue>
__global__ void __launch_bounds__(kThreads) product_kernel(const Arguments p) {
  RM_SHARED(Buffer, of_a, [2]);
  RM_SHARED(Buffer, of_b, [2]);
  const int first_row = kTile * static_cast<int>(blockIdx.y),
            first_column = kTile * static_cast<int>(blockIdx.x);
  const int part = static_cast<int>(blockIdx.z), begin = part * p.inner_of_part,
            end = min(begin + p.inner_of_part, p.inner);
  const int thread = static_cast<int>(threadIdx.x), down = thread / 16 * 4, across = thread % 16 * 4;
  Operand<!kTransposeA> a;
  Operand<kTransposeB> b;
  a.load(p.a, first_row, p.rows, begin, end, p.inner);
  b.load(p.b, first_column, p.columns, begin, end, p.inner);
  float sum[4][4] = {};
  int buffer = 0;
  for (int k = begin; k < end; k += kDepth, buffer ^= 1) {
    a.store(of_a[buffer]);
    b.store(of_b[buffer]);
    __syncthreads();
    if (k + kDepth < end) {
      a.load(p.a, first_row, p.rows, k + kDepth, end, p.inner);
      b.load(p.b, first_column, p.columns, k + kDepth, end, p.inner);
    }
#pragma unroll
    for (int depth = 0; depth < kDepth; ++depth) {
      const float4 x = *reinterpret_cast<const float4*>(&of_a[buffer].at[depth][down]);
      const float4 y = *reinterpret_cast<const float4*>(&of_b[buffer].at[depth][across]);
      const float from_a[4] = {x.x, x.y, x.z, x.w}, from_b[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] += from_a[i] * from_b[j];
      }
    }
  }
  float* const c = p.c + static_cast<std::size_t>(part) * static_cast<std::size_t>(p.rows) *
                             static_cast<std::size_t>(p.columns);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = first_row + down + i;
    if (row >= p.rows) continue;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int column = first_column + across + j;
      if (column >= p.columns) continue;
      const std::size_t at = static_cast<std::size_t>(row) * static_cast<std::size_t>(p.columns) +
                             static_cast<std::size_t>(column);
      float value = sum[i][j];
      if constexpr (kEpilogue == DenseEpilogue::relu) value = fmaxf(value, 0.0f);
      if constexpr (kEpilogue == DenseEpilogue::mask) value = p.mask[at] > 0 ? value : 0.0f;
      c[at] = value;
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    add_parts_kernel(int parts, int size, const float* __restrict__ from, float* __restrict__ to) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i >= size) return;
  float sum = from[i];
  for (int part = 1; part < parts; ++part)
    sum +=
        from[static_cast<std::size_t>(part) * static_cast<std::size_t>(size) + static_cast<std::size_t>(i)];
  to[i] = sum;
}

template <class Target, bool kTransposeA, bool kTransposeB, DenseEpilogue kEpilogue>
void launch_tiles(Stream<Target>& stream, const DensePlan& plan, const Arguments& arguments) {
  launch({.name = "dense_product",
          .grid = dim3(static_cast<unsigned>(plan.column_tiles), static_cast<unsigned>(plan.row_tiles),
                       static_cast<unsigned>(plan.parts)),
          .block = kThreads},
         stream, product_kernel<kTransposeA, kTransposeB, kEpilogue>, arguments);
}

template <class Target, bool kTransposeA, bool kTransposeB>
void launch_epilogue(Stream<Target>& stream, DenseEpilogue epilogue, const DensePlan& plan,
                     const Arguments& arguments) {
  switch (epilogue) {
    case DenseEpilogue::none:
      return launch_tiles<Target, kTransposeA, kTransposeB, DenseEpilogue::none>(stream, plan, arguments);
    case DenseEpilogue::relu:
      return launch_tiles<Target, kTransposeA, kTransposeB, DenseEpilogue::relu>(stream, plan, arguments);
    case DenseEpilogue::mask:
      return launch_tiles<Target, kTransposeA, kTransposeB, DenseEpilogue::mask>(stream, plan, arguments);
  }
}

void check(const DenseProduct& p, std::size_t a, std::size_t b, std::size_t c, std::size_t mask,
           std::size_t workspace) {
  const auto size = [](int x, int y) { return static_cast<std::size_t>(x) * static_cast<std::size_t>(y); };
  if (p.transpose_a && p.transpose_b)
    throw std::invalid_argument("dense_product: no layer needs both operands transposed");
  if (p.rows < 1 || p.columns < 1 || p.inner < 1 || dense_plan(p).row_tiles > 65'535 ||
      a != size(p.rows, p.inner) || b != size(p.inner, p.columns) || c != size(p.rows, p.columns) ||
      mask != (p.epilogue == DenseEpilogue::mask ? c : 0) || workspace < dense_workspace(p)) {
    throw std::invalid_argument("dense_product: " + std::to_string(a) + ", " + std::to_string(b) + " and " +
                                std::to_string(c) + " values, a mask of " + std::to_string(mask) +
                                ", a workspace of " + std::to_string(workspace) + " for [" +
                                std::to_string(p.rows) + ", " + std::to_string(p.inner) + "] times [" +
                                std::to_string(p.inner) + ", " + std::to_string(p.columns) + "]");
  }
}

}  // namespace

template <class Target>
void dense_product(Stream<Target>& stream, const DenseProduct& p, DeviceSpan<Target, const float> a,
                   DeviceSpan<Target, const float> b, DeviceSpan<Target, float> c,
                   DeviceSpan<Target, const float> mask, DeviceSpan<Target, float> workspace) {
  check(p, a.size(), b.size(), c.size(), mask.size(), workspace.size());
  const DensePlan plan = dense_plan(p);
  const Arguments arguments{a.data(), b.data(),  mask.data(), plan.parts > 1 ? workspace.data() : c.data(),
                            p.rows,   p.columns, p.inner,     plan.inner_of_part};
  if (p.transpose_a)
    launch_epilogue<Target, true, false>(stream, p.epilogue, plan, arguments);
  else if (p.transpose_b)
    launch_epilogue<Target, false, true>(stream, p.epilogue, plan, arguments);
  else
    launch_epilogue<Target, false, false>(stream, p.epilogue, plan, arguments);
  if (plan.parts == 1) return;
  launch({.name = "dense_product_parts", .grid = blocks_for(c.size(), kThreads), .block = kThreads}, stream,
         add_parts_kernel, plan.parts, static_cast<int>(c.size()), workspace.data(), c.data());
}

template void dense_product(Stream<CompiledTarget>&, const DenseProduct&,
                            DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, const float>,
                            DeviceSpan<CompiledTarget, float>, DeviceSpan<CompiledTarget, const float>,
                            DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
