// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/unfused_bounds.h"

#include <testing/catch.h>

#include <algorithm>
#include <cmath>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/relaxation.h"
#include "kernels/learning/testing/bound_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Arrays of normals on Simt, and results.
struct Launches {
  remeasure::testing::TestBench<Simt> bench;
  Stream<Simt>& stream = bench.stream();
  std::vector<DeviceBuffer<Simt, float>> kept;

  DeviceSpan<Simt, const float> in(const std::vector<float>& values) {
    kept.push_back(on_device(stream, values));
    return std::as_const(kept.back()).span();
  }
  DeviceSpan<Simt, float> out(std::size_t size) {
    kept.emplace_back(bench.device(), size);
    return kept.back().span();
  }
  std::vector<float> get(DeviceSpan<Simt, float> span) {
    std::vector<float> values(span.size());
    stream.download(DeviceSpan<Simt, const float>(span), std::span<float>(values));
    return values;
  }
};

float near(double x) {
  return static_cast<float>(x);
}

struct Relaxed {
  Relaxation relaxation;
  double (*value)(double);
  bool positive;  // its domain
};
const Relaxed kRelaxed[] = {
    {Relaxation::relu, [](double x) { return std::fmax(x, 0.0); }, false},
    {Relaxation::tanh, [](double x) { return std::tanh(x); }, false},
    {Relaxation::exponential, [](double x) { return std::exp(x); }, false},
    {Relaxation::reciprocal, [](double x) { return 1 / x; }, true},
    {Relaxation::square_root, [](double x) { return std::sqrt(x); }, true},
    {Relaxation::square, [](double x) { return x * x; }, false},
};

/// How far f is outside of its lines on a dense grid, and how far the lines stay from it where they are
/// nearest.
struct Enclosure {
  double violation = 0, gap = 0;
};
Enclosure enclosure(double (*f)(double), double l, double u, const Line<double>& below,
                    const Line<double>& above) {
  constexpr int kGrid = 400;
  double violation = 0, nearest_below = INFINITY, nearest_above = INFINITY;
  for (int i = 0; i <= kGrid; ++i) {
    const double z = l + (u - l) * i / kGrid;
    const double under = f(z) - (below.slope * z + below.intercept),
                 over = above.slope * z + above.intercept - f(z);
    violation = std::fmax(violation, std::fmax(-under, -over));
    nearest_below = std::fmin(nearest_below, under);
    nearest_above = std::fmin(nearest_above, over);
  }
  const double scale = std::fmax(1, std::fmax(std::fabs(f(l)), std::fabs(f(u))));
  return {violation / scale, std::fmax(nearest_below, nearest_above) / scale};
}

}  // namespace

TEST_CASE("unfused launches are their formulas", "[simt]") {
  Launches run;
  const std::size_t rows = 3, inputs = 4, channels = 6, group = 2, lines = rows * inputs;
  const std::vector<float> x = normal_values(lines * channels, 1), y = normal_values(lines * channels, 2),
                           slope = normal_values(rows * channels, 3);
  const std::vector<float> coarse = normal_values(lines * channels / group, 4),
                           coarse2 = normal_values(lines * channels / group, 5),
                           icpt = normal_values(rows * channels, 6);
  const auto X = run.in(x), Y = run.in(y), K = run.in(slope), C = run.in(coarse), C2 = run.in(coarse2),
             I = run.in(icpt);
  const auto a = run.out(x.size()), b = run.out(x.size());

  split_signs<Simt>(run.stream, X, a, b);
  const auto positive = run.get(a), negative = run.get(b);
  for (std::size_t i = 0; i < x.size(); ++i)
    REQUIRE((positive[i] == std::fmax(x[i], 0.0f) && negative[i] == std::fmin(x[i], 0.0f)));

  add_scaled<Simt>(run.stream, X, -2, Y, a);
  for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(run.get(a)[i] == Approx(x[i] - 2 * y[i]).margin(1e-6));

  scale_sides<Simt>(run.stream, 4, 6, 1, K, X, Y, I, false, a);
  const auto scaled = run.get(a);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t at = i / (inputs * channels) * channels + i % channels;
    REQUIRE(scaled[i] == Approx(slope[at] * (slope[at] > 0 ? x[i] : y[i]) + icpt[at]).margin(1e-5));
  }
  add_coarse_sides<Simt>(run.stream, 4, 6, 2, K, C, C2, a);
  const auto added = run.get(a);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t at = i / (inputs * channels) * channels + i % channels,
                      from = i / channels * 3 + i % channels / group;
    REQUIRE(added[i] ==
            Approx(scaled[i] + slope[at] * (slope[at] > 0 ? coarse[from] : coarse2[from])).margin(1e-5));
  }

  const BoundShape shape{3, 4, 6};
  for (const BallNorm norm : {BallNorm::one, BallNorm::two, BallNorm::infinity}) {
    const auto norms = run.out(rows * channels);
    input_norms<Simt>(run.stream, shape, {1, norm, 2}, X, norms);
    const auto found = run.get(norms);
    for (std::size_t i = 0; i < found.size(); ++i) {
      double total = 0;
      for (std::size_t word = 0; word < 2; ++word) {
        const auto w = [&](std::size_t d) {
          return std::fabs(
              static_cast<double>(x[(i / channels * inputs + 2 * word + d) * channels + i % channels]));
        };
        total += norm == BallNorm::two        ? std::hypot(w(0), w(1))
                 : norm == BallNorm::infinity ? w(0) + w(1)
                                              : std::fmax(w(0), w(1));
      }
      REQUIRE(found[i] == Approx(near(total)).margin(1e-5));
    }
  }

  sum_groups<Simt>(run.stream, 2, 0.5f, X, a.subspan(0, x.size() / 2));
  CHECK(run.get(a)[5] == Approx(0.5f * (x[10] + x[11])).margin(1e-6));
  plane_constants<Simt>(run.stream, 6, 2, K, run.in(std::vector<float>(coarse.begin(), coarse.begin() + 9)),
                        b.subspan(0, 18));
  CHECK(run.get(b)[13] == Approx(-slope[13] * coarse[6]).margin(1e-6));
  add_offset<Simt>(run.stream, run.in({1, 2, 3, 4, 5, 6}), a);
  sum_groups<Simt>(run.stream, 1, 1, X, a);
  add_offset<Simt>(run.stream, run.in({1, 2, 3, 4, 5, 6}), a);
  CHECK(run.get(a)[8] == Approx(x[8] + 3).margin(1e-6));
}

TEST_CASE("unfused lines enclose their function on a dense grid and touch it, for every relaxation",
          "[simt]") {
  // Limits as in relaxation_test.cpp: slopes and intercepts of 24 bits; touched between two points of the
  // grid.
  const std::size_t count = 300;
  const std::vector<float> from = normal_values(count, 11), width = normal_values(count, 12);
  for (const Relaxed& relaxed : kRelaxed) {
    Launches run;
    std::vector<float> l(count), u(count);
    for (std::size_t i = 0; i < count; ++i) {
      l[i] = relaxed.positive ? std::fabs(from[i]) + 0.01f : 2 * from[i];
      u[i] = l[i] + 2 * std::fabs(width[i]);
    }
    const LineSpans<Simt> lines{run.out(count), run.out(count), run.out(count), run.out(count)};
    relaxation_lines<Simt>(run.stream, relaxed.relaxation, run.in(l), run.in(u), lines);
    const auto lower_slope = run.get(lines.lower_slope), lower_intercept = run.get(lines.lower_intercept),
               upper_slope = run.get(lines.upper_slope), upper_intercept = run.get(lines.upper_intercept);
    for (std::size_t i = 0; i < count; ++i) {
      INFO("relaxation " << static_cast<int>(relaxed.relaxation) << " on [" << l[i] << ", " << u[i] << "]");
      const Enclosure found =
          enclosure(relaxed.value, static_cast<double>(l[i]), static_cast<double>(u[i]),
                    {static_cast<double>(lower_slope[i]), static_cast<double>(lower_intercept[i])},
                    {static_cast<double>(upper_slope[i]), static_cast<double>(upper_intercept[i])});
      REQUIRE(found.violation < 3e-6);
      REQUIRE(found.gap < 1e-3);
    }
  }
}

TEST_CASE("unfused lines and layer norm are those of the oracle", "[simt]") {
  Launches run;
  const std::vector<float> l = {-2, -1, 0.5f}, u = {-1, 2, 3};
  const LineSpans<Simt> lines{run.out(3), run.out(3), run.out(3), run.out(3)};
  relaxation_lines<Simt>(run.stream, Relaxation::relu, run.in(l), run.in(u), lines);
  CHECK(run.get(lines.upper_slope) == std::vector<float>{0, 2.0f / 3, 1});
  CHECK(run.get(lines.lower_slope) == std::vector<float>{0, 1, 1});
  CHECK(run.get(lines.upper_intercept)[1] == Approx(2.0f / 3));
  CHECK(run.get(lines.lower_intercept)[1] == 0);

  const BoundArrays<float> z = random_bounds({2, 3, 8}, 2);
  BoundArrays<double> nothing(z.shape);
  const std::vector<float> scale = normal_values(8, 7), shift = normal_values(8, 8);
  const BoundArrays<double> exact = oracle::add_normalise(z.as<double>(), nothing, wide(scale), wide(shift));
  const auto lower_mean = run.out(2), upper_mean = run.out(2), low = run.out(16), high = run.out(16);
  const auto zl = run.in(z.lower_bias), zu = run.in(z.upper_bias);
  sum_groups<Simt>(run.stream, 8, 0.125f, zl, lower_mean);
  sum_groups<Simt>(run.stream, 8, 0.125f, zu, upper_mean);
  centre_and_scale<Simt>(run.stream, run.in(scale), run.in(shift), zl, zu, lower_mean, upper_mean, low, high);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(static_cast<double>(run.get(low)[i]) == Approx(exact.lower_bias[i]).margin(1e-5));
    CHECK(static_cast<double>(run.get(high)[i]) == Approx(exact.upper_bias[i]).margin(1e-5));
  }
}

TEST_CASE("unfused launches refuse spans that don't fit", "[simt]") {
  Launches run;
  CHECK_THROWS_WITH(split_signs<Simt>(run.stream, run.in({1, 2}), run.out(2), run.out(3)),
                    ContainsSubstring("split_signs"));
  CHECK_THROWS_WITH(sum_groups<Simt>(run.stream, 3, 1, run.in({1, 2, 3, 4}), run.out(1)),
                    ContainsSubstring("sum_groups"));
}
