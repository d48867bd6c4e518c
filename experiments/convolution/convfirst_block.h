// SPDX-License-Identifier: Apache-2.0
//
// One residual block of convfirst: its data, its oracle, and every way to run it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "baselines/convolution/residual_block.h"
#include "datasets/convolution/residual_blocks.h"
#include "experiments/vocabulary.h"
#include "kernels/convolution/mbconv_block.h"
#include "kernels/convolution/residual_block_reference.h"
#include "kernels/convolution/unfused_block.h"

namespace remeasure::experiments::convfirst_blocks {

using kernels::Block;
using kernels::BlockShape;
using kernels::BlockSizes;

using Run = std::function<void()>;
using Inputs = datasets::ResidualBlock;

inline const char* dataset_name(Block block) {
  return block == Block::convfirst ? "convfirst" : block == Block::mbconv ? "mbconv" : "convnext";
}

/// Values that half, bfloat16 and float all have: every variant has the same problem.
inline Inputs load(Trial& t, Block block, const BlockShape& shape, std::uint64_t seed) {
  const datasets::Opened opened =
      t.open(datasets::residual_blocks_definition,
             datasets::residual_blocks({dataset_name(block), shape.batch, shape.height, shape.width,
                                        shape.channels, shape.expansion, shape.kernel},
                                       seed));
  Inputs in = read_residual_block(*opened.reader);
  for (auto* values : {&in.x, &in.filter, &in.filter_bias, &in.w1, &in.b1, &in.w2, &in.b2, &in.norm}) {
    for (float& value : *values) value = static_cast<float>(half(static_cast<float>(bfloat16(value))));
  }
  return in;
}

inline kernels::BlockWeights<float> weights_of(const Inputs& in) {
  return {in.filter, in.filter_bias, in.w1, in.b1, in.w2, in.b2, in.norm};
}

/// Pixels that are compared: all of a small problem; else 128, the corners and rows at borders of bands among
/// them.
inline std::vector<std::size_t> checked_pixels(const BlockShape& shape) {
  std::vector<std::size_t> pixels;
  const std::size_t all = shape.pixels(), width = static_cast<std::size_t>(shape.width),
                    picture = width * static_cast<std::size_t>(shape.height);
  if (all <= 256) {
    for (std::size_t i = 0; i < all; ++i) pixels.push_back(i);
    return pixels;
  }
  const std::size_t places[] = {
      0,           width - 1,     width,       2 * width, 3 * width + 1, picture - width,
      picture - 1, all - picture, all - width, all - 1};
  for (std::size_t i = 0; i < 128; ++i)
    pixels.push_back(i < std::size(places) ? places[i] % all : i * 2'654'435'761u % all);
  std::sort(pixels.begin(), pixels.end());
  pixels.erase(std::unique(pixels.begin(), pixels.end()), pixels.end());
  return pixels;
}

/// A block in a case. Names of variants and of the output end in `suffix`.
struct BlockCase {
  Block block;
  BlockShape shape;
  std::shared_ptr<const InputSets<Inputs>> in;
  std::string suffix = {};
  bool on_host = true;  ///< else only for a GPU
  bool simt = true;

  std::string output() const { return "y" + suffix; }
  std::string named(const std::string& variant) const { return variant + suffix; }
};

inline BlockCase make_case(Trial& t, Block block, const BlockShape& shape, std::string suffix = "",
                           bool on_host = true, bool simt = true) {
  auto in = std::make_shared<const InputSets<Inputs>>(
      t.inputs([&](std::uint64_t seed) { return load(t, block, shape, seed); }));
  BlockCase c{block, shape, in, std::move(suffix), on_host, simt};
  t.oracle(c.output(), 1, [c] {
    const std::vector<std::size_t> pixels = checked_pixels(c.shape);
    const Inputs& set = (*c.in)[0];
    OracleOutput oracle{.values = kernels::block_pixels(c.block, c.shape, weights_of(set), set.x, pixels)};
    if (pixels.size() == c.shape.pixels()) return oracle;
    const auto channels = static_cast<std::size_t>(c.shape.channels);
    for (const std::size_t pixel : pixels) {
      for (std::size_t i = 0; i < channels; ++i) oracle.indices.push_back(pixel * channels + i);
    }
    return oracle;
  });
  return c;
}

/// Relative L2 as the card asks, and not better than the type can be.
template <class Element>
std::vector<Accept> accept(const BlockCase& c) {
  Accept a{
      .output = c.output(), .limit = 1e-5, .at_least = {}, .reason = "f32 sums of a few thousand products"};
  if (std::is_same_v<Element, half>)
    a.limit = 3e-3, a.at_least = 1e-5, a.reason = "11 bits of two tensors between layers and of y";
  if (std::is_same_v<Element, bfloat16>)
    a.limit = 2e-2, a.at_least = 1e-4, a.reason = "8 bits of two tensors between layers and of y";
  return {a};
}
template <class Element>
constexpr const char* dtype() {
  return std::is_same_v<Element, half> ? "f16" : std::is_same_v<Element, bfloat16> ? "bf16" : "f32";
}

// --- on a CPU ---

inline void declare_host(Trial& t, const BlockCase& c) {
  if (!c.on_host) return;
  const double flops = 2 * kernels::block_macs(c.block, c.shape);
  const BlockSizes sizes = kernels::block_sizes(c.block, c.shape);
  const double weights = 4 * static_cast<double>(sizes.weights());
  const auto nhwc = static_cast<double>(c.shape.elements());
  t.host(
      {.name = c.named("eigen"),
       .what = "a layer at a time over the batch, tensors between them in memory",
       .dtype = "f32",
       .accept = accept<float>(c),
       .work = {.flops = flops,
                .bytes = 4 * nhwc * kernels::unfused_traffic(c.block, c.shape.expansion, false) + weights}},
      [c](HostBench& b) -> Run {
        const Inputs& set = (*c.in)[b.set()];
        const auto x = b.input(set.x);
        const auto y = b.output<float>(c.output(), x.size());
        const auto between = b.workspace<float>(kernels::unfused_workspace(c.block, c.shape));
        return
            [=, &set] { baselines::residual_block_eigen(c.block, c.shape, weights_of(set), x, between, y); };
      });
  t.host({.name = c.named("method"),
          .what = fmt::format("all layers of {} rows, then the next: the order of a fused block",
                              kernels::depth_first_rows(c.shape, 4)),
          .dtype = "f32",
          .accept = accept<float>(c),
          .work = {.flops = flops, .bytes = 8 * nhwc + weights}},
         [c](HostBench& b) -> Run {
           const Inputs& set = (*c.in)[b.set()];
           const auto x = b.input(set.x);
           const auto y = b.output<float>(c.output(), x.size());
           return [=, &set] {
             kernels::block_depth_first<float>(c.block, c.shape, weights_of(set), x, y,
                                               kernels::depth_first_rows(c.shape, 4));
           };
         });
}

// --- on a GPU (and our kernels on Simt) ---

template <class Target, class Element>
struct OnDevice {
  OnDevice(DeviceBench<Target>& b, const Inputs& in)
      : x(elements(b, in.x)), weights{elements(b, in.filter),  elements(b, in.w1), elements(b, in.w2),
                                      b.input(in.filter_bias), b.input(in.b1),     b.input(in.b2)} {
    if (!in.norm.empty()) weights.norm = b.input(in.norm);
  }
  static DeviceSpan<Target, const Element> elements(DeviceBench<Target>& b,
                                                    const std::vector<float>& values) {
    std::vector<Element> result;
    result.reserve(values.size());
    for (const float value : values) result.push_back(Element(value));
    return b.input(result);
  }
  DeviceSpan<Target, const Element> x;
  kernels::DeviceBlockWeights<Target, Element> weights;
};

template <class Element>
VariantInfo on_device(const BlockCase& c, const std::string& name, const std::string& what,
                      const kernels::BlockWork& work) {
  return {.name = c.named(name),
          .what = what,
          .dtype = dtype<Element>(),
          .accept = accept<Element>(c),
          .work = {.flops = work.flops, .bytes = work.bytes, .special = work.special},
          .simt = c.simt,
          .simt_left_out = "too many products for the SIMT engine; checked at the smaller sizes"};
}

/// The whole block in one launch.
template <class Element>
void declare_fused(Trial& t, const BlockCase& c, const std::string& name) {
  constexpr std::size_t kBytes = sizeof(Element);
  VariantInfo info;
  if (c.block == Block::convfirst) {
    const kernels::ConvFirstTiling tiling = kernels::convfirst_tiling(c.shape, kBytes);
    info = on_device<Element>(c, name,
                              fmt::format("one launch; steps of {} x {} pixels, {} a band", tiling.rows,
                                          tiling.columns, tiling.band_steps),
                              kernels::convfirst_work(c.shape, tiling, kBytes));
  } else {
    const kernels::MbConvTiling tiling = kernels::mbconv_tiling(c.shape, kBytes);
    info = on_device<Element>(
        c, name,
        fmt::format("one launch; tiles of {} x {} pixels, {:.2f} hidden pixels for each", tiling.rows,
                    tiling.columns, kernels::halo_recompute(tiling, c.shape.kernel)),
        kernels::mbconv_work(c.shape, tiling, kBytes));
  }
  info.formula_bytes = static_cast<double>(kBytes) * 2 * static_cast<double>(c.shape.elements());
  t.kernel(std::move(info), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const OnDevice<Target, Element> on(b, (*c.in)[b.set()]);
    const auto y = b.template output<Element>(c.output(), c.shape.elements());
    auto& stream = b.stream();
    if (c.block == Block::convfirst) {
      const kernels::ConvFirstTiling tiling = kernels::convfirst_tiling(c.shape, sizeof(Element));
      return [=, &stream] {
        kernels::convfirst_block<Target, Element>(stream, c.shape, tiling, on.x, on.weights, y);
      };
    }
    const kernels::MbConvTiling tiling = kernels::mbconv_tiling(c.shape, sizeof(Element));
    return [=, &stream] {
      kernels::mbconv_block<Target, Element>(stream, c.shape, tiling, on.x, on.weights, y);
    };
  });
}

/// The layers one by one: our kernels with epilogues, and the libraries.
inline void declare_layers(Trial& t, const BlockCase& c) {
  VariantInfo info = on_device<half>(c, "unfused", "our kernels, one for each layer, epilogues fused",
                                     kernels::unfused_work(c.block, c.shape, sizeof(half)));
  info.formula_bytes = 2 * (2 * static_cast<double>(c.shape.elements()) +
                            static_cast<double>(kernels::unfused_workspace(c.block, c.shape)));
  t.kernel(std::move(info), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const OnDevice<Target, half> on(b, (*c.in)[b.set()]);
    const auto y = b.template output<half>(c.output(), c.shape.elements());
    const auto between = b.template workspace<half>(kernels::unfused_workspace(c.block, c.shape));
    auto& stream = b.stream();
    return [=, &stream] {
      kernels::unfused_block<Target, half>(stream, c.block, c.shape, on.x, on.weights, between, y);
    };
  });
  VariantInfo vendor = on_device<half>(
      c, "vendor",
      "cuDNN convolution with bias, cublasLt with bias and gelu, cublasLt with bias and residual",
      {.flops = 2 * kernels::block_macs(c.block, c.shape),
       .bytes = 2 * static_cast<double>(c.shape.elements()) *
                kernels::unfused_traffic(c.block, c.shape.expansion, false)});
  vendor.not_supported = baselines::ResidualBlockVendor<half>::why_not();
  t.vendor(std::move(vendor), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const Inputs& set = (*c.in)[b.set()];
    const OnDevice<Target, half> on(b, set);
    const typename baselines::ResidualBlockVendor<half>::DenseBiases biases{
        OnDevice<Target, half>::elements(b, set.b1), OnDevice<Target, half>::elements(b, set.b2)};
    const auto y = b.template output<half>(c.output(), c.shape.elements());
    const auto between = b.template workspace<half>(kernels::unfused_workspace(c.block, c.shape));
    auto& block = b.template own<baselines::ResidualBlockVendor<half>>(b.stream(), c.block, c.shape);
    block(on.x, on.weights, biases, between, y);  // chooses its algorithms
    b.setting(block.setting());
    return [=, &block] { block(on.x, on.weights, biases, between, y); };
  });
}

}  // namespace remeasure::experiments::convfirst_blocks
