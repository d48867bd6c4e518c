// SPDX-License-Identifier: Apache-2.0
//
// Attention whose scores are pruned to an N:M pattern before the softmax (Chen et al., "Dynamic N:M
// Fine-Grained Structured Sparse Attention Mechanism", PPoPP 2023), in three kernels; nm_sparse_attention
// runs all of them. Element is bfloat16 (2:4 and 1:2) or float (1:2 only; multiplied in TF32), as in the
// paper.
#pragma once

#include <cstdint>

#include "kernels/attention/attention_shape.h"
#include "kernels/attention/nm_pattern.h"
#include "kernels/attention/row_softmax.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels {

/// Block tile. `automatic`: 128 x 128 on a GPU; on Simt the small one, which has the same code and less to
/// interpret.
enum class NmTile { automatic, large, small };

/// Elements of the two parts of the compressed scores of all heads.
constexpr std::size_t nonzeros_size(const AttentionShape& shape) {
  return shape.scores() / 2;
}
template <class Element>
constexpr std::size_t metadata_size(const AttentionShape& shape) {
  return shape.scores() / (2 * static_cast<std::size_t>(kKeysPerWord<Element>));
}

/// Kernel 1: scores = scale * query * key^T + key_bias, of which each group keeps its largest.
///   query, key: [batch, heads, tokens, dim];  dim is 32, 64 or 128, tokens a multiple of 32
///   key_bias:   [batch, tokens], added to the scores of a key for every query; empty for none. A masked key
///   has
///               a large negative finite bias such as -1e16, so that a fully masked group is still a group.
///   nonzeros:   [batch, heads, tokens, tokens / 2]
///   metadata:   pairs of 16-bit words in the tensor core's order (hardware_index), per head
template <class Target, class Element>
void sddmm_nm(Stream<Target>& stream, const AttentionShape& shape, NmPattern pattern, float scale,
              DeviceSpan<Target, const Element> query, DeviceSpan<Target, const Element> key,
              DeviceSpan<Target, const float> key_bias, DeviceSpan<Target, Element> nonzeros,
              DeviceSpan<Target, std::uint32_t> metadata, NmTile tile = NmTile::automatic);

/// Kernel 2: softmax over the kept scores of each row; what was pruned is an exact zero and has no part in
/// the sum. `probabilities` may be `nonzeros`.
template <class Target, class Element>
void softmax_nnz(Stream<Target>& stream, const AttentionShape& shape,
                 DeviceSpan<Target, const Element> nonzeros, DeviceSpan<Target, Element> probabilities) {
  row_softmax<Target, Element>(stream, shape.rows(), shape.tokens / 2, nonzeros, probabilities);
}

/// Kernel 3: out = probabilities * value, on sparse tensor cores.  value, out: [batch, heads, tokens, dim]
template <class Target, class Element>
void spmm_nm(Stream<Target>& stream, const AttentionShape& shape,
             DeviceSpan<Target, const Element> probabilities,
             DeviceSpan<Target, const std::uint32_t> metadata, DeviceSpan<Target, const Element> value,
             DeviceSpan<Target, Element> out, NmTile tile = NmTile::automatic);

/// All three. `nonzeros` and `metadata` are the workspace (the whole attention matrix), sized as above.
template <class Target, class Element>
void nm_sparse_attention(Stream<Target>& stream, const AttentionShape& shape, NmPattern pattern, float scale,
                         DeviceSpan<Target, const Element> query, DeviceSpan<Target, const Element> key,
                         DeviceSpan<Target, const Element> value, DeviceSpan<Target, const float> key_bias,
                         DeviceSpan<Target, Element> nonzeros, DeviceSpan<Target, std::uint32_t> metadata,
                         DeviceSpan<Target, Element> out, NmTile tile = NmTile::automatic) {
  sddmm_nm<Target, Element>(stream, shape, pattern, scale, query, key, key_bias, nonzeros, metadata, tile);
  softmax_nnz<Target, Element>(stream, shape, nonzeros, nonzeros);
  spmm_nm<Target, Element>(stream, shape, nonzeros, metadata, value, out, tile);
}

}  // namespace remeasure::kernels
