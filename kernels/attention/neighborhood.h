// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

/// One axis of neighborhood attention (Hassani, Hwu, Shi, NeurIPS 2024, arXiv 2403.04690, section 2).
struct NeighborhoodAxis {
  int length = 1;
  int window = 1;  ///< keys that a query sees; window * dilation <= length
  int dilation =
      1;  ///< index i belongs to group i % dilation, at position i / dilation; groups don't see each other
  bool causal = false;

  /// Positions of a group.
  RM_HOST_DEVICE constexpr int group_length(int group) const {
    return length / dilation + (group < length % dilation ? 1 : 0);
  }
  /// First key position of the window of position p in a group of that length. Not causal: the window is
  /// shifted inwards at the borders, so that it always has `window` keys. Causal: it ends at p and is cut at
  /// the beginning.
  RM_HOST_DEVICE constexpr int first_key(int p, int in_group) const {
    if (causal) return p - window + 1 > 0 ? p - window + 1 : 0;
    const int left = window / 2, right = window / 2 + window % 2 - 1;
    const int begin = p - left > 0 ? p - left : 0;
    return p + right >= in_group ? begin + in_group - right - p - 1 : begin;
  }
  /// One past the last.
  RM_HOST_DEVICE constexpr int last_key(int p, int in_group) const {
    return causal ? p + 1 : first_key(p, in_group) + window;
  }
};

/// Query, key, value and output: [batch, axis 0, axis 1, axis 2, heads, dim] row-major; axes that aren't
/// there have length 1. Weights of the unfused form: [batch, heads, tokens, window volume], a row in the
/// row-major order of the window, zeros where a causal window is cut. Log-sum-exp of the scores: [batch,
/// tokens, heads].
struct NeighborhoodShape {
  int batch = 1;
  int heads = 1;
  int dim = 0;
  std::array<NeighborhoodAxis, 3> axes = {};

  constexpr std::size_t tokens() const {
    return static_cast<std::size_t>(axes[0].length) * static_cast<std::size_t>(axes[1].length) *
           static_cast<std::size_t>(axes[2].length);
  }
  constexpr std::size_t rows() const {
    return static_cast<std::size_t>(batch) * static_cast<std::size_t>(heads) * tokens();
  }
  constexpr std::size_t elements() const { return rows() * static_cast<std::size_t>(dim); }
  constexpr std::size_t window() const {
    return static_cast<std::size_t>(axes[0].window) * static_cast<std::size_t>(axes[1].window) *
           static_cast<std::size_t>(axes[2].window);
  }
  constexpr std::size_t weights() const { return rows() * window(); }
  /// How many axes there are.
  constexpr int rank() const { return axes[2].length > 1 ? 3 : axes[1].length > 1 ? 2 : 1; }
};

/// Throws std::invalid_argument unless sizes are positive and window * dilation <= length on every axis.
void check_neighborhood(const char* what, const NeighborhoodShape& shape);
/// Throws std::invalid_argument unless all of `elements` are shape.elements() and `other` is `expected`.
void check_neighborhood_sizes(const char* what, const NeighborhoodShape& shape,
                              std::initializer_list<std::size_t> elements, std::size_t other,
                              std::size_t expected);
[[noreturn]] void refuse_dim(const char* what, int dim, const char* allowed);

/// How the tiled kernels cut the problem: 64 queries as 64, 8 x 8 or 4 x 4 x 4 of one dilation group, and the
/// keys that any of them sees in tiles of the same form.
struct NeighborhoodTiling {
  std::array<int, 3> shift = {};  ///< log2 of the tile's extent on each axis
  std::array<int, 3> tiles = {};  ///< query tiles per axis, of the longest group
  int groups = 1;

  int blocks() const { return tiles[0] * tiles[1] * tiles[2] * groups; }
};
inline constexpr int kNeighborhoodTile = 64;
NeighborhoodTiling neighborhood_tiling(const NeighborhoodShape& shape);

/// Pairs of query and key that the tiled kernels multiply, those masked off included; the useful ones are
/// rows * window (less where a causal window is cut).
double executed_pairs(const NeighborhoodShape& shape);
double useful_pairs(const NeighborhoodShape& shape);

// --- K1: fused.  dim 16, 32, 64 or 128; half or bfloat16 ---

/// output = softmax(scale * query key^T over the window) value, without a tensor of weights. `log_sum_exp`
/// may be empty. `scale` is positive. Bitwise deterministic. Throws std::invalid_argument for a shape or
/// sizes that don't fit.
template <class Target, class Element>
void fused_neighborhood_attention(Stream<Target>& stream, const NeighborhoodShape& shape, float scale,
                                  DeviceSpan<Target, const Element> query,
                                  DeviceSpan<Target, const Element> key,
                                  DeviceSpan<Target, const Element> value, DeviceSpan<Target, Element> output,
                                  DeviceSpan<Target, float> log_sum_exp);

// --- K2: unfused, the same tiles.  dim 16, 32 or 64; half or float (as three TF32 products, with the
// accuracy of fp32) ---

/// weights = scale * query key^T over the window.
template <class Target, class Element>
void neighborhood_scores(Stream<Target>& stream, const NeighborhoodShape& shape, float scale,
                         DeviceSpan<Target, const Element> query, DeviceSpan<Target, const Element> key,
                         DeviceSpan<Target, Element> weights);

/// output = weights * value over the window.
template <class Target, class Element>
void neighborhood_output(Stream<Target>& stream, const NeighborhoodShape& shape,
                         DeviceSpan<Target, const Element> weights, DeviceSpan<Target, const Element> value,
                         DeviceSpan<Target, Element> output);

/// Softmax of each row of the weights, in place; of a cut causal window over what is there. half or float.
template <class Target, class Element>
void neighborhood_softmax(Stream<Target>& stream, const NeighborhoodShape& shape,
                          DeviceSpan<Target, Element> weights);

// --- K3: naive.  a thread per weight, a thread per two elements of the output; no tensor cores; half (as
// half2) or float; dim even ---

template <class Target, class Element>
void naive_neighborhood_scores(Stream<Target>& stream, const NeighborhoodShape& shape, float scale,
                               DeviceSpan<Target, const Element> query, DeviceSpan<Target, const Element> key,
                               DeviceSpan<Target, Element> weights);
template <class Target, class Element>
void naive_neighborhood_output(Stream<Target>& stream, const NeighborhoodShape& shape,
                               DeviceSpan<Target, const Element> weights,
                               DeviceSpan<Target, const Element> value, DeviceSpan<Target, Element> output);

/// Of dense scores ([batch, heads, tokens, tokens]) everything but the neighbours becomes -inf, for attention
/// under a mask.
template <class Target>
void mask_dense_scores(Stream<Target>& stream, const NeighborhoodShape& shape,
                       DeviceSpan<Target, bfloat16> scores);

}  // namespace remeasure::kernels
