// SPDX-License-Identifier: Apache-2.0
//
// Bounds of attention's inner products (Feng et al., "Faith", USENIX ATC 2022, section 4; the planes are
// those of Shi et al., "Robustness Verification for Transformers", ICLR 2020, section 3.3): both bounds,
// weights and biases, in one launch.
//
//   for (i in rows) for (d in perturbation) for (h in heads) for (j in columns) for (k in inner)
//     a = y_lower[h][j][k];  A = y_upper[h][j][k];  b = x_lower[i][h][k];   // ends of intervals
//     lower'[i][d][h][j] += a * (a >= 0 ? lower_x : upper_x)[i][d][h][k];
//     lower'[i][d][h][j] += b * (b >= 0 ? lower_y : upper_y)[j][d][h][k];
//     upper'[i][d][h][j] += A * (A >= 0 ? upper_x : lower_x)[i][d][h][k];
//     upper'[i][d][h][j] += b * (b >= 0 ? upper_y : lower_y)[j][d][h][k];
//   biases are one more d, with - a b and - A b besides
//
// Optimisation: unfused these are eight batched products with six masked matrices, each written and read;
// here slopes are selected in registers, four multiply-adds a term. A block has one d and head and a square
// of outputs; seven operands of 16 inner places lie transposed in shared memory, so that a thread's loads are
// 16 (8) bytes and neighbours' don't collide.
//
// Launch: (inputs + 1, heads, tiles) blocks of 8 x 8 threads with 4 x 4 outputs each, or 2 x 2 where rows or
// columns are 16 or fewer. Flops and bytes: bound_dot_work. Limits: heads <= 65535.
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/learning/bound_ops.h"
#include "kernels/learning/relaxation.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 64, kSide = 8;

struct DotArguments {
  DotShape shape;
  const float *x_lower_weight, *x_upper_weight, *x_lower_bias, *x_upper_bias, *x_lower;
  const float *y_lower_weight, *y_upper_weight, *y_lower_bias, *y_upper_bias, *y_lower, *y_upper;
  float *lower_weight, *upper_weight, *lower_bias, *upper_bias;
};

/// kPer outputs a side for each thread: tiles of 8 kPer.
template <int kPer>
struct DotTile {
  static constexpr int kOutputs = kSide * kPer, kPitch = kOutputs + 4;
  static constexpr int kArray = kDotDepth * kPitch;  // floats of one operand
  static constexpr int kLoads = kDotDepth * kOutputs / kThreads;
};

/// kPer neighbours from an aligned place.
template <int kPer>
RM_DEVICE inline void load_neighbours(float (&values)[kPer], const float* from) {
  if constexpr (kPer == 4) {
    const float4 quad = *reinterpret_cast<const float4*>(from);
    values[0] = quad.x;
    values[1] = quad.y;
    values[2] = quad.z;
    values[3] = quad.w;
  } else {
    const float2 two = *reinterpret_cast<const float2*>(from);
    values[0] = two.x;
    values[1] = two.y;
  }
}

template <int kPer>
__global__ void __launch_bounds__(kThreads) dot_kernel(const DotArguments s) {
  using T = DotTile<kPer>;
  RM_DYNAMIC_SHARED(float, shared);
  float* const x_l = shared;
  float* const x_u = x_l + T::kArray;
  float* const x_end = x_u + T::kArray;
  float* const y_l = x_end + T::kArray;
  float* const y_u = y_l + T::kArray;
  float* const y_low = y_u + T::kArray;
  float* const y_high = y_low + T::kArray;
  const DotShape& shape = s.shape;
  const int d = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y),
            thread = static_cast<int>(threadIdx.x);
  const bool bias = d == shape.inputs;
  const int column_tiles = (shape.columns + T::kOutputs - 1) / T::kOutputs;
  const int first_row = static_cast<int>(blockIdx.z) / column_tiles * T::kOutputs,
            first_column = static_cast<int>(blockIdx.z) % column_tiles * T::kOutputs;
  const int down = thread / kSide * kPer, across = thread % kSide * kPer;

  // Biases are laid out as weights with one input.
  const float* const lower_x =
      bias ? s.x_lower_bias
           : s.x_lower_weight + static_cast<std::size_t>(d) * static_cast<std::size_t>(shape.x_channels);
  const float* const upper_x =
      bias ? s.x_upper_bias
           : s.x_upper_weight + static_cast<std::size_t>(d) * static_cast<std::size_t>(shape.x_channels);
  const float* const lower_y =
      bias ? s.y_lower_bias
           : s.y_lower_weight + static_cast<std::size_t>(d) * static_cast<std::size_t>(shape.y_channels);
  const float* const upper_y =
      bias ? s.y_upper_bias
           : s.y_upper_weight + static_cast<std::size_t>(d) * static_cast<std::size_t>(shape.y_channels);
  const std::size_t inputs = bias ? 1 : static_cast<std::size_t>(shape.inputs);

  float lower[kPer][kPer] = {}, upper[kPer][kPer] = {};
  for (int from = 0; from < shape.inner; from += kDotDepth) {
    // Threads lie along what is contiguous: k for x and for keys, columns for values.
#pragma unroll 4
    for (int load = 0; load < T::kLoads; ++load) {
      const int item = load * kThreads + thread;
      {
        const int place = item / kDotDepth, k = item % kDotDepth, row = first_row + place,
                  to = k * T::kPitch + place;
        const bool exists = row < shape.rows && from + k < shape.inner;
        const std::size_t channel = static_cast<std::size_t>(exists ? shape.x_channel(head, from + k) : 0),
                          stride = static_cast<std::size_t>(shape.x_channels);
        const std::size_t at = static_cast<std::size_t>(row) * inputs * stride + channel;
        x_l[to] = exists ? lower_x[at] : 0.0f;
        x_u[to] = exists ? upper_x[at] : 0.0f;
        x_end[to] = exists ? s.x_lower[static_cast<std::size_t>(row) * stride + channel] : 0.0f;
      }
      {
        const bool by_k = shape.kind == DotKind::scores;
        const int place = by_k ? item / kDotDepth : item % T::kOutputs,
                  k = by_k ? item % kDotDepth : item / T::kOutputs;
        const int column = first_column + place, to = k * T::kPitch + place;
        const bool exists = column < shape.columns && from + k < shape.inner;
        const std::size_t row = static_cast<std::size_t>(exists ? shape.y_row(column, from + k) : 0),
                          stride = static_cast<std::size_t>(shape.y_channels);
        const std::size_t channel =
            static_cast<std::size_t>(exists ? shape.y_channel(head, column, from + k) : 0);
        const std::size_t at = row * inputs * stride + channel;
        y_l[to] = exists ? lower_y[at] : 0.0f;
        y_u[to] = exists ? upper_y[at] : 0.0f;
        y_low[to] = exists ? s.y_lower[row * stride + channel] : 0.0f;
        y_high[to] = exists ? s.y_upper[row * stride + channel] : 0.0f;
      }
    }
    __syncthreads();  // the operands are whole
#pragma unroll 4
    for (int k = 0; k < kDotDepth; ++k) {
      const int row = k * T::kPitch + down, column = k * T::kPitch + across;
      float below_x[kPer], above_x[kPer], end_x[kPer], below_y[kPer], above_y[kPer], low_y[kPer],
          high_y[kPer];
      load_neighbours(below_x, x_l + row);
      load_neighbours(above_x, x_u + row);
      load_neighbours(end_x, x_end + row);
      load_neighbours(below_y, y_l + column);
      load_neighbours(above_y, y_u + column);
      load_neighbours(low_y, y_low + column);
      load_neighbours(high_y, y_high + column);
#pragma unroll
      for (int i = 0; i < kPer; ++i) {
#pragma unroll
        for (int j = 0; j < kPer; ++j) {
          const float a = low_y[j], A = high_y[j], b = end_x[i];
          lower[i][j] += a * (a >= 0 ? below_x[i] : above_x[i]);
          lower[i][j] += b * (b >= 0 ? below_y[j] : above_y[j]);
          upper[i][j] += A * (A >= 0 ? above_x[i] : below_x[i]);
          upper[i][j] += b * (b >= 0 ? above_y[j] : below_y[j]);
          if (bias) {  // all of a block or none
            lower[i][j] -= a * b;
            upper[i][j] -= A * b;
          }
        }
      }
    }
    __syncthreads();  // all are done with the operands
  }

  float* const lower_out = bias ? s.lower_bias : s.lower_weight;
  float* const upper_out = bias ? s.upper_bias : s.upper_weight;
#pragma unroll
  for (int i = 0; i < kPer; ++i) {
    const int row = first_row + down + i;
    if (row >= shape.rows) break;
    const std::size_t line = static_cast<std::size_t>(row) * inputs + static_cast<std::size_t>(bias ? 0 : d);
    const std::size_t at = (line * static_cast<std::size_t>(shape.heads) + static_cast<std::size_t>(head)) *
                           static_cast<std::size_t>(shape.columns);
#pragma unroll
    for (int j = 0; j < kPer; ++j) {
      const int column = first_column + across + j;
      if (column >= shape.columns) break;
      lower_out[at + static_cast<std::size_t>(column)] = lower[i][j];
      upper_out[at + static_cast<std::size_t>(column)] = upper[i][j];
    }
  }
}

template <class Target, int kPer>
void launch_dot(Stream<Target>& stream, const DotArguments& s) {
  using T = DotTile<kPer>;
  const unsigned tiles = blocks_for(s.shape.rows, T::kOutputs) * blocks_for(s.shape.columns, T::kOutputs);
  launch(
      {.name = "bound_dot",
       .grid = dim3(static_cast<unsigned>(s.shape.inputs) + 1, static_cast<unsigned>(s.shape.heads), tiles),
       .block = kThreads,
       .shared_bytes = 7 * T::kArray * sizeof(float)},
      stream, dot_kernel<kPer>, s);
}

void require(bool holds, const std::string& what) {
  if (!holds) throw std::invalid_argument("bound_dot: " + what);
}

void check_spans(const char* name, const BoundShape& shape, const auto& spans) {
  require(spans.lower_weight.size() == shape.weights() && spans.upper_weight.size() == shape.weights() &&
              spans.lower_bias.size() == shape.biases() && spans.upper_bias.size() == shape.biases(),
          std::string(name) + " has weights of " + std::to_string(spans.lower_weight.size()) +
              " and biases of " + std::to_string(spans.lower_bias.size()) + " values; " +
              std::to_string(shape.weights()) + " and " + std::to_string(shape.biases()) +
              " follow from the shape");
}

}  // namespace

template <class Target>
void bound_dot(Stream<Target>& stream, const DotShape& shape, const BoundSpans<Target, const float>& x,
               DeviceSpan<Target, const float> x_lower, const BoundSpans<Target, const float>& y,
               DeviceSpan<Target, const float> y_lower, DeviceSpan<Target, const float> y_upper,
               const BoundSpans<Target, float>& out) {
  require(shape.rows >= 1 && shape.inputs >= 1 && shape.heads >= 1 && shape.inner >= 1 && shape.columns >= 1,
          "every extent must be at least 1");
  const int y_extent = shape.kind == DotKind::scores ? shape.inner : shape.columns;
  require(shape.x_first >= 0 && shape.x_first + shape.heads * shape.inner <= shape.x_channels,
          "x's heads reach beyond its " + std::to_string(shape.x_channels) + " channels");
  require(shape.y_first >= 0 && shape.y_first + shape.heads * y_extent <= shape.y_channels,
          "y's heads reach beyond its " + std::to_string(shape.y_channels) + " channels");
  check_spans("x", shape.x_shape(), x);
  check_spans("y", shape.y_shape(), y);
  check_spans("the output", shape.out_shape(), out);
  require(x_lower.size() == shape.x_shape().biases() && y_lower.size() == shape.y_shape().biases() &&
              y_upper.size() == y_lower.size(),
          "intervals must have rows x channels values of their objects");
  const DotArguments s{shape,
                       x.lower_weight.data(),
                       x.upper_weight.data(),
                       x.lower_bias.data(),
                       x.upper_bias.data(),
                       x_lower.data(),
                       y.lower_weight.data(),
                       y.upper_weight.data(),
                       y.lower_bias.data(),
                       y.upper_bias.data(),
                       y_lower.data(),
                       y_upper.data(),
                       out.lower_weight.data(),
                       out.upper_weight.data(),
                       out.lower_bias.data(),
                       out.upper_bias.data()};
  if (dot_tile(shape) == 16)
    launch_dot<Target, 2>(stream, s);
  else
    launch_dot<Target, 4>(stream, s);
}

template void bound_dot(Stream<CompiledTarget>&, const DotShape&,
                        const BoundSpans<CompiledTarget, const float>&,
                        DeviceSpan<CompiledTarget, const float>,
                        const BoundSpans<CompiledTarget, const float>&,
                        DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, const float>,
                        const BoundSpans<CompiledTarget, float>&);

}  // namespace remeasure::kernels
