// SPDX-License-Identifier: Apache-2.0
//
// The baseline of FlashRNN's figures, "vanilla": products, sums, sigmoids and so on of a step are launches of
// their own.
//
//   g = R h;  g = g + wx[t];  g = g + b;  i, f, o = sig(g);  z = tanh(g);  a = f c;  b = i z;  c = a + b;  d
//   = tanh(c);  h = o d
//
// Nothing is optimised on purpose; intermediate results are f32. Launch: a thread an element, 256 a block.
// Bytes: all operands of all operations. Limits: LSTM.
#include "kernels/sequences/rnn_vanilla.h"

#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/sequences/recurrent_tile.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;
enum class Op { sigmoid, tanh, multiply, add };

struct VanillaShape {
  int batch, steps, heads, dim;
};

/// gates [4, batch, heads, dim] = products of the step + wx[t]
template <class Element>
__global__ void __launch_bounds__(kThreads)
    add_inputs_kernel(VanillaShape s, int t, const Element* wx, const Element* products, float* gates) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x,
                  slot = static_cast<long long>(s.batch) * s.heads * s.dim;
  if (i >= 4 * slot) return;
  const int d = static_cast<int>(i % s.dim), n = static_cast<int>(i / s.dim % s.heads);
  const int b = static_cast<int>(i / s.dim / s.heads % s.batch), gate = static_cast<int>(i / slot);
  const float input = static_cast<float>(
      wx[(((static_cast<long long>(b) * s.steps + t) * 4 + gate) * s.heads + n) * s.dim + d]);
  const float product =
      static_cast<float>(products[((static_cast<long long>(n) * s.batch + b) * 4 + gate) * s.dim + d]);
  gates[i] = input + product;
}

__global__ void __launch_bounds__(kThreads) add_bias_kernel(VanillaShape s, const float* bias, float* gates) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x,
                  hidden = static_cast<long long>(s.heads) * s.dim;
  if (i < 4 * s.batch * hidden) gates[i] += bias[i / (s.batch * hidden) * hidden + i % hidden];
}

__global__ void __launch_bounds__(kThreads)
    operation_kernel(Op op, long long n, const float* a, const float* b, float* out) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  switch (op) {
    case Op::sigmoid:
      out[i] = sigmoid<FastMath>(a[i]);
      break;
    case Op::tanh:
      out[i] = FastMath::tanh(a[i]);
      break;
    case Op::multiply:
      out[i] = a[i] * b[i];
      break;
    case Op::add:
      out[i] = a[i] + b[i];
      break;
  }
}

template <class Element>
__global__ void __launch_bounds__(kThreads) store_kernel(long long n, const float* a, Element* out) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) out[i] = Element(a[i]);
}

}  // namespace

template <class Target, class Element>
void rnn_vanilla_lstm(Stream<Target>& stream, const RnnShape& shape, RnnProducts<Target, Element>& by,
                      DeviceSpan<Target, const Element> wx, DeviceSpan<Target, const float> bias,
                      DeviceSpan<Target, const float> first, DeviceSpan<Target, float> workspace,
                      DeviceSpan<Target, Element> products, DeviceSpan<Target, Element> states) {
  check_rnn_shape(shape);
  if (shape.cell != Cell::lstm)
    throw std::invalid_argument("rnn_vanilla_lstm: the cell is " + std::string(name_of(shape.cell)));
  check_rnn_array("wx", wx.size(), shape.wx_size());
  check_rnn_array("bias", bias.size(), shape.bias_size());
  check_rnn_array("first", first.size(), shape.first_size());
  check_rnn_array("workspace", workspace.size(), rnn_vanilla_workspace(shape));
  check_rnn_array("products", products.size(), shape.products_size() / static_cast<std::size_t>(shape.steps));
  check_rnn_array("states", states.size(), shape.states_size());
  const VanillaShape s{shape.batch, shape.steps, shape.heads, shape.dim};
  const std::size_t slot = shape.slot();
  float* const gates = workspace.data();  // i, f, z, o
  float *const i = gates, *const f = gates + slot, *const z = gates + 2 * slot, *const o = gates + 3 * slot;
  float *const h = gates + 4 * slot, *const c = gates + 5 * slot, *const kept = gates + 6 * slot,
               *const gained = gates + 7 * slot;
  const auto elements = static_cast<long long>(slot);
  const auto apply = [&](Op op, const float* a, const float* b, float* out) {
    launch({.name = "rnn_operation", .grid = blocks_for(slot, kThreads), .block = kThreads}, stream,
           operation_kernel, op, elements, a, b, out);
  };
  const auto store = [&](const float* a, std::size_t state, int time) {
    launch({.name = "rnn_store", .grid = blocks_for(slot, kThreads), .block = kThreads}, stream,
           store_kernel<Element>, elements, a,
           states.data() +
               (state * static_cast<std::size_t>(shape.steps + 1) + static_cast<std::size_t>(time)) * slot);
  };
  stream.copy(first.subspan(0, slot), workspace.subspan(4 * slot, slot));
  stream.copy(first.subspan(slot, slot), workspace.subspan(5 * slot, slot));
  store(h, 0, 0);
  store(c, 1, 0);
  for (int t = 0; t < shape.steps; ++t) {
    by.forward(states.data() + static_cast<std::size_t>(t) * slot, products.data());
    launch({.name = "rnn_add_inputs", .grid = blocks_for(4 * slot, kThreads), .block = kThreads}, stream,
           add_inputs_kernel<Element>, s, t, wx.data(), products.data(), gates);
    launch({.name = "rnn_add_bias", .grid = blocks_for(4 * slot, kThreads), .block = kThreads}, stream,
           add_bias_kernel, s, bias.data(), gates);
    apply(Op::sigmoid, i, i, i);
    apply(Op::sigmoid, f, f, f);
    apply(Op::tanh, z, z, z);
    apply(Op::sigmoid, o, o, o);
    apply(Op::multiply, f, c, kept);
    apply(Op::multiply, i, z, gained);
    apply(Op::add, kept, gained, c);
    apply(Op::tanh, c, c, kept);
    apply(Op::multiply, o, kept, h);
    store(h, 0, t + 1);
    store(c, 1, t + 1);
  }
}

#define RM_RNN_VANILLA(Element)                                                           \
  template void rnn_vanilla_lstm(                                                         \
      Stream<CompiledTarget>&, const RnnShape&, RnnProducts<CompiledTarget, Element>&,    \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, const float>, \
      DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>,         \
      DeviceSpan<CompiledTarget, Element>, DeviceSpan<CompiledTarget, Element>);
RM_RNN_VANILLA(float)
RM_RNN_VANILLA(bfloat16)

}  // namespace remeasure::kernels
