// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/engine_benchmark.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <stdexcept>

#include "kernels/simt/engine.h"

namespace remeasure::simt {
namespace {

constexpr unsigned kItems = 1u << 20;
constexpr unsigned kSize = 256;
constexpr unsigned kTile = 16;
constexpr unsigned kThreads = 256;

void saxpy(unsigned n, float a, const float* x, float* y) {
  const ThreadState& thread = this_thread();
  const unsigned i = thread.block_index.x * thread.block_dim.x + thread.thread_index.x;
  if (i < n) y[i] += a * x[i];
}

void matrix_product(unsigned n, const float* a, const float* b, float* c) {
  static constinit SharedSite a_site{"a_tile", sizeof(float) * kTile * kTile, alignof(float)};
  static constinit SharedSite b_site{"b_tile", sizeof(float) * kTile * kTile, alignof(float)};
  auto* a_tile = static_cast<float(*)[kTile]>(static_shared(a_site));
  auto* b_tile = static_cast<float(*)[kTile]>(static_shared(b_site));
  const unsigned tx = this_thread().thread_index.x;
  const unsigned ty = this_thread().thread_index.y;
  const unsigned row = this_thread().block_index.y * kTile + ty;
  const unsigned column = this_thread().block_index.x * kTile + tx;
  float sum = 0;
  for (unsigned first = 0; first < n; first += kTile) {
    a_tile[ty][tx] = a[row * n + first + tx];
    b_tile[ty][tx] = b[(first + ty) * n + column];
    block_barrier();
    for (unsigned k = 0; k < kTile; ++k) sum += a_tile[ty][k] * b_tile[k][tx];
    block_barrier();
  }
  c[row * n + column] = sum;
}

float shuffle_down(float value, unsigned distance) {
  const unsigned lane = this_thread().lane();
  const WarpView view = warp_exchange(kFullMask, &value, sizeof value, Site::here(), "__shfl_down_sync");
  return lane + distance < kWarpSize ? view.get<float>(lane + distance) : value;
}

void shuffle_sum(unsigned n, const float* x, float* warp_sums) {
  const ThreadState& thread = this_thread();
  const unsigned i = thread.block_index.x * thread.block_dim.x + thread.thread_index.x;
  float sum = i < n ? x[i] : 0.0f;
  for (unsigned distance = 16; distance > 0; distance /= 2) sum += shuffle_down(sum, distance);
  if (thread.lane() == 0) warp_sums[i / kWarpSize] = sum;
}

void require(bool right, const char* kernel) {
  if (!right) throw std::runtime_error(std::string("simt benchmark: wrong result of ") + kernel);
}

template <class Run>
EngineTiming time(const char* name, double items, int repetitions, Run&& run) {
  EngineTiming timing{name, items, 0, {}};
  run();  // first use of stacks and pages
  for (int i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    timing.samples.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  timing.seconds = *std::min_element(timing.samples.begin(), timing.samples.end());
  return timing;
}

}  // namespace

std::vector<EngineTiming> run_engine_benchmark(const EngineOptions& options, int repetitions) {
  if (repetitions < 1) throw std::invalid_argument("run_engine_benchmark: repetitions must be at least 1");
  Engine engine(options);
  std::vector<EngineTiming> timings;

  std::vector<float> x(kItems, 1.0f);
  std::vector<float> y(kItems, 0.0f);
  timings.push_back(time("saxpy", kItems, repetitions, [&] {
    engine.launch({.name = "saxpy", .grid = kItems / kThreads, .block = kThreads},
                  [n = kItems, a = 2.0f, from = x.data(), to = y.data()] { saxpy(n, a, from, to); });
  }));
  const auto all_runs = 2.0f * static_cast<float>(repetitions + 1);
  require(std::all_of(y.begin(), y.end(), [&](float value) { return value == all_runs; }), "saxpy");

  std::vector<float> a(kSize * kSize);
  std::vector<float> b(kSize * kSize);
  std::vector<float> c(kSize * kSize);
  for (unsigned i = 0; i < kSize * kSize; ++i) {
    a[i] = static_cast<float>(i % 7);
    b[i] = static_cast<float>(i % 5);
  }
  timings.push_back(time("matrix product", double{kSize} * kSize * kSize, repetitions, [&] {
    engine.launch({.name = "matrix_product", .grid = {kSize / kTile, kSize / kTile}, .block = {kTile, kTile}},
                  [pa = a.data(), pb = b.data(), pc = c.data()] { matrix_product(kSize, pa, pb, pc); });
  }));
  for (unsigned i = 0; i < kSize * kSize; i += 997) {
    double sum = 0;
    for (unsigned k = 0; k < kSize; ++k) sum += double{a[i / kSize * kSize + k]} * b[k * kSize + i % kSize];
    require(std::abs(sum - c[i]) < 1e-3 * sum, "matrix product");
  }

  std::vector<float> sums(kItems / kWarpSize);
  timings.push_back(time("shuffle sum", kItems, repetitions, [&] {
    engine.launch({.name = "shuffle_sum", .grid = kItems / kThreads, .block = kThreads},
                  [from = x.data(), to = sums.data()] { shuffle_sum(kItems, from, to); });
  }));
  require(std::all_of(sums.begin(), sums.end(), [](float sum) { return sum == float{kWarpSize}; }),
          "shuffle sum");
  return timings;
}

}  // namespace remeasure::simt
