// SPDX-License-Identifier: Apache-2.0
//
// The copies that frameworks make for sliding-channel convolution (DSXplore, IPDPS 2021, arXiv 2101.00745,
// section IV: "channel stack"): all different windows behind one another, for a grouped convolution.
//
//   for (b) for (q < cycle) for (j) for (p) stack[b, q, j, p] = x[b, (q * step + j) mod inputs, p];
//
// Optimisation: none is possible but whole rows: reads of a channel come from L2 after the first. Launch: a
// thread per element. Bytes: x once, the stack (cycle * window / inputs times as large) once. Limits: 2^31 -
// 1 blocks.
#include <stdexcept>
#include <string>

#include "kernels/convolution/sliding_channel.h"
#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

template <class Element>
__global__ void stack_kernel(SlidingChannelShape shape, long long elements, int cycle,
                             const Element* __restrict__ x, Element* __restrict__ stack) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const int pixels = shape.pixels();
  const long long row = i / pixels;
  const int j = static_cast<int>(row % shape.window), window = static_cast<int>(row / shape.window % cycle);
  const long long image = row / shape.window / cycle;
  const Element value = x[(image * shape.inputs + shape.channel(window, j)) * pixels + i % pixels];
  stack[i] = value;
}

}  // namespace

template <class Target, class Element>
void stack_channels(Stream<Target>& stream, const SlidingChannelShape& shape,
                    DeviceSpan<Target, const Element> x, DeviceSpan<Target, Element> stack) {
  check_sliding_sizes("stack_channels", shape, x.size(), shape.w_elements(), shape.y_elements());
  const int cycle = shape.cycle();
  const auto elements = static_cast<std::size_t>(cycle) * static_cast<std::size_t>(shape.window) *
                        static_cast<std::size_t>(shape.columns());
  if (stack.size() != elements)
    throw std::invalid_argument("stack_channels: a stack of " + std::to_string(stack.size()) +
                                " elements; cycle * window * pixels of all images are " +
                                std::to_string(elements));
  launch({.name = "stack_channels", .grid = blocks_for(elements, 256), .block = 256}, stream,
         stack_kernel<Element>, shape, static_cast<long long>(elements), cycle, x.data(), stack.data());
}

#define RM_INSTANTIATE(Element)                                                     \
  template void stack_channels(Stream<CompiledTarget>&, const SlidingChannelShape&, \
                               DeviceSpan<CompiledTarget, const Element>,           \
                               DeviceSpan<CompiledTarget, Element>)
RM_INSTANTIATE(float);
RM_INSTANTIATE(bfloat16);
#undef RM_INSTANTIATE

}  // namespace remeasure::kernels
