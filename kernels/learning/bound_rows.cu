// SPDX-License-Identifier: Apache-2.0
//
// Linear operations along the channels of bound objects (Shi et al., "Robustness Verification for
// Transformers", ICLR 2020: layer norm without the variance; Feng et al., "Faith", USENIX ATC 2022: each in
// one launch).
//
//   for (line in rows of weights, then of biases)
//     sum:        lower'[g] = sum of lower[group g];  upper' likewise
//     normalise:  l = a.lower + b.lower;  u = a.upper + b.upper;  C = channels
//                 lower'[c] = scale[c] * (l[c] (1 - 1/C) - (sum(u) - u[c]) / C)   (+ shift[c] for biases)
//                 upper'[c] = scale[c] * (u[c] (1 - 1/C) - (sum(l) - l[c]) / C)   exchanged where scale[c] <
//                 0
//
// The mean enters with a negative sign, so the other channels come from the opposite bound, the channel
// itself from its own: the dense layer I - 1/C exactly, not the looser difference of two bounds.
// Optimisation: residual sum, mean, difference, scale and shift are five launches unfused; here a warp has a
// line and reads it twice, the second time from L1.
//
// Launch: a warp per line (normalise) or per line and group (sum), 8 warps a block. Flops and bytes:
// bound_*_work.
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/learning/bound_ops.h"

namespace remeasure::kernels {
namespace {

constexpr int kWarps = 8;

struct RowArrays {
  const float *lower_weight, *upper_weight, *lower_bias, *upper_bias;
};
struct RowOutputs {
  float *lower_weight, *upper_weight, *lower_bias, *upper_bias;
};

__global__ void __launch_bounds__(32 * kWarps)
    group_sum_kernel(const RowArrays in, const RowOutputs out, long long weight_items, long long items,
                     int group) {
  const long long item = static_cast<long long>(blockIdx.x) * kWarps + warp_id();  // a line's group
  if (item >= items) return;                                                       // a whole warp
  const bool bias = item >= weight_items;
  const long long at = bias ? item - weight_items : item;
  const float* const lower = (bias ? in.lower_bias : in.lower_weight) + at * group;
  const float* const upper = (bias ? in.upper_bias : in.upper_weight) + at * group;
  float l = 0, u = 0;
  for (int i = lane_id(); i < group; i += 32) {
    l += lower[i];
    u += upper[i];
  }
  l = warp_sum(l);
  u = warp_sum(u);
  if (lane_id() != 0) return;
  (bias ? out.lower_bias : out.lower_weight)[at] = l;
  (bias ? out.upper_bias : out.upper_weight)[at] = u;
}

struct NormaliseArguments {
  RowArrays a, b;
  RowOutputs out;
  const float *scale, *shift;  // null: the sum alone
  long long weight_lines, lines;
  int channels;
};

__global__ void __launch_bounds__(32 * kWarps) add_normalise_kernel(const NormaliseArguments s) {
  const long long item = static_cast<long long>(blockIdx.x) * kWarps + warp_id();
  if (item >= s.lines) return;  // a whole warp
  const bool bias = item >= s.weight_lines;
  const long long at = (bias ? item - s.weight_lines : item) * s.channels;
  const float* const a_lower = (bias ? s.a.lower_bias : s.a.lower_weight) + at;
  const float* const a_upper = (bias ? s.a.upper_bias : s.a.upper_weight) + at;
  const float* const b_lower = (bias ? s.b.lower_bias : s.b.lower_weight) + at;
  const float* const b_upper = (bias ? s.b.upper_bias : s.b.upper_weight) + at;
  float* const lower_out = (bias ? s.out.lower_bias : s.out.lower_weight) + at;
  float* const upper_out = (bias ? s.out.upper_bias : s.out.upper_weight) + at;
  if (s.scale == nullptr) {
    for (int c = lane_id(); c < s.channels; c += 32) {
      lower_out[c] = a_lower[c] + b_lower[c];
      upper_out[c] = a_upper[c] + b_upper[c];
    }
    return;
  }
  float lower_sum = 0, upper_sum = 0;
  for (int c = lane_id(); c < s.channels; c += 32) {
    lower_sum += a_lower[c] + b_lower[c];
    upper_sum += a_upper[c] + b_upper[c];
  }
  lower_sum = warp_sum(lower_sum);
  upper_sum = warp_sum(upper_sum);
  const float share = 1.0f / static_cast<float>(s.channels), own = 1.0f - share;
  for (int c = lane_id(); c < s.channels; c += 32) {
    const float l = a_lower[c] + b_lower[c], u = a_upper[c] + b_upper[c];
    const float below = l * own - (upper_sum - u) * share, above = u * own - (lower_sum - l) * share;
    const float scale = s.scale[c];
    float lower = scale * (scale >= 0 ? below : above), upper = scale * (scale >= 0 ? above : below);
    if (bias) {  // a whole warp
      lower += s.shift[c];
      upper += s.shift[c];
    }
    lower_out[c] = lower;
    upper_out[c] = upper;
  }
}

RowArrays arrays_of(const auto& spans) {
  return {spans.lower_weight.data(), spans.upper_weight.data(), spans.lower_bias.data(),
          spans.upper_bias.data()};
}
RowOutputs outputs_of(const auto& spans) {
  return {spans.lower_weight.data(), spans.upper_weight.data(), spans.lower_bias.data(),
          spans.upper_bias.data()};
}

void check(const char* what, const BoundShape& shape, const auto& spans) {
  if (shape.rows >= 1 && shape.inputs >= 1 && shape.channels >= 1 &&
      spans.lower_weight.size() == shape.weights() && spans.upper_weight.size() == shape.weights() &&
      spans.lower_bias.size() == shape.biases() && spans.upper_bias.size() == shape.biases()) {
    return;
  }
  throw std::invalid_argument(
      std::string(what) + ": weights of " + std::to_string(spans.lower_weight.size()) + " and biases of " +
      std::to_string(spans.lower_bias.size()) + " values; " + std::to_string(shape.weights()) + " and " +
      std::to_string(shape.biases()) + " follow from the shape");
}

}  // namespace

template <class Target>
void bound_group_sum(Stream<Target>& stream, const BoundShape& shape, int group,
                     const BoundSpans<Target, const float>& in, const BoundSpans<Target, float>& out) {
  if (group < 1 || shape.channels % group != 0)
    throw std::invalid_argument("bound_group_sum: groups of " + std::to_string(group) + " of " +
                                std::to_string(shape.channels) + " channels");
  const BoundShape after = shape.with_channels(shape.channels / group);
  check("bound_group_sum", shape, in);
  check("bound_group_sum (output)", after, out);
  const auto weights = static_cast<long long>(after.weights()),
             items = weights + static_cast<long long>(after.biases());
  launch({.name = "bound_group_sum", .grid = blocks_for(items, kWarps), .block = 32 * kWarps}, stream,
         group_sum_kernel, arrays_of(in), outputs_of(out), weights, items, group);
}

template <class Target>
void bound_add_normalise(Stream<Target>& stream, const BoundShape& shape,
                         const BoundSpans<Target, const float>& a, const BoundSpans<Target, const float>& b,
                         const Normalisation<DeviceSpan<Target, const float>>& normalisation,
                         const BoundSpans<Target, float>& out) {
  check("bound_add_normalise (a)", shape, a);
  check("bound_add_normalise (b)", shape, b);
  check("bound_add_normalise (output)", shape, out);
  const bool normalise = !normalisation.scale.empty();
  const auto channels = static_cast<std::size_t>(shape.channels);
  if (normalise ? normalisation.scale.size() != channels || normalisation.shift.size() != channels
                : !normalisation.shift.empty()) {
    throw std::invalid_argument("bound_add_normalise: scale and shift need " + std::to_string(channels) +
                                " values each, or none");
  }
  const long long weight_lines = static_cast<long long>(shape.rows) * shape.inputs,
                  lines = weight_lines + shape.rows;
  launch({.name = "bound_add_normalise", .grid = blocks_for(lines, kWarps), .block = 32 * kWarps}, stream,
         add_normalise_kernel,
         NormaliseArguments{
             arrays_of(a), arrays_of(b), outputs_of(out), normalise ? normalisation.scale.data() : nullptr,
             normalise ? normalisation.shift.data() : nullptr, weight_lines, lines, shape.channels});
}

template void bound_group_sum(Stream<CompiledTarget>&, const BoundShape&, int,
                              const BoundSpans<CompiledTarget, const float>&,
                              const BoundSpans<CompiledTarget, float>&);
template void bound_add_normalise(Stream<CompiledTarget>&, const BoundShape&,
                                  const BoundSpans<CompiledTarget, const float>&,
                                  const BoundSpans<CompiledTarget, const float>&,
                                  const Normalisation<DeviceSpan<CompiledTarget, const float>>&,
                                  const BoundSpans<CompiledTarget, float>&);

}  // namespace remeasure::kernels
