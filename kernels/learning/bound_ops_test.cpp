// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/bound_ops.h"

#include <testing/catch.h>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/testing/bound_problem.h"
#include "kernels/simt/counts.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr Relaxation kRelaxations[] = {Relaxation::relu,        Relaxation::tanh,
                                       Relaxation::exponential, Relaxation::reciprocal,
                                       Relaxation::square_root, Relaxation::square};
const Ball kBalls[] = {
    {0.3, BallNorm::two, 1}, {0.3, BallNorm::infinity, 2}, {0.3, BallNorm::one, 2}, {0.3, BallNorm::two, 2}};

/// Channels below, at and above a block's 32, perturbations below and above its 8 slices.
const BoundShape kShapes[] = {{2, 6, 33}, {1, 2, 1}, {3, 40, 64}};

bool needs_positive(Relaxation relaxation) {
  return relaxation == Relaxation::reciprocal || relaxation == Relaxation::square_root;
}

BoundArrays<float> input_of(Relaxation relaxation, const BoundShape& shape) {
  return random_bounds(shape, 3, 0.2f, needs_positive(relaxation) ? 12.0f : 0.0f);
}

template <class Target>
BoundArrays<float> relax(Stream<Target>& stream, Relaxation relaxation, const BoundArrays<float>& bounds,
                         const Ball& ball, bool in_place = false) {
  DeviceBounds<Target> in(stream, bounds), out(stream, bounds.shape);
  bound_relax<Target>(stream, relaxation, bounds.shape, ball, in.in(), in_place ? in.out() : out.out());
  return in_place ? in.get() : out.get();
}

template <class Target>
HostIntervals<float> concretise(Stream<Target>& stream, const BoundArrays<float>& bounds, const Ball& ball) {
  DeviceBounds<Target> in(stream, bounds);
  DeviceBuffer<Target, float> lower(stream.device(), bounds.shape.biases()),
      upper(stream.device(), bounds.shape.biases());
  bound_concretise<Target>(stream, bounds.shape, ball, in.in(), lower, upper);
  HostIntervals<float> result{std::vector<float>(bounds.shape.biases()),
                              std::vector<float>(bounds.shape.biases())};
  stream.download(std::as_const(lower).span(), std::span<float>(result.lower));
  stream.download(std::as_const(upper).span(), std::span<float>(result.upper));
  return result;
}

/// Exponentials and reciprocals of sums of them, roughly: both positive.
template <class Target>
BoundArrays<float> product(Stream<Target>& stream, const BoundArrays<float>& x, const BoundArrays<float>& y,
                           int group, const Ball& ball) {
  DeviceBounds<Target> of_x(stream, x), of_y(stream, y);
  bound_product<Target>(stream, x.shape, group, ball, of_x.in(), of_y.in(), of_x.out());
  return of_x.get();
}

template <class Target>
BoundArrays<float> group_sum(Stream<Target>& stream, const BoundArrays<float>& bounds, int group) {
  DeviceBounds<Target> in(stream, bounds),
      out(stream, bounds.shape.with_channels(bounds.shape.channels / group));
  bound_group_sum<Target>(stream, bounds.shape, group, in.in(), out.out());
  return out.get();
}

template <class Target>
BoundArrays<float> add_normalise(Stream<Target>& stream, const BoundArrays<float>& a,
                                 const BoundArrays<float>& b, const std::vector<float>& scale,
                                 const std::vector<float>& shift) {
  DeviceBounds<Target> of_a(stream, a), of_b(stream, b);
  const auto scales = on_device(stream, scale), shifts = on_device(stream, shift);
  bound_add_normalise<Target>(stream, a.shape, of_a.in(), of_b.in(), {scales.span(), shifts.span()},
                              of_b.out());
  return of_b.get();
}

struct DotProblem {
  DotShape shape;
  BoundArrays<float> x, y;
  HostIntervals<float> x_interval, y_interval;
};
DotProblem dot_problem(const DotShape& shape) {
  DotProblem p{shape, random_bounds(shape.x_shape(), 5), random_bounds(shape.y_shape(), 6), {}, {}};
  p.x_interval = narrow(oracle::concretise(p.x.as<double>(), kBalls[0]));
  p.y_interval = narrow(oracle::concretise(p.y.as<double>(), kBalls[0]));
  return p;
}
BoundArrays<double> expected(const DotProblem& p) {
  return oracle::dot(p.shape, p.x.as<double>(), widened(p.x_interval), p.y.as<double>(),
                     widened(p.y_interval));
}
template <class Target>
BoundArrays<float> dot(Stream<Target>& stream, const DotProblem& p) {
  DeviceBounds<Target> x(stream, p.x), y(stream, p.y), out(stream, p.shape.out_shape());
  const auto x_lower = on_device(stream, p.x_interval.lower), y_lower = on_device(stream, p.y_interval.lower),
             y_upper = on_device(stream, p.y_interval.upper);
  bound_dot<Target>(stream, p.shape, x.in(), x_lower.span(), y.in(), y_lower.span(), y_upper.span(),
                    out.out());
  return out.get();
}
/// Both kinds, tiles of 16 and 32, and sizes that fill neither.
std::vector<DotShape> dot_shapes() {
  return {score_shape(5, 6, 2, 12),  value_shape(5, 6, 2, 12),  score_shape(34, 3, 1, 20),
          value_shape(34, 3, 1, 20), score_shape(33, 2, 2, 72), value_shape(33, 2, 2, 72),
          score_shape(1, 1, 1, 1)};
}

/// For layer norm: negative scales among them.
const std::vector<float> scales_of(int channels) {
  return normal_values(static_cast<std::size_t>(channels), 8);
}
const std::vector<float> shifts_of(int channels) {
  return normal_values(static_cast<std::size_t>(channels), 9);
}

}  // namespace

TEST_CASE("intervals are those of the oracle in every ball", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const BoundShape& shape : kShapes) {
    const BoundArrays<float> bounds = random_bounds(shape, 2);
    for (const Ball& ball : kBalls) {
      const HostIntervals<float> out = concretise(stream, bounds, ball);
      const oracle::Intervals exact = oracle::concretise(bounds.as<double>(), ball);
      for (std::size_t i = 0; i < exact.lower.size(); ++i) {
        REQUIRE(static_cast<double>(out.lower[i]) == Approx(exact.lower[i]).margin(1e-5));
        REQUIRE(static_cast<double>(out.upper[i]) == Approx(exact.upper[i]).margin(1e-5));
      }
    }
  }
}

TEST_CASE("every relaxation is the oracle's in every ball", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const Relaxation relaxation : kRelaxations) {
    for (const BoundShape& shape : kShapes) {
      const BoundArrays<float> bounds = input_of(relaxation, shape);
      for (const Ball& ball : kBalls) {
        INFO("relaxation " << static_cast<int>(relaxation) << ", " << shape.inputs << " inputs, "
                           << shape.channels << " channels, norm " << static_cast<int>(ball.norm));
        REQUIRE(worst_error(relax(stream, relaxation, bounds, ball),
                            oracle::relax(relaxation, bounds.as<double>(), ball)) < 1e-5);
      }
    }
  }
}

TEST_CASE("a relaxation in place gives the same bits", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const Relaxation relaxation : kRelaxations) {
    const BoundArrays<float> bounds = input_of(relaxation, {2, 20, 40});
    CHECK(same_bits(relax(stream, relaxation, bounds, kBalls[0], true),
                    relax(stream, relaxation, bounds, kBalls[0], false)));
  }
}

TEST_CASE("softmax's product is the oracle's", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const auto& [shape, group] :
       {std::pair(BoundShape{2, 6, 33}, 11), std::pair(BoundShape{3, 20, 64}, 16),
        std::pair(BoundShape{1, 2, 5}, 1)}) {
    for (const float shift : {0.0f, 4.0f}) {  // of any sign, and positive as in a softmax
      const BoundArrays<float> x = random_bounds(shape, 3, 0.3f, shift),
                               y = random_bounds(shape.with_channels(shape.channels / group), 4, 0.3f, shift);
      for (const Ball& ball : kBalls)
        REQUIRE(worst_error(product(stream, x, y, group, ball),
                            oracle::product(x.as<double>(), y.as<double>(), group, ball)) < 1e-5);
    }
  }
}

TEST_CASE("sums over groups, and layer norm without the variance, are the oracle's", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const auto& [shape, group] : {std::pair(BoundShape{2, 6, 66}, 33), std::pair(BoundShape{3, 9, 24}, 8),
                                     std::pair(BoundShape{1, 1, 1}, 1)}) {
    const BoundArrays<float> a = random_bounds(shape, 3), b = random_bounds(shape, 4);
    CHECK(worst_error(group_sum(stream, a, group), oracle::group_sum(a.as<double>(), group)) < 1e-5);
    CHECK(worst_error(add_normalise(stream, a, b, {}, {}),
                      oracle::add_normalise(a.as<double>(), b.as<double>(), {}, {})) < 1e-5);
    if (shape.channels == 1) continue;  // of one channel nothing is left
    const std::vector<float> scale = scales_of(shape.channels), shift = shifts_of(shape.channels);
    CHECK(worst_error(add_normalise(stream, a, b, scale, shift),
                      oracle::add_normalise(a.as<double>(), b.as<double>(), wide(scale), wide(shift))) <
          1e-5);
  }
}

TEST_CASE("attention's inner products are the oracle's, scores and values", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const DotShape& shape : dot_shapes()) {
    INFO((shape.kind == DotKind::scores ? "scores " : "values ")
         << shape.rows << " x " << shape.columns << " x " << shape.inner);
    const DotProblem p = dot_problem(shape);
    REQUIRE(worst_error(dot(stream, p), expected(p)) < 1e-5);
  }
}

TEST_CASE("bound operations have the same bits in every schedule", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  const BoundArrays<float> x = random_bounds({2, 20, 48}, 3, 0.3f, 4.0f),
                           y = random_bounds({2, 20, 4}, 4, 0.3f, 4.0f);
  const DotProblem p = dot_problem(score_shape(34, 3, 2, 20));
  const auto all = [&] {
    std::vector<BoundArrays<float>> results;
    for (const Relaxation relaxation : kRelaxations)
      results.push_back(relax(stream, relaxation, input_of(relaxation, {2, 20, 48}), kBalls[1]));
    results.push_back(product(stream, x, y, 12, kBalls[0]));
    results.push_back(group_sum(stream, x, 12));
    results.push_back(add_normalise(stream, x, x, scales_of(48), shifts_of(48)));
    results.push_back(dot(stream, p));
    return results;
  };
  const auto first = all();
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    device.engine().set_schedule(seed);
    const auto again = all();
    for (std::size_t i = 0; i < first.size(); ++i) CHECK(same_bits(again[i], first[i]));
  }
}

TEST_CASE("the formulas of bound operations are what they execute and move", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  Device<Simt> device;
  Stream<Simt> stream(device);
  const auto check = [&](const char* name, const BoundWork& work, double tolerance, auto run) {
    device.engine().reset_counts();
    run();
    const auto counts = device.engine().counts(name);
    INFO(name);
    CHECK(static_cast<double>(counts[simt::Counter::scalar_flops]) ==
          Approx(work.flops).epsilon(tolerance).margin(1));
    CHECK(static_cast<double>(counts[simt::Counter::special_functions]) ==
          Approx(work.special).epsilon(tolerance));
    CHECK(static_cast<double>(counts[simt::Counter::distinct_global_bytes_read] +
                              counts[simt::Counter::distinct_global_bytes_written]) == work.bytes);
  };
  const BoundShape shape{2, 40, 48};
  const BoundArrays<float> x = random_bounds(shape, 3, 0.3f, 4.0f),
                           y = random_bounds(shape.with_channels(4), 4, 0.3f, 4.0f);
  for (const Ball& ball : kBalls) {
    for (const Relaxation relaxation : kRelaxations) {
      INFO("relaxation " << static_cast<int>(relaxation) << ", norm " << static_cast<int>(ball.norm));
      // Of ReLU's lines and tanh's, what the interval's signs need.
      check("bound_relax", bound_relax_work(relaxation, shape, ball), 0.03,
            [&] { relax(stream, relaxation, input_of(relaxation, shape), ball); });
    }
    check("bound_concretise", bound_concretise_work(shape, ball), 1e-9, [&] { concretise(stream, x, ball); });
    check("bound_product", bound_product_work(shape, 12, ball), 0.02,
          [&] { product(stream, x, y, 12, ball); });
  }
  check("bound_group_sum", bound_group_sum_work(shape, 12), 1e-9, [&] { group_sum(stream, x, 12); });
  check("bound_add_normalise", bound_add_normalise_work(shape, true), 1e-9,
        [&] { add_normalise(stream, x, x, scales_of(48), shifts_of(48)); });
  check("bound_add_normalise", bound_add_normalise_work(shape, false), 1e-9,
        [&] { add_normalise(stream, x, x, {}, {}); });
  for (const DotShape& dots : dot_shapes())
    check("bound_dot", bound_dot_work(dots), 1e-9, [&, p = dot_problem(dots)] { dot(stream, p); });
}

TEST_CASE("bound operations refuse what doesn't fit", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  const BoundArrays<float> bounds = random_bounds({2, 6, 8}, 1);
  CHECK_THROWS_WITH(relax(stream, Relaxation::relu, bounds, {0.1, BallNorm::two, 4}),
                    ContainsSubstring("each of 4 words; words must divide the 6 inputs"));
  CHECK_THROWS_WITH(group_sum(stream, bounds, 3), ContainsSubstring("groups of 3 of 8 channels"));
  CHECK_THROWS_WITH(add_normalise(stream, bounds, bounds, std::vector<float>(7), std::vector<float>(8)),
                    ContainsSubstring("need 8 values each"));
  DotProblem p = dot_problem(score_shape(5, 6, 2, 12));
  p.shape.y_first = 30;
  CHECK_THROWS_WITH(dot(stream, p), ContainsSubstring("y's heads reach beyond its 36 channels"));
}

TEST_CASE("On a GPU bound operations agree with the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    for (const Relaxation relaxation : kRelaxations) {
      for (const Ball& ball : kBalls) {
        const BoundArrays<float> bounds = input_of(relaxation, {3, 40, 64});
        CHECK(worst_error(relax(bench.stream(), relaxation, bounds, ball),
                          oracle::relax(relaxation, bounds.as<double>(), ball)) <
              1e-4);  // its own exp and tanh
      }
    }
    for (const DotShape& shape : dot_shapes())
      CHECK(worst_error(dot(bench.stream(), dot_problem(shape)), expected(dot_problem(shape))) < 1e-5);
    const BoundArrays<float> x = random_bounds({2, 20, 48}, 3, 0.3f, 4.0f),
                             y = random_bounds({2, 20, 4}, 4, 0.3f, 4.0f);
    CHECK(worst_error(product(bench.stream(), x, y, 12, kBalls[0]),
                      oracle::product(x.as<double>(), y.as<double>(), 12, kBalls[0])) < 1e-5);
    CHECK(worst_error(group_sum(bench.stream(), x, 12), oracle::group_sum(x.as<double>(), 12)) < 1e-5);
    CHECK(worst_error(add_normalise(bench.stream(), x, x, scales_of(48), shifts_of(48)),
                      oracle::add_normalise(x.as<double>(), x.as<double>(), wide(scales_of(48)),
                                            wide(shifts_of(48)))) < 1e-5);
  });
}
