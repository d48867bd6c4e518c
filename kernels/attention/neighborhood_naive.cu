// SPDX-License-Identifier: Apache-2.0
//
// Naive neighborhood attention, the base of the speedups of Hassani, Hwu, Shi, "Faster Neighborhood
// Attention" (NeurIPS 2024, arXiv 2403.04690, section 3), and the softmax between the unfused kernels.
//
//   scores:  for (query i) for (place w) weights[i, w] = scale * dot(query[i, :], key[neighbour(i, w), :]);
//   softmax: weights[i, :] = exp(weights[i, :] - max) / sum
//   output:  for (query i) for (column c) output[i, c] = sum_w weights[i, w] * value[neighbour(i, w), c];
//
// Naive on purpose: a thread per weight, a thread per two columns of the output, no tensor cores, no shared
// memory; but half is read two at a time, as the authors' naive kernels do (a scalar one would inflate the
// ratios). The softmax is one warp per row: it isn't what is compared. Launch: blocks of 256 threads. Per
// launch: 2 useful_pairs dim flops. Limits: dim even; weights < 2^31 per batch entry and head.
#include <stdexcept>
#include <string>

#include "kernels/attention/neighborhood.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

/// Token of place w of the window of query `token`; negative where a causal window is cut.
RM_DEVICE long long neighbour(const NeighborhoodShape& shape, long long token, int w) {
  int at[3], place[3];
#pragma unroll
  for (int axis = 2; axis >= 0; --axis) {
    at[axis] = static_cast<int>(token % shape.axes[axis].length);
    token /= shape.axes[axis].length;
    place[axis] = w % shape.axes[axis].window;
    w /= shape.axes[axis].window;
  }
  long long key = 0;
  bool exists = true;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    const NeighborhoodAxis& along = shape.axes[axis];
    const int group = at[axis] % along.dilation, p = at[axis] / along.dilation;
    const int in_group = along.group_length(group);
    const int first = along.first_key(p, in_group),
              missing = along.window - (along.last_key(p, in_group) - first);
    exists = exists && place[axis] >= missing;
    key = key * along.length + (first + place[axis] - missing) * along.dilation + group;
  }
  return exists ? key : -1;
}

/// Element of (token, head) of the block's batch entry and head.
RM_DEVICE long long row_offset(const NeighborhoodShape& shape, long long token) {
  const long long entry = static_cast<int>(blockIdx.y) / shape.heads,
                  head = static_cast<int>(blockIdx.y) % shape.heads;
  return ((entry * static_cast<long long>(shape.tokens()) + token) * shape.heads + head) * shape.dim;
}

/// Two neighbouring elements as floats.
template <class Element>
struct Pair {
  float first, second;
  RM_DEVICE static Pair load(const Element* from) {
    if constexpr (sizeof(Element) == 2) {
      const std::uint32_t word = *reinterpret_cast<const std::uint32_t*>(from);
      return {static_cast<float>(unpack2<Element>(word, 0)), static_cast<float>(unpack2<Element>(word, 1))};
    } else {
      const float2 both = *reinterpret_cast<const float2*>(from);
      return {both.x, both.y};
    }
  }
};

template <class Element>
__global__ void scores_kernel(NeighborhoodShape shape, int window, long long count, float scale,
                              const Element* __restrict__ query, const Element* __restrict__ key,
                              Element* __restrict__ weights) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const long long token = i / window;
  const long long other = neighbour(shape, token, static_cast<int>(i % window));
  float sum = 0;
  if (other >= 0) {
    const Element* q = query + row_offset(shape, token);
    const Element* k = key + row_offset(shape, other);
    for (int c = 0; c < shape.dim; c += 2) {
      const Pair<Element> a = Pair<Element>::load(q + c);
      const Pair<Element> b = Pair<Element>::load(k + c);
      sum += a.first * b.first + a.second * b.second;
    }
  }
  const Element weight = Element(scale * sum);
  weights[static_cast<long long>(blockIdx.y) * count + i] = weight;
}

template <class Element>
__global__ void output_kernel(NeighborhoodShape shape, int window, long long count,
                              const Element* __restrict__ weights, const Element* __restrict__ value,
                              Element* __restrict__ output) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const int pairs = shape.dim / 2;
  const long long token = i / pairs;
  const int column = 2 * static_cast<int>(i % pairs);
  const Element* row =
      weights +
      (static_cast<long long>(blockIdx.y) * static_cast<long long>(shape.tokens()) + token) * window;
  float first = 0, second = 0;
  for (int w = 0; w < window; ++w) {
    const long long other = neighbour(shape, token, w);
    if (other < 0) continue;
    const Element weight = row[w];
    const Pair<Element> v = Pair<Element>::load(value + row_offset(shape, other) + column);
    first += static_cast<float>(weight) * v.first;
    second += static_cast<float>(weight) * v.second;
  }
  Element* to = output + row_offset(shape, token) + column;
  const Element a = Element(first), b = Element(second);
  to[0] = a;
  to[1] = b;
}

/// A warp per row.
template <class Element>
__global__ void __launch_bounds__(256)
    softmax_kernel(NeighborhoodShape shape, int window, long long rows, Element* __restrict__ weights) {
  const long long row = static_cast<long long>(blockIdx.x) * 8 + warp_id();
  if (row >= rows) return;  // a whole warp
  Element* at = weights + row * window;
  const long long token = row % static_cast<long long>(shape.tokens());
  const auto exists = [&](int w) { return neighbour(shape, token, w) >= 0; };
  float largest = -INFINITY;
  for (int w = lane_id(); w < window; w += 32) {
    if (!exists(w)) continue;
    const Element weight = at[w];
    largest = fmaxf(largest, static_cast<float>(weight));
  }
  largest = warp_max(largest);
  float sum = 0;
  for (int w = lane_id(); w < window; w += 32) {
    if (!exists(w)) continue;
    const Element weight = at[w];
    sum += expf(static_cast<float>(weight) - largest);
  }
  const float inverse = 1.0f / warp_sum(sum);
  for (int w = lane_id(); w < window; w += 32) {
    if (!exists(w)) continue;
    const Element weight = at[w];
    const Element normalised = Element(expf(static_cast<float>(weight) - largest) * inverse);
    at[w] = normalised;
  }
}

/// A thread per key, the block's row of the grid a query.
__global__ void __launch_bounds__(256) mask_kernel(NeighborhoodShape shape, bfloat16* __restrict__ scores) {
  const long long tokens = static_cast<long long>(shape.tokens());
  const long long other = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (other >= tokens) return;
  long long query = blockIdx.y, key = other;
  bool seen = true;
#pragma unroll
  for (int axis = 2; axis >= 0; --axis) {
    const NeighborhoodAxis& along = shape.axes[axis];
    const int i = static_cast<int>(query % along.length), j = static_cast<int>(key % along.length);
    query /= along.length;
    key /= along.length;
    const int group = i % along.dilation, p = i / along.dilation, in_group = along.group_length(group);
    seen = seen && j % along.dilation == group && j / along.dilation >= along.first_key(p, in_group) &&
           j / along.dilation < along.last_key(p, in_group);
  }
  if (!seen)
    scores[(static_cast<long long>(blockIdx.z) * tokens + blockIdx.y) * tokens + other] = bfloat16(-INFINITY);
}

void check_even(const char* what, const NeighborhoodShape& shape) {
  if (shape.dim % 2 != 0) refuse_dim(what, shape.dim, "even");
}

}  // namespace

template <class Target, class Element>
void naive_neighborhood_scores(Stream<Target>& stream, const NeighborhoodShape& shape, float scale,
                               DeviceSpan<Target, const Element> query, DeviceSpan<Target, const Element> key,
                               DeviceSpan<Target, Element> weights) {
  check_neighborhood("naive_neighborhood_scores", shape);
  check_even("naive_neighborhood_scores", shape);
  check_neighborhood_sizes("naive_neighborhood_scores", shape, {query.size(), key.size()}, weights.size(),
                           shape.weights());
  const auto count = static_cast<long long>(shape.tokens() * shape.window());
  launch({.name = "naive_neighborhood_scores",
          .grid = dim3(blocks_for(count, 256), static_cast<unsigned>(shape.batch * shape.heads)),
          .block = 256},
         stream, scores_kernel<Element>, shape, static_cast<int>(shape.window()), count, scale, query.data(),
         key.data(), weights.data());
}

template <class Target, class Element>
void naive_neighborhood_output(Stream<Target>& stream, const NeighborhoodShape& shape,
                               DeviceSpan<Target, const Element> weights,
                               DeviceSpan<Target, const Element> value, DeviceSpan<Target, Element> output) {
  check_neighborhood("naive_neighborhood_output", shape);
  check_even("naive_neighborhood_output", shape);
  check_neighborhood_sizes("naive_neighborhood_output", shape, {value.size(), output.size()}, weights.size(),
                           shape.weights());
  const auto count = static_cast<long long>(shape.tokens()) * (shape.dim / 2);
  launch({.name = "naive_neighborhood_output",
          .grid = dim3(blocks_for(count, 256), static_cast<unsigned>(shape.batch * shape.heads)),
          .block = 256},
         stream, output_kernel<Element>, shape, static_cast<int>(shape.window()), count, weights.data(),
         value.data(), output.data());
}

template <class Target, class Element>
void neighborhood_softmax(Stream<Target>& stream, const NeighborhoodShape& shape,
                          DeviceSpan<Target, Element> weights) {
  check_neighborhood("neighborhood_softmax", shape);
  check_neighborhood_sizes("neighborhood_softmax", shape, {}, weights.size(), shape.weights());
  launch({.name = "neighborhood_softmax", .grid = blocks_for(shape.rows(), 8), .block = 256}, stream,
         softmax_kernel<Element>, shape, static_cast<int>(shape.window()),
         static_cast<long long>(shape.rows()), weights.data());
}

template <class Target>
void mask_dense_scores(Stream<Target>& stream, const NeighborhoodShape& shape,
                       DeviceSpan<Target, bfloat16> scores) {
  check_neighborhood("mask_dense_scores", shape);
  const std::size_t tokens = shape.tokens();
  check_neighborhood_sizes("mask_dense_scores", shape, {}, scores.size(), shape.rows() * tokens);
  if (tokens > 65'535)
    throw std::invalid_argument("mask_dense_scores: " + std::to_string(tokens) + " tokens; at most 65535");
  launch({.name = "mask_dense_scores",
          .grid = dim3(blocks_for(tokens, 256), static_cast<unsigned>(tokens),
                       static_cast<unsigned>(shape.batch * shape.heads)),
          .block = 256},
         stream, mask_kernel, shape, scores.data());
}

template void mask_dense_scores(Stream<CompiledTarget>&, const NeighborhoodShape&,
                                DeviceSpan<CompiledTarget, bfloat16>);

#define RM_INSTANTIATE(Element)                                                                            \
  template void naive_neighborhood_scores(                                                                 \
      Stream<CompiledTarget>&, const NeighborhoodShape&, float, DeviceSpan<CompiledTarget, const Element>, \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>);                     \
  template void naive_neighborhood_output(                                                                 \
      Stream<CompiledTarget>&, const NeighborhoodShape&, DeviceSpan<CompiledTarget, const Element>,        \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>);                     \
  template void neighborhood_softmax(Stream<CompiledTarget>&, const NeighborhoodShape&,                    \
                                     DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(half);
RM_INSTANTIATE(float);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
