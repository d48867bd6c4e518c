// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/quantized_layer.h"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int kBlockRows = 128;

/// Codes are those of the float's quantiser in any Scalar: a rule of rounding is part of the method, not of
/// its precision. Clipping before rounding is the same as after it, and without a conversion to integers the
/// loop vectorises.
template <class Scalar>
void quantize_into(const TwinQuantizer<float>& q, const float* from, Scalar* to, std::size_t n) {
  const auto high_low = static_cast<float>(q.high.low), high_high = static_cast<float>(q.high.high);
  const auto low_low = static_cast<float>(q.low.low), low_high = static_cast<float>(q.low.high);
  const auto high_step = static_cast<Scalar>(q.high_step), low_step = static_cast<Scalar>(q.low_step);
  if (q.planes() == 1) {
    for (std::size_t i = 0; i < n; ++i) {
      to[i] = static_cast<Scalar>(
                  std::nearbyint(std::min(std::max(from[i] * q.high_inverse, high_low), high_high))) *
              high_step;
    }
    return;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const float x = from[i];
    const float high = std::nearbyint(std::min(std::max(x * q.high_inverse, high_low), high_high));
    const float low = std::nearbyint(std::min(std::max(x * q.low_inverse, low_low), low_high));
    to[i] = x < q.split ? static_cast<Scalar>(low) * low_step : static_cast<Scalar>(high) * high_step;
  }
}

/// Sums that make a distance.
struct Sums {
  double error = 0, product = 0, of_quantized = 0, of_exact = 0;
  void add(const Sums& other) {
    error += other.error, product += other.product, of_quantized += other.of_quantized,
        of_exact += other.of_exact;
  }
};

void check_layer(const LayerProduct& l, std::size_t fixed, std::size_t expected) {
  const auto size = [&](int rows, int columns) {
    return static_cast<std::size_t>(l.matrices) * static_cast<std::size_t>(rows) *
           static_cast<std::size_t>(columns);
  };
  if (l.matrices < 1 || l.rows < 1 || l.inner < 1 || l.columns < 1 || l.a.size() != size(l.rows, l.inner) ||
      l.b.size() != size(l.columns, l.inner) || l.y.size() != l.outputs() ||
      l.gradient.size() != l.outputs() || fixed != expected) {
    throw std::invalid_argument(
        fmt::format("a layer of {} products {} x {} x {}: its arrays have other sizes", l.matrices, l.rows,
                    l.inner, l.columns));
  }
}

}  // namespace

template <class Scalar>
std::vector<Scalar> candidate_scores_reference(const LayerProduct& layer, Operand varied,
                                               std::span<const float> fixed_values,
                                               std::span<const TwinQuantizer<float>> candidates,
                                               ScaleMetric metric, int first, int count, int threads) {
  check_layer(layer, fixed_values.size(), varied == Operand::a ? layer.b.size() : layer.a.size());
  if (count == 0) count = layer.columns - first;
  if (first < 0 || count < 1 || first + count > layer.columns)
    throw std::invalid_argument("candidate scores: no such rows of b");
  using Rows = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, 0,
                          Eigen::OuterStride<>>;
  const Eigen::Index inner = layer.inner, columns = layer.columns;
  // Sums of fixed blocks of rows, added in their order: the same bits for any number of threads. b is small
  // where a product has one matrix (weights); there each task quantises all of it for itself.
  const int blocks = (layer.rows + kBlockRows - 1) / kBlockRows;
  std::vector<Sums> sums(static_cast<std::size_t>(layer.matrices * blocks) * candidates.size());
  for_each_row_block(layer.matrices, blocks, threads, [&](int matrix, int first_block, int blocks_of_task) {
    const float* a_values = (varied == Operand::a ? layer.a.data() : fixed_values.data()) +
                            static_cast<Eigen::Index>(matrix) * layer.rows * inner;
    const float* b_values = (varied == Operand::b ? layer.b.data() : fixed_values.data()) +
                            (static_cast<Eigen::Index>(matrix) * columns + first) * inner;
    Matrix<Scalar> a, b, y;
    if (varied == Operand::a)
      b = Rows(b_values, count, inner, Eigen::OuterStride<>(inner)).template cast<Scalar>();
    for (std::size_t p = 0; p < candidates.size(); ++p) {
      const TwinQuantizer<float>& quantizer = candidates[p];
      if (varied == Operand::b) {
        b.resize(count, inner);
        quantize_into(quantizer, b_values, b.data(), static_cast<std::size_t>(b.size()));
      }
      for (int block = first_block; block < first_block + blocks_of_task; ++block) {
        const int row = block * kBlockRows;
        const Eigen::Index rows = std::min(kBlockRows, layer.rows - row);
        const float* from = a_values + row * inner;
        if (varied == Operand::a) {
          a.resize(rows, inner);
          quantize_into(quantizer, from, a.data(), static_cast<std::size_t>(a.size()));
        } else {
          a = Rows(from, rows, inner, Eigen::OuterStride<>(inner)).template cast<Scalar>();
        }
        y.noalias() = a * b.transpose();
        const Eigen::Index offset = (static_cast<Eigen::Index>(matrix) * layer.rows + row) * columns + first;
        const auto exact = Rows(layer.y.data() + offset, rows, count, Eigen::OuterStride<>(columns))
                               .template cast<Scalar>()
                               .array();
        const auto gradient = Rows(layer.gradient.data() + offset, rows, count, Eigen::OuterStride<>(columns))
                                  .template cast<Scalar>()
                                  .array();
        Sums of_block;
        switch (metric) {
          case ScaleMetric::hessian:
            of_block.error = static_cast<double>(((y.array() - exact) * gradient).square().sum());
            break;
          case ScaleMetric::squared:
            of_block.error = static_cast<double>((y.array() - exact).square().sum());
            break;
          case ScaleMetric::cosine:
            of_block.product = static_cast<double>((y.array() * exact).sum());
            of_block.of_quantized = static_cast<double>(y.array().square().sum());
            of_block.of_exact = static_cast<double>(exact.square().sum());
            break;
        }
        sums[static_cast<std::size_t>(matrix * blocks + block) * candidates.size() + p] = of_block;
      }
    }
  });
  std::vector<Sums> total(candidates.size());
  for (std::size_t i = 0; i < sums.size(); ++i) total[i % candidates.size()].add(sums[i]);
  std::vector<Scalar> scores;
  for (const Sums& s : total) {
    const double norm = std::sqrt(s.of_quantized * s.of_exact);
    scores.push_back(static_cast<Scalar>(
        metric == ScaleMetric::cosine ? (norm > 0 ? 1 - s.product / norm : 1.0) : s.error));
  }
  return scores;
}

template <class Scalar>
std::size_t best_candidate(std::span<const Scalar> scores) {
  return static_cast<std::size_t>(std::min_element(scores.begin(), scores.end()) -
                                  scores.begin());  // the first of equal ones
}

float first_step(std::span<const float> values, int bits) {
  float largest = 0;
  for (const float x : values) largest = std::max(largest, std::abs(x));
  return largest > 0 ? largest / (static_cast<float>(1 << (bits - 1)) - 0.5f) : 1.0f;
}

std::vector<TwinQuantizer<float>> candidates_of(Calibration kind, float first,
                                                const SearchSettings& settings) {
  std::vector<TwinQuantizer<float>> list;
  if (settings.twin && kind == Calibration::softmax) {
    for (int shift = 0; shift < 20; ++shift) list.push_back(softmax_quantizer<float>(shift, settings.bits));
    return list;
  }
  for (int i = 0; i < settings.candidates; ++i) {
    const double factor = settings.low + i * (settings.high - settings.low) / settings.candidates;
    const float step = static_cast<float>(factor) * first;
    list.push_back(settings.twin && kind == Calibration::gelu ? gelu_quantizer(step, settings.bits)
                                                              : uniform_quantizer(step, settings.bits));
  }
  return list;
}

std::vector<float> quantized(std::span<const float> values, std::span<const TwinQuantizer<float>> blocks) {
  if (blocks.empty() || values.size() % blocks.size() != 0)
    throw std::invalid_argument("quantized: blocks must divide the values");
  std::vector<float> result(values.size());
  const std::size_t each = values.size() / blocks.size();
  for (std::size_t i = 0; i < blocks.size(); ++i)
    quantize_into(blocks[i], values.data() + i * each, result.data() + i * each, each);
  return result;
}

LayerScales search_scales(const LayerProduct& layer, Calibration kind, int blocks,
                          const SearchSettings& settings) {
  if (blocks < 1 || layer.columns % blocks != 0 || (blocks > 1 && layer.matrices > 1)) {
    throw std::invalid_argument(
        fmt::format("{} blocks of {} rows of b in {} products", blocks, layer.columns, layer.matrices));
  }
  const float step_a = first_step(layer.a, settings.bits);
  const int rows = layer.columns / blocks;
  const std::size_t each = layer.b.size() / static_cast<std::size_t>(blocks);
  LayerScales scales;
  const std::vector<TwinQuantizer<float>> candidates_a = candidates_of(kind, step_a, settings);
  const bool of_softmax = settings.twin && kind == Calibration::softmax;
  if (of_softmax)
    scales.a = softmax_quantizer<float>(7, settings.bits);  // the authors begin with a split of 0.01
  else if (settings.twin && kind == Calibration::gelu)
    scales.a = gelu_quantizer(step_a, settings.bits);
  else
    scales.a = uniform_quantizer(step_a, settings.bits);
  std::vector<std::vector<TwinQuantizer<float>>> candidates_b;
  for (int block = 0; block < blocks; ++block) {
    const std::span<const float> of_block =
        std::span<const float>(layer.b).subspan(static_cast<std::size_t>(block) * each, each);
    const float step = first_step(of_block, settings.bits);
    candidates_b.push_back(candidates_of(Calibration::plain, step, settings));
    scales.b.push_back(uniform_quantizer(step, settings.bits));
  }
  const auto search_a = [&] {
    const std::vector<float> b = quantized(layer.b, scales.b);
    const std::vector<float> scores = candidate_scores_reference<float>(
        layer, Operand::a, b, candidates_a, settings.metric, 0, 0, settings.threads);
    scales.a = candidates_a[best_candidate<float>(scores)];
  };
  const auto search_b = [&] {
    const std::vector<float> a = quantized(layer.a, std::span(&scales.a, 1));
    for (int block = 0; block < blocks; ++block) {
      const auto& candidates = candidates_b[static_cast<std::size_t>(block)];
      const std::vector<float> scores = candidate_scores_reference<float>(
          layer, Operand::b, a, candidates, settings.metric, block * rows, rows, settings.threads);
      scales.b[static_cast<std::size_t>(block)] = candidates[best_candidate<float>(scores)];
    }
  };
  for (int round = 0; round < settings.rounds; ++round) {
    if (of_softmax) search_a();  // first the shift, then the other operand
    search_b();
    if (!of_softmax) search_a();
  }
  return scales;
}

std::vector<float> bias_of_codes(const LayerProduct& layer, const LayerScales& scales) {
  check_layer(layer, 0, 0);
  if (layer.matrices != 1) throw std::invalid_argument("bias_of_codes: the weights are one matrix");
  const std::vector<float> a = quantized(layer.a, std::span(&scales.a, 1)), b = quantized(layer.b, scales.b);
  using Floats = Eigen::Map<const Matrix<float>>;
  const Eigen::RowVectorXd mean = Floats(a.data(), layer.rows, layer.inner).cast<double>().colwise().mean();
  const Matrix<double> change = Floats(b.data(), layer.columns, layer.inner).cast<double>() -
                                Floats(layer.b.data(), layer.columns, layer.inner).cast<double>();
  const Eigen::VectorXf result = (change * mean.transpose()).cast<float>();
  return {result.begin(), result.end()};
}

template std::vector<float> candidate_scores_reference(const LayerProduct&, Operand, std::span<const float>,
                                                       std::span<const TwinQuantizer<float>>, ScaleMetric,
                                                       int, int, int);
template std::vector<double> candidate_scores_reference(const LayerProduct&, Operand, std::span<const float>,
                                                        std::span<const TwinQuantizer<float>>, ScaleMetric,
                                                        int, int, int);
template std::size_t best_candidate(std::span<const float>);
template std::size_t best_candidate(std::span<const double>);

}  // namespace remeasure::kernels
