// SPDX-License-Identifier: Apache-2.0
#include "bench/cpu_probes.h"

#include <Eigen/Core>
#include <algorithm>
#include <barrier>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "bench/host_timer.h"

namespace remeasure::bench {
namespace {

using Clock = std::chrono::steady_clock;

#if defined(__AVX512F__)
constexpr std::size_t kVectorBytes = 64;
#elif defined(__AVX__)
constexpr std::size_t kVectorBytes = 32;
#else
constexpr std::size_t kVectorBytes = 16;
#endif

/// As wide as the registers of the instruction set that all of this program is compiled for.
typedef double WideDouble __attribute__((vector_size(kVectorBytes)));

/// Runs `work(thread)` on all cores at once; each thread's own seconds.
template <class Work>
std::vector<double> time_on_all_cores(int threads, const Work& work) {
  std::vector<double> seconds(static_cast<std::size_t>(threads));
  std::barrier ready(threads);
  const auto timed = [&](int thread) {
    ready.arrive_and_wait();
    const Clock::time_point start = Clock::now();
    work(thread);
    seconds[static_cast<std::size_t>(thread)] = std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(timed, i);
  timed(0);
  for (std::thread& other : others) other.join();
  return seconds;
}

/// Sum of what each core did at its best, in many short runs of all cores at once: a ceiling is what the
/// machine can do when nothing disturbs it, and on a busy machine hardly any run is undisturbed on every
/// core. `work(thread, passes)` does `amount` per pass and thread.
template <class Work>
double best_rate(int threads, double amount, const Work& work) {
  constexpr double kRun = 5e-4, kTotal = 6e-2;  // shorter than a scheduler's slice
  std::size_t passes = 1;
  const auto run = [&] { return time_on_all_cores(threads, [&](int thread) { work(thread, passes); }); };
  std::vector<double> seconds = run();
  for (double shortest = 0; (shortest = *std::min_element(seconds.begin(), seconds.end())) < kRun / 2;
       seconds = run()) {
    const double factor = shortest > 1e-7 ? std::clamp(kRun / shortest, 2.0, 64.0) : 64.0;
    passes = static_cast<std::size_t>(static_cast<double>(passes) * factor);
  }
  std::vector<double> best(seconds.size(), 0);
  const Clock::time_point start = Clock::now();
  for (int repeat = 0; repeat < 5 || std::chrono::duration<double>(Clock::now() - start).count() < kTotal;
       ++repeat) {
    for (std::size_t i = 0; i < best.size(); ++i) {
      best[i] = std::max(best[i], static_cast<double>(passes) * amount / seconds[i]);
    }
    seconds = run();
  }
  return std::accumulate(best.begin(), best.end(), 0.0);
}

/// Keeps a value from being optimised away without a store that would cost bandwidth.
template <class T>
void keep(T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

std::vector<std::vector<double>> slices(int threads, std::size_t elements, double value) {
  return std::vector<std::vector<double>>(static_cast<std::size_t>(threads),
                                          std::vector<double>(elements, value));
}

}  // namespace

double triad_bandwidth(int threads, std::size_t bytes_per_thread) {
  const std::size_t n = std::max<std::size_t>(64, bytes_per_thread / (3 * sizeof(double)));
  auto a = slices(threads, n, 0), b = slices(threads, n, 1), c = slices(threads, n, 2);
  return best_rate(threads, static_cast<double>(n) * 24, [&](int thread, std::size_t passes) {
    const auto t = static_cast<std::size_t>(thread);
    double* __restrict out = a[t].data();
    const double* __restrict left = b[t].data();
    const double* __restrict right = c[t].data();
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (std::size_t i = 0; i < n; ++i) out[i] = left[i] + 3.0 * right[i];
      keep(*out);
    }
  });
}

/// Enough accumulators that the adds aren't what is measured.
double read_bandwidth(int threads, std::size_t bytes_per_thread) {
  constexpr std::size_t kLanes = kVectorBytes / sizeof(double), kChains = 8, kStep = kLanes * kChains;
  const std::size_t n = std::max<std::size_t>(kStep, bytes_per_thread / sizeof(double) / kStep * kStep);
  auto a = slices(threads, n, 1);
  return best_rate(threads, static_cast<double>(n) * 8, [&](int thread, std::size_t passes) {
    const double* data = a[static_cast<std::size_t>(thread)].data();
    WideDouble sums[kChains] = {};
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (std::size_t i = 0; i < n; i += kStep) {
        for (std::size_t chain = 0; chain < kChains; ++chain) {
          WideDouble loaded;
          __builtin_memcpy(&loaded, data + i + chain * kLanes, sizeof loaded);
          sums[chain] += loaded;
        }
      }
      keep(sums[0]);
    }
    for (WideDouble& sum : sums) keep(sum);
  });
}

/// 12 chains cover latency 4 at two a cycle with registers to spare. Eigen's
/// packets, because the build switches off contraction of a * b + c.
template <class T>
double fma_rate(int threads) {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  constexpr std::size_t kLanes = sizeof(Packet) / sizeof(T), kChains = 12, kInner = 256;
  const double flops = static_cast<double>(2 * kLanes * kChains * kInner);
  return best_rate(threads, flops, [](int, std::size_t passes) {
    const Packet factor = Eigen::internal::pset1<Packet>(T(0.999)),
                 addend = Eigen::internal::pset1<Packet>(T(0.001));
    Packet sums[kChains];
    for (Packet& sum : sums) sum = addend;
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (std::size_t i = 0; i < kInner; ++i) {
        for (Packet& sum : sums) sum = Eigen::internal::pmadd(sum, factor, addend);
      }
    }
    for (Packet& sum : sums) keep(sum);
  });
}

template <class T>
double gemm_rate() {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  constexpr Eigen::Index n = 384;
  const Matrix a = Matrix::Constant(n, n, T(0.5)), b = Matrix::Constant(n, n, T(0.25));
  Matrix c = Matrix::Zero(n, n);
  use_threads(0);
  const double flops = 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  // One caller: Eigen spreads the product over the cores itself.
  return best_rate(1, flops, [&](int, std::size_t passes) {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      c.noalias() = a * b;
      keep(*c.data());
    }
  });
}

template double fma_rate<float>(int);
template double fma_rate<double>(int);
template double gemm_rate<float>();
template double gemm_rate<double>();

}  // namespace remeasure::bench
