// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/log_bessel.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/science/log_bessel_oracle.h"
#include "kernels/science/log_bessel_reference.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Points {
  std::vector<double> v, x;
  void add(double order, double argument) {
    v.push_back(order);
    x.push_back(argument);
  }
};

/// Log-uniform over seven decades by a Weyl sequence: all branches occur, in mixed order.
Points scattered(std::size_t n) {
  Points points;
  for (std::size_t i = 0; i < n; ++i) {
    const auto at = static_cast<double>(i) + 0.5;
    points.add(std::pow(10, -2 + 7 * std::fmod(at * 0.7548776662466927, 1.0)),
               std::pow(10, -2 + 7 * std::fmod(at * 0.5698402909980532, 1.0)));
  }
  return points;
}

enum class Function { i, k };

template <class Target>
std::vector<double> run(Device<Target>& device, Function function, const LogBesselOptions& options,
                        const Points& points, bool buckets = false) {
  Stream<Target> stream(device);
  const std::size_t n = points.v.size();
  DeviceBuffer<Target, double> v(device, n), x(device, n), out(device, n);
  DeviceBuffer<Target, std::uint32_t> workspace(device, buckets ? log_bessel_bucket_workspace(n) : 0);
  stream.upload(std::span<const double>(points.v), v.span());
  stream.upload(std::span<const double>(points.x), x.span());
  if (function == Function::i)
    log_iv<Target>(stream, options, v, x, out, workspace);
  else
    log_kv<Target>(stream, options, v, x, out, workspace);
  std::vector<double> result(n);
  stream.download(std::as_const(out).span(), std::span<double>(result));
  return result;
}

double reference(Function function, const LogBesselOptions& options, double v, double x) {
  const LogBesselTable table{options.table, options.guard};
  return function == Function::i ? log_iv_reference(v, x, table) : log_kv_reference(v, x, table);
}

/// Both sides round v eta and the large logarithms, of size hypot(v, x), a few times each.
double tolerance(double v, double x, double value) {
  return 2e-14 * std::max(1.0, std::abs(value)) +
         8 * std::numeric_limits<double>::epsilon() * std::hypot(v, x);
}

/// The largest difference in units of the tolerance; infinite for a NaN or Inf that only one side has.
double worst_difference(const std::vector<double>& out, Function function, const LogBesselOptions& options,
                        const Points& points) {
  double worst = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double expected = reference(function, options, points.v[i], points.x[i]);
    const double difference = std::abs(out[i] - expected) / tolerance(points.v[i], points.x[i], expected);
    worst = std::isfinite(out[i]) ? std::max(worst, difference) : kInfinity;
  }
  return worst;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

const std::vector<LogBesselOptions> kAllOptions = {{BranchTable::reduced, MuGuard::paper},
                                                   {BranchTable::reduced, MuGuard::guarded},
                                                   {BranchTable::full, MuGuard::paper},
                                                   {BranchTable::full, MuGuard::guarded}};

}  // namespace

TEST_CASE("The scattered test points reach every branch of both tables", "[cpu]") {
  const Points points = scattered(1000);
  for (const BranchTable table : {BranchTable::full, BranchTable::reduced}) {
    std::vector<int> hits(kBesselBranches, 0);
    for (std::size_t i = 0; i < points.v.size(); ++i) {
      ++hits[static_cast<std::size_t>(bessel_branch(table, MuGuard::paper, points.v[i], points.x[i]))];
    }
    for (std::size_t b = 0; b < kBesselBranches; ++b) {
      const auto branch = static_cast<BesselBranch>(b);
      const bool in_reduced =
          branch == BesselBranch::mu20 || branch == BesselBranch::u13 || branch == BesselBranch::fallback;
      INFO(to_string(branch));
      CHECK((hits[b] >= 10) == (table == BranchTable::full || in_reduced));
    }
  }
}

TEST_CASE("log_iv agrees with the reference on every branch and at sizes around warps and blocks", "[simt]") {
  Device<Simt> device;
  for (const LogBesselOptions& options : kAllOptions) {
    for (const std::size_t n : std::initializer_list<std::size_t>{1, 31, 32, 33, 127, 129, 1000}) {
      const Points points = scattered(n);
      INFO("n = " << n << ", table " << static_cast<int>(options.table) << ", guard "
                  << static_cast<int>(options.guard));
      CHECK(worst_difference(run(device, Function::i, options, points), Function::i, options, points) <= 1);
    }
  }
}

TEST_CASE("log_kv agrees with the reference on every branch and at sizes around warps and blocks", "[simt]") {
  Device<Simt> device;
  for (const LogBesselOptions& options : kAllOptions) {
    for (const std::size_t n : std::initializer_list<std::size_t>{1, 31, 33, 257, 600}) {
      const Points points = scattered(n);
      INFO("n = " << n << ", table " << static_cast<int>(options.table) << ", guard "
                  << static_cast<int>(options.guard));
      CHECK(worst_difference(run(device, Function::k, options, points), Function::k, options, points) <= 1);
    }
  }
}

TEST_CASE("U13 uses all of its polynomials to the last coefficient", "[simt]") {
  Device<Simt> device;
  Points points;  // where the 13th polynomial counts most: the smallest v of the branch
  for (double x = 0.5; x < 20; x += 0.25) points.add(12.7, x);
  for (double x = 20; x < 30; x += 0.25) points.add(0.75, x);
  for (const Function function : {Function::i, Function::k}) {
    const std::vector<double> out = run(device, function, {}, points);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const double v = points.v[i], x = points.x[i];
      REQUIRE(bessel_branch(BranchTable::reduced, MuGuard::paper, v, x) == BesselBranch::u13);
      const double exact = function == Function::i ? log_iv_oracle(v, x) : log_kv_oracle(v, x);
      INFO("v = " << v << ", x = " << x);
      // At v = 12.7 the terms that 13 polynomials leave out are 8e-14.
      CHECK(std::abs(out[i] - exact) <= 1e-13 * std::max(1.0, std::abs(exact)));
    }
  }
}

TEST_CASE("The power series needs all of its terms at the far end of the fallback", "[simt]") {
  Device<Simt> device;
  Points points;
  for (double v = 0; v < 0.7; v += 0.05) points.add(v, 30);
  for (double v = 0; v < 0.7; v += 0.05) points.add(v, 25 + v);
  const std::vector<double> out = run(device, Function::i, {}, points);
  for (std::size_t i = 0; i < out.size(); ++i) {
    INFO("v = " << points.v[i] << ", x = " << points.x[i]);
    REQUIRE(bessel_branch(BranchTable::reduced, MuGuard::paper, points.v[i], points.x[i]) ==
            BesselBranch::fallback);
    // In units of the last place of I itself (ln I is about 28): the tail that 43 terms leave is 4e-17 of the
    // sum.
    CHECK(std::abs(out[i] - log_iv_oracle(points.v[i], points.x[i])) <= 1.5e-14);
  }
}

TEST_CASE("Edges: zero, non-numbers, negatives and the ends of the exponent range", "[simt]") {
  Device<Simt> device;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Points points;
  for (const double v : {0.0, 0.5, 3.0, 1e4}) points.add(v, 0);
  for (const auto& [v, x] :
       {std::pair{nan, 1.0}, {1.0, nan}, {-1.0, 1.0}, {1.0, -1.0}, {kInfinity, 1.0}, {1.0, kInfinity}}) {
    points.add(v, x);
  }
  constexpr std::size_t kNan = 4, kFinite = 10;
  for (const auto& [v, x] : {std::pair{0.0, 5e-324},
                             {0.0, 1e-310},
                             {12.0, 1e-300},
                             {1.0, 1e-308},
                             {1e5, 1e-300},
                             {1e200, 1e-200},
                             {1e300, 1.0},
                             {0.0, 1e300},
                             {1e150, 1e300},
                             {1e300, 1e300},
                             {700.0, 1e308}}) {
    points.add(v, x);
  }
  for (const Function function : {Function::i, Function::k}) {
    for (const bool buckets : {false, true}) {
      const std::vector<double> out = run(device, function, {}, points, buckets);
      const double at_zero = function == Function::i ? -kInfinity : kInfinity;
      CHECK(out[0] == (function == Function::i ? 0.0 : kInfinity));
      for (std::size_t i = 1; i < kNan; ++i) CHECK(out[i] == at_zero);
      for (std::size_t i = kNan; i < kFinite; ++i) CHECK(std::isnan(out[i]));
      for (std::size_t i = kFinite; i < out.size(); ++i) {
        const double expected = reference(function, {}, points.v[i], points.x[i]);
        INFO("function " << static_cast<int>(function) << ", v = " << points.v[i] << ", x = " << points.x[i]);
        CHECK(std::isfinite(out[i]));
        CHECK(std::abs(out[i] - expected) <= tolerance(points.v[i], points.x[i], expected));
      }
    }
  }
}

TEST_CASE("The kernel has the reference's values at zero and for non-numbers", "[cpu]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(log_iv_reference(0.0, 0.0) == 0);
  CHECK(log_iv_reference(2.0, 0.0) == -kInfinity);
  CHECK(log_kv_reference(0.0, 0.0) == kInfinity);
  CHECK(std::isnan(log_iv_reference(nan, 1.0)));
  CHECK(std::isnan(log_kv_reference(1.0, -1.0)));
}

TEST_CASE("The bucket pass and the schedule change no bit", "[simt]") {
  Device<Simt> device;
  const Points points = scattered(700);
  for (const Function function : {Function::i, Function::k}) {
    for (const LogBesselOptions& options : kAllOptions) {
      const std::vector<double> plain = run(device, function, options, points);
      for (const std::uint64_t seed : std::initializer_list<std::uint64_t>{0, 1, 2, 3, 4}) {
        device.engine().set_schedule(seed);
        INFO("seed " << seed);
        CHECK(same_bits(plain, run(device, function, options, points)));
        CHECK(same_bits(plain, run(device, function, options, points, true)));
      }
      device.engine().set_schedule(0);
    }
  }
}

TEST_CASE("The bucket pass makes warps of one branch", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  const Points points = scattered(2000);
  const std::size_t n = points.v.size();
  DeviceBuffer<Simt, double> v(device, n), x(device, n), out(device, n);
  DeviceBuffer<Simt, std::uint32_t> workspace(device, log_bessel_bucket_workspace(n));
  stream.upload(std::span<const double>(points.v), v.span());
  stream.upload(std::span<const double>(points.x), x.span());
  const LogBesselOptions options{BranchTable::full, MuGuard::paper};
  log_iv<Simt>(stream, options, v, x, out, workspace);
  std::vector<std::uint32_t> words(workspace.size());
  stream.download(std::as_const(workspace).span(), std::span<std::uint32_t>(words));
  const std::vector<std::uint32_t> order(words.begin() + 2 * kBesselBranches, words.end());
  std::vector<std::uint32_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < n; ++i) REQUIRE(sorted[i] == i);
  BesselBranch previous = BesselBranch::mu3;
  for (const std::uint32_t i : order) {
    const BesselBranch branch = bessel_branch(options.table, options.guard, points.v[i], points.x[i]);
    REQUIRE(branch >= previous);
    previous = branch;
  }
}

TEST_CASE("A point of log_iv moves 24 bytes", "[simt]") {
  Device<Simt> device;
  const Points points = scattered(513);
  device.engine().reset_counts();
  run(device, Function::i, {}, points);
  const simt::LaunchCounts counts = device.engine().counts("log_iv");
  if (!simt::Engine::checked()) SKIP_TEST("bytes are counted in the checked build only");
  CHECK(counts[simt::Counter::global_bytes_read] == 16 * 513);
  CHECK(counts[simt::Counter::global_bytes_written] == 8 * 513);
}

TEST_CASE("Sizes that don't fit are refused with the numbers", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, double> three(device, 3), four(device, 4);
  DeviceBuffer<Simt, std::uint32_t> small(device, 5);
  using Catch::Matchers::ContainsSubstring;
  REQUIRE_THROWS_WITH(log_iv<Simt>(stream, {}, three, four, three), ContainsSubstring("x 4"));
  REQUIRE_THROWS_WITH(log_kv<Simt>(stream, {}, three, three, four), ContainsSubstring("out 4"));
  REQUIRE_THROWS_WITH(log_kv<Simt>(stream, {}, three, three, three, small),
                      ContainsSubstring("bucket_workspace 5"));
  DeviceBuffer<Simt, double> none;
  REQUIRE_NOTHROW(log_iv<Simt>(stream, {}, none, none, none));
}

TEST_CASE("On a GPU log_iv and log_kv agree with the reference", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    const Points points = scattered(100'000);
    for (const Function function : {Function::i, Function::k}) {
      for (const LogBesselOptions& options : kAllOptions) {
        CHECK(worst_difference(run(device, function, options, points), function, options, points) <= 1);
        CHECK(
            same_bits(run(device, function, options, points), run(device, function, options, points, true)));
      }
    }
  }
}

TEST_CASE("log_iv_operations and log_kv_operations are what the kernels do", "[simt]") {
  if constexpr (!simt::kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted");
  Device<Simt> device;
  simt::Engine& engine = device.engine();
  // A point of each branch, of both sides of the logarithms' threshold, and the edges, which cost nothing.
  Points points;
  for (const auto& [v, x] : {std::pair{1.0, 1500.0},
                             {10.0, 1e6},
                             {3.0, 100.0},
                             {3.0, 40.0},
                             {300.0, 5.0},
                             {60.0, 5.0},
                             {25.0, 5.0},
                             {14.0, 5.0},
                             {14.0, 70.0},
                             {5.0, 3.0},
                             {0.0, 0.1},
                             {1.0, 0.0},
                             {-1.0, 2.0}}) {
    points.add(v, x);
  }
  std::size_t branches = 0;
  for (const BranchTable table : {BranchTable::full, BranchTable::reduced}) {
    const LogBesselOptions options{.table = table, .guard = MuGuard::paper};
    for (std::size_t i = 0; i < points.v.size(); ++i) {
      const double v = points.v[i], x = points.x[i];
      if (v >= 0 && x > 0)
        branches |= std::size_t{1} << static_cast<unsigned>(bessel_branch(table, options.guard, v, x));
      Points one;
      one.add(v, x);
      for (const Function function : {Function::i, Function::k}) {
        run(device, function, options, one);
        const BesselOperations expected =
            function == Function::i ? log_iv_operations(options, v, x) : log_kv_operations(options, v, x);
        INFO((function == Function::i ? "I" : "K") << " at v = " << v << ", x = " << x);
        CHECK(static_cast<double>(engine.last_launch()[simt::Counter::scalar_flops]) == expected.flops);
        CHECK(static_cast<double>(engine.last_launch()[simt::Counter::special_functions]) ==
              expected.special);
      }
    }
  }
  CHECK(branches == (std::size_t{1} << kBesselBranches) - 1);
}
