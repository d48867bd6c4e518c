// SPDX-License-Identifier: Apache-2.0
//
// The unfused graph against the oracle: in Eigen, and as launches on Simt with plain products in the
// library's place. Fused and unfused verification agree in double to the last digits, which is what fusing is
// allowed to change.
#include "baselines/learning/unfused_bounds.h"

#include <testing/catch.h>
#include <cmath>

#include "baselines/learning/unfused_bounds_eigen.h"
#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/testing/verifier_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using baselines::MatmulProblem;
using baselines::UnfusedBounds;
using baselines::UnfusedForm;

namespace {

/// What cuBLAS does, in loops over the same addresses.
class PlainProducts : public baselines::Products {
 public:
  void operator()(const MatmulProblem& p, const float* a, const float* b, float* c) override {
    baselines::check_problem(p);
    const int lda = p.lda > 0       ? p.lda
                    : p.transpose_a ? p.inner
                                    : p.rows,
              ldb = p.ldb > 0       ? p.ldb
                    : p.transpose_b ? p.columns
                                    : p.inner;
    const int ldc = p.ldc > 0 ? p.ldc : p.rows;
    for (std::ptrdiff_t batch = 0; batch < p.batch; ++batch) {
      for (std::ptrdiff_t j = 0; j < p.columns; ++j) {
        for (std::ptrdiff_t i = 0; i < p.rows; ++i) {
          double sum = 0;
          for (std::ptrdiff_t k = 0; k < p.inner; ++k) {
            const float left = a[batch * p.stride_a + (p.transpose_a ? i * lda + k : k * lda + i)];
            const float right = b[batch * p.stride_b + (p.transpose_b ? k * ldb + j : j * ldb + k)];
            sum += static_cast<double>(left) * static_cast<double>(right);
          }
          float& to = c[batch * p.stride_c + j * ldc + i];
          to = static_cast<float>(p.alpha * sum + (p.beta != 0 ? p.beta * static_cast<double>(to) : 0));
        }
      }
    }
  }
  std::string setting() const override { return "loops"; }
};

const Ball kBall{0.3, BallNorm::two, 2};

/// Runs `body(graph, products' device stream)` on Simt, or on a GPU with cuBLAS.
template <class Target>
void check_graph(Stream<Target>& stream, baselines::Products& products, double limit) {
  for (const UnfusedForm form : {UnfusedForm::four_products, UnfusedForm::centre}) {
    UnfusedBounds<Target> graph(stream, products, form);
    const BoundArrays<float> z = random_bounds({3, 10, 24}, 2), x = random_bounds({3, 10, 24}, 3, 0.3f, 4.0f);
    const BoundArrays<double> wide_z = z.as<double>(), wide_x = x.as<double>();
    const std::vector<float> matrix = normal_values(24 * 7, 5), offset = normal_values(7, 6),
                             scale = normal_values(24, 7), shift = normal_values(24, 8);
    DeviceBounds<Target> of_z(stream, z), of_x(stream, x), out(stream, z.shape),
        seven(stream, z.shape.with_channels(7)), sums(stream, z.shape.with_channels(4));
    const auto m = on_device(stream, matrix), o = on_device(stream, offset), by = on_device(stream, scale),
               plus = on_device(stream, shift);
    graph.matmul(z.shape, 7, of_z.in(), m.span(), o.span(), seven.out());
    CHECK(worst_error(seven.get(), oracle::matmul(wide_z, 7, wide(matrix), wide(offset))) < limit);
    for (const Relaxation relaxation : {Relaxation::relu, Relaxation::tanh, Relaxation::exponential}) {
      graph.relax(relaxation, z.shape, kBall, of_z.in(), out.out());
      CHECK(worst_error(out.get(), oracle::relax(relaxation, wide_z, kBall)) < limit);
    }
    graph.group_sum(6, of_x.in(), sums.out());
    const BoundArrays<double> exact_sums = oracle::group_sum(wide_x, 6);
    CHECK(worst_error(sums.get(), exact_sums) < limit);
    graph.product(x.shape, 6, kBall, of_z.in(), sums.in(), out.out());
    CHECK(worst_error(out.get(), oracle::product(wide_z, exact_sums, 6, kBall)) < limit);
    graph.add_normalise(x.shape, of_x.in(), of_z.in(), by.span(), plus.span(), out.out());
    CHECK(worst_error(out.get(), oracle::add_normalise(wide_x, wide_z, wide(scale), wide(shift))) < limit);
    for (const DotShape& shape : {score_shape(5, 6, 2, 12), value_shape(5, 6, 2, 12)}) {
      const BoundArrays<float> a = random_bounds(shape.x_shape(), 5), b = random_bounds(shape.y_shape(), 6);
      const HostIntervals<float> ai = narrow(oracle::concretise(a.as<double>(), kBall)),
                                 bi = narrow(oracle::concretise(b.as<double>(), kBall));
      DeviceBounds<Target> of_a(stream, a), of_b(stream, b), dots(stream, shape.out_shape());
      const auto al = on_device(stream, ai.lower), bl = on_device(stream, bi.lower),
                 bu = on_device(stream, bi.upper);
      graph.dot(shape, of_a.in(), al.span(), of_b.in(), bl.span(), bu.span(), dots.out());
      CHECK(worst_error(dots.get(), oracle::dot(shape, a.as<double>(), widened(ai), b.as<double>(),
                                                widened(bi))) < limit);
    }
  }
}

}  // namespace

TEST_CASE("the unfused graph of launches is the oracle, with four products and with two", "[simt]") {
  remeasure::testing::TestBench<Simt> bench;
  PlainProducts products;
  check_graph(bench.stream(), products, 1e-5);
}

TEST_CASE("On a GPU the unfused graph with cuBLAS is the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    baselines::CublasProducts products(bench.stream());
    check_graph(bench.stream(), products, 1e-5);  // TF32 would be a hundred times that
  });
}

TEST_CASE("Eigen's four and eight products are the oracle, whoever cuts the work", "[cpu]") {
  using baselines::EigenThreads;
  for (const EigenThreads threads : {EigenThreads::own, EigenThreads::tasks}) {
    // More than a block of rows, and not whole blocks.
    const BoundArrays<float> z = random_bounds({9, 60, 24}, 2), large = random_bounds({7, 130, 150}, 4);
    const std::vector<float> matrix = normal_values(24 * 7, 5), offset = normal_values(7, 6);
    BoundArrays<float> seven(z.shape.with_channels(7)), out(z.shape), relaxed(large.shape);
    baselines::unfused_matmul_eigen<float>(z.shape, 7, z.spans(), matrix, offset, seven.spans(), threads);
    CHECK(worst_error(seven, oracle::matmul(z.as<double>(), 7, wide(matrix), wide(offset))) < 1e-5);
    for (const BallNorm norm : {BallNorm::one, BallNorm::two, BallNorm::infinity}) {
      const Ball ball{0.3, norm, 2};
      baselines::unfused_relax_eigen<float>(Relaxation::relu, z.shape, ball, z.spans(), out.spans(), threads);
      CHECK(worst_error(out, oracle::relax(Relaxation::relu, z.as<double>(), ball)) < 1e-5);
    }
    baselines::unfused_relax_eigen<float>(Relaxation::tanh, large.shape, kBall, large.spans(),
                                          relaxed.spans(), threads);
    CHECK(worst_error(relaxed, oracle::relax(Relaxation::tanh, large.as<double>(), kBall)) < 1e-5);
    for (const DotShape& shape : {score_shape(5, 60, 2, 12), value_shape(5, 60, 2, 12)}) {
      const BoundArrays<double> a = random_bounds(shape.x_shape(), 5).as<double>(),
                                b = random_bounds(shape.y_shape(), 6).as<double>();
      const oracle::Intervals ai = oracle::concretise(a, kBall), bi = oracle::concretise(b, kBall);
      BoundArrays<double> dots(shape.out_shape());
      baselines::unfused_dot_eigen<double>(shape, a.spans(), ai.lower, b.spans(), bi.lower, bi.upper,
                                           dots.spans(), threads);
      CHECK(worst_error(dots, oracle::dot(shape, a, ai, b, bi)) < 1e-12);
    }
    const VerifierProblem p = random_transformer(6, 12, 2, 20, 2, {{1, 4}, {0.002, BallNorm::two, 2}});
    CHECK(worst_error(margin_bounds<double>(p.model, p.label, p.embedding, p.perturbation),
                      baselines::unfused_margin_eigen<double>(p.model, p.label, p.embedding, p.perturbation,
                                                              threads)) < 1e-12);
  }
}

TEST_CASE("fused and unfused verification agree: 1e-12 in double, in float what narrow intervals leave",
          "[cpu]") {
  for (const auto& [layers, rows] :
       {std::pair(1, std::vector<int>{2}), std::pair(2, std::vector<int>{1, 4})}) {
    const VerifierProblem p = random_transformer(
        6, 12, 2, 20, layers, {rows, {0.002, BallNorm::two, static_cast<int>(rows.size())}});
    const BoundArrays<double> fused = margin_bounds<double>(p.model, p.label, p.embedding, p.perturbation);
    CHECK(worst_error(fused, baselines::unfused_margin_eigen<double>(p.model, p.label, p.embedding,
                                                                     p.perturbation)) < 1e-12);
    // A line's slope is a ratio of widths, of 2 radius at least, and rounding moves their ends by u sqrt(20):
    // 7e-5 in the first layer. The second starts from intervals that are a thousandth of their values and
    // whose ends have rounding errors already.
    const double limit = layers == 1 ? std::ldexp(std::sqrt(20.0), -24) / (2 * 0.002) : 1e-3;
    const auto single = baselines::unfused_margin_eigen<float>(p.model, p.label, p.embedding, p.perturbation);
    CHECK(worst_error(margin_bounds<float>(p.model, p.label, p.embedding, p.perturbation),
                      single.as<double>()) < limit);
  }
}
