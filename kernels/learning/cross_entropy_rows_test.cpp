// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/cross_entropy_rows.h"

#include <testing/catch.h>
#include <Eigen/Core>
#include <cmath>

#include "kernels/device/philox.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/loss_arithmetic.h"
#include "kernels/learning/testing/gradient_check.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using Catch::Matchers::ContainsSubstring;
using remeasure::testing::TestBench;

namespace {

struct Rows {
  RowLossShape shape;
  std::vector<float> logits;
  std::vector<std::uint16_t> labels;
};

/// Normal logits of deviation `spread`; every third row has its label's logit 40 above, which collapses it.
Rows rows_of(int rows, int classes, float spread = 4) {
  Rows r{{rows, classes}, {}, {}};
  for (int i = 0; i < rows; ++i) {
    const int label = i * 7 % classes;
    r.labels.push_back(static_cast<std::uint16_t>(label));
    for (int k = 0; k < classes; ++k) {
      const auto index = static_cast<std::uint64_t>(i * classes + k);
      const auto z = static_cast<float>(normal_double(philox(5, index)).first) * spread;
      r.logits.push_back(z + (i % 3 == 0 && k == label ? 40.0f : 0.0f));
    }
  }
  return r;
}

struct Result {
  std::vector<float> gradient, losses;
  std::vector<std::uint32_t> collapsed;
  bool operator==(const Result&) const = default;
};

template <class Q, RowLoss kLoss, class Target>
Result on_device(TestBench<Target>& bench, const Rows& r) {
  const auto logits = bench.upload(r.logits);
  const auto labels = bench.upload(r.labels);
  auto gradient = bench.template output<float>(r.shape.logits());
  auto losses = bench.template output<float>(r.labels.size());
  auto collapsed = bench.template output<std::uint32_t>(r.shape.mask_words());
  cross_entropy_rows<Target, Q, kLoss>(bench.stream(), r.shape, logits.span(), labels.span(), gradient,
                                       losses, collapsed);
  return {bench.download(gradient), bench.download(losses), bench.download(collapsed)};
}

template <class Q, RowLoss kLoss>
Result in_loops(const Rows& r) {
  Result result{std::vector<float>(r.logits.size()), {}, std::vector<std::uint32_t>(r.shape.mask_words(), 0)};
  std::vector<double> losses(r.labels.size());
  const int collapsed =
      cross_entropy_rows_reference<Q, kLoss, float>(r.shape, r.logits, r.labels, result.gradient, losses);
  int counted = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    result.losses.push_back(static_cast<float>(losses[i]));
    if (losses[i] != 0) continue;
    result.collapsed[i / 32] |= 1u << (i % 32);
    ++counted;
  }
  CHECK(collapsed == counted);
  return result;
}

template <class Q>
bool collapses(float gap, int classes = 2) {
  Rows r{{1, classes}, std::vector<float>(static_cast<std::size_t>(classes), 0.0f), {0}};
  r.logits[0] = gap;
  TestBench<Simt> bench;
  const Result result = on_device<Q, RowLoss::softmax>(bench, r);
  CHECK(result == in_loops<Q, RowLoss::softmax>(r));
  CHECK((result.losses[0] == 0) == (result.collapsed[0] == 1));
  return result.collapsed[0] == 1;
}

template <class Q>
void compare_losses(TestBench<Simt>& bench, const Rows& r) {
  CHECK(on_device<Q, RowLoss::softmax>(bench, r) == in_loops<Q, RowLoss::softmax>(r));
  CHECK(on_device<Q, RowLoss::stable_max>(bench, r) == in_loops<Q, RowLoss::stable_max>(r));
}

}  // namespace

TEST_CASE("cross_entropy_rows is the loop, bit for bit, in every precision and at odd sizes", "[simt]") {
  TestBench<Simt> bench;
  for (const auto& [rows, classes] :
       {std::pair{1, 1}, {5, 2}, {33, 31}, {32, 32}, {70, 33}, {40, 113}, {3, 128}}) {
    INFO(rows << " x " << classes);
    const Rows r = rows_of(rows, classes);
    compare_losses<half>(bench, r);
    compare_losses<float>(bench, r);
    compare_losses<double>(bench, r);
  }
}

TEST_CASE("cross_entropy_rows has the same bits in every schedule", "[simt]") {
  TestBench<Simt> bench;
  const Rows r = rows_of(70, 113);
  const Result first = on_device<float, RowLoss::softmax>(bench, r);
  for (const std::uint64_t seed : {1, 2, 3}) {
    bench.device().engine().set_schedule(seed);
    CHECK(on_device<float, RowLoss::softmax>(bench, r) == first);
    CHECK(on_device<half, RowLoss::stable_max>(bench, r) == in_loops<half, RowLoss::stable_max>(r));
  }
}

TEST_CASE("the loops are the definition of both losses", "[cpu]") {
  const Rows r = rows_of(20, 7, 2);
  std::vector<double> logits(r.logits.begin(), r.logits.end()), gradient(logits.size()), losses(20);
  for (const RowLoss loss : {RowLoss::softmax, RowLoss::stable_max}) {
    const auto run = [&](std::span<double> to) {
      return loss == RowLoss::softmax ? cross_entropy_rows_reference<double, RowLoss::softmax, double>(
                                            r.shape, logits, r.labels, to, losses)
                                      : cross_entropy_rows_reference<double, RowLoss::stable_max, double>(
                                            r.shape, logits, r.labels, to, losses);
    };
    run(gradient);
    for (std::size_t i = 0; i < 20; ++i) {
      long double sum = 0, of_label = 0;
      for (std::size_t k = 0; k < 7; ++k) {
        const long double z = static_cast<long double>(logits[i * 7 + k]);
        const long double s = loss == RowLoss::softmax ? std::exp(z) : z >= 0 ? z + 1 : 1 / (1 - z);
        sum += s;
        if (k == r.labels[i]) of_label = s;
      }
      CHECK(std::abs(losses[i] - static_cast<double>(-std::log(of_label / sum))) < 1e-13);
    }
    std::vector<double> ignored(logits.size());
    const auto mean = [&] {
      run(ignored);
      double total = 0;
      for (const double each : losses) total += each / 20;
      return total;
    };
    const std::vector<double> by_logits = gradient;
    CHECK(kernels::testing::gradient_error(mean, logits, by_logits, 1e-5, 140) < 1e-6);
  }
}

TEST_CASE("a row collapses where 1 absorbs the others: at 11, 24 and 53 bits", "[simt]") {
  CHECK_FALSE(collapses<half>(7.5f));  // 11 ln 2 = 7.62
  CHECK(collapses<half>(7.75f));
  CHECK_FALSE(collapses<float>(16.5f));  // 24 ln 2 = 16.64
  CHECK(collapses<float>(16.75f));
  CHECK_FALSE(collapses<double>(36.5f));  // 53 ln 2 = 36.74
  CHECK(collapses<double>(37.0f));
  // 112 terms of 2.5e-8 each are absorbed one by one, but not when lanes add them up first.
  CHECK_FALSE(collapses<float>(17.5f, 113));
  CHECK(collapses<float>(25.0f, 113));
}

TEST_CASE("of a collapsed row the label's gradient is exactly 0, that of the others isn't", "[simt]") {
  TestBench<Simt> bench;
  const Rows r{{1, 3}, {20, 0, 0}, {0}};
  const Result result = on_device<float, RowLoss::softmax>(bench, r);
  CHECK(result.gradient[0] == 0);
  CHECK(result.gradient[1] > 1e-9f);
  CHECK(result.gradient[1] == result.gradient[2]);
  const Result of_half = on_device<half, RowLoss::softmax>(bench, r);
  CHECK(of_half.gradient == std::vector<float>{0, 0, 0});  // e^-20 is below half's least number
  const Result stable = on_device<double, RowLoss::stable_max>(bench, r);
  CHECK(stable.collapsed[0] == 0);
  CHECK(stable.gradient[0] < -1e-3f);
}

TEST_CASE("StableMax's s is continuous with slope 1 at 0 from both sides", "[cpu]") {
  // loss(x) = -log(s(x) / (s(x) + s(0))): by its gradient at both sides, and far off where s' = s^2 << 1.
  const auto gradient = [](double x) {
    const std::vector<double> logits{x, 0.0};
    const std::vector<std::uint16_t> labels{0};
    std::vector<double> by_logits(2), losses(1);
    cross_entropy_rows_reference<double, RowLoss::stable_max, double>({1, 2}, logits, labels, by_logits,
                                                                      losses);
    return std::pair{losses[0], by_logits[0]};
  };
  CHECK(std::abs(gradient(0).first - std::log(2.0)) < 1e-15);
  CHECK(std::abs(gradient(-1e-9).first - gradient(1e-9).first) < 2e-9);
  CHECK(std::abs(gradient(-1e-9).second - gradient(1e-9).second) < 1e-8);
  CHECK(std::abs(gradient(0).second + 0.5) < 1e-15);
  CHECK(std::abs(gradient(-9).second) < 0.1 * std::abs(gradient(0).second) + 0.1);
}

TEST_CASE("arithmetic in half rounds as half does", "[cpu]") {
  using A = LossArithmetic<half>;
  const auto agree = [](float ours, Eigen::half theirs) { return ours == static_cast<float>(theirs); };
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const NormalPair<double> pair = normal_double(philox(9, i));
    const auto a = Eigen::half(static_cast<float>(pair.first * 8)),
               b = Eigen::half(static_cast<float>(pair.second * 0.1));
    const auto x = static_cast<float>(a), y = static_cast<float>(b);
    REQUIRE(agree(A::round(x + y), a + b));
    REQUIRE(agree(A::round(x - y), a - b));
    REQUIRE(agree(A::round(x / y), a / b));
    REQUIRE(agree(A::round(x * y), a * b));
  }
}

TEST_CASE("cross_entropy_rows refuses sizes that don't fit", "[simt]") {
  TestBench<Simt> bench;
  Rows r = rows_of(4, 3);
  r.shape.rows = 5;
  CHECK_THROWS_WITH((on_device<float, RowLoss::softmax>(bench, r)), ContainsSubstring("12 logits"));
  r.shape = {4, 129};
  CHECK_THROWS_WITH((on_device<float, RowLoss::softmax>(bench, r)), ContainsSubstring("1 to 128 classes"));
  CHECK_THROWS((in_loops<float, RowLoss::softmax>(r)));
}

TEST_CASE("On a GPU cross_entropy_rows collapses the same rows", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    const Rows r = rows_of(500, 113);
    const Result gpu = on_device<float, RowLoss::softmax>(bench, r),
                 cpu = in_loops<float, RowLoss::softmax>(r);
    CHECK(gpu.collapsed == cpu.collapsed);
    for (std::size_t i = 0; i < cpu.gradient.size(); ++i)
      REQUIRE(std::abs(gpu.gradient[i] - cpu.gradient[i]) < 1e-9f);
  });
}
