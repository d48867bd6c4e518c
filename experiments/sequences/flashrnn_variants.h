// SPDX-License-Identifier: Apache-2.0
//
// Every way to run a layer of flashrnn.
#pragma once

#include "baselines/attention/fused_attention_cudnn.h"
#include "baselines/matmul/matmul.h"
#include "baselines/sequences/rnn_steps.h"
#include "bench/launch_queue.h"
#include "experiments/sequences/flashrnn_problem.h"
#include "kernels/sequences/rnn_alternating.h"
#include "kernels/sequences/rnn_vanilla.h"

namespace remeasure::experiments::flashrnn_layer {

struct LayerCase {
  RnnShape shape;
  const InputSets<LayerInputs>& in;
  bool simt = true;
  bool trains = false;  ///< declares forward and backward too
};

inline constexpr const char* kHalfReason =
    "h of 8 bits multiplies R at every step; gates forget what was rounded";
inline constexpr const char* kSingleReason = "f32 sums of dim products, carried through the steps";

inline std::vector<Accept> accept(const std::string& output, double limit, const char* reason) {
  return {{.output = output, .metric = ErrorMetric::max_scaled, .limit = limit, .reason = reason}};
}
inline double single_limit(const RnnShape& shape) {
  return shape.steps <= 64 ? 1e-5 : 1e-4;
}

inline VariantsOnDevice on_device(const LayerCase& c) {
  return {
      c.simt, "products",
      "a launch for each operation of each step waits for the one before; the fused kernel is one launch"};
}

/// Forms of `launches` a step fill the driver's queue of some thousand: then the GPU has to work while they
/// are made.
inline VariantInfo with_launches(VariantInfo info, const RnnShape& shape, int launches) {
  info.synchronises = bench::beyond_launch_queue(long{launches} * shape.steps);
  return info;
}

inline void declare_host(Trial& t, const LayerCase& c) {
  const CellWork cell = cell_work(c.shape.cell);
  const Work work{
      .flops = product_flops(c.shape, c.shape.batch, 2) + cell.flops * units(c.shape),
      .bytes = 4 * static_cast<double>(c.shape.wx_size() + c.shape.weights_size() + c.shape.states_size())};
  const auto declare = [&](const char* name, const char* what, auto run) {
    t.host({.name = name,
            .what = what,
            .dtype = "f32",
            .accept = accept("states", single_limit(c.shape), kSingleReason),
            .work = work},
           [c, run](HostBench& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const auto wx = b.input(in.wx), weights = b.input(in.weights), bias = b.input(in.bias),
                        first = b.input(in.first);
             const auto states = b.output<float>("states", c.shape.states_size());
             return [=] { run(c.shape, wx, weights, bias, first, states); };
           });
  };
  declare("eigen", "a step at a time: matrix product and array operations for each head",
          [](const RnnShape& s, auto wx, auto weights, auto bias, auto first, auto states) {
            baselines::rnn_steps_eigen(s, wx, weights, bias, first, states);
          });
  declare("method", "a head at a time through all steps, its R in the cache",
          [](const RnnShape& s, auto wx, auto weights, auto bias, auto first, auto states) {
            kernels::rnn_reference<float>(s, wx, weights, bias, first, states);
          });
}

/// One input set on the device, as Element.
template <class Target, class Element>
struct DeviceInputs {
  DeviceSpan<Target, const Element> wx, weights;
  DeviceSpan<Target, const float> bias, first;
  DeviceInputs(DeviceBench<Target>& b, const LayerInputs& in)
      : wx(upload(b, in.wx)),
        weights(upload(b, in.weights)),
        bias(b.input(in.bias)),
        first(b.input(in.first)) {}

 private:
  static DeviceSpan<Target, const Element> upload(DeviceBench<Target>& b, const std::vector<float>& values) {
    std::vector<Element> elements;
    elements.reserve(values.size());
    for (const float x : values) elements.push_back(Element(x));
    return b.input(elements);
  }
};

template <class Target>
kernels::RnnFusedLimits limits_of(const Stream<Target>& stream) {
  if constexpr (std::is_same_v<Target, Cuda>) {
    return {stream.device().properties().multiprocessors,
            stream.device().properties().shared_bytes_per_block};
  } else {
    return {};
  }
}

template <class Element>
void declare_fused(Trial& t, const LayerCase& c, const char* name, double limit, const char* reason) {
  const std::string why_not = kernels::rnn_fused_why_not(c.shape, sizeof(Element));
  const auto plan =
      why_not.empty() ? kernels::rnn_fused_plan(c.shape, sizeof(Element)) : kernels::RnnFusedPlan{};
  VariantInfo info = on_device(c)(name,
                                  plan.cooperative() ? "one launch, R on chip, blocks exchange h"
                                                     : "one launch, R on chip, a block a head",
                                  sizeof(Element) == 2 ? "bf16" : "f32", accept("states", limit, reason),
                                  work_fused(c.shape, plan, sizeof(Element)));
  info.not_supported = why_not;
  t.kernel(std::move(info), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const DeviceInputs<Target, Element> in(b, c.in[b.set()]);
    const auto states = b.template output<Element>("states", c.shape.states_size());
    auto& stream = b.stream();
    const auto planned = kernels::rnn_fused_plan(c.shape, sizeof(Element), limits_of(stream));
    b.setting(fmt::format("{} x {} warps, {} blocks a head, batch tiles of {}", planned.unit_tiles,
                          planned.splits, planned.unit_blocks, 8 * planned.columns));
    return [=, &stream] {
      kernels::rnn_fused<Target, Element>(stream, c.shape, planned, in.wx, in.weights, in.bias, in.first,
                                          states);
    };
  });
}

/// The products of a step: by cuBLAS, or ours.
template <class Target, bool kVendor>
kernels::RnnProducts<Target, bfloat16>& products_of(DeviceBench<Target>& b, const RnnShape& shape,
                                                    DeviceSpan<Target, const bfloat16> weights,
                                                    std::size_t size) {
  const std::size_t stride = size / static_cast<std::size_t>(shape.heads);
  if constexpr (kVendor && std::is_same_v<Target, Cuda>) {
    return b.template own<baselines::CublasRnnProducts<bfloat16>>(b.stream(), shape, weights, stride);
  } else {
    return b.template own<kernels::OwnRnnProducts<Target, bfloat16>>(b.stream(), shape, weights, stride);
  }
}

template <class Target, bool kVendor>
Run alternating(DeviceBench<Target>& b, const LayerCase& c) {
  const DeviceInputs<Target, bfloat16> in(b, c.in[b.set()]);
  const auto states = b.template output<bfloat16>("states", c.shape.states_size());
  const auto running = b.template workspace<float>(c.shape.first_size());
  const auto products =
      b.template workspace<bfloat16>(c.shape.products_size() / static_cast<std::size_t>(c.shape.steps));
  auto& by = products_of<Target, kVendor>(b, c.shape, in.weights, products.size());
  auto& stream = b.stream();
  return [=, &by, &stream] {
    kernels::rnn_alternating<Target, bfloat16>(stream, c.shape, by, in.wx, in.bias, in.first,
                                               {running, products}, states);
  };
}

template <class Target, bool kVendor>
Run vanilla(DeviceBench<Target>& b, const LayerCase& c) {
  const DeviceInputs<Target, bfloat16> in(b, c.in[b.set()]);
  const auto states = b.template output<bfloat16>("states", c.shape.states_size());
  const auto workspace = b.template workspace<float>(kernels::rnn_vanilla_workspace(c.shape));
  const auto products =
      b.template workspace<bfloat16>(c.shape.products_size() / static_cast<std::size_t>(c.shape.steps));
  auto& by = products_of<Target, kVendor>(b, c.shape, in.weights, products.size());
  auto& stream = b.stream();
  return [=, &by, &stream] {
    kernels::rnn_vanilla_lstm<Target, bfloat16>(stream, c.shape, by, in.wx, in.bias, in.first, workspace,
                                                products, states);
  };
}

template <class Target, bool kVendor>
Run training(DeviceBench<Target>& b, const LayerCase& c) {
  const RnnShape shape = c.shape;
  const DeviceInputs<Target, bfloat16> in(b, c.in[b.set()]);
  std::vector<bfloat16> upstream;
  for (const float x : output_gradient(shape)) upstream.push_back(bfloat16(x));
  const auto dh = b.input(upstream);
  const auto states = b.template workspace<bfloat16>(shape.states_size()),
             products = b.template workspace<bfloat16>(shape.products_size());
  const auto previous = b.template workspace<bfloat16>(shape.slot());
  const auto running = b.template workspace<float>(shape.first_size());
  const kernels::RnnGradientSpans<Target, bfloat16> gradients{
      b.template output<bfloat16>("gradient", shape.wx_size()),
      b.template output<bfloat16>("weights", shape.weights_size()),
      b.template output<float>("bias", shape.bias_size()),
      b.template output<float>("first", shape.first_size())};
  auto& by = products_of<Target, kVendor>(b, shape, in.weights, products.size());
  auto& stream = b.stream();
  return [=, &by, &stream] {
    kernels::rnn_alternating<Target, bfloat16>(stream, shape, by, in.wx, in.bias, in.first,
                                               {running, products}, states);
    kernels::rnn_alternating_backward<Target, bfloat16>(stream, shape, by, in.wx, in.bias, states, dh,
                                                        products, previous, gradients);
  };
}

inline std::vector<Accept> accept_gradient() {
  return {{.output = "gradient",
           .metric = ErrorMetric::relative_l2,
           .limit = 3e-2,
           .reason = "gradients of 8 bits pass R at every step"}};
}

inline void declare_steps(Trial& t, const LayerCase& c) {
  t.kernel(
      with_launches(on_device(c)("alternating/own", "a product of ours and a cell a step, R read at each",
                                 "bf16", accept("states", 2e-2, kHalfReason), work_alternating(c.shape, 2)),
                    c.shape, 2),
      [c]<class Target>(DeviceBench<Target>& b) -> Run { return alternating<Target, false>(b, c); });
  t.vendor(with_launches(on_device(c)("alternating", "cublasLt, strided batch of heads, and a cell a step",
                                      "bf16", accept("states", 2e-2, kHalfReason)),
                         c.shape, 2),
           [c]<class Target>(DeviceBench<Target>& b) -> Run { return alternating<Target, true>(b, c); });
  if (c.shape.cell != Cell::lstm) return;
  t.kernel(with_launches(on_device(c)("vanilla/own", "a launch an operation, 14 a step, products of ours",
                                      "bf16", accept("states", 2e-2, kHalfReason), work_vanilla(c.shape, 2)),
                         c.shape, 14),
           [c]<class Target>(DeviceBench<Target>& b) -> Run { return vanilla<Target, false>(b, c); });
  t.vendor(with_launches(on_device(c)("vanilla", "a launch an operation, 14 a step, products of cublasLt",
                                      "bf16", accept("states", 2e-2, kHalfReason)),
                         c.shape, 14),
           [c]<class Target>(DeviceBench<Target>& b) -> Run { return vanilla<Target, true>(b, c); });
  if (!c.trains) return;
  t.kernel(with_launches(on_device(c)("fwbw/own", "alternating, forwards and backwards, products of ours",
                                      "bf16", accept_gradient(), work_backward(c.shape, 2)),
                         c.shape, 4),
           [c]<class Target>(DeviceBench<Target>& b) -> Run { return training<Target, false>(b, c); });
  t.vendor(with_launches(on_device(c)("fwbw", "alternating, forwards and backwards, products of cublasLt",
                                      "bf16", accept_gradient()),
                         c.shape, 4),
           [c]<class Target>(DeviceBench<Target>& b) -> Run { return training<Target, true>(b, c); });
}

/// cuDNN's LSTM of one head: x [steps, batch, dim], W shifts it for each gate. Its time has the linear layer
/// in it.
struct CudnnInputs {
  std::vector<bfloat16> x, h0, c0;
  std::vector<float> input;  ///< W: [4, dim, dim]

  CudnnInputs(const RnnShape& shape, const LayerInputs& in) : input(shape.weights_size(), 0.0f) {
    const auto dim = static_cast<std::size_t>(shape.dim), batch = static_cast<std::size_t>(shape.batch),
               steps = static_cast<std::size_t>(shape.steps);
    for (std::size_t t = 0; t < steps; ++t) {
      for (std::size_t b = 0; b < batch; ++b) {
        for (std::size_t d = 0; d < dim; ++d)
          x.push_back(bfloat16(in.wx[(b * steps + t) * 4 * dim + d]));  // gate 0 isn't shifted
      }
    }
    for (std::size_t i = 0; i < batch * dim; ++i) {
      h0.push_back(bfloat16(in.first[i]));
      c0.push_back(bfloat16(in.first[batch * dim + i]));
    }
    for (std::size_t gate = 0; gate < 4; ++gate) {
      for (std::size_t d = 0; d < dim; ++d)
        input[(gate * dim + d) * dim + (d + datasets::gate_shift(gate)) % dim] = 1;
    }
  }
};

inline void declare_cudnn(Trial& t, const LayerCase& c) {
  if (c.shape.cell != Cell::lstm || c.shape.heads != 1) return;
  const auto declare = [&](const char* name, const char* what, bool trains) {
    VariantInfo info = on_device(c)(name, what, "bf16", accept("hidden", 2e-2, kHalfReason));
    if constexpr (kBuiltWithCuda) info.not_supported = baselines::CudnnLstm::why_not();
    t.vendor(with_launches(std::move(info), c.shape, trains ? 4 : 1),
             [c, trains]<class Target>(DeviceBench<Target>& b) -> Run {
               const LayerInputs& in = c.in[b.set()];
               const CudnnInputs own(c.shape, in);
               const auto x = b.input(own.x), h0 = b.input(own.h0), c0 = b.input(own.c0);
               const auto hidden = b.template output<bfloat16>(
                   "hidden", c.shape.slot() * static_cast<std::size_t>(c.shape.steps));
               auto& lstm = b.template own<baselines::CudnnLstm>(b.stream(), c.shape, own.input, in.weights,
                                                                 in.bias, trains);
               if (!trains) return [=, &lstm] { lstm.forward(x, h0, c0, hidden); };
               std::vector<bfloat16> upstream;
               for (const float value : output_gradient(c.shape)) upstream.push_back(bfloat16(value));
               const auto dh = b.input(upstream);
               const auto dx = b.template workspace<bfloat16>(hidden.size());
               return [=, &lstm] {
                 lstm.forward(x, h0, c0, hidden);
                 lstm.backward(x, h0, c0, hidden, dh, dx);
               };
             });
  };
  declare("vendor", "cuDNN's LSTM (fastest of standard and persistent), with its linear layer", false);
  if (c.trains) declare("vendor/fwbw", "cuDNN's LSTM forwards and backwards, with its linear layer", true);
}

/// The fused kernel behind a linear layer of cublasLt: what cuDNN's call does.
inline void declare_linear(Trial& t, const LayerCase& c) {
  const std::string why_not = kernels::rnn_fused_why_not(c.shape, 2);
  if (c.shape.cell != Cell::lstm || c.shape.heads != 1 || !why_not.empty()) return;
  t.vendor(on_device(c)("kernel/linear", "W x by cublasLt, then the fused kernel", "bf16",
                        accept("states", 2e-2, kHalfReason)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const LayerInputs& in = c.in[b.set()];
             const RnnShape s = c.shape;
             const DeviceInputs<Target, bfloat16> of(b, in);
             std::vector<bfloat16> linear, rows;  // W [4, dim, dim]; x [batch, steps, dim], which is gate 0
             for (const float w : CudnnInputs(s, in).input) linear.push_back(bfloat16(w));
             const auto dim = static_cast<std::size_t>(s.dim);
             for (std::size_t i = 0; i < in.wx.size(); ++i) {
               if (i / dim % 4 == 0) rows.push_back(bfloat16(in.wx[i]));
             }
             const auto w = b.input(linear), x = b.input(rows);
             const auto wx = b.template workspace<bfloat16>(s.wx_size());
             const auto states = b.template output<bfloat16>("states", s.states_size());
             auto& library = b.template own<baselines::MatmulLibrary>(b.stream());
             auto& product = b.template own<baselines::Matmul>(
                 library, baselines::MatmulProblem{.type = baselines::MatmulType::bf16,
                                                   .transpose_a = true,
                                                   .rows = 4 * s.dim,
                                                   .columns = s.batch * s.steps,
                                                   .inner = s.dim});
             auto& stream = b.stream();
             const auto plan = kernels::rnn_fused_plan(s, 2, limits_of(stream));
             return [=, &product, &stream] {
               product(w.data(), x.data(), wx.data());
               kernels::rnn_fused<Target, bfloat16>(stream, s, plan, wx, of.weights, of.bias, of.first,
                                                    states);
             };
           });
}

/// Context: attention over the same tokens, heads and head dim. Queries, keys and values are the inputs of
/// gates i, f, z.
inline void declare_attention(Trial& t, const LayerCase& c) {
  if (c.shape.dim > 256 || c.shape.cell != Cell::lstm) return;
  const RnnShape s = c.shape;
  const auto gather = [s](const LayerInputs& in, std::size_t gate) {  // [batch, heads, steps, dim]
    std::vector<float> values;
    const auto dim = static_cast<std::size_t>(s.dim), heads = static_cast<std::size_t>(s.heads),
               steps = static_cast<std::size_t>(s.steps);
    for (std::size_t b = 0; b < static_cast<std::size_t>(s.batch); ++b) {
      for (std::size_t n = 0; n < heads; ++n) {
        for (std::size_t step = 0; step < steps; ++step) {
          const float* const from = &in.wx[(((b * steps + step) * 4 + gate) * heads + n) * dim];
          values.insert(values.end(), from, from + dim);
        }
      }
    }
    return values;
  };
  const double scale = 1 / std::sqrt(static_cast<double>(s.dim));
  t.oracle("attention", 1, [gather, s, scale, &in = c.in] {
    const std::vector<float> q = gather(in[0], 0), k = gather(in[0], 1), v = gather(in[0], 2);
    const auto dim = static_cast<std::size_t>(s.dim), steps = static_cast<std::size_t>(s.steps),
               rows = q.size() / dim;
    OracleOutput output;
    for (const std::size_t row : {std::size_t{0}, steps / 2, rows - steps, rows - 1}) {
      std::vector<double> weight(steps), sum(dim, 0.0);
      double total = 0;
      for (std::size_t j = 0; j < steps; ++j) {
        double score = 0;
        for (std::size_t d = 0; d < dim; ++d)
          score += static_cast<double>(q[row * dim + d]) *
                   static_cast<double>(k[(row / steps * steps + j) * dim + d]);
        total += weight[j] = std::exp(scale * score);
        for (std::size_t d = 0; d < dim; ++d)
          sum[d] += weight[j] * static_cast<double>(v[(row / steps * steps + j) * dim + d]);
      }
      for (std::size_t d = 0; d < dim; ++d) {
        output.values.push_back(sum[d] / total);
        output.indices.push_back(row * dim + d);
      }
    }
    output.scale.assign(output.values.size(), 1.0);
    return output;
  });
  VariantInfo info = on_device(c)("sdpa", "cuDNN fused attention over the same tokens, not causal: context",
                                  "bf16", accept("attention", 4e-2, "bf16 weights and values"));
  if constexpr (kBuiltWithCuda) info.not_supported = baselines::FusedAttentionCudnn::why_not();
  t.vendor(std::move(info), [c, s, scale, gather]<class Target>(DeviceBench<Target>& b) -> Run {
    const auto upload = [&](std::size_t gate) {
      std::vector<bfloat16> values;
      for (const float x : gather(c.in[b.set()], gate)) values.push_back(bfloat16(x));
      return b.input(values);
    };
    const auto q = upload(0), k = upload(1), v = upload(2);
    const auto out = b.template output<bfloat16>("attention", q.size());
    auto& attention = b.template own<baselines::FusedAttentionCudnn>(
        b.stream(), kernels::AttentionShape{s.batch, s.heads, s.steps, s.dim}, static_cast<float>(scale));
    return [=, &attention] { attention.run(q, k, v, out); };
  });
}

}  // namespace remeasure::experiments::flashrnn_layer
