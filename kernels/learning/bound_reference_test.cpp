// SPDX-License-Identifier: Apache-2.0
//
// The CPU's one-pass operations against the plain loops: in double to the last digits, in float to float's;
// on any number of threads.
#include "kernels/learning/bound_reference.h"

#include <testing/catch.h>

#include "kernels/device/testing/normal_values.h"
#include "kernels/learning/testing/bound_problem.h"

using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

const Ball kBalls[] = {{0.3, BallNorm::two, 1}, {0.3, BallNorm::infinity, 2}, {0.3, BallNorm::one, 2}};

template <class Scalar>
std::vector<Scalar> as(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

template <class Scalar>
double limit() {
  return sizeof(Scalar) == 8 ? 1e-12 : 1e-5;
}

template <class Scalar>
void check_all(int threads) {
  const BoundShape shape{3, 10, 24};
  const BoundArrays<float> single = random_bounds(shape, 1, 0.3f, 4.0f), other = random_bounds(shape, 2);
  const BoundArrays<Scalar> x = single.as<Scalar>(), z = other.as<Scalar>();
  const BoundArrays<double> wide_x = single.as<double>(), wide_z = other.as<double>();

  const std::vector<float> matrix = normal_values(24 * 7, 5), offset = normal_values(7, 6),
                           scale = normal_values(24, 7), shift = normal_values(24, 8);
  BoundArrays<Scalar> product_out(shape.with_channels(7));
  bound_matmul_reference<Scalar>(shape, 7, z.constant(), as<Scalar>(matrix), as<Scalar>(offset),
                                 product_out.spans(), threads);
  CHECK(worst_error(product_out, oracle::matmul(wide_z, 7, wide(matrix), wide(offset))) < limit<Scalar>());

  BoundArrays<Scalar> out(shape);
  bound_add_normalise_reference<Scalar>(shape, x.constant(), z.constant(),
                                        {as<Scalar>(scale), as<Scalar>(shift)}, out.spans(), threads);
  CHECK(worst_error(out, oracle::add_normalise(wide_x, wide_z, wide(scale), wide(shift))) < limit<Scalar>());
  bound_add_normalise_reference<Scalar>(shape, x.constant(), z.constant(), {}, out.spans(), threads);
  CHECK(worst_error(out, oracle::add_normalise(wide_x, wide_z, {}, {})) < limit<Scalar>());

  BoundArrays<Scalar> sums(shape.with_channels(4));
  bound_group_sum_reference<Scalar>(shape, 6, z.constant(), sums.spans(), threads);
  CHECK(worst_error(sums, oracle::group_sum(wide_z, 6)) < limit<Scalar>());

  for (const Ball& ball : kBalls) {
    std::vector<Scalar> lower(shape.biases()), upper(shape.biases());
    bound_concretise_reference<Scalar>(shape, ball, z.constant(), lower, upper, threads);
    const oracle::Intervals exact = oracle::concretise(wide_z, ball);
    for (std::size_t i = 0; i < lower.size(); ++i) {
      REQUIRE(static_cast<double>(lower[i]) == Approx(exact.lower[i]).margin(limit<Scalar>()));
      REQUIRE(static_cast<double>(upper[i]) == Approx(exact.upper[i]).margin(limit<Scalar>()));
    }
    for (const Relaxation relaxation :
         {Relaxation::relu, Relaxation::tanh, Relaxation::exponential, Relaxation::square}) {
      bound_relax_reference<Scalar>(relaxation, shape, ball, z.constant(), out.spans(), threads);
      CHECK(worst_error(out, oracle::relax(relaxation, wide_z, ball)) < limit<Scalar>());
    }
    for (const Relaxation relaxation : {Relaxation::reciprocal, Relaxation::square_root}) {
      const BoundArrays<float> positive = random_bounds(shape, 3, 0.2f, 12.0f);
      const BoundArrays<Scalar> p = positive.as<Scalar>();
      bound_relax_reference<Scalar>(relaxation, shape, ball, p.constant(), out.spans(), threads);
      CHECK(worst_error(out, oracle::relax(relaxation, positive.as<double>(), ball)) < limit<Scalar>());
    }
    bound_product_reference<Scalar>(shape, 6, ball, z.constant(), sums.constant(), out.spans(), threads);
    CHECK(worst_error(out, oracle::product(wide_z, oracle::group_sum(wide_z, 6), 6, ball)) < limit<Scalar>());
  }

  for (const DotShape& dots : {score_shape(5, 6, 2, 12), value_shape(5, 6, 2, 12), score_shape(1, 1, 1, 1)}) {
    const BoundArrays<float> of_x = random_bounds(dots.x_shape(), 5), of_y = random_bounds(dots.y_shape(), 6);
    const HostIntervals<float> xi = narrow(oracle::concretise(of_x.as<double>(), kBalls[0])),
                               yi = narrow(oracle::concretise(of_y.as<double>(), kBalls[0]));
    const BoundArrays<Scalar> xs = of_x.as<Scalar>(), ys = of_y.as<Scalar>();
    BoundArrays<Scalar> result(dots.out_shape());
    bound_dot_reference<Scalar>(dots, xs.constant(), as<Scalar>(xi.lower), ys.constant(),
                                as<Scalar>(yi.lower), as<Scalar>(yi.upper), result.spans(), threads);
    CHECK(worst_error(result, oracle::dot(dots, of_x.as<double>(), widened(xi), of_y.as<double>(),
                                          widened(yi))) < limit<Scalar>());
  }
}

}  // namespace

TEST_CASE("one-pass bounds are the plain loops' in float and double, on any number of threads", "[cpu]") {
  for (const int threads : {1, 3}) {
    check_all<double>(threads);
    check_all<float>(threads);
  }
}

TEST_CASE("a relaxation of the reference works in place", "[cpu]") {
  const BoundArrays<float> bounds = random_bounds({2, 7, 9}, 1);
  BoundArrays<float> out(bounds.shape), in_place = bounds;
  bound_relax_reference<float>(Relaxation::tanh, bounds.shape, kBalls[0], bounds.spans(), out.spans());
  bound_relax_reference<float>(Relaxation::tanh, bounds.shape, kBalls[0], in_place.constant(),
                               in_place.spans());
  CHECK(same_bits(out, in_place));
}

TEST_CASE("the oracle's product of intervals is the smallest and largest that there is", "[cpu]") {
  // A corner of the box for each output: w > 0 takes the lower end for the least, the upper for the most.
  const std::vector<double> lower = {-1, 2, 0}, upper = {1, 3, 0.5}, matrix = {2, -1, 4, -3, 0, 1},
                            offset = {10, 20};
  std::vector<double> low(2), high(2);
  oracle::interval_matmul(lower, upper, matrix, offset, 3, 2, low, high);
  CHECK(low == std::vector<double>{10 - 2 - 3 + 0, 20 - 3 + 0 + 0});
  CHECK(high == std::vector<double>{10 + 2 - 2 + 2, 20 + 3 + 0 + 0.5});
}
