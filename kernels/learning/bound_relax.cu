// SPDX-License-Identifier: Apache-2.0
//
// Intervals of linear bounds, and the element-wise operations that need them (Feng et al., "Faith", USENIX
// ATC 2022, section 4).
//
//   for (r in rows) for (c in channels)
//     l = lower_bias[r][c] - radius |lower_weight[r][:][c]|_q;  u = upper_bias[r][c] + radius
//     |upper_weight[r][:][c]|_q; (k, y) = line below f on [l, u];   (K, Y) = line above
//     lower_weight'[r][:][c] = k * (k >= 0 ? lower_weight : upper_weight)[r][:][c];   lower_bias' likewise, +
//     y upper_weight'[r][:][c] = K * (K >= 0 ? upper_weight : lower_weight)[r][:][c];   upper_bias' likewise,
//     + Y
//
// Optimisation: norms, intervals, slopes, masks and the scaled bounds are five to ten arrays and as many
// launches when unfused; here a block keeps them in registers and shared memory. 32 channels by 8 slices of
// the perturbation's numbers: loads are whole lines, norms are summed over slices through shared memory, one
// warp finds the lower lines and another the upper ones. The second reading of a block's 256 Din bytes comes
// from L1 or L2.
//
// Launch: (channels / 32, rows) blocks of 32 x 8 threads. Bytes: reads and writes each array once; flops:
// bound_*_work. Limits: rows <= 65535. NaN where an interval isn't one (a reciprocal's that reaches 0): it
// certifies nothing.
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/learning/bound_ops.h"
#include "kernels/learning/relaxation.h"

namespace remeasure::kernels {
namespace {

constexpr int kLanes = 32, kSlices = 8;

struct Arrays {
  const float *lower_weight, *upper_weight, *lower_bias, *upper_bias;
};
struct OutArrays {
  float *lower_weight, *upper_weight, *lower_bias, *upper_bias;
};

struct ElementwiseArguments {
  Arrays in;
  int inputs, channels, words;
  BallNorm norm;
  float radius;
};

/// Sums of a slice of one word's numbers towards its dual norm.
template <int kArrays, class Add>
RM_DEVICE inline void accumulate(float (&sums)[kArrays], const float* const (&arrays)[kArrays],
                                 const int (&strides)[kArrays], int from, int to, Add add) {
  for (int i = from + static_cast<int>(threadIdx.y); i < to; i += kSlices) {
#pragma unroll
    for (int a = 0; a < kArrays; ++a)
      sums[a] = add(sums[a], arrays[a][static_cast<std::size_t>(i) * static_cast<std::size_t>(strides[a])]);
  }
}

/// Dual norms over the perturbation of kArrays columns (those of this thread's channel), summed over words,
/// for the threads of the first kArrays slices; others get nothing of use. All threads of the block call it.
template <int kArrays>
RM_DEVICE inline void dual_norms(float (&norms)[kArrays], float (&part)[kArrays][kSlices][kLanes],
                                 const ElementwiseArguments& s, const float* const (&arrays)[kArrays],
                                 const int (&strides)[kArrays], bool inside) {
  const int lane = static_cast<int>(threadIdx.x), slice = static_cast<int>(threadIdx.y),
            per_word = s.inputs / s.words;
#pragma unroll
  for (float& norm : norms) norm = 0;
  for (int word = 0; word < s.words; ++word) {
    float sums[kArrays] = {};
    if (inside) {
      const int from = word * per_word, to = from + per_word;
      switch (s.norm) {  // of the ball; what is summed is the dual
        case BallNorm::two:
          accumulate(sums, arrays, strides, from, to, [](float sum, float w) { return sum + w * w; });
          break;
        case BallNorm::infinity:
          accumulate(sums, arrays, strides, from, to, [](float sum, float w) { return sum + fabsf(w); });
          break;
        case BallNorm::one:
          accumulate(sums, arrays, strides, from, to,
                     [](float sum, float w) { return fmaxf(sum, fabsf(w)); });
          break;
      }
    }
#pragma unroll
    for (int a = 0; a < kArrays; ++a) part[a][slice][lane] = sums[a];
    __syncthreads();
    if (slice < kArrays) {
#pragma unroll
      for (int a = 0; a < kArrays; ++a) {
        float sum = part[a][0][lane];
        for (int other = 1; other < kSlices; ++other) {
          sum = s.norm == BallNorm::one ? fmaxf(sum, part[a][other][lane]) : sum + part[a][other][lane];
        }
        norms[a] += s.norm == BallNorm::two ? sqrtf(sum) : sum;
      }
    }
    __syncthreads();  // the parts may be written again
  }
}

/// A slope's side: the bound that keeps the inequality.
RM_DEVICE inline float same_side(float slope, float same, float opposite) {
  return slope * (slope >= 0 ? same : opposite);
}

__global__ void __launch_bounds__(kLanes* kSlices, 4)
    concretise_kernel(const ElementwiseArguments s, float* __restrict__ lower, float* __restrict__ upper) {
  RM_SHARED(float, part, [2][kSlices][kLanes]);
  const int channel = static_cast<int>(blockIdx.x) * kLanes + static_cast<int>(threadIdx.x);
  const bool inside = channel < s.channels;
  const std::size_t row = blockIdx.y, stride = static_cast<std::size_t>(s.channels);
  const std::size_t at =
                        row * static_cast<std::size_t>(s.inputs) * stride + static_cast<std::size_t>(channel),
                    place = row * stride + static_cast<std::size_t>(channel);
  const float* const arrays[2] = {s.in.lower_weight + at, s.in.upper_weight + at};
  const int strides[2] = {s.channels, s.channels};
  float norms[2];
  dual_norms<2>(norms, part, s, arrays, strides, inside);
  if (!inside) return;
  if (threadIdx.y == 0) lower[place] = s.in.lower_bias[place] - s.radius * norms[0];
  if (threadIdx.y == 1) upper[place] = s.in.upper_bias[place] + s.radius * norms[1];
}

template <class Lines>
__global__ void __launch_bounds__(kLanes* kSlices, 4)
    relax_kernel(const ElementwiseArguments s, const OutArrays out) {
  RM_SHARED(float, part, [2][kSlices][kLanes]);
  RM_SHARED(float, slopes, [2][kLanes]);
  const int lane = static_cast<int>(threadIdx.x), slice = static_cast<int>(threadIdx.y);
  const int channel = static_cast<int>(blockIdx.x) * kLanes + lane;
  const bool inside = channel < s.channels;
  const std::size_t row = blockIdx.y, stride = static_cast<std::size_t>(s.channels);
  const std::size_t at =
                        row * static_cast<std::size_t>(s.inputs) * stride + static_cast<std::size_t>(channel),
                    place = row * stride + static_cast<std::size_t>(channel);
  const float* const arrays[2] = {s.in.lower_weight + at, s.in.upper_weight + at};
  const int strides[2] = {s.channels, s.channels};
  float norms[2];
  dual_norms<2>(norms, part, s, arrays, strides, inside);
  float lower_bias = 0, upper_bias = 0;
  if (inside && slice < 2) {
    lower_bias = s.in.lower_bias[place];
    upper_bias = s.in.upper_bias[place];
    const float l = lower_bias - s.radius * norms[0], u = upper_bias + s.radius * norms[1];
    Line<float> line;
    if (slice == 0)
      line = Lines::lower(l, u);
    else
      line = Lines::upper(l, u);
    slopes[slice][lane] = line.slope;
    if (slice == 0)
      lower_bias = same_side(line.slope, lower_bias, upper_bias) + line.intercept;
    else
      upper_bias = same_side(line.slope, upper_bias, lower_bias) + line.intercept;
  }
  __syncthreads();  // slopes are known, and biases read: they may be written in place
  if (!inside) return;
  if (slice == 0) out.lower_bias[place] = lower_bias;
  if (slice == 1) out.upper_bias[place] = upper_bias;
  const float lower_slope = slopes[0][lane], upper_slope = slopes[1][lane];
  for (int i = slice; i < s.inputs; i += kSlices) {
    const std::size_t offset = at + static_cast<std::size_t>(i) * stride;
    const float l = s.in.lower_weight[offset], u = s.in.upper_weight[offset];
    out.lower_weight[offset] = same_side(lower_slope, l, u);
    out.upper_weight[offset] = same_side(upper_slope, u, l);
  }
}

/// x[r][c] y[r][c / group]: as above with the planes of a product.
__global__ void __launch_bounds__(kLanes* kSlices, 4)
    product_kernel(const ElementwiseArguments s, const Arrays y, int group, const OutArrays out) {
  RM_SHARED(float, part, [3][kSlices][kLanes]);
  RM_SHARED(float, slopes, [3][kLanes]);
  const int lane = static_cast<int>(threadIdx.x), slice = static_cast<int>(threadIdx.y);
  const int channel = static_cast<int>(blockIdx.x) * kLanes + lane, groups = s.channels / group;
  const bool inside = channel < s.channels;
  const std::size_t row = blockIdx.y, stride = static_cast<std::size_t>(s.channels),
                    y_stride = static_cast<std::size_t>(groups);
  const std::size_t of_y = static_cast<std::size_t>(channel / group);
  const std::size_t at =
                        row * static_cast<std::size_t>(s.inputs) * stride + static_cast<std::size_t>(channel),
                    place = row * stride + static_cast<std::size_t>(channel);
  const std::size_t y_at = row * static_cast<std::size_t>(s.inputs) * y_stride + of_y,
                    y_place = row * y_stride + of_y;
  const float* const arrays[3] = {s.in.lower_weight + at, y.lower_weight + y_at, y.upper_weight + y_at};
  const int strides[3] = {s.channels, groups, groups};
  float norms[3];
  dual_norms<3>(norms, part, s, arrays, strides, inside);
  float lower_bias = 0, upper_bias = 0;
  if (inside && slice == 0) {
    const float x_l = s.in.lower_bias[place], x_u = s.in.upper_bias[place], y_l = y.lower_bias[y_place],
                y_u = y.upper_bias[y_place];
    const Plane<float> below = product_lower(x_l - s.radius * norms[0], y_l - s.radius * norms[1]);
    const Plane<float> above = product_upper(x_l - s.radius * norms[0], y_u + s.radius * norms[2]);
    slopes[0][lane] = below.of_x;
    slopes[1][lane] = above.of_x;
    slopes[2][lane] = below.of_y;  // above.of_y too
    lower_bias = same_side(below.of_x, x_l, x_u) + same_side(below.of_y, y_l, y_u) + below.intercept;
    upper_bias = same_side(above.of_x, x_u, x_l) + same_side(above.of_y, y_u, y_l) + above.intercept;
  }
  __syncthreads();  // slopes are known
  if (!inside) return;
  if (slice == 0) {
    out.lower_bias[place] = lower_bias;
    out.upper_bias[place] = upper_bias;
  }
  const float lower_slope = slopes[0][lane], upper_slope = slopes[1][lane], y_slope = slopes[2][lane];
  for (int i = slice; i < s.inputs; i += kSlices) {
    const std::size_t offset = at + static_cast<std::size_t>(i) * stride,
                      y_offset = y_at + static_cast<std::size_t>(i) * y_stride;
    const float l = s.in.lower_weight[offset], u = s.in.upper_weight[offset], y_l = y.lower_weight[y_offset],
                y_u = y.upper_weight[y_offset];
    out.lower_weight[offset] = same_side(lower_slope, l, u) + same_side(y_slope, y_l, y_u);
    out.upper_weight[offset] = same_side(upper_slope, u, l) + same_side(y_slope, y_u, y_l);
  }
}

Arrays arrays_of(const auto& spans) {
  return {spans.lower_weight.data(), spans.upper_weight.data(), spans.lower_bias.data(),
          spans.upper_bias.data()};
}
OutArrays out_arrays_of(const auto& spans) {
  return {spans.lower_weight.data(), spans.upper_weight.data(), spans.lower_bias.data(),
          spans.upper_bias.data()};
}

void check(const char* what, const BoundShape& shape, const auto& spans) {
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument(std::string(what) + ": " + why);
  };
  if (shape.rows < 1 || shape.inputs < 1 || shape.channels < 1 || shape.rows > 65'535) {
    refuse(std::to_string(shape.rows) + " rows, " + std::to_string(shape.inputs) + " inputs, " +
           std::to_string(shape.channels) + " channels: each must be at least 1, rows at most 65535");
  }
  for (const std::size_t size : {spans.lower_weight.size(), spans.upper_weight.size()}) {
    if (size != shape.weights())
      refuse("weights of " + std::to_string(size) + " values; " + std::to_string(shape.weights()) +
             " follow from the shape");
  }
  for (const std::size_t size : {spans.lower_bias.size(), spans.upper_bias.size()}) {
    if (size != shape.biases())
      refuse("biases of " + std::to_string(size) + " values; " + std::to_string(shape.biases()) +
             " follow from the shape");
  }
}

void check_ball(const char* what, const BoundShape& shape, const Ball& ball) {
  if (ball.words >= 1 && shape.inputs % ball.words == 0 && ball.radius >= 0) return;
  throw std::invalid_argument(std::string(what) + ": a ball of radius " + std::to_string(ball.radius) +
                              " for each of " + std::to_string(ball.words) +
                              " words; words must divide the " + std::to_string(shape.inputs) + " inputs");
}

ElementwiseArguments arguments_of(const BoundShape& shape, const Ball& ball, const auto& in) {
  return {arrays_of(in), shape.inputs, shape.channels,
          ball.words,    ball.norm,    static_cast<float>(ball.radius)};
}

template <class Target>
Launch elementwise(const char* name, const BoundShape& shape) {
  return {.name = name,
          .grid = dim3(blocks_for(shape.channels, kLanes), static_cast<unsigned>(shape.rows)),
          .block = dim3(kLanes, kSlices)};
}

}  // namespace

template <class Target>
void bound_concretise(Stream<Target>& stream, const BoundShape& shape, const Ball& ball,
                      const BoundSpans<Target, const float>& in, DeviceSpan<Target, float> lower,
                      DeviceSpan<Target, float> upper) {
  check("bound_concretise", shape, in);
  check_ball("bound_concretise", shape, ball);
  if (lower.size() != shape.biases() || upper.size() != shape.biases())
    throw std::invalid_argument("bound_concretise: the intervals must have rows x channels values");
  launch(elementwise<Target>("bound_concretise", shape), stream, concretise_kernel,
         arguments_of(shape, ball, in), lower.data(), upper.data());
}

template <class Target>
void bound_relax(Stream<Target>& stream, Relaxation relaxation, const BoundShape& shape, const Ball& ball,
                 const BoundSpans<Target, const float>& in, const BoundSpans<Target, float>& out) {
  check("bound_relax", shape, in);
  check("bound_relax (output)", shape, out);
  check_ball("bound_relax", shape, ball);
  with_lines(relaxation, [&]<class Lines>() {
    launch(elementwise<Target>("bound_relax", shape), stream, relax_kernel<Lines>,
           arguments_of(shape, ball, in), out_arrays_of(out));
  });
}

template <class Target>
void bound_product(Stream<Target>& stream, const BoundShape& shape, int group, const Ball& ball,
                   const BoundSpans<Target, const float>& x, const BoundSpans<Target, const float>& y,
                   const BoundSpans<Target, float>& out) {
  if (group < 1 || shape.channels % group != 0)
    throw std::invalid_argument("bound_product: groups of " + std::to_string(group) + " of " +
                                std::to_string(shape.channels) + " channels");
  check("bound_product (x)", shape, x);
  check("bound_product (y)", shape.with_channels(shape.channels / group), y);
  check("bound_product (output)", shape, out);
  check_ball("bound_product", shape, ball);
  launch(elementwise<Target>("bound_product", shape), stream, product_kernel, arguments_of(shape, ball, x),
         arrays_of(y), group, out_arrays_of(out));
}

template void bound_concretise(Stream<CompiledTarget>&, const BoundShape&, const Ball&,
                               const BoundSpans<CompiledTarget, const float>&,
                               DeviceSpan<CompiledTarget, float>, DeviceSpan<CompiledTarget, float>);
template void bound_relax(Stream<CompiledTarget>&, Relaxation, const BoundShape&, const Ball&,
                          const BoundSpans<CompiledTarget, const float>&,
                          const BoundSpans<CompiledTarget, float>&);
template void bound_product(Stream<CompiledTarget>&, const BoundShape&, int, const Ball&,
                            const BoundSpans<CompiledTarget, const float>&,
                            const BoundSpans<CompiledTarget, const float>&,
                            const BoundSpans<CompiledTarget, float>&);

}  // namespace remeasure::kernels
