// SPDX-License-Identifier: Apache-2.0
//
// The variants of a layer of dsxplore on a GPU; its kernels on Simt too.
#pragma once

#include "baselines/convolution/convolution.h"
#include "bench/launch_queue.h"
#include "experiments/convolution/dsxplore_problem.h"

namespace remeasure::experiments::dsxplore_layer {

inline const char* dtype_of(SlidingProduct product) {
  return product == SlidingProduct::fma ? "f32" : product == SlidingProduct::tf32 ? "tf32" : "bf16";
}
/// "kernel" and "kernel/tf32": f32 has no suffix.
inline std::string named(const std::string& name, SlidingProduct product) {
  return product == SlidingProduct::fma ? name : name + "/" + dtype_of(product);
}

inline VariantInfo on_device(const LayerCase& c, std::string name, std::string what, SlidingProduct product,
                             const char* output, Work work) {
  return {.name = std::move(name),
          .what = std::move(what),
          .dtype = dtype_of(product),
          .accept = accept(output, product),
          .work = std::move(work),
          .simt = c.simt,
          .simt_left_out = "too many products for the SIMT engine; checked with fewer pixels",
          .explain_speedup =
              "a stack is a call for each window or image and copies every channel several times; a "
              "dense product does g times the multiplications"};
}

/// The tables of an input set; their bytes are in the formulas.
template <class Target>
kernels::SlidingChannelTables<Target> tables_of(DeviceBench<Target>& b, const Inputs& in) {
  return {b.input(in.order.output), b.input(in.order.start), b.input(in.order.first)};
}
/// Of `output` and `start` only the positions that exist matter, but tiles are read whole.
inline double row_table_bytes(const SlidingChannelShape& s) {
  return 2 * 4.0 * ((s.outputs + kernels::kSlidingRows - 1) / kernels::kSlidingRows * kernels::kSlidingRows);
}
/// Input channels that some window holds: with fewer outputs than windows not all may be read.
inline double read_inputs(const SlidingChannelShape& s) {
  std::vector<bool> read(static_cast<std::size_t>(s.inputs), false);
  for (int output = 0; output < s.outputs; ++output) {
    for (int j = 0; j < s.window; ++j) read[static_cast<std::size_t>(s.channel(output, j))] = true;
  }
  return static_cast<double>(std::count(read.begin(), read.end(), true));
}

inline Work forward_work(const SlidingChannelShape& s, SlidingProduct product) {
  const std::size_t element = product == SlidingProduct::bf16 ? 2 : 4;
  return {.flops = kernels::scc_forward_flops(s, product),
          .bytes = bytes_of(s.y_elements() + s.w_elements(), element) +
                   read_inputs(s) * s.columns() * static_cast<double>(element) + row_table_bytes(s)};
}
inline Work data_work(const SlidingChannelShape& s, SlidingProduct product) {
  return {.flops = kernels::scc_backward_data_flops(s, product),
          .bytes = bytes_of(s.y_elements() + s.w_elements() + s.x_elements()) + 8.0 * s.outputs +
                   4.0 * std::min(2 * s.inputs / 16 + s.window / 8, s.inputs)};
}
inline Work weight_work(const SlidingChannelShape& s, SlidingProduct product) {
  const int parts = kernels::scc_weight_parts(s);
  return {.flops = kernels::scc_backward_weight_flops(s, product),
          .bytes = bytes_of(s.y_elements()) + 4 * read_inputs(s) * s.columns() + row_table_bytes(s) +
                   bytes_of(s.w_elements()) * (parts > 1 ? 2 * parts + 1 : 1)};
}
inline Work block_work(const SlidingChannelShape& s, SlidingProduct product) {
  return {.flops = kernels::scc_block_flops(s, product),
          .bytes = bytes_of(s.x_elements() + s.y_elements() + s.w_elements()) + row_table_bytes(s) +
                   40.0 * s.inputs + 4.0 * s.outputs};
}

inline void declare_forward(Trial& t, const LayerCase& c) {
  const SlidingChannelShape s = c.shape;
  for (const SlidingProduct product : {SlidingProduct::fma, SlidingProduct::tf32}) {
    t.kernel(on_device(c, named("kernel", product), "outputs in the order of their windows, a banded product",
                       product, "y", forward_work(s, product)),
             [c, s, product]<class Target>(DeviceBench<Target>& b) -> Run {
               const Inputs& in = c.in[b.set()];
               const auto x = b.input(in.x), w = b.input(in.w);
               const auto tables = tables_of(b, in);
               const auto y = b.template output<float>("y", s.y_elements());
               auto& stream = b.stream();
               return
                   [=, &stream] { kernels::scc_forward<Target, float>(stream, s, product, tables, x, w, y); };
             });
  }
  t.kernel(on_device(c, "kernel/bf16", "outputs in the order of their windows, a banded product",
                     SlidingProduct::bf16, "y", forward_work(s, SlidingProduct::bf16)),
           [c, s]<class Target>(DeviceBench<Target>& b) -> Run {
             const Inputs& in = c.in[b.set()];
             const auto x = b.input(in.short_x), w = b.input(in.short_w);
             const auto tables = tables_of(b, in);
             const auto y = b.template output<bfloat16>("y", s.y_elements());
             auto& stream = b.stream();
             return [=, &stream] {
               kernels::scc_forward<Target, bfloat16>(stream, s, SlidingProduct::bf16, tables, x, w, y);
             };
           });
}

inline void declare_backward(Trial& t, const LayerCase& c) {
  const SlidingChannelShape s = c.shape;
  for (const SlidingProduct product : {SlidingProduct::fma, SlidingProduct::tf32}) {
    t.kernel(on_device(c, named("data", product), "input-centric: gathered, no atomics", product, "dx",
                       data_work(s, product)),
             [c, s, product]<class Target>(DeviceBench<Target>& b) -> Run {
               const Inputs& in = c.in[b.set()];
               const auto dy = b.input(in.dy), w = b.input(in.w);
               const auto tables = tables_of(b, in);
               const auto dx = b.template output<float>("dx", s.x_elements());
               auto& stream = b.stream();
               return [=, &stream] {
                 kernels::scc_backward_data<Target>(stream, s, product, tables, dy, w, dx);
               };
             });
    t.kernel(on_device(c, named("weight", product), "the columns in parts, summed in a second launch",
                       product, "dw", weight_work(s, product)),
             [c, s, product]<class Target>(DeviceBench<Target>& b) -> Run {
               const Inputs& in = c.in[b.set()];
               const auto x = b.input(in.x), dy = b.input(in.dy);
               const auto tables = tables_of(b, in);
               const auto partial = b.template workspace<float>(
                   static_cast<std::size_t>(kernels::scc_weight_parts(s)) * s.w_elements());
               const auto dw = b.template output<float>("dw", s.w_elements());
               auto& stream = b.stream();
               return [=, &stream] {
                 kernels::scc_backward_weight<Target>(stream, s, product, tables, x, dy, partial, dw);
               };
             });
  }
  // Each product is rounded, then added: 2 flops. dx is read and written by atomics, after it was set to
  // zero.
  VariantInfo scattered = on_device(
      c, "data/output-centric", "scattered by atomics: the paper's counterexample", SlidingProduct::fma, "dx",
      {.flops = 2 * s.products(),
       .bytes = bytes_of(s.y_elements() + s.w_elements()) + 8 * read_inputs(s) * s.columns()});
  scattered.determinism = bench::Determinism::order_dependent;
  t.kernel(std::move(scattered), [c, s]<class Target>(DeviceBench<Target>& b) -> Run {
    const Inputs& in = c.in[b.set()];
    const auto dy = b.input(in.dy), w = b.input(in.w);
    const auto dx = b.template output<float>("dx", s.x_elements());
    auto& stream = b.stream();
    return [=, &stream] { kernels::scc_backward_data_output_centric<Target>(stream, s, dy, w, dx); };
  });
}

inline void declare_block(Trial& t, const LayerCase& c) {
  const SlidingChannelShape s = c.shape;
  for (const SlidingProduct product : {SlidingProduct::fma, SlidingProduct::tf32}) {
    VariantInfo info =
        on_device(c, named("block", product), "depthwise 3x3, ReLU, SCC and ReLU in one launch", product,
                  "block", block_work(s, product));
    if (s.inputs > kernels::kMostFusedInputs)
      info.not_supported =
          fmt::format("more than {} inputs don't fit into shared memory", kernels::kMostFusedInputs);
    t.kernel(std::move(info), [c, s, product]<class Target>(DeviceBench<Target>& b) -> Run {
      const Inputs& in = c.in[b.set()];
      const auto x = b.input(in.x);
      const kernels::SlidingChannelBlock<Target> block{1, b.input(in.depthwise), b.input(in.depthwise_bias),
                                                       b.input(in.w), b.input(in.bias)};
      const auto tables = tables_of(b, in);
      const auto y = b.template output<float>("block", s.y_elements());
      auto& stream = b.stream();
      return [=, &stream] { kernels::scc_block<Target>(stream, s, product, tables, block, x, y); };
    });
  }
}

/// Dense products and the framework's stack, in the type of each of our kernels.
template <class Element>
void declare_cublas(Trial& t, const LayerCase& c, SlidingProduct product) {
  const SlidingChannelShape s = c.shape;
  const bool tf32 = product == SlidingProduct::tf32;
  const auto operands = [](const Inputs& in) {
    if constexpr (sizeof(Element) == 2)
      return std::tuple{&in.short_x, &in.short_w, &in.short_dense};
    else
      return std::tuple{&in.x, &in.w, &in.dense};
  };
  t.vendor(on_device(c, named("vendor", product), "cuBLAS, dense with zeros outside of the windows", product,
                     "y", dense_work(s, product)),
           [c, s, tf32, operands]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto [in, windows, dense] = operands(c.in[b.set()]);
             const auto x = b.input(*in), w = b.input(*dense);
             const auto y = b.template output<Element>("y", s.y_elements());
             auto& product_of = b.template own<baselines::SlidingDenseCublas<Element>>(b.stream(), s, tf32);
             return [=, &product_of] { product_of.forward(x, w, y); };
           });
  VariantInfo stack =
      on_device(c, named("stack", product), "copies of all windows, then cuBLAS: a framework's composition",
                product, "y", needed_work(s));
  stack.not_supported = baselines::SlidingStackCublas<Element>::why_not(s);
  stack.formula_bytes = bytes_of(static_cast<std::size_t>(s.cycle()) * static_cast<std::size_t>(s.window) *
                                     static_cast<std::size_t>(s.columns()),
                                 sizeof(Element));
  stack.synchronises = bench::beyond_launch_queue(1L + std::min(s.cycle(), s.batch));
  t.vendor(std::move(stack), [c, s, tf32, operands]<class Target>(DeviceBench<Target>& b) -> Run {
    const auto [in, windows, dense] = operands(c.in[b.set()]);
    const auto x = b.input(*in), w = b.input(*windows);
    const auto copies = b.template workspace<Element>(static_cast<std::size_t>(s.cycle()) *
                                                      static_cast<std::size_t>(s.window) *
                                                      static_cast<std::size_t>(s.columns()));
    const auto y = b.template output<Element>("y", s.y_elements());
    auto& stacked = b.template own<baselines::SlidingStackCublas<Element>>(b.stream(), s, tf32);
    return [=, &stacked] { stacked.forward(x, w, copies, y); };
  });
}

inline void declare_vendor_backward(Trial& t, const LayerCase& c) {
  const SlidingChannelShape s = c.shape;
  for (const SlidingProduct product : {SlidingProduct::fma, SlidingProduct::tf32}) {
    const bool tf32 = product == SlidingProduct::tf32;
    t.vendor(on_device(c, named("vendor/data", product), "cuBLAS, dense, transposed", product, "dx",
                       dense_work(s, product)),
             [c, s, tf32]<class Target>(DeviceBench<Target>& b) -> Run {
               const Inputs& in = c.in[b.set()];
               const auto dy = b.input(in.dy), w = b.input(in.dense);
               const auto dx = b.template output<float>("dx", s.x_elements());
               auto& dense = b.template own<baselines::SlidingDenseCublas<float>>(b.stream(), s, tf32);
               return [=, &dense] { dense.backward_data(dy, w, dx); };
             });
    t.vendor(on_device(c, named("vendor/weight", product),
                       "cuBLAS, a dense gradient for each image, and their sum", product, "dense dw",
                       dense_work(s, product)),
             [c, s, tf32]<class Target>(DeviceBench<Target>& b) -> Run {
               const Inputs& in = c.in[b.set()];
               const std::size_t size = in.dense.size(), batch = static_cast<std::size_t>(s.batch);
               const auto x = b.input(in.x), dy = b.input(in.dy),
                          ones = b.input(std::vector<float>(batch, 1.0f));
               const auto images = b.template workspace<float>(batch * size);
               const auto dw = b.template output<float>("dense dw", size);
               auto& dense = b.template own<baselines::SlidingDenseCublas<float>>(b.stream(), s, tf32);
               return [=, &dense] { dense.backward_weight(x, dy, ones, images, dw); };
             });
  }
}

}  // namespace remeasure::experiments::dsxplore_layer
