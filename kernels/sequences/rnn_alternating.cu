// SPDX-License-Identifier: Apache-2.0
//
// FlashRNN (Poeppel, Beck, Hochreiter, ICLR 2025), section 4: the alternating kernels. Per step a product of
// all heads with R, which is read again each time, then
//
//   for b, n, d:  states[t + 1] = cell(wx[b][t], products[n][b], bias, running[b][n][d])
//
// and backwards, from the last step:  dproducts, dwx = cell'(dh[t] + dproducts[t + 1] R);  dR = sum of
// dproducts^T h[t]. Optimisation: none beyond fusing the cell; a thread has one unit, neighbouring threads
// neighbouring units. Launch: blocks of 256 threads over batch, heads and dim. Bytes a step and unit: gates
// of wx and of products, all running states twice, all states once. Limits: dim a multiple of 16 for our own
// products.
#include "kernels/sequences/rnn_alternating.h"

#include "kernels/device/kernel.h"
#include "kernels/sequences/recurrent_tile.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;

struct Steps {
  int batch, steps, heads, dim;
};

/// The unit of a thread: entry b, head n, unit d, and its place in a slot.
struct Unit {
  int b, n, d;
  long long in_slot;
  bool exists;
};
RM_DEVICE inline Unit unit_of_thread(const Steps& s) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int d = static_cast<int>(i % s.dim), n = static_cast<int>(i / s.dim % s.heads);
  return {static_cast<int>(i / s.dim / s.heads), n, d, i,
          i < static_cast<long long>(s.batch) * s.heads * s.dim};
}
/// Its place in [heads, batch, dim].
RM_DEVICE inline long long by_heads(const Steps& s, const Unit& u) {
  return (static_cast<long long>(u.n) * s.batch + u.b) * s.dim + u.d;
}
RM_DEVICE inline long long slot_of(const Steps& s) {
  return static_cast<long long>(s.batch) * s.heads * s.dim;
}
RM_DEVICE inline long long input_place(const Steps& s, const Unit& u, int t, int gates) {
  return ((static_cast<long long>(u.b) * s.steps + t) * gates * s.heads + u.n) * s.dim + u.d;
}

template <Cell kCell, class Element>
RM_DEVICE inline void read_gates(const Steps& s, const Unit& u, int t, const Element* wx,
                                 const Element* products, long long head_stride, const float* bias, float* x,
                                 float* r, float* b) {
  constexpr CellSizes kSizes = sizes_of(kCell);
  const long long hidden = static_cast<long long>(s.heads) * s.dim;
  const long long at = input_place(s, u, t, kSizes.inputs);
#pragma unroll
  for (int gate = 0; gate < kSizes.inputs; ++gate) x[gate] = static_cast<float>(wx[at + gate * hidden]);
#pragma unroll
  for (int gate = 0; gate < kSizes.recurrent; ++gate) {
    r[gate] = static_cast<float>(
        products[u.n * head_stride + (static_cast<long long>(u.b) * kSizes.recurrent + gate) * s.dim + u.d]);
  }
#pragma unroll
  for (int k = 0; k < kSizes.biases; ++k) b[k] = bias[k * hidden + static_cast<long long>(u.n) * s.dim + u.d];
}

template <Cell kCell, class Element>
__global__ void __launch_bounds__(kThreads)
    cell_kernel(Steps s, int t, const Element* wx, const Element* products, long long head_stride,
                const float* bias, float* running, Element* states) {
  constexpr CellSizes kSizes = sizes_of(kCell);
  const Unit u = unit_of_thread(s);
  if (!u.exists) return;
  float x[kSizes.inputs], r[kSizes.recurrent], b[kSizes.biases], state[kSizes.states];
  read_gates<kCell>(s, u, t, wx, products, head_stride, bias, x, r, b);
#pragma unroll
  for (int i = first_carried(kCell); i < kSizes.states; ++i) state[i] = running[i * slot_of(s) + u.in_slot];
  CellStep<kCell>::template forward<FastMath>(x, r, b, state);
#pragma unroll
  for (int i = 0; i < kSizes.states; ++i) {
    if (i >= first_carried(kCell)) running[i * slot_of(s) + u.in_slot] = state[i];
    states[(static_cast<long long>(i) * (s.steps + 1) + t + 1) * slot_of(s) + u.in_slot] = Element(state[i]);
  }
}

template <class Element>
__global__ void __launch_bounds__(kThreads)
    first_kernel(Steps s, int count, const float* first, float* running, Element* states) {
  const Unit u = unit_of_thread(s);
  if (!u.exists) return;
  for (int i = 0; i < count; ++i) {
    const float value = first[i * slot_of(s) + u.in_slot];
    running[i * slot_of(s) + u.in_slot] = value;
    states[static_cast<long long>(i) * (s.steps + 1) * slot_of(s) + u.in_slot] = Element(value);
  }
}

/// `carried`: gradient of the states after step t on entry, before it on exit; but for what comes through the
/// products: `previous`.
template <Cell kCell, class Element>
__global__ void __launch_bounds__(kThreads)
    cell_gradient_kernel(Steps s, int t, const Element* wx, Element* products, long long head_stride,
                         const float* bias, const Element* states, const Element* dh, const Element* previous,
                         float* carried, Element* dwx) {
  constexpr CellSizes kSizes = sizes_of(kCell);
  const Unit u = unit_of_thread(s);
  if (!u.exists) return;
  float x[kSizes.inputs], r[kSizes.recurrent], b[kSizes.biases];
  float before[kSizes.states], after[kSizes.states], ds[kSizes.states], dx[kSizes.inputs],
      dr[kSizes.recurrent];
  read_gates<kCell>(s, u, t, wx, products, head_stride, bias, x, r, b);
#pragma unroll
  for (int i = 0; i < kSizes.states; ++i) {
    const Element* const of_state =
        states + static_cast<long long>(i) * (s.steps + 1) * slot_of(s) + u.in_slot;
    before[i] = static_cast<float>(of_state[t * slot_of(s)]);
    after[i] = static_cast<float>(of_state[(t + 1) * slot_of(s)]);
    ds[i] = t + 1 < s.steps ? carried[i * slot_of(s) + u.in_slot] : 0.0f;
  }
  ds[0] += static_cast<float>(dh[t * slot_of(s) + u.in_slot]);
  if (t + 1 < s.steps) ds[0] += static_cast<float>(previous[by_heads(s, u)]);
  CellStep<kCell>::template backward<FastMath>(x, r, b, before, after, ds, dx, dr);
#pragma unroll
  for (int i = 0; i < kSizes.states; ++i) carried[i * slot_of(s) + u.in_slot] = ds[i];
#pragma unroll
  for (int gate = 0; gate < kSizes.inputs; ++gate) {
    dwx[input_place(s, u, t, kSizes.inputs) + gate * static_cast<long long>(s.heads) * s.dim] =
        Element(dx[gate]);
  }
#pragma unroll
  for (int gate = 0; gate < kSizes.recurrent; ++gate) {
    products[u.n * head_stride + (static_cast<long long>(u.b) * kSizes.recurrent + gate) * s.dim + u.d] =
        Element(dr[gate]);
  }
}

/// The part of dh before the first step that comes through the products.
template <class Element>
__global__ void __launch_bounds__(kThreads)
    first_gradient_kernel(Steps s, const Element* previous, float* first) {
  const Unit u = unit_of_thread(s);
  if (u.exists) first[u.in_slot] += static_cast<float>(previous[by_heads(s, u)]);
}

/// Column sums: a block has 32 units of one gate and head, its 8 rows of threads share steps and batch.
template <class Element>
__global__ void __launch_bounds__(kThreads)
    bias_gradient_kernel(Steps s, int gates, int gate_of_first, const Element* of, bool inputs, float* bias) {
  RM_SHARED(float, partial, [8][33]);
  const int column = static_cast<int>(threadIdx.x) % 32, share = static_cast<int>(threadIdx.x) / 32;
  const int d = static_cast<int>(blockIdx.x) * 32 + column, n = static_cast<int>(blockIdx.y);
  const int gate = gate_of_first + static_cast<int>(blockIdx.z);
  float sum = 0;
  for (int row = share; d < s.dim && row < s.steps * s.batch; row += 8) {
    const long long at = inputs ? (static_cast<long long>(row) * gates + gate) * s.heads + n
                                : (static_cast<long long>(n) * s.steps * s.batch + row) * gates + gate;
    sum += static_cast<float>(of[at * s.dim + d]);
  }
  partial[share][column] = sum;
  __syncthreads();
  if (share != 0 || d >= s.dim) return;
  for (int other = 1; other < 8; ++other) sum += partial[other][column];
  bias[(static_cast<long long>(blockIdx.z) * s.heads + n) * s.dim + d] = sum;
}

// ---- our own products
// -------------------------------------------------------------------------------------------

constexpr int kWindow = 4;  // chunks of R in registers at a time

/// A warp a block: 16 units with all gates, 8 batch entries, R from memory.
template <int kGates, class Element>
__global__ void __launch_bounds__(32) product_kernel(Steps s, const Element* h, const Element* weights,
                                                     long long head_stride, Element* products) {
  RM_DYNAMIC_SHARED(unsigned char, rows);
  const int n = static_cast<int>(blockIdx.z), first_entry = static_cast<int>(blockIdx.y) * 8,
            first_unit = static_cast<int>(blockIdx.x) * 16;
  const int row_bytes = hidden_row_bytes(s.dim, static_cast<int>(sizeof(Element)));
  for (int i = static_cast<int>(threadIdx.x); i < 8 * s.dim; i += 32) {
    const int entry = first_entry + i / s.dim, unit = i % s.dim;
    reinterpret_cast<Element*>(rows + i / s.dim * row_bytes)[unit] =
        entry < s.batch ? h[(static_cast<long long>(entry) * s.heads + n) * s.dim + unit] : Element(0.0f);
  }
  __syncwarp();
  float sum[kGates][1][4] = {};
  RecurrentTile<Element, kGates, kWindow> tile;
  const int chunks = s.dim / kRecurrentChunk<Element>;
  for (int chunk = 0; chunk < chunks; chunk += kWindow) {
    tile.load(weights + static_cast<long long>(n) * kGates * s.dim * s.dim, s.dim, first_unit, chunk,
              min(kWindow, chunks - chunk), nullptr);
    tile.multiply(sum, rows, row_bytes);
  }
#pragma unroll
  for (int gate = 0; gate < kGates; ++gate) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int entry = first_entry + accumulator_entry(0, i);
      if (entry >= s.batch) continue;
      products[n * head_stride + (static_cast<long long>(entry) * kGates + gate) * s.dim + first_unit +
               accumulator_unit(i)] = Element(sum[gate][0][i]);
    }
  }
}

/// dh[n][b][p] = sum over gates and units j of dproducts[n][b][j] R[n][j][p]
template <class Element>
__global__ void __launch_bounds__(kThreads)
    product_gradient_kernel(Steps s, int rows, const Element* dproducts, long long head_stride,
                            const Element* weights, Element* dh) {
  const Unit u = unit_of_thread(s);
  if (!u.exists) return;
  const Element* const of_entry = dproducts + u.n * head_stride + static_cast<long long>(u.b) * rows;
  const Element* const of_head = weights + static_cast<long long>(u.n) * rows * s.dim + u.d;
  float sum = 0;
  for (int j = 0; j < rows; ++j)
    sum += static_cast<float>(of_entry[j]) * static_cast<float>(of_head[static_cast<long long>(j) * s.dim]);
  dh[by_heads(s, u)] = Element(sum);
}

/// dR[n][j][p] = sum over steps and batch of dproducts[n][t][b][j] h[t][b][n][p]; a thread an element
template <class Element>
__global__ void __launch_bounds__(kThreads)
    weights_gradient_kernel(Steps s, int rows, const Element* dproducts, const Element* h,
                            Element* dweights) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int p = static_cast<int>(i % s.dim), j = static_cast<int>(i / s.dim % rows),
            n = static_cast<int>(i / s.dim / rows);
  if (n >= s.heads) return;
  const int count = s.steps * s.batch;
  const Element* const of_head = dproducts + static_cast<long long>(n) * count * rows + j;
  const Element* const hidden = h + static_cast<long long>(n) * s.dim + p;
  float sum = 0;
  for (int row = 0; row < count; ++row) {
    sum += static_cast<float>(of_head[static_cast<long long>(row) * rows]) *
           static_cast<float>(hidden[static_cast<long long>(row) * s.heads * s.dim]);
  }
  dweights[i] = Element(sum);
}

Steps steps_of(const RnnShape& shape) {
  return {shape.batch, shape.steps, shape.heads, shape.dim};
}

long long head_stride_of(const RnnShape& shape, std::size_t products) {
  return static_cast<long long>(products / static_cast<std::size_t>(shape.heads));
}

}  // namespace

template <class Target, class Element>
OwnRnnProducts<Target, Element>::OwnRnnProducts(Stream<Target>& stream, const RnnShape& shape,
                                                DeviceSpan<Target, const Element> weights,
                                                std::size_t head_stride)
    : stream_(stream), shape_(shape), weights_(weights), head_stride_(static_cast<long long>(head_stride)) {
  check_rnn_shape(shape, 16);
  check_rnn_array("weights", weights.size(), shape.weights_size());
}

template <class Target, class Element>
void OwnRnnProducts<Target, Element>::forward(const Element* h, Element* products) {
  const Launch what{.name = "rnn_product",
                    .grid = dim3(static_cast<unsigned>(shape_.dim / 16), blocks_for(shape_.batch, 8),
                                 static_cast<unsigned>(shape_.heads)),
                    .block = 32,
                    .shared_bytes = 8 * static_cast<std::size_t>(
                                            hidden_row_bytes(shape_.dim, static_cast<int>(sizeof(Element))))};
  const auto run = [&](auto kernel) {
    launch(what, stream_, kernel, steps_of(shape_), h, weights_.data(), head_stride_, products);
  };
  switch (shape_.sizes().recurrent) {
    case 1:
      return run(product_kernel<1, Element>);
    case 3:
      return run(product_kernel<3, Element>);
    default:
      return run(product_kernel<4, Element>);
  }
}

template <class Target, class Element>
void OwnRnnProducts<Target, Element>::backward(const Element* dproducts, Element* dh) {
  launch({.name = "rnn_product_gradient", .grid = blocks_for(shape_.slot(), kThreads), .block = kThreads},
         stream_, product_gradient_kernel<Element>, steps_of(shape_), shape_.sizes().recurrent * shape_.dim,
         dproducts, head_stride_, weights_.data(), dh);
}

template <class Target, class Element>
void OwnRnnProducts<Target, Element>::weights(const Element* dproducts, const Element* h, Element* dweights) {
  launch({.name = "rnn_weights_gradient",
          .grid = blocks_for(shape_.weights_size(), kThreads),
          .block = kThreads},
         stream_, weights_gradient_kernel<Element>, steps_of(shape_), shape_.sizes().recurrent * shape_.dim,
         dproducts, h, dweights);
}

template <class Target, class Element>
void rnn_alternating(Stream<Target>& stream, const RnnShape& shape, RnnProducts<Target, Element>& by,
                     DeviceSpan<Target, const Element> wx, DeviceSpan<Target, const float> bias,
                     DeviceSpan<Target, const float> first, const RnnWorkspace<Target, Element>& workspace,
                     DeviceSpan<Target, Element> states) {
  check_rnn_shape(shape);
  check_rnn_array("wx", wx.size(), shape.wx_size());
  check_rnn_array("bias", bias.size(), shape.bias_size());
  check_rnn_array("first", first.size(), shape.first_size());
  check_rnn_array("running", workspace.running.size(), shape.first_size());
  check_rnn_array("states", states.size(), shape.states_size());
  const bool keeps = workspace.products.size() == shape.products_size();
  if (!keeps)
    check_rnn_array("products", workspace.products.size(),
                    shape.products_size() / static_cast<std::size_t>(shape.steps));
  const unsigned blocks = blocks_for(shape.slot(), kThreads);
  const Steps s = steps_of(shape);
  const long long stride = head_stride_of(shape, workspace.products.size());
  const std::size_t of_step =
      keeps ? static_cast<std::size_t>(shape.batch * shape.sizes().recurrent * shape.dim) : 0;
  launch({.name = "rnn_first", .grid = blocks, .block = kThreads}, stream, first_kernel<Element>, s,
         shape.sizes().states, first.data(), workspace.running.data(), states.data());
  with_cell(shape.cell, [&]<Cell kCell>() {
    for (int t = 0; t < shape.steps; ++t) {
      Element* const products = workspace.products.data() + static_cast<std::size_t>(t) * of_step;
      by.forward(states.data() + static_cast<std::size_t>(t) * shape.slot(), products);
      launch({.name = "rnn_cell", .grid = blocks, .block = kThreads}, stream, cell_kernel<kCell, Element>, s,
             t, wx.data(), products, stride, bias.data(), workspace.running.data(), states.data());
    }
  });
}

template <class Target, class Element>
void rnn_alternating_backward(Stream<Target>& stream, const RnnShape& shape, RnnProducts<Target, Element>& by,
                              DeviceSpan<Target, const Element> wx, DeviceSpan<Target, const float> bias,
                              DeviceSpan<Target, const Element> states, DeviceSpan<Target, const Element> dh,
                              DeviceSpan<Target, Element> products, DeviceSpan<Target, Element> previous,
                              const RnnGradientSpans<Target, Element>& gradients) {
  check_rnn_shape(shape);
  check_rnn_array("wx", wx.size(), shape.wx_size());
  check_rnn_array("bias", bias.size(), shape.bias_size());
  check_rnn_array("states", states.size(), shape.states_size());
  check_rnn_array("dh", dh.size(), shape.slot() * static_cast<std::size_t>(shape.steps));
  check_rnn_array("products", products.size(), shape.products_size());
  check_rnn_array("previous", previous.size(), shape.slot());
  check_rnn_array("gradient of wx", gradients.wx.size(), shape.wx_size());
  check_rnn_array("gradient of weights", gradients.weights.size(), shape.weights_size());
  check_rnn_array("gradient of bias", gradients.bias.size(), shape.bias_size());
  check_rnn_array("gradient of first", gradients.first.size(), shape.first_size());
  const unsigned blocks = blocks_for(shape.slot(), kThreads);
  const Steps s = steps_of(shape);
  const CellSizes sizes = shape.sizes();
  const long long stride = head_stride_of(shape, products.size());
  with_cell(shape.cell, [&]<Cell kCell>() {
    for (int t = shape.steps - 1; t >= 0; --t) {
      Element* const of_step =
          products.data() +
          static_cast<std::size_t>(t) * static_cast<std::size_t>(shape.batch * sizes.recurrent * shape.dim);
      launch({.name = "rnn_cell_gradient", .grid = blocks, .block = kThreads}, stream,
             cell_gradient_kernel<kCell, Element>, s, t, wx.data(), of_step, stride, bias.data(),
             states.data(), dh.data(), previous.data(), gradients.first.data(), gradients.wx.data());
      by.backward(of_step, previous.data());
    }
  });
  launch({.name = "rnn_first_gradient", .grid = blocks, .block = kThreads}, stream,
         first_gradient_kernel<Element>, s, previous.data(), gradients.first.data());
  by.weights(products.data(), states.data(), gradients.weights.data());
  const auto columns = [&](int gates, int first_gate, int count, const Element* of, bool inputs,
                           float* bias_gradient) {
    launch({.name = "rnn_bias_gradient",
            .grid = dim3(blocks_for(shape.dim, 32), static_cast<unsigned>(shape.heads),
                         static_cast<unsigned>(count)),
            .block = kThreads},
           stream, bias_gradient_kernel<Element>, s, gates, first_gate, of, inputs, bias_gradient);
  };
  columns(sizes.recurrent, 0, sizes.recurrent, products.data(), false, gradients.bias.data());
  if (shape.cell == Cell::gru)
    columns(sizes.inputs, 2, 1, gradients.wx.data(), true, gradients.bias.data() + 3 * shape.hidden());
}

#define RM_RNN_ALTERNATING(Element)                                                          \
  template class OwnRnnProducts<CompiledTarget, Element>;                                    \
  template void rnn_alternating(                                                             \
      Stream<CompiledTarget>&, const RnnShape&, RnnProducts<CompiledTarget, Element>&,       \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, const float>,    \
      DeviceSpan<CompiledTarget, const float>, const RnnWorkspace<CompiledTarget, Element>&, \
      DeviceSpan<CompiledTarget, Element>);                                                  \
  template void rnn_alternating_backward(                                                    \
      Stream<CompiledTarget>&, const RnnShape&, RnnProducts<CompiledTarget, Element>&,       \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, const float>,    \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, const Element>,  \
      DeviceSpan<CompiledTarget, Element>, DeviceSpan<CompiledTarget, Element>,              \
      const RnnGradientSpans<CompiledTarget, Element>&);
RM_RNN_ALTERNATING(float)
RM_RNN_ALTERNATING(bfloat16)

}  // namespace remeasure::kernels
