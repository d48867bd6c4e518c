// SPDX-License-Identifier: Apache-2.0
//
// Residual blocks a layer at a time by our own kernels: bias, activation and residual in the epilogues, the
// tensors between the layers in memory. What a fused block is held against where both are ours.
#pragma once

#include "kernels/convolution/convfirst_block.h"
#include "kernels/convolution/depthwise.h"
#include "kernels/convolution/implicit_gemm.h"
#include "kernels/convolution/layer_norm.h"

namespace remeasure::kernels {

/// Elements of the tensors between the layers: ConvFirst (1 + e) C a pixel, MBConv 2 e C, ConvNeXt (2 + e) C.
inline std::size_t unfused_workspace(Block block, const BlockShape& shape) {
  const auto e = static_cast<std::size_t>(shape.expansion);
  return shape.elements() * (block == Block::convfirst ? 1 + e : block == Block::mbconv ? 2 * e : 2 + e);
}

/// The dense layers and the depthwise convolution of a block as convolutions.
inline ConvolutionShape dense_layer(const BlockShape& shape, bool expands) {
  return {.batch = shape.batch,
          .height = shape.height,
          .width = shape.width,
          .in_channels = expands ? shape.channels : shape.hidden(),
          .out_channels = expands ? shape.hidden() : shape.channels};
}
inline ConvolutionShape depthwise_layer(Block block, const BlockShape& shape) {
  const int channels = block == Block::mbconv ? shape.hidden() : shape.channels;
  return {.batch = shape.batch,
          .height = shape.height,
          .width = shape.width,
          .in_channels = channels,
          .out_channels = channels,
          .kernel = shape.kernel,
          .pad = shape.kernel / 2,
          .groups = channels};
}

template <class Target, class Element>
void unfused_block(Stream<Target>& stream, Block block, const BlockShape& shape,
                   DeviceSpan<Target, const Element> x, const DeviceBlockWeights<Target, Element>& weights,
                   DeviceSpan<Target, Element> workspace, DeviceSpan<Target, Element> y) {
  const std::size_t narrow = shape.elements(), wide = narrow * static_cast<std::size_t>(shape.expansion);
  const auto expand = [&](DeviceSpan<Target, const Element> from, DeviceSpan<Target, Element> to) {
    implicit_gemm_forward<Target, Element>(
        stream, dense_layer(shape, true), from, weights.expand, to,
        {.bias = weights.expand_bias, .activation = Activation::gelu_tanh});
  };
  const auto project = [&](DeviceSpan<Target, const Element> from) {
    implicit_gemm_forward<Target, Element>(stream, dense_layer(shape, false), from, weights.project, y,
                                           {.bias = weights.project_bias, .residual = x});
  };
  const ConvolutionShape depthwise = depthwise_layer(block, shape);
  if (block == Block::mbconv) {
    const auto h = workspace.subspan(0, wide), g = workspace.subspan(wide, wide);
    expand(x, h);
    depthwise_forward<Target, Element>(stream, depthwise, Layout::nhwc, h, weights.filter, g,
                                       {.bias = weights.filter_bias, .activation = Activation::gelu_tanh});
    return project(g);
  }
  auto z = workspace.subspan(0, narrow);
  if (block == Block::convfirst) {
    grouped_convolution<Target, Element>(stream, shape, convfirst_tiling(shape, sizeof(Element)), x, weights,
                                         z);
  } else {
    const auto filtered = workspace.subspan(narrow + wide, narrow);
    depthwise_forward<Target, Element>(stream, depthwise, Layout::nhwc, x, weights.filter, filtered,
                                       {.bias = weights.filter_bias});
    channel_norm<Target, Element>(stream, shape.channels, static_cast<float>(kNormEpsilon), filtered,
                                  weights.norm, z);
  }
  const auto h = workspace.subspan(narrow, wide);
  expand(z, h);
  project(h);
}

/// Work of all its launches.
inline BlockWork unfused_work(Block block, const BlockShape& shape, std::size_t element_bytes) {
  BlockWork work;
  const auto add = [&](const auto& part) {
    work.flops += part.flops, work.bytes += part.bytes, work.special += part.special;
  };
  const EpilogueParts gelu{.bias = true, .activation = Activation::gelu_tanh};
  add(implicit_gemm_forward_work(dense_layer(shape, true), element_bytes, gelu));
  add(implicit_gemm_forward_work(dense_layer(shape, false), element_bytes, {.bias = true, .residual = true}));
  if (block == Block::convfirst) {
    add(convfirst_work(shape, convfirst_tiling(shape, element_bytes), element_bytes, true));
    return work;
  }
  const bool between = block == Block::mbconv;
  add(depthwise_forward_work(depthwise_layer(block, shape), Layout::nhwc, element_bytes,
                             between ? gelu : EpilogueParts{.bias = true}));
  if (between) return work;
  work.flops += channel_norm_flops(shape.channels) * static_cast<double>(shape.pixels());
  work.bytes +=
      2 * static_cast<double>(element_bytes) * static_cast<double>(shape.elements()) + 8.0 * shape.channels;
  return work;
}

}  // namespace remeasure::kernels
