// SPDX-License-Identifier: Apache-2.0
//
// How a GPU runs one layer of apnn-tc: the kernels, and vendors' libraries with codes widened to int8 and
// half.
#pragma once

#include "baselines/precision/low_bit_convolution_cudnn.h"
#include "experiments/precision/apnn_tc_layer.h"

namespace remeasure::experiments::apnn {

inline VariantsOnDevice on_device(const LayerCase& c) {
  return {c.simt, "products",
          "operands of 1 to 8 bits against 8 or 16: where the int8 product reads memory, the planes are a "
          "fraction of it",
          c.quote()};
}

/// The layer's kernels: sums, and requantised planes. Planes are the inputs: a network's layer gets them from
/// the one before it.
inline void declare_kernels(Trial& t, const LayerCase& c, bool with_planes) {
  const auto declare = [&](const char* name, const LowBitShape& shape, const char* what) {
    VariantInfo info = on_device(c)(name, what, "b1", exact("sums"),
                                    {.flops = kernels::low_bit_operations(shape, false),
                                     .bytes = plane_bytes(shape) + 4.0 * static_cast<double>(shape.sums())});
    info.formula_bytes = plane_bytes(shape) + 4.0 * static_cast<double>(shape.sums());
    t.kernel(std::move(info), [c, shape]<class Target>(DeviceBench<Target>& b) -> Run {
      const LayerInputs& in = c.in[b.set()];
      const auto activations = b.input(in.activations), weights = b.input(in.weights);
      const auto sums = b.template output<std::int32_t>("sums", shape.sums());
      auto& stream = b.stream();
      return [=, &stream] { kernels::low_bit_layer<Target>(stream, shape, activations, weights, sums); };
    });
  };
  declare("kernel", c.shape,
          c.is_product() ? "one-bit mma, planes combined in registers" : "the same, rows gathered by tap");
  if (c.shape.encoding == Encoding::signs) {
    LowBitShape by_and = c.shape;
    by_and.encoding = Encoding::signs_by_and;
    declare("kernel/and", by_and, "signs through and: where exclusive or is emulated");
  }
  if (!with_planes) return;
  const Requantise to = c.then();
  // An fma for each sum of the warps that have an output, padding of rows included.
  const kernels::LowBitTiling tiling = kernels::low_bit_tiling(c.shape, false);
  const double requantised = 32.0 * ((c.shape.outputs + 31) / 32) * tiling.rows() *
                             ((c.shape.rows() + tiling.rows() - 1) / tiling.rows());
  const double planes = 4.0 * static_cast<double>(kernels::requantised_words(c.shape, to));
  t.kernel(
      on_device(c)("kernel/fused", "requantised and packed in registers", "b1", exact("planes"),
                   {.flops = kernels::low_bit_operations(c.shape, false) + 2 * requantised,
                    .bytes = plane_bytes(c.shape) + planes + 8.0 * c.shape.outputs}),
      [c, to]<class Target>(DeviceBench<Target>& b) -> Run {
        const LayerInputs& in = c.in[b.set()];
        const auto activations = b.input(in.activations), weights = b.input(in.weights);
        const auto alpha = b.input(in.data.alpha), beta = b.input(in.data.beta);
        const auto out = b.template output<std::uint32_t>("planes", kernels::requantised_words(c.shape, to));
        auto& stream = b.stream();
        return [=, &stream] {
          kernels::low_bit_layer_fused<Target>(stream, c.shape, to, activations, weights, alpha, beta, out);
        };
      });
  t.kernel(
      on_device(c)("pack", "codes of the activations to planes, by ballots", "u8", exact("activation planes"),
                   {.flops = 0,
                    .bytes = static_cast<double>(c.shape.activation_codes()) +
                             4.0 * static_cast<double>(c.shape.activation_words())}),
      [c]<class Target>(DeviceBench<Target>& b) -> Run {
        const auto codes = b.input(c.in[b.set()].data.activations);
        const auto out = b.template output<std::uint32_t>("activation planes", c.shape.activation_words());
        auto& stream = b.stream();
        return [=, &stream] {
          kernels::pack_bit_planes<Target>(stream, c.shape.pixels(), c.shape.channels,
                                           c.shape.activation_bits, codes, out);
        };
      });
}

/// Sums of a product in half: exact up to 2048, beyond 65504 there are none.
inline double typical_sum(const LowBitShape& shape) {
  const double w = shape.encoding == Encoding::unsigned_codes ? shape.largest_weight() / 2.0 : 0,
               x = shape.largest_activation() / 2.0;
  const double spread =
      6 * std::sqrt(static_cast<double>(shape.inner())) * shape.largest_weight() * shape.largest_activation();
  return shape.inner() * w * x + spread;
}

template <class Element>
void declare_cublas(Trial& t, const LayerCase& c, VariantInfo info, int offset) {
  t.vendor(std::move(info), [c, offset]<class Target>(DeviceBench<Target>& b) -> Run {
    using Sum = typename baselines::SumOf<Element>::Type;
    const LayerInputs& in = c.in[b.set()];
    const auto weights = b.input(baselines::padded_weights<Element>(c.shape, in.data.weights));
    const auto sums = b.template output<Sum>(offset == 0 ? "sums" : "shifted sums", c.shape.sums());
    auto& cublas = b.template own<baselines::LowBitLayerCublas<Element>>(b.stream(), c.shape);
    Run run;
    if (c.is_product()) {
      const auto activations =
          b.input(baselines::padded_activations<Element>(c.shape, in.data.activations, offset));
      run = [=, &cublas] { cublas.product(activations, weights, sums); };
    } else {
      const auto codes = b.input(in.data.activations);
      run = [=, &cublas] { cublas.convolution(codes, weights, sums); };
    }
    run();  // chooses the algorithm
    b.setting(cublas.setting());
    return run;
  });
}

template <class Element>
void declare_cudnn(Trial& t, const LayerCase& c, VariantInfo info) {
  if (info.not_supported.empty())
    info.not_supported = baselines::LowBitConvolutionCudnn<Element>::why_not(c.shape);
  t.vendor(std::move(info), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const LayerInputs& in = c.in[b.set()];
    const auto activations = b.input(baselines::activation_elements<Element>(c.shape, in.data.activations));
    const auto weights = b.input(baselines::weight_elements<Element>(c.shape, in.data.weights));
    const auto sums =
        b.template output<typename baselines::CudnnSumOf<Element>::Type>("sums", c.shape.sums());
    auto& cudnn = b.template own<baselines::LowBitConvolutionCudnn<Element>>(b.stream(), c.shape);
    const Run run = [=, &cudnn] { cudnn(activations, weights, sums); };
    run();  // chooses the algorithm
    b.setting(cudnn.setting());
    return run;
  });
}

inline void declare_vendor(Trial& t, const LayerCase& c) {
  const char* const how = c.is_product() ? "cublasLt, fastest algorithm" : "patches to memory, then cublasLt";
  const int offset = c.shape.activation_bits == 8 ? 128 : 0;
  const double sums = static_cast<double>(c.shape.sums()),
               codes = static_cast<double>(c.shape.activation_codes() + c.shape.weight_codes());
  VariantInfo int8 =
      on_device(c)("vendor", fmt::format("int8: {}", how), "i8", exact(offset == 0 ? "sums" : "shifted sums"),
                   {.flops = 2 * macs(c.shape), .bytes = codes + 4 * sums});
  int8.not_supported = baselines::why_no_int8_product(c.shape);
  if (offset != 0 && !c.is_product())
    int8.not_supported = "8-bit codes as int8 need an offset, which padding doesn't have";
  VariantInfo cudnn8 = int8, cudnn16;
  declare_cublas<std::int8_t>(t, c, std::move(int8), offset);
  const double largest = typical_sum(c.shape);
  VariantInfo f16 = on_device(c)("vendor/f16", fmt::format("half, sums in fp32: {}", how), "f16",
                                 exact("sums"), {.flops = 2 * macs(c.shape), .bytes = 2 * codes + 2 * sums});
  if (largest > 2048) {
    f16.accept = {{.output = "sums",
                   .metric = ErrorMetric::relative_l2,
                   .limit = 1e-3,
                   .reason = "sums beyond 2048 are rounded to half"}};
  }
  if (largest > 60'000) f16.not_supported = "sums are beyond the range of half";
  cudnn16 = f16;
  declare_cublas<half>(t, c, std::move(f16), 0);
  if (c.is_product()) return;
  cudnn8.name = "cudnn";
  cudnn8.what = "int8 convolution, the fastest algorithm; values as int8 in memory";
  declare_cudnn<std::int8_t>(t, c, std::move(cudnn8));
  cudnn16.name = "cudnn/f16";
  cudnn16.what = "half convolution, sums in fp32, the fastest algorithm";
  declare_cudnn<half>(t, c, std::move(cudnn16));
}

}  // namespace remeasure::experiments::apnn
