// SPDX-License-Identifier: Apache-2.0
//
// One layer of apnn-tc, a matrix product or a convolution: its inputs, its oracles, and every way to run it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "baselines/precision/low_bit_convolution_cudnn.h"
#include "baselines/precision/low_bit_layer.h"
#include "bench/trial.h"
#include "datasets/precision/low_bit_codes.h"
#include "kernels/precision/apnn.h"
#include "kernels/precision/bit_planes.h"
#include "kernels/precision/low_bit_reference.h"

namespace remeasure::experiments::apnn {

using bench::Accept;
using bench::DeviceBench;
using bench::ErrorMetric;
using bench::HostBench;
using bench::InputSets;
using bench::OracleOutput;
using bench::Trial;
using bench::VariantInfo;
using bench::Work;
using kernels::Encoding;
using kernels::LowBitShape;
using kernels::Requantise;

using Run = std::function<void()>;

/// Codes, and their planes as both the kernels and the method on a CPU take them.
struct LayerInputs {
  datasets::LowBitCodesData data;
  std::vector<std::uint32_t> activations, weights;
  kernels::LowBitCodes codes() const { return {data.activations, data.weights}; }
};

inline const char* data_encoding(Encoding encoding) {
  return encoding == Encoding::unsigned_codes   ? "and"
         : encoding == Encoding::signed_weights ? "mixed"
                                                : "xor";
}

inline datasets::Parameters parameters_of(const LowBitShape& s, std::uint64_t seed) {
  return datasets::low_bit_codes({.images = s.images,
                                  .extent = s.height,
                                  .channels = s.channels,
                                  .outputs = s.outputs,
                                  .kernel = s.kernel,
                                  .weight_bits = s.weight_bits,
                                  .activation_bits = s.activation_bits,
                                  .encoding = data_encoding(s.encoding)},
                                 seed);
}

inline LayerInputs inputs_of(const LowBitShape& shape, datasets::LowBitCodesData data) {
  LayerInputs in{std::move(data), {}, {}};
  in.activations = kernels::activation_planes(shape, in.data.activations);
  in.weights = kernels::weight_planes(shape, in.data.weights);
  return in;
}
inline LayerInputs load(Trial& t, const LowBitShape& shape, std::uint64_t seed) {
  const datasets::Opened opened = t.open(datasets::low_bit_codes_definition, parameters_of(shape, seed));
  return inputs_of(shape, read_low_bit_codes(*opened.reader));
}

/// Rows that are compared: all, or of a large problem 128 with the borders of tiles among them.
inline std::vector<std::size_t> checked_rows(const LowBitShape& shape) {
  const auto all = static_cast<std::size_t>(shape.rows());
  std::vector<std::size_t> rows(all);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (static_cast<double>(shape.sums()) * shape.inner() <= 1e10) return rows;
  rows.clear();
  for (const std::size_t place :
       {std::size_t{0}, std::size_t{63}, std::size_t{64}, all - 65, all - 64, all - 1})
    rows.push_back(place);
  for (std::size_t i = 0; i < 122; ++i) rows.push_back(i * 2'654'435'761u % all);
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

/// `values` of these rows, [rows][outputs].
inline OracleOutput oracle_of(const LowBitShape& shape, const std::vector<std::size_t>& rows,
                              std::vector<double> values) {
  OracleOutput output{.values = std::move(values), .scale = {}, .indices = {}};
  if (rows.size() == static_cast<std::size_t>(shape.rows())) return output;
  const auto outputs = static_cast<std::size_t>(shape.outputs);
  for (const std::size_t row : rows) {
    for (std::size_t i = 0; i < outputs; ++i) output.indices.push_back(row * outputs + i);
  }
  return output;
}

/// Sums whose activations are less by `offset`: 8-bit codes as int8.
inline std::vector<double> shifted(const LowBitShape& shape, const LayerInputs& in, std::vector<double> sums,
                                   int offset) {
  const auto outputs = static_cast<std::size_t>(shape.outputs),
             inner = static_cast<std::size_t>(shape.inner());
  for (std::size_t output = 0; output < outputs; ++output) {
    double weights = 0;
    for (std::size_t k = 0; k < inner; ++k)
      weights += kernels::weight_value<double>(shape.encoding, in.data.weights[output * inner + k]);
    for (std::size_t i = output; i < sums.size(); i += outputs) sums[i] -= offset * weights;
  }
  return sums;
}

struct LayerCase {
  LowBitShape shape;
  const InputSets<LayerInputs>& in;
  bool simt = true;

  Requantise then() const { return {.bits = shape.activation_bits, .pool = false}; }
  bool is_product() const { return shape.kernel == 1; }
  /// A few microseconds: a launch alone, or one behind a flushed cache, would measure those.
  bench::Quote quote() const {
    if (static_cast<double>(shape.sums()) * shape.inner() > 2e9) return {};
    return {.mode = "graph", .because = "a few microseconds each, in a network one behind the other"};
  }
};

inline std::vector<Accept> exact(const std::string& output) {
  return {{.output = output,
           .metric = ErrorMetric::mismatches,
           .limit = 0,
           .reason = "integers: any difference is an error"}};
}

inline std::vector<float> values_of(const LowBitShape& shape, const std::vector<std::uint8_t>& codes,
                                    bool weights) {
  std::vector<float> values;
  values.reserve(codes.size());
  for (const std::uint8_t code : codes) {
    values.push_back(weights ? kernels::weight_value<float>(shape.encoding, code)
                             : kernels::activation_value<float>(shape.encoding, code));
  }
  return values;
}

inline double macs(const LowBitShape& shape) {
  return static_cast<double>(shape.sums()) * shape.inner();
}
inline double plane_bytes(const LowBitShape& shape) {
  return 4.0 * static_cast<double>(shape.activation_words() + shape.weight_words());
}

inline void declare_host(Trial& t, const LayerCase& c) {
  t.host({.name = "eigen",
          .what = "MatrixXf product of the values",
          .dtype = "f32",
          .accept = exact("sums"),
          .work = {.flops = 2 * macs(c.shape),
                   .bytes = 4.0 * static_cast<double>(c.shape.activation_codes() + c.shape.weight_codes() +
                                                      c.shape.sums())}},
         [c](HostBench& b) -> Run {
           const LayerInputs& in = c.in[b.set()];
           const auto& x = b.own<std::vector<float>>(values_of(c.shape, in.data.activations, false));
           const auto& w = b.own<std::vector<float>>(values_of(c.shape, in.data.weights, true));
           const auto activations = b.input(x), weights = b.input(w);
           const auto sums = b.output<float>("sums", c.shape.sums());
           return [=] { baselines::low_bit_layer_eigen(c.shape, activations, weights, sums); };
         });
  t.host({.name = "method",
          .what = "popcounts of 64-bit words, a pair of planes at a time",
          .dtype = "b1",
          .accept = exact("sums"),
          .work = {.flops = 0, .bytes = plane_bytes(c.shape) + 4.0 * static_cast<double>(c.shape.sums())}},
         [c](HostBench& b) -> Run {
           const LayerInputs& in = c.in[b.set()];
           const auto activations = b.input(in.activations), weights = b.input(in.weights);
           const auto sums = b.output<std::int32_t>("sums", c.shape.sums());
           return [=] { kernels::low_bit_popcount(c.shape, activations, weights, sums); };
         });
}

inline VariantInfo on_device(const LayerCase& c, std::string name, std::string what, std::string dtype,
                             std::vector<Accept> accept, Work work) {
  return {.name = std::move(name),
          .what = std::move(what),
          .dtype = std::move(dtype),
          .accept = std::move(accept),
          .work = std::move(work),
          .simt = c.simt,
          .simt_left_out = "too large for the SIMT engine; checked at smaller sizes",
          .quote = c.quote(),
          .explain_speedup =
              "operands of 1 to 8 bits against 8 or 16: where the int8 product reads memory, the planes are "
              "a fraction of it"};
}

/// The layer's kernels: sums, and requantised planes. Planes are the inputs: a network's layer gets them from
/// the one before it.
inline void declare_kernels(Trial& t, const LayerCase& c, bool with_planes) {
  const auto declare = [&](const char* name, const LowBitShape& shape, const char* what) {
    VariantInfo info = on_device(c, name, what, "b1", exact("sums"),
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
      on_device(c, "kernel/fused", "requantised and packed in registers", "b1", exact("planes"),
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
      on_device(c, "pack", "codes of the activations to planes, by ballots", "u8", exact("activation planes"),
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
      on_device(c, "vendor", fmt::format("int8: {}", how), "i8", exact(offset == 0 ? "sums" : "shifted sums"),
                {.flops = 2 * macs(c.shape), .bytes = codes + 4 * sums});
  int8.not_supported = baselines::why_no_int8_product(c.shape);
  if (offset != 0 && !c.is_product())
    int8.not_supported = "8-bit codes as int8 need an offset, which padding doesn't have";
  VariantInfo cudnn8 = int8, cudnn16;
  declare_cublas<std::int8_t>(t, c, std::move(int8), offset);
  const double largest = typical_sum(c.shape);
  VariantInfo f16 = on_device(c, "vendor/f16", fmt::format("half, sums in fp32: {}", how), "f16",
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
