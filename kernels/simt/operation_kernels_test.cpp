// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>

#include "kernels/device/cuda_bessel.h"
#include "kernels/device/float16.h"
#include "kernels/simt/operation_counts.h"
#include "kernels/simt/test_support.h"

using namespace remeasure;
using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {

constexpr unsigned kThreads = 64;
constexpr unsigned kBlocks = 24;

struct Operations {
  std::uint64_t flops, special;
  bool operator==(const Operations&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Operations& it) {
  return out << it.flops << " flops, " << it.special << " special";
}

/// What each of 24 blocks of 64 threads does with one element of x (0.5, 1.5, ..., 63.5), summed over all.
template <class T, class Each>
Operations counted(Each each) {
  Engine engine({.workers = 4});
  auto x = zeros<T>(engine, kThreads, "x");
  auto y = zeros<T>(engine, kThreads * kBlocks, "y");
  for (unsigned i = 0; i < kThreads; ++i) x[i] = T(static_cast<float>(2 * i + 1) / 2);
  const T* from = x.data();
  T* to = y.data();
  engine.launch({.name = "each", .grid = kBlocks, .block = kThreads},
                [=] { to[global_number()] = each(from[thread_number()]); });
  const LaunchCounts& counts = engine.last_launch();
  return {counts[Counter::scalar_flops], counts[Counter::special_functions]};
}

/// `each` thread's operations times the threads.
constexpr Operations in_each(std::uint64_t flops, std::uint64_t special = 0) {
  return {flops * kThreads * kBlocks, special * kThreads * kBlocks};
}

#define RM_NEEDS_OPERATIONS() \
  if constexpr (!kOperationsCounted) SKIP_TEST("this compiler's assembly isn't counted")

}  // namespace

TEST_CASE("an addition, a product, a quotient and a root are one operation each", "[simt]") {
  RM_NEEDS_OPERATIONS();
  CHECK(counted<float>([](float x) { return x + 3; }) == in_each(1));
  CHECK(counted<float>([](float x) { return x - 3; }) == in_each(1));
  CHECK(counted<double>([](double x) { return x * x * x * x; }) == in_each(3));
  CHECK(counted<float>([](float x) { return 3 / x; }) == in_each(1));
  CHECK(counted<float>([](float x) { return std::sqrt(x); }) == in_each(1));
  CHECK(counted<double>([](double x) { return std::sqrt(x + 1) / x; }) == in_each(3));
}

TEST_CASE("a fused multiply-add is two operations, and a * b + c is never fused", "[simt]") {
  RM_NEEDS_OPERATIONS();
  CHECK(counted<float>([](float x) { return std::fma(x, 3.0F, x); }) == in_each(2));
  CHECK(counted<double>([](double x) { return -std::fma(x, x, std::fma(x, 2.0, -3.0)); }) == in_each(4));
  CHECK(counted<float>([](float x) { return x * 3 + x; }) == in_each(2));
}

TEST_CASE("functions of the library are counted apart", "[simt]") {
  RM_NEEDS_OPERATIONS();
  CHECK(counted<float>([](float x) { return std::exp(x); }) == in_each(0, 1));
  CHECK(counted<double>([](double x) { return std::log1p(x) + std::lgamma(x); }) == in_each(1, 2));
  CHECK(counted<double>([](double x) { return std::pow(x, 2.5); }) == in_each(0, 1));
  CHECK(counted<double>([](double x) { return cyl_bessel_i0(x); }) == in_each(0, 1));
}

TEST_CASE("what isn't arithmetic isn't counted", "[simt]") {
  RM_NEEDS_OPERATIONS();
  CHECK(counted<std::uint32_t>([](std::uint32_t x) { return (x * 7 + 3) / 5 % 11; }) == in_each(0));
  CHECK(counted<float>([](float x) { return std::fabs(-x) < 3 ? x : std::fmax(x, 7.0F); }) == in_each(0));
  CHECK(counted<float>([](float x) { return static_cast<float>(static_cast<int>(x)); }) == in_each(0));
  CHECK(counted<float>([](float x) { return static_cast<float>(static_cast<double>(x) * 3); }) == in_each(1));
}

TEST_CASE("16-bit values cost the arithmetic, not the conversion", "[simt]") {
  RM_NEEDS_OPERATIONS();
  CHECK(counted<half>([](half x) { return half(static_cast<float>(x) + static_cast<float>(x)); }) ==
        in_each(1));
  CHECK(counted<half>([](half x) {  // subnormal
          return half(static_cast<float>(half::from_bits((x.bits & 0x3ff) | 1)) * 3);
        }) == in_each(1));
  CHECK(counted<bfloat16>([](bfloat16 x) { return bfloat16(static_cast<float>(x) * 3); }) == in_each(1));
}

TEST_CASE("operations are counted as often as they are executed", "[simt]") {
  RM_NEEDS_OPERATIONS();
  CHECK(counted<float>([](float x) { return thread_number() % 2 == 0 ? x * 3 : x; }) ==
        Operations{kThreads * kBlocks / 2, 0});
  CHECK(counted<float>([](float x) {
          float sum = 0;
          for (int i = 0; i < static_cast<int>(x); ++i)
            sum += x * static_cast<float>(i);  // 0, 1, ..., 63 times
          return sum;
        }) == Operations{2 * kBlocks * (63 * 64 / 2), 0});
  CHECK(counted<float>([](float x) {
          if (this_thread().block_index.x % 2 == 0) return x;
          block_barrier();  // another thread goes on, on another stack
          return std::exp(x + 1);
        }) == Operations{kThreads * kBlocks / 2, kThreads * kBlocks / 2});
}

TEST_CASE("counting leaves flags, registers and results as they were", "[simt]") {
  RM_NEEDS_OPERATIONS();
  Engine engine;
  auto x = zeros<double>(engine, kThreads, "x");
  auto y = zeros<double>(engine, kThreads, "y");
  for (unsigned i = 0; i < kThreads; ++i) x[i] = i % 7 + 0.25 * i;
  const auto value = [](double a, unsigned i) {  // comparisons of integers between the operations
    double sum = 1;
    std::uint64_t bits = i;
    for (unsigned k = 0; k < 20; ++k) {
      const bool odd = (bits & 1) != 0;
      sum = odd ? sum * a : sum / (a + 1);
      bits = odd && sum < 10 ? 3 * bits + 1 : bits / 2 + (sum > 2 ? i : 0);
    }
    return sum + static_cast<double>(bits);
  };
  const double* from = x.data();
  double* to = y.data();
  engine.launch({.name = "mixed", .grid = 1, .block = kThreads},
                [=] { to[thread_number()] = value(from[thread_number()], thread_number()); });
  for (unsigned i = 0; i < kThreads; ++i) {
    volatile double a = x[i];  // on the host: the same values, whatever the compiler knows
    CHECK(y[i] == value(a, i));
  }
}

TEST_CASE("each launch is counted for itself, and host code isn't counted", "[simt]") {
  RM_NEEDS_OPERATIONS();
  Engine engine;
  auto y = zeros<float>(engine, kThreads, "y");
  float* to = y.data();
  const LaunchInfo info{.name = "once", .grid = 1, .block = kThreads};
  const auto once = [=] { to[thread_number()] = to[thread_number()] * 3 + 1; };
  engine.launch(info, once);
  volatile float host = 2;
  for (int i = 0; i < 100; ++i) host = host * 1.5F;
  engine.launch(info, once);
  CHECK(engine.last_launch()[Counter::scalar_flops] == 2 * kThreads);
  CHECK(engine.counts("once")[Counter::scalar_flops] == 4 * kThreads);
}

TEST_CASE("distinct bytes are counted once per launch, whoever touches them how often", "[simt]") {
  RM_NEEDS_ACCESS_HOOKS();
  Engine engine;
  auto x = zeros<float>(engine, kThreads, "x");
  auto y = zeros<float>(engine, kThreads * kBlocks, "y");
  auto total = zeros<std::uint32_t>(engine, 3, "total");
  const float* from = x.data();
  float* to = y.data();
  std::uint32_t* sum = total.data();
  const LaunchInfo info{.name = "distinct", .grid = kBlocks, .block = kThreads};
  engine.launch(info, [=] { to[global_number()] = from[thread_number()] + from[thread_number() / 2]; });
  CHECK(engine.last_launch()[Counter::global_bytes_read] == 2 * sizeof(float) * kThreads * kBlocks);
  CHECK(engine.last_launch()[Counter::distinct_global_bytes_read] == sizeof(float) * kThreads);
  CHECK(engine.last_launch()[Counter::distinct_global_bytes_written] == sizeof(float) * kThreads * kBlocks);

  engine.launch(info, [=] { __atomic_fetch_add(&sum[2], 1, __ATOMIC_RELAXED); });
  CHECK(engine.last_launch()[Counter::distinct_global_bytes_read] == sizeof(std::uint32_t));
  CHECK(engine.last_launch()[Counter::distinct_global_bytes_written] == sizeof(std::uint32_t));

  engine.launch({.name = "bytes", .grid = 1, .block = 8}, [=] {  // finer than the cells were before
    reinterpret_cast<std::uint8_t*>(sum)[thread_number()] = reinterpret_cast<const std::uint8_t*>(from)[7];
  });
  CHECK(engine.counts("bytes")[Counter::distinct_global_bytes_read] == 1);
  CHECK(engine.counts("bytes")[Counter::distinct_global_bytes_written] == 8);
}
