// SPDX-License-Identifier: Apache-2.0
//
// FlashRNN (Poeppel, Beck, Hochreiter, ICLR 2025; arXiv 2412.07752), section 4: the fused kernel.
//
//   for t in steps:                                     // one launch
//     for head n, batch entry b:                        // independent
//       g[gate] = R[n][gate] h[b][n] for each gate      // R is on chip from before the first step
//       states[b][n] = cell(wx[b][t] , g, bias, states[b][n])
//
// Optimisation: R is read once and stays in mma fragments (registers, then shared memory; recurrent_tile.h).
// A warp has 16 units with all gates, so the cell is computed where the accumulators are, and all states but
// h stay in registers; h goes through shared memory, twice buffered, with one barrier a step. The authors'
// kernel splits gates over blocks and adds partial sums through memory, with two grid barriers a step; here
// blocks split units, and where one head doesn't fit a block there is one grid barrier a step, behind which
// every block reads the new h (which is in L2) from `states`. Inputs of the next step are fetched before the
// product. Launch: grid (unit blocks, batch tiles of 8 or 16, heads), up to 256 threads; cooperative if there
// are several unit blocks. FLOP: 2 B T G N D^2 in the tensor cores, B in multiples of 8 or 16. Bytes: wx and
// R once, all states once (R once for each batch tile, from L2); cooperative: h of each step read again.
// Limits: dim a multiple of 16; rnn_fused_plan.
#include "kernels/sequences/rnn_fused.h"

#include <stdexcept>
#include <string>

#include "kernels/device/cooperative.h"
#include "kernels/device/kernel.h"
#include "kernels/sequences/recurrent_tile.h"
#include "kernels/sequences/rnn_fused_layout.h"

namespace remeasure::kernels {
namespace {

template <class Element>
struct FusedProblem {
  const Element* wx;
  const Element* weights;
  const float* bias;
  const float* first;
  Element* states;
  int batch, steps, heads, dim;
  int unit_tiles, splits, chunks_of_split;
  int row_bytes, hidden_bytes, partial_offset, weights_offset, weight_bytes_of_warp;
  int first_head, first_entry;
  bool exchanges;     // h with other blocks
  bool synchronised;  // RnnFusedPlan::synchronised
};

/// Elements between two batch entries of a slot, and between two slots.
template <class Element>
RM_DEVICE long long entry_stride(const FusedProblem<Element>& p) {
  return static_cast<long long>(p.heads) * p.dim;
}
template <class Element>
RM_DEVICE long long slot_stride(const FusedProblem<Element>& p) {
  return static_cast<long long>(p.batch) * p.heads * p.dim;
}

/// All of this head's h before the first step; entries beyond the batch are zero and stay so.
template <class Element, int kColumns>
RM_DEVICE void fill_hidden(const FusedProblem<Element>& p, unsigned char* hidden, int buffers, int head,
                           int first_entry) {
  const int values = 8 * kColumns * p.dim;
  for (int i = static_cast<int>(threadIdx.x); i < buffers * values; i += static_cast<int>(blockDim.x)) {
    const int entry = i % values / p.dim, unit = i % p.dim;
    const bool exists = first_entry + entry < p.batch && i < values;
    const float value =
        exists
            ? p.first[(first_entry + entry) * entry_stride(p) + static_cast<long long>(head) * p.dim + unit]
            : 0.0f;
    unsigned char* const row = hidden + i / values * p.hidden_bytes + entry * p.row_bytes;
    reinterpret_cast<Element*>(row)[unit] = Element(value);
  }
}

/// h of the slot, as all blocks wrote it, to shared memory.
template <class Element, int kColumns>
RM_DEVICE void fetch_hidden(const FusedProblem<Element>& p, unsigned char* hidden, int slot, int head,
                            int first_entry) {
  const int words = p.dim * static_cast<int>(sizeof(Element)) / 16;
  const Element* const from = p.states + slot * slot_stride(p) + static_cast<long long>(head) * p.dim;
  for (int i = static_cast<int>(threadIdx.x); i < 8 * kColumns * words; i += static_cast<int>(blockDim.x)) {
    const int entry = i / words, word = i % words;
    if (first_entry + entry >= p.batch) continue;
    const auto* const source = reinterpret_cast<const uint4*>(from + (first_entry + entry) * entry_stride(p));
    reinterpret_cast<uint4*>(hidden + entry * p.row_bytes)[word] = source[word];
  }
}

template <Cell kCell, class Element, int kColumns>
__global__ void __launch_bounds__(kRnnFusedThreads) rnn_fused_kernel(const FusedProblem<Element> p) {
  constexpr CellSizes kSizes = sizes_of(kCell);
  using Pair = ElementPair<Element>;
  RM_DYNAMIC_SHARED(unsigned char, shared);
  const int lane = lane_id(), warp = warp_id();
  const int split = warp % p.splits, tile_in_block = warp / p.splits;
  const int first_unit = 16 * (static_cast<int>(blockIdx.x) * p.unit_tiles + tile_in_block);
  const bool active = first_unit < p.dim;
  const bool finishes = active && split == 0;  // has the sums, the states and the cell
  const int head = p.first_head + static_cast<int>(blockIdx.z);
  const int first_entry = p.first_entry + static_cast<int>(blockIdx.y) * 8 * kColumns;
  const int unit = first_unit + accumulator_unit(0);  // and the next one
  const long long in_slot = static_cast<long long>(head) * p.dim + unit;

  RecurrentTile<Element, kSizes.recurrent,
                rnn_register_chunks(kCell, static_cast<int>(sizeof(Element)), kColumns)>
      weights;
  if (active) {
    const int chunks = p.dim / kRecurrentChunk<Element>, begin = split * p.chunks_of_split;
    weights.load(p.weights + static_cast<long long>(head) * kSizes.recurrent * p.dim * p.dim, p.dim,
                 first_unit, begin, max(0, min(chunks - begin, p.chunks_of_split)),
                 reinterpret_cast<uint4*>(shared + p.weights_offset + warp * p.weight_bytes_of_warp));
  }
  fill_hidden<Element, kColumns>(p, shared, p.exchanges ? 1 : 2, head, first_entry);

  float bias[kSizes.biases][2] = {};
  float state[kColumns][4][kSizes.states] = {};
  Pair next[kSizes.inputs][kColumns][2];
  const auto fetch_inputs = [&](int t) {
#pragma unroll
    for (int tile = 0; tile < kColumns; ++tile) {
#pragma unroll
      for (int column = 0; column < 2; ++column) {
        const int entry = first_entry + accumulator_entry(tile, column);
        if (entry >= p.batch) continue;
        const Element* const from =
            p.wx + (static_cast<long long>(entry) * p.steps + t) * kSizes.inputs * entry_stride(p) + in_slot;
#pragma unroll
        for (int gate = 0; gate < kSizes.inputs; ++gate) {
          next[gate][tile][column] = *reinterpret_cast<const Pair*>(from + gate * entry_stride(p));
        }
      }
    }
  };
  const auto store_states = [&](int slot) {
#pragma unroll
    for (int tile = 0; tile < kColumns; ++tile) {
#pragma unroll
      for (int column = 0; column < 2; ++column) {
        const int entry = first_entry + accumulator_entry(tile, column);
        if (entry >= p.batch) continue;
#pragma unroll
        for (int s = 0; s < kSizes.states; ++s) {
          Pair pair;
          pair.of[0] = Element(state[tile][column][s]);
          pair.of[1] = Element(state[tile][column + 2][s]);
          Element* const to = p.states + (static_cast<long long>(s) * (p.steps + 1) + slot) * slot_stride(p) +
                              entry * entry_stride(p) + in_slot;
          *reinterpret_cast<Pair*>(to) = pair;
          if (s == 0 && slot > 0 && !p.exchanges) {
            unsigned char* const row =
                shared + slot % 2 * p.hidden_bytes + accumulator_entry(tile, column) * p.row_bytes;
            *reinterpret_cast<Pair*>(reinterpret_cast<Element*>(row) + unit) = pair;
          }
        }
      }
    }
  };
  if (finishes) {
#pragma unroll
    for (int b = 0; b < kSizes.biases; ++b) {
#pragma unroll
      for (int u = 0; u < 2; ++u) bias[b][u] = p.bias[b * entry_stride(p) + in_slot + u];
    }
#pragma unroll
    for (int tile = 0; tile < kColumns; ++tile) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int entry = first_entry + accumulator_entry(tile, i);
        if (entry >= p.batch) continue;
#pragma unroll
        for (int s = 0; s < kSizes.states; ++s) {
          state[tile][i][s] = p.first[s * slot_stride(p) + entry * entry_stride(p) + in_slot + i / 2];
        }
      }
    }
    store_states(0);
    fetch_inputs(0);
  }
  __syncthreads();

  for (int t = 0; t < p.steps; ++t) {
    Pair now[kSizes.inputs][kColumns][2];
    if (finishes) {
#pragma unroll
      for (int gate = 0; gate < kSizes.inputs; ++gate) {
#pragma unroll
        for (int tile = 0; tile < kColumns; ++tile) {
#pragma unroll
          for (int column = 0; column < 2; ++column) now[gate][tile][column] = next[gate][tile][column];
        }
      }
      if (t + 1 < p.steps) fetch_inputs(t + 1);
    }
    float sum[kSizes.recurrent][kColumns][4] = {};
    if (active) weights.multiply(sum, shared + (p.exchanges ? 0 : t % 2) * p.hidden_bytes, p.row_bytes);
    if (p.splits > 1) {
      float* const partial = reinterpret_cast<float*>(shared + p.partial_offset) +
                             tile_in_block * (p.splits - 1) * kSizes.recurrent * kColumns * 128 + lane;
      if (active && split > 0) {
#pragma unroll
        for (int i = 0; i < kSizes.recurrent * kColumns * 4; ++i) {
          partial[((split - 1) * kSizes.recurrent * kColumns * 4 + i) * 32] =
              sum[i / (kColumns * 4)][i / 4 % kColumns][i % 4];
        }
      }
      __syncthreads();
      for (int other = 1; finishes && other < p.splits; ++other) {
#pragma unroll
        for (int i = 0; i < kSizes.recurrent * kColumns * 4; ++i) {
          sum[i / (kColumns * 4)][i / 4 % kColumns][i % 4] +=
              partial[((other - 1) * kSizes.recurrent * kColumns * 4 + i) * 32];
        }
      }
    }
    if (finishes) {
#pragma unroll
      for (int tile = 0; tile < kColumns; ++tile) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (first_entry + accumulator_entry(tile, i) >= p.batch) continue;
          float x[kSizes.inputs], r[kSizes.recurrent], b[kSizes.biases];
#pragma unroll
          for (int gate = 0; gate < kSizes.inputs; ++gate)
            x[gate] = static_cast<float>(now[gate][tile][i % 2].of[i / 2]);
#pragma unroll
          for (int gate = 0; gate < kSizes.recurrent; ++gate) r[gate] = sum[gate][tile][i];
#pragma unroll
          for (int k = 0; k < kSizes.biases; ++k) b[k] = bias[k][i / 2];
          CellStep<kCell>::template forward<FastMath>(x, r, b, state[tile][i]);
        }
      }
      store_states(t + 1);
    }
    if (!p.exchanges) {
      __syncthreads();
    } else if (t + 1 < p.steps) {
      if (p.synchronised) grid_barrier();
      fetch_hidden<Element, kColumns>(p, shared, t + 1, head, first_entry);
      __syncthreads();
    }
  }
}

template <Cell kCell, class Element, int kColumns>
void launch_fused(Stream<CompiledTarget>& stream, const RnnShape& shape, const RnnFusedPlan& plan,
                  FusedProblem<Element> p) {
  const int batch_tiles = (shape.batch + 8 * kColumns - 1) / (8 * kColumns);
  for (int head = 0; head < shape.heads; head += plan.heads_at_once) {
    for (int tile = 0; tile < batch_tiles; tile += plan.batch_tiles_at_once) {
      p.first_head = head;
      p.first_entry = tile * 8 * kColumns;
      const Launch what{
          .name = "rnn_fused",
          .grid = dim3(static_cast<unsigned>(plan.unit_blocks),
                       static_cast<unsigned>(std::min(plan.batch_tiles_at_once, batch_tiles - tile)),
                       static_cast<unsigned>(std::min(plan.heads_at_once, shape.heads - head))),
          .block = static_cast<unsigned>(plan.threads()),
          .shared_bytes = plan.shared_bytes};
      if (plan.cooperative()) {
        launch_cooperative(what, stream, rnn_fused_kernel<kCell, Element, kColumns>, p);
      } else {
        launch(what, stream, rnn_fused_kernel<kCell, Element, kColumns>, p);
      }
    }
  }
}

}  // namespace

template <class Target, class Element>
void rnn_fused(Stream<Target>& stream, const RnnShape& shape, const RnnFusedPlan& plan,
               DeviceSpan<Target, const Element> wx, DeviceSpan<Target, const Element> weights,
               DeviceSpan<Target, const float> bias, DeviceSpan<Target, const float> first,
               DeviceSpan<Target, Element> states) {
  check_rnn_shape(shape, 16);
  check_rnn_array("wx", wx.size(), shape.wx_size());
  check_rnn_array("weights", weights.size(), shape.weights_size());
  check_rnn_array("bias", bias.size(), shape.bias_size());
  check_rnn_array("first", first.size(), shape.first_size());
  check_rnn_array("states", states.size(), shape.states_size());
  if (plan.threads() > kRnnFusedThreads) {
    throw std::invalid_argument(
        "rnn_fused: a plan of " + std::to_string(plan.unit_tiles) + " unit tiles and " +
        std::to_string(plan.splits) + " splits has " + std::to_string(plan.threads()) +
        " threads a block; the kernel's registers leave " + std::to_string(kRnnFusedThreads));
  }
  const RnnFusedLayout layout(shape, static_cast<int>(sizeof(Element)), plan);
  const FusedProblem<Element> p{wx.data(),
                                weights.data(),
                                bias.data(),
                                first.data(),
                                states.data(),
                                shape.batch,
                                shape.steps,
                                shape.heads,
                                shape.dim,
                                plan.unit_tiles,
                                plan.splits,
                                layout.chunks_of_split,
                                layout.row_bytes,
                                layout.hidden_bytes,
                                layout.partial_offset(),
                                layout.weights_offset(),
                                layout.weight_bytes_of_warp,
                                0,
                                0,
                                plan.cooperative(),
                                plan.synchronised};
  with_cell(shape.cell, [&]<Cell kCell>() {
    if (plan.columns == 1) {
      launch_fused<kCell, Element, 1>(stream, shape, plan, p);
    } else {
      launch_fused<kCell, Element, 2>(stream, shape, plan, p);
    }
  });
}

#define RM_RNN_FUSED(Element)                                                                               \
  template void rnn_fused(Stream<CompiledTarget>&, const RnnShape&, const RnnFusedPlan&,                    \
                          DeviceSpan<CompiledTarget, const Element>,                                        \
                          DeviceSpan<CompiledTarget, const Element>,                                        \
                          DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, const float>, \
                          DeviceSpan<CompiledTarget, Element>);
RM_RNN_FUSED(float)
RM_RNN_FUSED(bfloat16)

}  // namespace remeasure::kernels
