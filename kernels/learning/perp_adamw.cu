// SPDX-License-Identifier: Apache-2.0
//
// AdamW with the gradient made orthogonal to the weights (Prieto et al., "Grokking at the Edge of Numerical
// Stability", ICLR 2025, section 5), on all tensors of a network at once.
//
//   for (each tensor) {
//     g' = g - (w.g) / (w.w + 1e-30) w;  g = g' |g| / (|g'| + 1e-30);
//     m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g g;
//     w = w (1 - rate decay) - rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon);
//   }
//
// Optimisation: in a framework a tensor takes about 15 launches and as many passes. Here all tensors take
// two: the first leaves partial sums of w.w, w.g and g.g, the second adds them (each block the same ones in
// the same order), projects, rescales and updates in one sweep. |g'|^2 = g.g - (w.g)^2 / w.w needs no pass of
// its own; since g is nearly parallel to w once a network has overfitted, the sums are in double, where the
// difference keeps 8 digits even at cos = 1 - 1e-8.
//
// Launch: (32, tensors) blocks of 256 threads, then (largest tensor / 1024, tensors). Bytes per weight: 8
// + 28. Flops: 6 + 21 per weight (10 fewer without the projection).
#include "kernels/learning/perp_adamw.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kPerThread = 4;

struct Scalars {
  float beta1, rest1, beta2, rest2, keep, rate, root, epsilon;
};

struct FlatArrays {
  const float *gradient, *weights, *mean, *square;
  float *new_weights, *new_mean, *new_square;
  double* partials;
};

__global__ void __launch_bounds__(kThreads) sums_kernel(const TensorList tensors, const FlatArrays arrays) {
  const int tensor = static_cast<int>(blockIdx.y), part = static_cast<int>(blockIdx.x);
  const int end = tensors.begin[tensor + 1];
  double weights = 0, both = 0, gradient = 0;
  for (int i = tensors.begin[tensor] + part * kThreads + static_cast<int>(threadIdx.x); i < end;
       i += kPerpParts * kThreads) {
    const double w = static_cast<double>(arrays.weights[i]), g = static_cast<double>(arrays.gradient[i]);
    weights += w * w;
    both += w * g;
    gradient += g * g;
  }
  weights = block_sum(weights);
  both = block_sum(both);
  gradient = block_sum(gradient);
  if (threadIdx.x == 0) {
    double* const to = arrays.partials + (tensor * kPerpParts + part) * 3;
    to[0] = weights;
    to[1] = both;
    to[2] = gradient;
  }
}

template <bool kProject>
__global__ void __launch_bounds__(kThreads)
    update_kernel(const TensorList tensors, const Scalars scalars, const FlatArrays arrays) {
  const int tensor = static_cast<int>(blockIdx.y);
  const int first = tensors.begin[tensor] + static_cast<int>(blockIdx.x) * kThreads * kPerThread;
  const int end = tensors.begin[tensor + 1];
  if (first >= end) return;  // the whole block
  float along = 0, scale = 1;
  if constexpr (kProject) {
    const double* const parts = arrays.partials + (tensor * kPerpParts + lane_id()) * 3;
    const double weights = warp_sum(parts[0]), both = warp_sum(parts[1]), gradient = warp_sum(parts[2]);
    const double slope = both / (weights + 1e-30);
    const double square = gradient - both * slope;
    along = static_cast<float>(slope);
    scale = static_cast<float>(sqrt(gradient) / (sqrt(square > 0 ? square : 0.0) + 1e-30));
  }
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    const int i = first + k * kThreads + static_cast<int>(threadIdx.x);
    if (i >= end) continue;
    const float w = arrays.weights[i];
    float g = arrays.gradient[i];
    if constexpr (kProject) g = scale * (g - along * w);
    const float m = scalars.beta1 * arrays.mean[i] + scalars.rest1 * g;
    const float v = scalars.beta2 * arrays.square[i] + scalars.rest2 * (g * g);
    arrays.new_mean[i] = m;
    arrays.new_square[i] = v;
    arrays.new_weights[i] =
        scalars.keep * w - scalars.rate * (m / (sqrtf(v) / scalars.root + scalars.epsilon));
  }
}

}  // namespace

template <class Target>
void perp_adamw(Stream<Target>& stream, const TensorList& tensors, const PerpAdamW& settings, int step,
                DeviceSpan<Target, const float> gradient, const AdamWState<Target>& state,
                DeviceSpan<Target, double> partials) {
  const auto total = static_cast<std::size_t>(tensors.total());
  for (const std::size_t size :
       {gradient.size(), state.weights.size(), state.mean.size(), state.square.size(),
        state.new_weights.size(), state.new_mean.size(), state.new_square.size()}) {
    if (size != total) {
      throw std::invalid_argument("perp_adamw: an array of " + std::to_string(size) +
                                  " values; the tensors have " + std::to_string(total));
    }
  }
  if (step < 1 || (settings.project && partials.size() != perp_partials(tensors))) {
    throw std::invalid_argument("perp_adamw: step " + std::to_string(step) + " (from 1 on), " +
                                std::to_string(partials.size()) + " partial sums of " +
                                std::to_string(perp_partials(tensors)));
  }
  const Scalars scalars{static_cast<float>(settings.beta1),
                        static_cast<float>(1 - settings.beta1),
                        static_cast<float>(settings.beta2),
                        static_cast<float>(1 - settings.beta2),
                        static_cast<float>(1 - settings.learning_rate * settings.weight_decay),
                        static_cast<float>(settings.learning_rate / (1 - std::pow(settings.beta1, step))),
                        static_cast<float>(std::sqrt(1 - std::pow(settings.beta2, step))),
                        static_cast<float>(settings.epsilon)};
  const FlatArrays arrays{gradient.data(),         state.weights.data(),     state.mean.data(),
                          state.square.data(),     state.new_weights.data(), state.new_mean.data(),
                          state.new_square.data(), partials.data()};
  const auto count = static_cast<unsigned>(tensors.count);
  const dim3 grid(blocks_for(tensors.largest(), kThreads * kPerThread), count);
  if (settings.project) {
    launch({.name = "perp_adamw_sums", .grid = dim3(kPerpParts, count), .block = kThreads}, stream,
           sums_kernel, tensors, arrays);
    launch({.name = "perp_adamw", .grid = grid, .block = kThreads}, stream, update_kernel<true>, tensors,
           scalars, arrays);
  } else {
    launch({.name = "adamw", .grid = grid, .block = kThreads}, stream, update_kernel<false>, tensors, scalars,
           arrays);
  }
}

template void perp_adamw(Stream<CompiledTarget>&, const TensorList&, const PerpAdamW&, int,
                         DeviceSpan<CompiledTarget, const float>, const AdamWState<CompiledTarget>&,
                         DeviceSpan<CompiledTarget, double>);

}  // namespace remeasure::kernels
