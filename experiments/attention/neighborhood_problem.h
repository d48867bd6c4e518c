// SPDX-License-Identifier: Apache-2.0
//
// The inputs of neighborhood-attention, its oracles, and every way to run it.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "baselines/attention/fused_attention_cudnn.h"
#include "baselines/attention/neighborhood_dense.h"
#include "datasets/attention/feature_maps.h"
#include "experiments/vocabulary.h"
#include "kernels/attention/neighborhood.h"
#include "kernels/attention/neighborhood_reference.h"

namespace remeasure::experiments::neighborhood {

using kernels::NeighborhoodAxis;
using kernels::NeighborhoodShape;

using Run = std::function<void()>;

/// Values that half, bfloat16 and float all represent: every variant has the same problem.
struct Inputs {
  std::vector<float> query, key, value;
};

inline Inputs load(Trial& t, const NeighborhoodShape& shape, std::uint64_t seed) {
  const datasets::Opened opened = t.open(
      datasets::feature_maps_definition,
      datasets::feature_maps(shape.batch, {shape.axes[0].length, shape.axes[1].length, shape.axes[2].length},
                             shape.heads, shape.dim, seed));
  datasets::FeatureMaps maps = read_feature_maps(*opened.reader);
  for (auto* tensor : {&maps.query, &maps.key, &maps.value}) {
    for (float& x : *tensor) x = static_cast<float>(half(static_cast<float>(bfloat16(x))));
  }
  return {std::move(maps.query), std::move(maps.key), std::move(maps.value)};
}

inline float scale_of(const NeighborhoodShape& shape) {
  return 1.0f / std::sqrt(static_cast<float>(shape.dim));
}

/// Rows that are compared: all of a small problem; of a large one 128, with borders of the axes and of tiles
/// among them.
inline std::vector<std::size_t> checked_rows(const NeighborhoodShape& shape) {
  std::vector<std::size_t> rows;
  const std::size_t all = shape.rows(), tokens = shape.tokens(),
                    heads = static_cast<std::size_t>(shape.heads);
  if (all <= 1024) {
    for (std::size_t i = 0; i < all; ++i) rows.push_back(i);
    return rows;
  }
  const auto last = static_cast<std::size_t>(shape.axes[2].length * shape.axes[1].length);
  const std::size_t places[] = {
      0, 1, 63, 64, last - 1, last % tokens, tokens / 2, tokens / 2 + 7, tokens - 65, tokens - 2, tokens - 1};
  for (std::size_t i = 0; i < 128; ++i) {
    const std::size_t token = i < std::size(places) ? places[i] : i * 2'654'435'761u % tokens;
    rows.push_back((i % static_cast<std::size_t>(shape.batch) * tokens + token) * heads + i % heads);
  }
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  return rows;
}

/// A row's place where heads come before tokens, as libraries like it.
inline std::size_t heads_first(const NeighborhoodShape& shape, std::size_t row) {
  const std::size_t heads = static_cast<std::size_t>(shape.heads), tokens = shape.tokens();
  const std::size_t head = row % heads, token = row / heads % tokens, entry = row / heads / tokens;
  return (entry * heads + head) * tokens + token;
}

template <class Element>
std::vector<Element> permuted(const NeighborhoodShape& shape, const std::vector<float>& values) {
  std::vector<Element> result(values.size());
  const auto dim = static_cast<std::size_t>(shape.dim);
  for (std::size_t row = 0; row < shape.rows(); ++row) {
    for (std::size_t c = 0; c < dim; ++c)
      result[heads_first(shape, row) * dim + c] = Element(values[row * dim + c]);
  }
  return result;
}

inline OracleOutput oracle_of(const NeighborhoodShape& shape, const std::vector<std::size_t>& rows,
                              std::vector<double> values, bool permute) {
  OracleOutput output{.values = std::move(values), .scale = {}, .indices = {}};
  const auto dim = static_cast<std::size_t>(shape.dim);
  if (rows.size() == shape.rows() && !permute) return output;  // all, in order
  for (const std::size_t row : rows) {
    for (std::size_t c = 0; c < dim; ++c)
      output.indices.push_back((permute ? heads_first(shape, row) : row) * dim + c);
  }
  return output;
}

struct NeighborhoodCase {
  NeighborhoodShape shape;
  const InputSets<Inputs>& in;
  bool simt = true;
};

/// Largest error of an element of N(0, 1) averages; absolute, since the scale is 1.
inline std::vector<Accept> accept(const std::string& output, double limit, const char* reason) {
  return {{.output = output, .metric = ErrorMetric::max_scaled, .limit = limit, .reason = reason}};
}
inline constexpr const char* kHalfReason = "values and weights of 11 bits, averages of N(0, 1)";
inline constexpr const char* kSingleReason = "f32 sums of a window";

inline void declare_host(Trial& t, const NeighborhoodCase& c) {
  const double pairs = kernels::useful_pairs(c.shape), d = c.shape.dim;
  const auto bytes = 16.0 * static_cast<double>(c.shape.elements());
  const auto declare = [&](const char* name, const char* what, double flops, auto run) {
    t.host({.name = name,
            .what = what,
            .dtype = "f32",
            .accept = accept("out", 1e-5, kSingleReason),
            .work = {.flops = flops, .bytes = bytes}},
           [c, run](HostBench& b) -> Run {
             const Inputs& in = c.in[b.set()];
             const auto q = b.input(in.query), k = b.input(in.key), v = b.input(in.value);
             const auto out = b.output<float>("out", q.size());
             return [=] { run(c.shape, scale_of(c.shape), q, k, v, out, 0); };
           });
  };
  declare("eigen", "neighbours of each query gathered, products of vectors", 4 * pairs * d,
          baselines::neighborhood_gathered_eigen);
  declare("method", "tiles of 64 queries with the box of their keys", 4 * pairs * d,
          kernels::neighborhood_attention_tiled);
  if (c.shape.tokens() <= 4096) {
    const double all = static_cast<double>(c.shape.rows()) * static_cast<double>(c.shape.tokens());
    declare("dense", "dense attention under a mask", 4 * all * d, baselines::neighborhood_masked_eigen);
  }
}

inline VariantsOnDevice on_device(const NeighborhoodCase& c) {
  return {c.simt, "pairs"};
}

/// One input set, as Element.
template <class Target, class Element>
struct DeviceInputs {
  DeviceSpan<Target, const Element> query, key, value;
  DeviceInputs(DeviceBench<Target>& b, const Inputs& in)
      : query(upload(b, in.query)), key(upload(b, in.key)), value(upload(b, in.value)) {}

 private:
  static DeviceSpan<Target, const Element> upload(DeviceBench<Target>& b, const std::vector<float>& values) {
    std::vector<Element> elements;
    for (const float x : values) elements.push_back(Element(x));
    return b.input(elements);
  }
};

/// What the unfused kernels execute. Softmax: two exponentials, a difference each, a sum and a quotient per
/// weight, and a warp's reduction per row. fp32 as three products splits each operand (a subtraction) before
/// it multiplies.
inline Work work_unfused(const NeighborhoodShape& shape, std::size_t element, bool tiled) {
  const double pairs = kernels::useful_pairs(shape), executed = kernels::executed_pairs(shape), d = shape.dim;
  const double softmax = 4 * pairs + 192 * static_cast<double>(shape.rows());
  // Per lane and product of 16 x 8 x 8: four registers of A and two of B.
  const double splits = element == 4 ? 2 * executed * d * (6 * 32) / (16 * 8 * 8) : 0;
  const double products =
      tiled ? (element == 4 ? 3 : 1) * 4 * executed * d + splits + pairs : 4 * pairs * d + pairs;
  const double weights = static_cast<double>(shape.weights()) * static_cast<double>(element);
  // Weights: written; read and written by the softmax; read.
  return {.flops = products + softmax,
          .bytes = 4 * static_cast<double>(element) * static_cast<double>(shape.elements()) + 4 * weights,
          .special = 2 * pairs};
}

/// What the fused kernel executes: the products, and per pair a scaled difference, a sum and an exponential;
/// per tile of 64 pairs of 64 the rescaling of the sums (64 d, and 3 and an exponential for each of two rows
/// of 128 threads).
inline Work work_fused(const NeighborhoodShape& shape) {
  const double executed = kernels::executed_pairs(shape), d = shape.dim, tiles = executed / (64 * 64);
  const double rows = static_cast<double>(shape.rows());
  return {.flops = executed * (4 * d + 3) + tiles * (64 * d + 3 * 256) + rows * d,
          .bytes = 8 * static_cast<double>(shape.elements()) + 4 * rows,
          .special = executed + 256 * tiles + rows};
}

/// scores, softmax and output by the naive kernels, or by tiles on tensor cores.
template <class Element>
void declare_unfused(Trial& t, const NeighborhoodCase& c, bool tiled, double limit, const char* reason) {
  const bool single = sizeof(Element) == 4;
  const char* const what =
      tiled
          ? (single ? "unfused tiles, fp32 as three TF32 products" : "unfused tiles on tensor cores")
          : (single ? "a thread per weight, no tensor cores" : "a thread per weight, half2, no tensor cores");
  t.kernel(on_device(c)(std::string(tiled ? "gemm" : "naive") + (single ? "/f32" : ""), what,
                        single ? "f32" : "f16", accept("out", limit, reason),
                        work_unfused(c.shape, sizeof(Element), tiled)),
           [c, tiled]<class Target>(DeviceBench<Target>& b) -> Run {
             const DeviceInputs<Target, Element> in(b, c.in[b.set()]);
             const auto out = b.template output<Element>("out", c.shape.elements());
             const auto a = b.template workspace<Element>(c.shape.weights());
             const auto scores = tiled ? kernels::neighborhood_scores<Target, Element>
                                       : kernels::naive_neighborhood_scores<Target, Element>;
             const auto output = tiled ? kernels::neighborhood_output<Target, Element>
                                       : kernels::naive_neighborhood_output<Target, Element>;
             auto& stream = b.stream();
             return [=, &stream] {
               scores(stream, c.shape, scale_of(c.shape), in.query, in.key, a);
               kernels::neighborhood_softmax<Target, Element>(stream, c.shape, a);
               output(stream, c.shape, a, in.value, out);
             };
           });
}

inline void declare_fused(Trial& t, const NeighborhoodCase& c) {
  t.kernel(on_device(c)("kernel", "fused, half, sums in fp32", "f16", accept("out", 4e-3, kHalfReason),
                        work_fused(c.shape)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const DeviceInputs<Target, half> in(b, c.in[b.set()]);
             const auto out = b.template output<half>("out", c.shape.elements());
             const auto lse = b.template output<float>("lse", c.shape.rows());
             auto& stream = b.stream();
             return [=, &stream] {
               kernels::fused_neighborhood_attention<Target, half>(stream, c.shape, scale_of(c.shape),
                                                                   in.query, in.key, in.value, out, lse);
             };
           });
}

/// Dense attention by libraries: under the mask, which is the same operation, and without it, which is what
/// O(n^2) costs at best.
inline void declare_vendor(Trial& t, const NeighborhoodCase& c) {
  const double all = static_cast<double>(c.shape.rows()) * static_cast<double>(c.shape.tokens());
  VariantInfo masked = on_device(c)("vendor", "cuBLAS on all pairs, mask, softmax", "bf16",
                                    accept("dense", 4e-2, "bf16 weights and values"),
                                    {.flops = 4 * all * c.shape.dim, .bytes = {}});
  masked.explain_speedup = "the library computes all pairs: the gain is tokens over window";
  if (c.shape.tokens() % 8 != 0 || c.shape.tokens() > 16'384)
    masked.not_supported = "scores of all pairs: tokens must be a multiple of 8, at most 16384";
  const kernels::AttentionShape dense{c.shape.batch, c.shape.heads, static_cast<int>(c.shape.tokens()),
                                      c.shape.dim};
  const auto inputs = [c](auto& b) {
    const Inputs& in = c.in[b.set()];
    return std::array{b.input(permuted<bfloat16>(c.shape, in.query)),
                      b.input(permuted<bfloat16>(c.shape, in.key)),
                      b.input(permuted<bfloat16>(c.shape, in.value))};
  };
  t.vendor(std::move(masked), [c, inputs]<class Target>(DeviceBench<Target>& b) -> Run {
    const auto in = inputs(b);
    const auto out = b.template output<bfloat16>("dense", c.shape.elements());
    auto& attention =
        b.template own<baselines::NeighborhoodMaskedCublas>(b.stream(), c.shape, scale_of(c.shape));
    return [=, &attention] { attention(in[0], in[1], in[2], out); };
  });
  VariantInfo fused = on_device(c)("sdpa", "cuDNN fused attention on all pairs, no mask", "bf16",
                                   accept("full", 4e-2, "bf16 weights and values"));
  fused.not_supported = baselines::FusedAttentionCudnn::why_not();
  t.vendor(std::move(fused), [c, inputs, dense]<class Target>(DeviceBench<Target>& b) -> Run {
    const auto in = inputs(b);
    const auto out = b.template output<bfloat16>("full", c.shape.elements());
    auto& attention = b.template own<baselines::FusedAttentionCudnn>(b.stream(), dense, scale_of(c.shape));
    return [=, &attention] { attention.run(in[0], in[1], in[2], out); };
  });
}

}  // namespace remeasure::experiments::neighborhood
