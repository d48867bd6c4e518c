// SPDX-License-Identifier: Apache-2.0
//
// A round of the calibration of one block as passes, one per operand of each of its six products, and every
// way to run them.
#pragma once

#include <fmt/format.h>

#include <Eigen/Core>
#include <memory>
#include <string>
#include <vector>

#include "baselines/precision/naive_scores.h"
#include "datasets/precision/vit_block.h"
#include "experiments/vocabulary.h"
#include "kernels/precision/candidate_scores.h"
#include "kernels/precision/quantized_layer.h"

namespace remeasure::experiments::twin_calibration {

using kernels::Calibration;
using kernels::LayerProduct;
using kernels::Operand;
using kernels::ScorePass;
using kernels::ScoreShape;
using kernels::ScoreTiling;
using kernels::TwinQuantizer;
using Quantizers = std::vector<TwinQuantizer<float>>;
using Run = std::function<void()>;

struct BlockChoice {
  int images = 1, tokens = 0, dim = 0, heads = 0;
  int candidates = 100, bits = 8;
};

/// One operand (or a block of the weights' rows) with all its candidates, the other one quantised by its
/// first scale.
struct HostPass {
  std::string name;
  std::size_t layer = 0;
  Operand varied = Operand::a;
  int first = 0, count = 0;  ///< rows of b
  Quantizers candidates;
  std::size_t place = 0;  ///< of its first score among all
  ScoreShape shape;
  std::size_t target_offset = 0;
  std::vector<half> values;        ///< of the varied operand
  std::vector<std::int8_t> codes;  ///< of the fixed one: planes, low first
  std::vector<float> fixed_step, fixed_values;
};

struct BlockInputs {
  std::vector<LayerProduct> layers;
  std::vector<HostPass> passes;
  std::size_t scores = 0;
};

inline Calibration kind_of(const std::string& layer) {
  return layer == "softmax_v" ? Calibration::softmax
         : layer == "fc2"     ? Calibration::gelu
                              : Calibration::plain;
}

/// Values as half has them, rows padded with zeros to a multiple of 16.
inline std::vector<float> padded(const std::vector<float>& values, int inner) {
  const auto from = static_cast<std::size_t>(inner), to = (from + 15) / 16 * 16;
  std::vector<float> result(values.size() / from * to, 0.0f);
  for (std::size_t i = 0; i < values.size(); ++i)
    result[i / from * to + i % from] = static_cast<float>(half(values[i]));
  return result;
}

inline std::vector<float> product_of(const LayerProduct& l) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  std::vector<float> y(l.outputs());
  const Eigen::Index rows = l.rows, inner = l.inner, columns = l.columns;
  for (Eigen::Index m = 0; m < l.matrices; ++m) {
    Eigen::Map<Matrix>(y.data() + m * rows * columns, rows, columns).noalias() =
        Eigen::Map<const Matrix>(l.a.data() + m * rows * inner, rows, inner) *
        Eigen::Map<const Matrix>(l.b.data() + m * columns * inner, columns, inner).transpose();
  }
  return y;
}

/// Each block of equally many values by its own quantiser.
inline std::vector<std::int8_t> codes_of(std::span<const float> values,
                                         std::span<const TwinQuantizer<float>> blocks) {
  const auto planes = static_cast<std::size_t>(blocks[0].planes());
  std::vector<std::int8_t> codes(planes * values.size(), 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const TwinQuantizer<float>& q = blocks[i / (values.size() / blocks.size())];
    codes[(planes == 2 && q.is_low(values[i]) ? 0 : planes - 1) * values.size() + i] =
        static_cast<std::int8_t>(q.code(values[i]));
  }
  return codes;
}

inline HostPass pass_of(const BlockInputs& in, std::size_t index, const std::string& name, Operand varied,
                        int first, int count, Quantizers candidates, const Quantizers& fixed) {
  const LayerProduct& layer = in.layers[index];
  const bool of_a = varied == Operand::a;
  HostPass pass{.name = name,
                .layer = index,
                .varied = varied,
                .first = first,
                .count = count,
                .candidates = std::move(candidates),
                .place = in.scores,
                .shape = {},
                .target_offset = 0,
                .values = {},
                .codes = {},
                .fixed_step = {},
                .fixed_values = {}};
  pass.shape = {.matrices = layer.matrices,
                .rows = of_a ? layer.rows : count,
                .inner = layer.inner,
                .columns = of_a ? layer.columns : layer.rows,
                .varied_planes = pass.candidates[0].planes(),
                .fixed_planes = fixed[0].planes(),
                .transposed = !of_a,
                .target_stride = !of_a && count < layer.columns ? layer.columns : 0};
  pass.target_offset = static_cast<std::size_t>(first);
  const auto inner = static_cast<std::size_t>(layer.inner);
  std::span<const float> varied_values =
      of_a ? std::span<const float>(layer.a) : std::span<const float>(layer.b);
  if (!of_a && count < layer.columns)
    varied_values = varied_values.subspan(static_cast<std::size_t>(first) * inner,
                                          static_cast<std::size_t>(count) * inner);
  for (const float x : varied_values) pass.values.push_back(half(x));
  const std::vector<float>& fixed_values = of_a ? layer.b : layer.a;
  pass.codes = codes_of(fixed_values, fixed);
  pass.fixed_values = kernels::quantized(fixed_values, fixed);
  const auto columns = static_cast<std::size_t>(pass.shape.columns);
  if (pass.shape.fixed_planes == 2) pass.fixed_step.assign(columns, fixed[0].low_step);
  for (std::size_t c = 0; c < columns; ++c)
    pass.fixed_step.push_back(fixed[c / (columns / fixed.size())].high_step);
  return pass;
}

inline BlockInputs load_block(Trial& t, const BlockChoice& c, std::uint64_t seed) {
  const datasets::Opened opened =
      t.open(datasets::vit_block_definition, datasets::vit_block(c.images, c.tokens, c.dim, c.heads, seed));
  const datasets::VitBlock block = read_vit_block(*opened.reader);
  const kernels::SearchSettings settings{.bits = c.bits, .candidates = c.candidates};
  BlockInputs in;
  for (const datasets::CalibrationLayer& from : block.layers) {
    LayerProduct layer{from.matrices,
                       from.rows,
                       (from.inner + 15) / 16 * 16,
                       from.columns,
                       padded(from.a, from.inner),
                       padded(from.b, from.inner),
                       {},
                       from.gradient};
    layer.y = product_of(layer);
    in.layers.push_back(std::move(layer));
    const LayerProduct& l = in.layers.back();
    const std::size_t index = in.layers.size() - 1;
    const std::string name = from.name;
    const int blocks = name == "qkv" ? 3 : 1, rows = l.columns / blocks;
    const std::size_t each = l.b.size() / static_cast<std::size_t>(blocks);
    const float step_a = kernels::first_step(l.a, c.bits);
    const Calibration kind = kind_of(name);
    const TwinQuantizer<float> of_a =
        kind == Calibration::softmax ? kernels::softmax_quantizer<float>(7, c.bits)
        : kind == Calibration::gelu  ? kernels::gelu_quantizer(step_a, c.bits)
                                     : kernels::uniform_quantizer(step_a, c.bits);
    std::vector<float> step_b;
    Quantizers of_b;
    for (int i = 0; i < blocks; ++i) {
      step_b.push_back(kernels::first_step(
          std::span<const float>(l.b).subspan(static_cast<std::size_t>(i) * each, each), c.bits));
      of_b.push_back(kernels::uniform_quantizer(step_b.back(), c.bits));
    }
    const auto add = [&](HostPass pass) {
      in.scores += pass.candidates.size();
      in.passes.push_back(std::move(pass));
    };
    add(pass_of(in, index, name + " A", Operand::a, 0, l.columns,
                kernels::candidates_of(kind, step_a, settings), of_b));
    for (int i = 0; i < blocks; ++i) {
      add(pass_of(in, index, fmt::format("{} B{}", name, blocks > 1 ? std::to_string(i) : ""), Operand::b,
                  i * rows, rows,
                  kernels::candidates_of(Calibration::plain, step_b[static_cast<std::size_t>(i)], settings),
                  {of_a}));
    }
  }
  return in;
}

/// All scores, or of each pass the first, every `every`-th and the last, where all take too long in double.
inline OracleOutput oracle_of(const BlockInputs& in, std::size_t every) {
  OracleOutput result;
  for (const HostPass& pass : in.passes) {
    Quantizers chosen;
    for (std::size_t p = 0; p < pass.candidates.size(); ++p) {
      if (p % every != 0 && p + 1 != pass.candidates.size()) continue;
      chosen.push_back(pass.candidates[p]);
      result.indices.push_back(pass.place + p);
    }
    const auto scores = kernels::candidate_scores_reference<double>(
        in.layers[pass.layer], pass.varied, pass.fixed_values, chosen, kernels::ScaleMetric::hessian,
        pass.first, pass.count);
    result.values.insert(result.values.end(), scores.begin(), scores.end());
  }
  result.scale = result.values;
  if (every == 1) result.indices.clear();
  return result;
}

/// What the kernel does in a pass: products and quantising on whole tiles and groups of candidates, six
/// operations per output (nine with two planes), the sums of warps, of blocks and at last in double.
inline Work work_of(const HostPass& pass) {
  const ScoreShape& s = pass.shape;
  const ScoreTiling t = kernels::score_tiling(s);
  const double candidates = static_cast<double>(pass.candidates.size()),
               planes = s.varied_planes * s.fixed_planes, matrices = s.matrices;
  const double executed = std::ceil(candidates / t.at_once) * t.at_once, rows = 128.0 * t.row_tiles,
               inner = 64.0 * t.inner_tiles;
  const double outputs = matrices * s.rows * s.columns, partials = static_cast<double>(t.partials);
  const double products = 2 * matrices * rows * t.column_tiles * t.columns * inner * planes;
  const double quantising = 2.0 * s.varied_planes * matrices * rows * inner * t.column_tiles;
  const double comparing = (planes == 2 ? 9 : 6) * outputs + 5 * 32 * partials;
  return {.flops = executed * (products + quantising + comparing) + candidates * (partials + 256 * 12),
          .bytes = 2 * static_cast<double>(s.varied_size()) +
                   s.fixed_planes * (static_cast<double>(s.fixed_size()) + 4.0 * s.columns) + 8 * outputs +
                   candidates * (20 + 8 * partials + 4)};
}
inline Work work_of(const BlockInputs& in) {
  Work total;
  for (const HostPass& pass : in.passes) {
    const Work work = work_of(pass);
    total.flops += work.flops;
    total.bytes += work.bytes;
  }
  return total;
}

inline std::vector<Accept> accept_scores() {
  return {{.output = "scores",
           .metric = ErrorMetric::max_scaled,
           .limit = 1e-3,
           .reason = "each score relative to itself: f32 sums of squares of differences that lose digits"}};
}

/// A pass on a device, with `scores` a part of the output of all.
template <class Target>
ScorePass<Target> upload(DeviceBench<Target>& b, const HostPass& pass, DeviceSpan<Target, const float> y,
                         DeviceSpan<Target, const float> gradient, DeviceSpan<Target, float> scores) {
  const std::size_t size = pass.shape.target_size();
  return {pass.shape,
          b.input(pass.values),
          b.input(pass.codes),
          b.input(pass.fixed_step),
          b.input(pass.candidates),
          y.subspan(pass.target_offset, size),
          gradient.subspan(pass.target_offset, size),
          scores.subspan(pass.place, pass.candidates.size())};
}
template <class Target>
std::vector<ScorePass<Target>> upload(DeviceBench<Target>& b, const BlockInputs& in) {
  const auto scores = b.template output<float>("scores", in.scores);
  std::vector<ScorePass<Target>> passes;
  for (std::size_t layer = 0, i = 0; layer < in.layers.size(); ++layer) {
    const auto y = b.input(in.layers[layer].y), gradient = b.input(in.layers[layer].gradient);
    for (; i < in.passes.size() && in.passes[i].layer == layer; ++i)
      passes.push_back(upload(b, in.passes[i], y, gradient, scores));
  }
  return passes;
}

inline void declare_host(Trial& t, const InputSets<BlockInputs>& in) {
  const auto declare = [&](const char* name, const char* what, auto scores_of) {
    t.host({.name = name, .what = what, .dtype = "f32", .accept = accept_scores()},
           [&in, scores_of](HostBench& b) -> Run {
             const BlockInputs& of = in[b.set()];
             for (const LayerProduct& layer : of.layers)
               b.input(layer.a), b.input(layer.b), b.input(layer.y), b.input(layer.gradient);
             const auto out = b.output<float>("scores", of.scores);
             return [&of, out, scores_of] {
               for (const HostPass& pass : of.passes) {
                 const std::vector<float> scores = scores_of(of.layers[pass.layer], pass);
                 std::copy(scores.begin(), scores.end(),
                           out.begin() + static_cast<std::ptrdiff_t>(pass.place));
               }
             };
           });
  };
  declare("eigen", "a candidate at a time on each core: the operand quantised, a product, a comparison",
          [](const LayerProduct& layer, const HostPass& pass) {
            return baselines::naive_scores_eigen(layer, pass.varied, pass.fixed_values, pass.candidates,
                                                 pass.first, pass.count);
          });
  declare("method", "128 rows at a time for all candidates, no product kept",
          [](const LayerProduct& layer, const HostPass& pass) {
            return kernels::candidate_scores_reference<float>(layer, pass.varied, pass.fixed_values,
                                                              pass.candidates, kernels::ScaleMetric::hessian,
                                                              pass.first, pass.count);
          });
}

inline void declare_device(Trial& t, const InputSets<BlockInputs>& in, bool simt) {
  VariantInfo kernel{
      .name = "kernel",
      .what = "all candidates of an operand in one launch, s8 products",
      .dtype = "s8",
      .accept = accept_scores(),
      .work = work_of(in[0]),
      .simt = simt,
      .simt_left_out = "too many products for the SIMT engine; checked at the smoke size",
      .explain_speedup =
          "the naive loop writes and reads an int32 product per candidate, and launches four kernels for it"};
  t.kernel(std::move(kernel), [&in]<class Target>(DeviceBench<Target>& b) -> Run {
    const std::vector<ScorePass<Target>> passes = upload(b, in[b.set()]);
    std::size_t most = 0;
    for (const auto& pass : passes)
      most = std::max(most, kernels::score_tiling(pass.shape).partials * pass.candidates.size());
    const auto partials = b.template workspace<float>(most);
    auto& stream = b.stream();
    return [passes, partials, &stream] {
      for (const auto& p : passes) {
        kernels::candidate_scores<Target>(stream, p.shape, p.varied, p.fixed, p.fixed_step, p.candidates,
                                          p.target, p.gradient, partials, p.scores);
      }
    };
  });
  t.vendor({.name = "vendor",
            .what = "a candidate at a time: quantise, cublasLt int8, compare",
            .dtype = "s8",
            .accept = accept_scores()},
           [&in]<class Target>(DeviceBench<Target>& b) -> Run {
             const BlockInputs& of = in[b.set()];
             const std::vector<ScorePass<Target>> passes = upload(b, of);
             std::vector<baselines::CublasNaiveScores*> naive;
             for (std::size_t i = 0; i < passes.size(); ++i) {
               naive.push_back(&b.template own<baselines::CublasNaiveScores>(b.stream(), passes[i],
                                                                             of.passes[i].candidates));
             }
             return [naive] {
               for (auto* each : naive) (*each)();
             };
           });
}

}  // namespace remeasure::experiments::twin_calibration
