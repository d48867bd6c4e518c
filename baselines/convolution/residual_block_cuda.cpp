// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "baselines/convolution/residual_block.h"
#include "baselines/matmul/linear.h"
#include "kernels/convolution/unfused_block.h"

namespace remeasure::baselines {
namespace {

kernels::ConvolutionShape first_convolution(Block block, const BlockShape& shape) {
  kernels::ConvolutionShape convolution = kernels::depthwise_layer(block, shape);
  if (block == Block::convfirst) convolution.groups = shape.channels / kernels::kGroupWidth;
  return convolution;
}

LinearShape dense(const BlockShape& shape, bool expands) {
  return {.rows = static_cast<int>(shape.pixels()),
          .inputs = expands ? shape.channels : shape.hidden(),
          .outputs = expands ? shape.hidden() : shape.channels,
          .gelu = expands,
          .residual = !expands};
}

}  // namespace

template <class Element>
struct ResidualBlockVendor<Element>::State {
  State(Stream<Cuda>& s, Block b, const BlockShape& of)
      : stream(s),
        block(b),
        shape(of),
        parts{.bias = true,
              .activation = b == Block::mbconv ? kernels::Activation::gelu_tanh : kernels::Activation::none},
        convolution(s, first_convolution(b, of), Layout::nhwc, ConvolutionPass::forward, parts),
        expand(s, dense(of, true)),
        project(s, dense(of, false)) {}

  Stream<Cuda>& stream;
  Block block;
  BlockShape shape;
  EpilogueParts parts;
  ConvolutionCudnn<Element> convolution;
  LinearCublasLt<Element> expand, project;
};

template <class Element>
ResidualBlockVendor<Element>::ResidualBlockVendor(Stream<Cuda>& stream, Block block,
                                                  const BlockShape& shape) {
  kernels::check_block("ResidualBlockVendor", block, shape);
  state_ = std::make_unique<State>(stream, block, shape);
}
template <class Element>
ResidualBlockVendor<Element>::~ResidualBlockVendor() = default;

template <class Element>
void ResidualBlockVendor<Element>::operator()(DeviceSpan<Cuda, const Element> x,
                                              const kernels::DeviceBlockWeights<Cuda, Element>& weights,
                                              const DenseBiases& biases, DeviceSpan<Cuda, Element> workspace,
                                              DeviceSpan<Cuda, Element> y) {
  State& state = *state_;
  const std::size_t narrow = state.shape.elements(),
                    wide = narrow * static_cast<std::size_t>(state.shape.expansion);
  const CudnnEpilogueData<Element> filter_bias{.bias = weights.filter_bias.data()};
  if (state.block == Block::mbconv) {
    const auto h = workspace.subspan(0, wide), g = workspace.subspan(wide, wide);
    state.expand(x, weights.expand, biases.expand, {}, h);
    state.convolution(h, weights.filter, g, filter_bias);
    state.project(g, weights.project, biases.project, x, y);
    return;
  }
  const auto z = workspace.subspan(0, narrow), h = workspace.subspan(narrow, wide);
  if (state.block == Block::convfirst) {
    state.convolution(x, weights.filter, z, filter_bias);
  } else {
    const auto filtered = workspace.subspan(narrow + wide, narrow);
    state.convolution(x, weights.filter, filtered, filter_bias);
    kernels::channel_norm<Cuda, Element>(state.stream, state.shape.channels,
                                         static_cast<float>(kernels::kNormEpsilon), filtered, weights.norm,
                                         z);
  }
  state.expand(z, weights.expand, biases.expand, {}, h);
  state.project(h, weights.project, biases.project, x, y);
}

template <class Element>
std::string ResidualBlockVendor<Element>::setting() const {
  return fmt::format("{}; {}; {}", state_->convolution.setting(), state_->expand.setting(),
                     state_->project.setting());
}

template class ResidualBlockVendor<half>;
template class ResidualBlockVendor<bfloat16>;

}  // namespace remeasure::baselines
