// SPDX-License-Identifier: Apache-2.0
//
// cuDNN's convolutions beside a layer of dsxplore: the grouped twin of the same cost, and the block as a user
// composes it, a depthwise convolution and a dense 1x1 with bias and ReLU fused into each.
#pragma once

#include "baselines/convolution/convolution.h"
#include "experiments/convolution/dsxplore_variants.h"

namespace remeasure::experiments::dsxplore_layer {

inline kernels::ConvolutionShape pointwise_of(const SlidingChannelShape& s, int groups) {
  return {.batch = s.batch,
          .height = s.height,
          .width = s.width,
          .in_channels = s.inputs,
          .out_channels = s.outputs,
          .groups = groups};
}
inline kernels::ConvolutionShape depthwise_of(const SlidingChannelShape& s) {
  return {.batch = s.batch,
          .height = s.height,
          .width = s.width,
          .in_channels = s.inputs,
          .out_channels = s.inputs,
          .kernel = 3,
          .pad = 1,
          .groups = s.inputs};
}

inline constexpr auto kLayout = kernels::Layout::nchw;

inline void declare_cudnn(Trial& t, const LayerCase& c) {
  using Convolution = baselines::ConvolutionCudnn<float>;
  using baselines::ConvolutionPass;
  const SlidingChannelShape s = c.shape;
  if (has_groups(s)) {
    VariantInfo grouped =
        on_device(c, "grouped/cudnn", "cuDNN, grouped 1x1 of the same cost (another operation)",
                  SlidingProduct::tf32, "grouped", needed_work(s));
    grouped.not_supported = Convolution::why_not();
    t.vendor(std::move(grouped), [c, s]<class Target>(DeviceBench<Target>& b) -> Run {
      const Inputs& in = c.in[b.set()];
      const auto x = b.input(in.x), w = b.input(in.w);
      const auto y = b.template output<float>("grouped", s.y_elements());
      auto& convolution = b.template own<Convolution>(b.stream(), pointwise_of(s, s.inputs / s.window),
                                                      kLayout, ConvolutionPass::forward);
      return [=, &convolution] { convolution(x, w, y); };
    });
  }
  VariantInfo block =
      on_device(c, "block/cudnn", "cuDNN, depthwise and dense 1x1, bias and ReLU fused into each",
                SlidingProduct::tf32, "block", dense_work(s, SlidingProduct::tf32));
  block.not_supported = Convolution::why_not();
  t.vendor(std::move(block), [c, s]<class Target>(DeviceBench<Target>& b) -> Run {
    const Inputs& in = c.in[b.set()];
    const auto x = b.input(in.x), depthwise = b.input(in.depthwise), first_bias = b.input(in.depthwise_bias),
               dense = b.input(in.dense), bias = b.input(in.bias);
    const auto d = b.template workspace<float>(s.x_elements());
    const auto y = b.template output<float>("block", s.y_elements());
    const kernels::EpilogueParts parts{.bias = true, .activation = kernels::Activation::relu};
    auto& first =
        b.template own<Convolution>(b.stream(), depthwise_of(s), kLayout, ConvolutionPass::forward, parts);
    auto& second =
        b.template own<Convolution>(b.stream(), pointwise_of(s, 1), kLayout, ConvolutionPass::forward, parts);
    return [=, &first, &second] {
      first(x, depthwise, d, {.bias = first_bias.data()});
      second(d, dense, y, {.bias = bias.data()});
    };
  });
}

}  // namespace remeasure::experiments::dsxplore_layer
