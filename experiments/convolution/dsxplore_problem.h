// SPDX-License-Identifier: Apache-2.0
//
// A layer of dsxplore: its inputs, its oracles, and how it runs on a CPU.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "baselines/convolution/sliding_channel.h"
#include "datasets/convolution/sliding_channel.h"
#include "experiments/vocabulary.h"
#include "kernels/convolution/sliding_channel.h"
#include "kernels/convolution/sliding_channel_reference.h"

namespace remeasure::experiments::dsxplore_layer {

using kernels::SlidingChannelShape;
using kernels::SlidingProduct;

using Run = std::function<void()>;

struct Inputs {
  std::vector<float> x, w, dy, dense;
  std::vector<float> depthwise, depthwise_bias, bias;
  std::vector<bfloat16> short_x, short_w, short_dense;
  kernels::SlidingChannelOrder order;

  kernels::SlidingChannelBlockInputs block() const { return {1, depthwise, depthwise_bias, w, bias}; }
};

inline std::vector<bfloat16> rounded(const std::vector<float>& values) {
  std::vector<bfloat16> result;
  result.reserve(values.size());
  for (const float value : values) result.push_back(bfloat16(value));
  return result;
}

inline Inputs load(Trial& t, const SlidingChannelShape& shape, std::uint64_t seed) {
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  const datasets::Opened opened =
      t.open(datasets::sliding_channel_definition,
             datasets::sliding_channel(size(shape.batch), size(shape.inputs), size(shape.outputs),
                                       size(shape.height), size(shape.width), seed));
  datasets::SlidingChannelLayer layer = read_sliding_channel(*opened.reader);
  Inputs in;
  in.w = layer.weight(size(shape.window));
  in.x = std::move(layer.x);
  in.dy = std::move(layer.dy);
  in.depthwise = std::move(layer.depthwise);
  in.depthwise_bias = std::move(layer.depthwise_bias);
  in.bias = std::move(layer.bias);
  in.dense = kernels::dense_weights(shape, in.w);
  in.short_x = rounded(in.x);
  in.short_w = rounded(in.w);
  in.short_dense = rounded(in.dense);
  in.order = kernels::sliding_channel_order(shape);
  return in;
}

/// Which elements are compared: all of a small array; of a large one 4,096, the ends and the borders of tiles
/// among them.
inline std::vector<std::size_t> compared(std::size_t size) {
  constexpr std::size_t kMost = 4096;
  std::vector<std::size_t> indices;
  if (size <= kMost) {
    for (std::size_t i = 0; i < size; ++i) indices.push_back(i);
    return indices;
  }
  for (const std::size_t border : {1, 31, 32, 63, 64, 65}) {
    indices.push_back(border);
    indices.push_back(size - border);
  }
  indices.push_back(0);
  for (std::size_t i = 0; indices.size() < kMost; ++i) indices.push_back(i * 2'654'435'761u % size);
  std::sort(indices.begin(), indices.end());
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
  return indices;
}

/// `at(i)` of the compared elements of an array of `size`.
template <class At>
OracleOutput sampled(std::size_t size, const At& at) {
  OracleOutput output{.values = {}, .scale = {}, .indices = compared(size)};
  for (const std::size_t index : output.indices) output.values.push_back(at(index));
  if (output.indices.size() == size) output.indices.clear();  // all, in order
  return output;
}

/// The layer as one whose outputs read every input: the dense product, its gradient by all weights.
inline SlidingChannelShape everything(SlidingChannelShape shape) {
  shape.window = shape.inputs;
  shape.step = 0;
  return shape;
}
/// As a grouped convolution of the same cost: the window of output c begins at its group.
inline double grouped_output_at(const SlidingChannelShape& shape, const Inputs& in, std::size_t index) {
  const auto pixels = static_cast<std::size_t>(shape.pixels()),
             outputs = static_cast<std::size_t>(shape.outputs);
  const auto inputs = static_cast<std::size_t>(shape.inputs), window = static_cast<std::size_t>(shape.window);
  const std::size_t output = index / pixels % outputs, image = index / pixels / outputs;
  const std::size_t first = output * (inputs / window) / outputs * window;
  double sum = 0;
  for (std::size_t j = 0; j < window; ++j) {
    sum += static_cast<double>(in.w[output * window + j]) *
           static_cast<double>(in.x[(image * inputs + first + j) * pixels + index % pixels]);
  }
  return sum;
}
inline bool has_groups(const SlidingChannelShape& shape) {
  return shape.inputs % shape.window == 0 && shape.outputs % (shape.inputs / shape.window) == 0;
}

inline void declare_oracles(Trial& t, const SlidingChannelShape& s, const Inputs& in) {
  const auto dense = static_cast<std::size_t>(s.outputs) * static_cast<std::size_t>(s.inputs);
  t.oracle("y", 1, [&in, s] {
    return sampled(s.y_elements(), [&](std::size_t i) { return kernels::scc_output_at(s, in.x, in.w, i); });
  });
  t.oracle("dx", 1, [&in, s] {
    return sampled(s.x_elements(),
                   [&](std::size_t i) { return kernels::scc_input_gradient_at(s, in.dy, in.w, i); });
  });
  t.oracle("dw", 1, [&in, s] {
    return sampled(s.w_elements(),
                   [&](std::size_t i) { return kernels::scc_weight_gradient_at(s, in.x, in.dy, i); });
  });
  t.oracle("dense dw", 1, [&in, s, dense] {
    return sampled(
        dense, [&](std::size_t i) { return kernels::scc_weight_gradient_at(everything(s), in.x, in.dy, i); });
  });
  t.oracle("block", 1, [&in, s] {
    return sampled(s.y_elements(),
                   [&](std::size_t i) { return kernels::scc_block_at(s, in.block(), in.x, i); });
  });
  if (has_groups(s)) {
    t.oracle("grouped", 1, [&in, s] {
      return sampled(s.y_elements(), [&](std::size_t i) { return grouped_output_at(s, in, i); });
    });
  }
}

inline std::vector<Accept> accept(const char* output, SlidingProduct product) {
  switch (product) {
    case SlidingProduct::fma:
      return {{.output = output,
               .metric = ErrorMetric::relative_l2,
               .limit = 1e-5,
               .reason = "f32 sums of a window, or of all pixels"}};
    case SlidingProduct::tf32:
      return {{.output = output,
               .metric = ErrorMetric::relative_l2,
               .limit = 2e-3,
               .at_least = 1e-5,
               .reason = "factors of 11 bits"}};
    case SlidingProduct::bf16:
      return {{.output = output,
               .metric = ErrorMetric::relative_l2,
               .limit = 1e-2,
               .at_least = 1e-4,
               .reason = "inputs and result rounded to 8 bits"}};
  }
  return {};
}

// --- bytes and flops ---

inline double bytes_of(std::size_t elements, std::size_t each = 4) {
  return static_cast<double>(elements) * static_cast<double>(each);
}
inline Work dense_work(const SlidingChannelShape& s, SlidingProduct product) {
  const std::size_t element = product == SlidingProduct::bf16 ? 2 : 4;
  return {.flops = 2 * everything(s).products(),
          .bytes = bytes_of(s.x_elements() + s.y_elements() + everything(s).w_elements(), element)};
}
inline Work needed_work(const SlidingChannelShape& s) {
  return {.flops = 2 * s.products(), .bytes = bytes_of(s.x_elements() + s.y_elements() + s.w_elements())};
}

// --- on a CPU ---

struct LayerCase {
  SlidingChannelShape shape;
  const InputSets<Inputs>& in;
  bool simt = true;
  bool host_backward = true;  ///< the gradients on the CPU too
};

inline void declare_host(Trial& t, const LayerCase& c) {
  const SlidingChannelShape s = c.shape;
  const auto declare = [&](const char* name, const char* what, const char* output, std::size_t size,
                           const Work& work, auto run) {
    t.host({.name = name,
            .what = what,
            .dtype = "f32",
            .accept = accept(output, SlidingProduct::fma),
            .work = work},
           [c, output, size, run](HostBench& b) -> Run {
             const Inputs& in = c.in[b.set()];
             const auto out = b.output<float>(output, size);
             return run(b, in, out);
           });
  };
  const std::size_t x = s.x_elements(), y = s.y_elements(), dense = everything(s).w_elements();
  const Work whole = dense_work(s, SlidingProduct::fma), needed = needed_work(s);
  declare("eigen", "dense product with zeros outside of the windows", "y", y, whole,
          [s](HostBench& b, const Inputs& in, std::span<float> out) -> Run {
            const auto a = b.input(in.x), w = b.input(in.dense);
            return [=] { baselines::sliding_dense_eigen(s, a, w, out); };
          });
  declare("method", "a product for each different window", "y", y, needed,
          [s](HostBench& b, const Inputs& in, std::span<float> out) -> Run {
            const auto a = b.input(in.x), w = b.input(in.w);
            return [=] { kernels::scc_forward_method<float>(s, a, w, out); };
          });
  if (has_groups(s)) {
    declare("grouped", "grouped 1x1 convolution of the same cost (another operation)", "grouped", y, needed,
            [s](HostBench& b, const Inputs& in, std::span<float> out) -> Run {
              const auto a = b.input(in.x), w = b.input(in.w);
              return [=] { baselines::grouped_pointwise_eigen(s, a, w, out); };
            });
  }
  if (!c.host_backward) return;
  declare("eigen/data", "dense product, transposed", "dx", x, whole,
          [s](HostBench& b, const Inputs& in, std::span<float> out) -> Run {
            const auto a = b.input(in.dy), w = b.input(in.dense);
            return [=] { baselines::sliding_dense_data_eigen(s, a, w, out); };
          });
  declare("method/data", "a product for each different window, transposed", "dx", x, needed,
          [s](HostBench& b, const Inputs& in, std::span<float> out) -> Run {
            const auto a = b.input(in.dy), w = b.input(in.w);
            return [=] { kernels::scc_backward_data_method<float>(s, a, w, out); };
          });
  declare("eigen/weight", "the dense gradient", "dense dw", dense, whole,
          [s](HostBench& b, const Inputs& in, std::span<float> out) -> Run {
            const auto a = b.input(in.x), g = b.input(in.dy);
            return [=] { baselines::sliding_dense_weight_eigen(s, a, g, out); };
          });
  declare("method/weight", "a product for each different window", "dw", s.w_elements(), needed,
          [s](HostBench& b, const Inputs& in, std::span<float> out) -> Run {
            const auto a = b.input(in.x), g = b.input(in.dy);
            return [=] { kernels::scc_backward_weight_method<float>(s, a, g, out); };
          });
}

}  // namespace remeasure::experiments::dsxplore_layer
