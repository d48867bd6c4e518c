// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/candidate_scores.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>

#include "kernels/precision/testing/layer_problem.h"
#include "kernels/precision/twin_codes.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using remeasure::testing::TestBench;

namespace {

std::vector<TwinQuantizer<float>> uniform_candidates(float least, float most, int count, int bits) {
  std::vector<TwinQuantizer<float>> list;
  for (int i = 0; i < count; ++i) {
    list.push_back(
        uniform_quantizer(least + (most - least) * static_cast<float>(i) / static_cast<float>(count), bits));
  }
  return list;
}

/// Largest relative difference of a score.
double worst(const std::vector<float>& scores, const std::vector<double>& reference) {
  double largest = scores.size() == reference.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(scores[i]) - reference[i]) / reference[i]);
  }
  return largest;
}

// A score is a sum of squares in f32 of differences that lose some of their digits.
constexpr double kLimit = 1e-4;

struct Size {
  int matrices, rows, inner, columns;
};

}  // namespace

TEST_CASE("candidate_scores is the weighted error of the quantised product, at odd sizes", "[simt]") {
  TestBench<Simt> bench;
  for (const Size& size : {Size{1, 1, 16, 1}, Size{1, 130, 80, 131}, Size{2, 17, 64, 65}, Size{3, 33, 48, 64},
                           Size{1, 127, 144, 5}}) {
    INFO(size.matrices << " x " << size.rows << " x " << size.inner << " x " << size.columns);
    const LayerProduct layer =
        layer_problem(size.matrices, size.rows, size.inner, size.columns, Calibration::plain);
    for (const int count : {1, 5}) {
      const Pass of_a{layer, Operand::a, uniform_quantizer(0.01f, 8),
                      uniform_candidates(0.002f, 0.05f, count, 8)};
      CHECK(worst(of_a.kernel(bench), of_a.reference()) < kLimit);
    }
    const Pass of_b{layer, Operand::b, uniform_quantizer(0.1f, 6), uniform_candidates(0.005f, 0.05f, 3, 6)};
    CHECK(worst(of_b.kernel(bench), of_b.reference()) < kLimit);
  }
}

TEST_CASE("candidate_scores takes twin quantisers of either operand", "[simt]") {
  TestBench<Simt> bench;
  for (const int columns : {40, 70}) {
    const LayerProduct attention = layer_problem(2, 20, 208, columns, Calibration::softmax);
    SearchSettings settings{.bits = 8};
    const Pass shifts{attention, Operand::a, uniform_quantizer(0.01f, 8),
                      candidates_of(Calibration::softmax, 1.0f, settings)};
    CHECK(worst(shifts.kernel(bench), shifts.reference()) < kLimit);
    const Pass values{attention, Operand::b, softmax_quantizer<float>(5, 8),
                      uniform_candidates(0.004f, 0.04f, 5, 8)};
    CHECK(worst(values.kernel(bench), values.reference()) < kLimit);

    const LayerProduct mlp = layer_problem(1, 70, 80, columns, Calibration::gelu);
    settings.bits = 6;
    settings.candidates = 7;
    settings.low = 0.3;
    const Pass positive{mlp, Operand::a, uniform_quantizer(0.04f, 6),
                        candidates_of(Calibration::gelu, 0.1f, settings)};
    CHECK(worst(positive.kernel(bench), positive.reference()) < kLimit);
    const Pass weights{mlp, Operand::b, gelu_quantizer(0.1f, 6), uniform_candidates(0.02f, 0.06f, 3, 6)};
    CHECK(worst(weights.kernel(bench), weights.reference()) < kLimit);
  }
}

TEST_CASE("candidate_scores of a block of the weights' rows reads its part of the target", "[simt]") {
  TestBench<Simt> bench;
  const LayerProduct layer = layer_problem(1, 40, 32, 48, Calibration::plain);
  const auto candidates = uniform_candidates(0.005f, 0.05f, 4, 8);
  const TwinQuantizer<float> fixed = uniform_quantizer(0.03f, 8);
  const std::vector<float> values = quantized(layer.a, std::span(&fixed, 1));
  for (int block = 0; block < 3; ++block) {
    const auto reference = candidate_scores_reference<double>(layer, Operand::b, values, candidates,
                                                              ScaleMetric::hessian, 16 * block, 16);
    const ScoreShape shape{.rows = 16, .inner = 32, .columns = 40, .transposed = true, .target_stride = 48};
    const auto x = bench.upload(
        halves(std::span<const float>(layer.b).subspan(static_cast<std::size_t>(16 * block * 32), 16 * 32)));
    const auto codes = bench.upload(code_planes(fixed, 1, layer.a));
    const auto steps = bench.upload(std::vector<float>(40, fixed.high_step));
    const auto q = bench.upload(candidates);
    const auto y = bench.upload(layer.y), g = bench.upload(layer.gradient);
    auto partials = bench.output<float>(score_tiling(shape).partials * 4), scores = bench.output<float>(4);
    const auto part = [&](const DeviceBuffer<Simt, float>& of) {
      return of.span().subspan(static_cast<std::size_t>(16 * block), shape.target_size());
    };
    candidate_scores<Simt>(bench.stream(), shape, x, codes, steps, q, part(y), part(g), partials, scores);
    CHECK(worst(bench.download(scores), reference) < kLimit);
  }
}

TEST_CASE("candidate_scores has the same bits in every schedule, with late and early copies", "[simt]") {
  const LayerProduct layer = layer_problem(1, 70, 144, 66, Calibration::gelu);
  const Pass pass{layer, Operand::a, uniform_quantizer(0.01f, 8),
                  candidates_of(Calibration::gelu, 0.03f, {.bits = 8, .candidates = 4})};
  TestBench<Simt> bench;
  const std::vector<float> scores = pass.kernel(bench);
  for (const simt::CopyTiming timing : {simt::CopyTiming::late, simt::CopyTiming::early}) {
    bench.device().engine().set_copy_timing(timing);
    for (const std::uint64_t seed : {1u, 2u}) {
      bench.device().engine().set_schedule(seed);
      CHECK(pass.kernel(bench) == scores);
    }
  }
}

TEST_CASE("candidate_scores refuses what it can't take", "[simt]") {
  CHECK_THROWS_AS(check_shape({.rows = 4, .inner = 24, .columns = 4}, 1), std::invalid_argument);
  CHECK_THROWS_AS(
      check_shape({.rows = 4, .inner = 32, .columns = 4, .varied_planes = 2, .fixed_planes = 2}, 1),
      std::invalid_argument);
  CHECK_THROWS_AS(check_shape({.rows = 4, .inner = 32, .columns = 4}, 0), std::invalid_argument);
  CHECK_THROWS_AS(check_shape({.matrices = 2, .rows = 4, .inner = 32, .columns = 4, .target_stride = 8}, 1),
                  std::invalid_argument);
  CHECK_NOTHROW(check_shape({.rows = 4, .inner = 32, .columns = 4, .fixed_planes = 2}, 1));
}

TEST_CASE("quantising, an integer product and weighted_error give the same score", "[simt]") {
  TestBench<Simt> bench;
  for (const Calibration kind : {Calibration::plain, Calibration::gelu}) {
    const LayerProduct layer = layer_problem(2, 19, 32, 37, kind);
    const Pass pass{layer, Operand::a, uniform_quantizer(0.01f, 8),
                    candidates_of(kind, 0.03f, {.bits = 8, .candidates = 3, .low = 0.5})};
    const std::vector<double> reference = pass.reference();
    const ScoreShape shape = pass.shape();
    const auto x = bench.upload(halves(layer.a));
    const std::vector<std::int8_t> b = code_planes(pass.fixed, 1, layer.b);
    for (std::size_t p = 0; p < pass.candidates.size(); ++p) {
      auto codes = bench.output<std::int8_t>(static_cast<std::size_t>(shape.varied_planes) * layer.a.size());
      quantize_planes<Simt>(bench.stream(), pass.candidates[p], shape.varied_planes, x, codes);
      const std::vector<std::int8_t> of_a = bench.download(codes);
      REQUIRE(of_a == code_planes(pass.candidates[p], shape.varied_planes, layer.a));
      std::vector<std::int32_t> products;
      for (int plane = 0; plane < shape.varied_planes; ++plane) {
        for (int line = 0; line < 2 * 19; ++line) {
          for (int column = 0; column < 40; ++column) {
            std::int32_t sum = 0;
            for (int k = 0; k < 32 && column < 37; ++k) {
              sum += of_a[static_cast<std::size_t>((plane * 38 + line) * 32 + k)] *
                     b[static_cast<std::size_t>((line / 19 * 37 + column) * 32 + k)];
            }
            products.push_back(sum);
          }
        }
      }
      const TwinQuantizer<float>& q = pass.candidates[p];
      ErrorShape error{.varied_planes = shape.varied_planes,
                       .lines = 38,
                       .columns = 37,
                       .target_stride = 37,
                       .stride = 40,
                       .fixed_steps = 37};
      error.varied_step[0] = shape.varied_planes == 2 ? q.low_step : q.high_step;
      error.varied_step[1] = q.high_step;
      const auto device_products = bench.upload(products);
      const auto steps = bench.upload(pass.fixed_steps());
      const auto y = bench.upload(layer.y), g = bench.upload(layer.gradient);
      auto partials = bench.output<float>(weighted_error_blocks(error)), score = bench.output<float>(1);
      weighted_error<Simt>(bench.stream(), error, device_products, steps, y, g, partials);
      sum_partials<Simt>(bench.stream(), partials.size(), partials, score);
      CHECK(std::abs(static_cast<double>(bench.download(score)[0]) / reference[p] - 1) < kLimit);
    }
  }
}

TEST_CASE("candidate_scores on a GPU gives what Simt gives", "[gpu]") {
  if (Device<Cuda>::count() == 0) {
    WARN("skipped: " << Device<Cuda>::why_not());
    return;
  }
  const LayerProduct layer = layer_problem(2, 150, 144, 140, Calibration::softmax);
  const Pass pass{layer, Operand::a, uniform_quantizer(0.01f, 8),
                  candidates_of(Calibration::softmax, 1.0f, {.bits = 8})};
  remeasure::testing::on_gpu([&](auto& gpu) { CHECK(worst(pass.kernel(gpu), pass.reference()) < kLimit); });
}
