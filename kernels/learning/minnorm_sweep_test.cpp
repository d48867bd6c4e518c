// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/minnorm_sweep.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/minnorm_sweep_reference.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Problem {
  SweepShape shape;
  std::vector<int> sizes;
  std::vector<float> x, y, beta, variance;

  SweepHostData host() const { return {x, y, beta, variance}; }
  std::size_t problems() const { return static_cast<std::size_t>(shape.trials) * sizes.size(); }
};

Problem make_problem(int trials, int n, int features, std::vector<int> sizes, bool isotropic = true) {
  Problem p;
  p.shape = {.trials = trials, .samples = n, .features = features, .noise = 0.04, .isotropic = isotropic};
  p.sizes = std::move(sizes);
  std::mt19937 random(static_cast<unsigned>(n * 1000 + features));
  std::normal_distribution<float> normal;
  for (int j = 0; j < features; ++j) {
    p.variance.push_back(isotropic ? 1.0f : 0.1f + 2.0f / static_cast<float>(1 + j % 7));
    p.beta.push_back(normal(random) / std::sqrt(static_cast<float>(features)));
  }
  p.x.resize(static_cast<std::size_t>(trials * features * n));
  p.y.assign(static_cast<std::size_t>(trials * n), 0.0f);
  for (int t = 0; t < trials; ++t) {
    for (int j = 0; j < features; ++j) {
      for (int i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>((t * features + j) * n + i),
                   column = static_cast<std::size_t>(j);
        p.x[at] = std::sqrt(p.variance[column]) * normal(random);
        p.y[static_cast<std::size_t>(t * n + i)] += p.beta[column] * p.x[at];
      }
    }
    for (int i = 0; i < n; ++i) p.y[static_cast<std::size_t>(t * n + i)] += 0.2f * normal(random);
  }
  return p;
}

enum class Kernel { nested, naive };

struct Output {
  std::vector<float> risk, beta_hat;
};

template <class Target>
Output run(Device<Target>& device, Kernel kernel, const Problem& p, bool with_estimates = false) {
  Stream<Target> stream(device);
  const auto upload = [&](const std::vector<float>& host) {
    DeviceBuffer<Target, float> buffer(device, host.size(), MemoryUse::input, "input");
    stream.upload(std::span<const float>(host), buffer.span());
    return buffer;
  };
  const auto x = upload(p.x), y = upload(p.y), beta = upload(p.beta), variance = upload(p.variance);
  DeviceBuffer<Target, float> risk(device, p.problems(), MemoryUse::output, "risk");
  DeviceBuffer<Target, float> beta_hat(device, with_estimates ? p.problems() * p.beta.size() : 0,
                                       MemoryUse::output, "beta_hat");
  const SweepData<Target> data{x.span(), y.span(), beta.span(), variance.span()};
  if (kernel == Kernel::nested)
    minnorm_sweep<Target>(stream, p.shape, p.sizes, data, risk.span());
  else
    minnorm_sweep_naive<Target>(stream, p.shape, p.sizes, data, risk.span(), beta_hat.span());
  Output out{std::vector<float>(p.problems()), std::vector<float>(beta_hat.size())};
  stream.download(std::as_const(risk).span(), std::span<float>(out.risk));
  if (with_estimates) stream.download(std::as_const(beta_hat).span(), std::span<float>(out.beta_hat));
  return out;
}

/// The largest |risk - oracle| in units of the oracle's scale; infinite for a NaN.
double worst(const std::vector<float>& risk, const SweepOracle& oracle) {
  double error = 0;
  for (std::size_t i = 0; i < risk.size(); ++i) {
    const double e = std::fabs(static_cast<double>(risk[i]) - oracle.risk[i]) / oracle.scale[i];
    error = std::isfinite(risk[i]) ? std::max(error, e) : std::numeric_limits<double>::infinity();
  }
  return error;
}

SweepOracle oracle_of(const Problem& p) {
  return minnorm_sweep_oracle(p.shape, p.sizes, p.host(), p.shape.trials);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Far from p = n the condition number of a Gram matrix is a few hundred, each step of the factorisation
// rounds once at 6e-8; a factor of ten of what the kernels reach (1e-5) is left. Near p = n, outside the
// double band, it grows to 1e5.
constexpr double kFar = 1e-4, kNear = 2e-2;

}  // namespace

TEST_CASE("minnorm_sweep matches the oracle below, at and above p = n", "[simt]") {
  Device<Simt> device;
  for (const bool isotropic : {true, false}) {
    const Problem p =
        make_problem(2, 24, 96, {0, 1, 4, 12, 16, 22, 23, 24, 25, 26, 32, 33, 64, 96}, isotropic);
    const SweepOracle oracle = oracle_of(p);
    CHECK(worst(run(device, Kernel::nested, p).risk, oracle) < kFar);
    CHECK(worst(run(device, Kernel::naive, p).risk, oracle) < kFar);
  }
}

TEST_CASE("minnorm_sweep matches the oracle at odd sizes and in every tiling", "[simt]") {
  Device<Simt> device;
  struct Size {
    int n, features;
    std::vector<int> sizes;
  };
  const std::vector<Size> cases = {
      {1, 9, {0, 1, 9}},         {7, 40, {1, 3, 14, 39}},    {17, 67, {5, 17, 50, 67}},
      {31, 70, {15, 31, 69}},    {32, 65, {16, 32, 65}},     {33, 80, {17, 33, 80}},
      {49, 113, {30, 80, 113}},  {64, 140, {40, 64, 140}},   {65, 150, {33, 120, 150}},
      {97, 230, {70, 160, 230}}, {128, 300, {100, 200, 300}}};
  for (const Size& c : cases) {
    INFO("n " << c.n);
    const bool isotropic = c.n % 2 == 0;
    const Problem p = make_problem(1, c.n, c.features, c.sizes, isotropic);
    const SweepOracle oracle = oracle_of(p);
    CHECK(worst(run(device, Kernel::nested, p).risk, oracle) < kFar);
    CHECK(worst(run(device, Kernel::naive, p).risk, oracle) < kFar);
  }
}

TEST_CASE("the double band keeps the risk right where float loses it", "[simt]") {
  Device<Simt> device;
  Problem p = make_problem(6, 24, 48, {22, 23, 24, 25, 26});
  const SweepOracle oracle = oracle_of(p);
  const double in_band = worst(run(device, Kernel::nested, p).risk, oracle);
  CHECK(in_band < 1e-5);
  p.shape.double_band = -1;
  const double in_float = worst(run(device, Kernel::naive, p).risk, oracle);
  CHECK(in_float > 10 * in_band);  // or the band would be for nothing
}

TEST_CASE("minnorm_sweep stays accurate just outside the double band", "[simt]") {
  Device<Simt> device;
  const Problem p = make_problem(6, 24, 48, {24 - kSweepDoubleBand - 1, 24 + kSweepDoubleBand + 1});
  CHECK(worst(run(device, Kernel::nested, p).risk, oracle_of(p)) < kNear);
}

TEST_CASE("minnorm_sweep_naive gives the minimum-norm estimates", "[simt]") {
  Device<Simt> device;
  const Problem p = make_problem(2, 10, 40, {0, 3, 10, 20, 40});
  const Output out = run(device, Kernel::naive, p, true);
  for (std::size_t problem = 0; problem < p.problems(); ++problem) {
    const std::size_t t = problem / p.sizes.size();
    const int size = p.sizes[problem % p.sizes.size()];
    const std::vector<double> expected =
        minnorm_estimate(std::span(p.x).subspan(t * 400, 400), std::span(p.y).subspan(t * 10, 10), size);
    for (std::size_t j = 0; j < 40; ++j) {
      const double value = j < expected.size() ? expected[j] : 0;
      REQUIRE(std::fabs(static_cast<double>(out.beta_hat[problem * 40 + j]) - value) < 1e-4);
    }
  }
}

TEST_CASE("minnorm_sweep gives the same bits again and under every schedule", "[simt]") {
  const Problem p = make_problem(3, 24, 60, {4, 12, 23, 25, 40, 60}, false);
  Device<Simt> device;
  const Output nested = run(device, Kernel::nested, p), naive = run(device, Kernel::naive, p);
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    device.engine().set_schedule(seed);
    CHECK(same_bits(run(device, Kernel::nested, p).risk, nested.risk));
    CHECK(same_bits(run(device, Kernel::naive, p).risk, naive.risk));
  }
}

TEST_CASE("the nested sweep reads each feature once", "[simt]") {
  Device<Simt> device;
  if (!simt::Engine::checked()) SKIP_TEST("only the checked build counts bytes");
  Problem p = make_problem(2, 24, 96, {40, 64, 96});
  p.shape.double_band = -1;
  device.engine().reset_counts();
  run(device, Kernel::nested, p);
  const std::uint64_t nested =
      device.engine().counts("minnorm_nested")[simt::Counter::distinct_global_bytes_read];
  // x and y of each trial; beta and variance once for all.
  CHECK(nested == 2 * (4 * 24 * 96 + 4 * 24) + 8 * 96);
  CHECK(static_cast<double>(nested + 2 * 3 * 4) == minnorm_sweep_bytes(p.shape, p.sizes));
  CHECK(device.engine().counts("minnorm_nested")[simt::Counter::global_bytes_written] == 2 * 3 * 4);
}

TEST_CASE("minnorm_sweep_work is what the kernels do, in every tiling", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  for (const bool isotropic : {true, false}) {
    for (const int n : {24, 40, 100}) {
      const Problem p = make_problem(2, n, n + 70, {n / 2, n - 7, n - 3, n + 1, n + 9, n + 60}, isotropic);
      for (const Kernel kernel : {Kernel::nested, Kernel::naive}) {
        Device<Simt> device;
        run(device, kernel, p);
        simt::LaunchCounts counts;
        for (const auto& [name, launch] : device.engine().counts()) counts += launch;
        const SweepWork work = kernel == Kernel::nested ? minnorm_sweep_work(p.shape, p.sizes)
                                                        : minnorm_naive_work(p.shape, p.sizes);
        INFO("n = " << n << (isotropic ? "" : ", weighted")
                    << (kernel == Kernel::nested ? ", nested" : ", naive"));
        CHECK(static_cast<double>(counts[simt::Counter::scalar_flops]) == Approx(work.flops).epsilon(1e-2));
        CHECK(static_cast<double>(counts[simt::Counter::distinct_global_bytes_read] +
                                  counts[simt::Counter::distinct_global_bytes_written]) == work.bytes);
      }
    }
  }
}

TEST_CASE("a singular Gram matrix gives NaN, not a wrong number", "[simt]") {
  Device<Simt> device;
  Problem p = make_problem(1, 8, 30, {20, 30});
  for (std::size_t j = 0; j < 30; ++j) p.x[j * 8 + 3] = 0;  // sample 3 has no features: K has a zero row
  for (const float risk : run(device, Kernel::nested, p).risk) CHECK_FALSE(std::isfinite(risk));
}

TEST_CASE("wrong shapes, sizes and spans are refused with their values", "[simt]") {
  Device<Simt> device;
  const auto message = [&](const std::function<void(Problem&)>& change) {
    Problem p = make_problem(1, 8, 30, {4, 20});
    change(p);
    try {
      run(device, Kernel::nested, p);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK_THAT(message([](Problem& p) { p.shape.samples = 129; }),
             ContainsSubstring("129 samples; expected 1 to 128"));
  CHECK_THAT(message([](Problem& p) { p.sizes = {4, 31}; }), ContainsSubstring("size 31 at place 1"));
  CHECK_THAT(message([](Problem& p) { p.sizes = {4, 4}; }), ContainsSubstring("strictly increasing"));
  CHECK_THAT(message([](Problem& p) { p.sizes.clear(); }), ContainsSubstring("0 sizes"));
  CHECK_THAT(message([](Problem& p) { p.shape.noise = -1; }), ContainsSubstring("noise -1"));
  CHECK_THAT(message([](Problem& p) { p.y.pop_back(); }), ContainsSubstring("expected 240, 8, 30, 30, 2"));
}

TEST_CASE("minnorm_sweep matches the oracle on a GPU", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    for (const int n : {24, 64, 128}) {
      const Problem p = make_problem(4, n, 4 * n, {0, 1, n / 2, n - 1, n, n + 1, n + n / 2, 4 * n}, n != 64);
      const SweepOracle oracle = oracle_of(p);
      const Output nested = run(bench.device(), Kernel::nested, p),
                   naive = run(bench.device(), Kernel::naive, p);
      CHECK(worst(nested.risk, oracle) < kFar);
      CHECK(worst(naive.risk, oracle) < kFar);
      CHECK(same_bits(run(bench.device(), Kernel::nested, p).risk, nested.risk));
    }
  });
}

TEST_CASE("the reference sweep matches the oracle in float and double", "[cpu]") {
  for (const int n : {24, 40}) {
    const Problem p = make_problem(3, n, 100, {0, 1, n / 2, n - 1, n, n + 1, n + 12, 100}, n == 24);
    const SweepOracle oracle = oracle_of(p);
    std::vector<float> single(p.problems());
    std::vector<double> twice(p.problems());
    minnorm_sweep_reference<float>(p.shape, p.sizes, p.host(), single, 2);
    minnorm_sweep_reference<double>(p.shape, p.sizes, p.host(), twice, 1);
    CHECK(worst(single, oracle) < kFar);
    for (std::size_t i = 0; i < twice.size(); ++i)
      REQUIRE(std::fabs(twice[i] - oracle.risk[i]) < 1e-9 * oracle.scale[i]);
  }
}

TEST_CASE("both decompositions behind the oracle meet the normal equations", "[cpu]") {
  // p = 20 takes the SVD, the others the complete orthogonal decomposition: each must meet the normal
  // equations.
  const Problem p = make_problem(1, 40, 90, {90});
  for (const int size : {20, 36, 90}) {
    const std::vector<double> b = minnorm_estimate(p.x, p.y, size);
    std::vector<double> residual(40);
    for (std::size_t i = 0; i < 40; ++i) {
      residual[i] = static_cast<double>(p.y[i]);
      for (std::size_t j = 0; j < b.size(); ++j) residual[i] -= static_cast<double>(p.x[j * 40 + i]) * b[j];
    }
    for (std::size_t j = 0; j < b.size(); ++j) {
      double gradient = 0;
      for (std::size_t i = 0; i < 40; ++i) gradient += static_cast<double>(p.x[j * 40 + i]) * residual[i];
      REQUIRE(std::fabs(gradient) < 1e-10);
    }
  }
}
