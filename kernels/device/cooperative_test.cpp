// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <string>
#include <vector>

#include <testing/catch.h>

#include "kernels/device/testing/cooperative_kernels.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/schedules.h"

namespace remeasure {
namespace {

using testing::TestBench;

constexpr std::size_t kValues = 5 * 64;
constexpr int kSteps = 6;
constexpr int kDistance = 97;

std::vector<unsigned> first_values() {
  std::vector<unsigned> values(kValues);
  for (std::size_t i = 0; i < kValues; ++i) values[i] = static_cast<unsigned>(i * i + 1);
  return values;
}

std::vector<unsigned> expected() {
  std::vector<unsigned> values = first_values();
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<unsigned> before = values;
    for (std::size_t i = 0; i < kValues; ++i) {
      values[i] = (before[i] + before[(i + kDistance) % kValues]) % 1000003u;
    }
  }
  return values;
}

template <class Bench>
std::vector<unsigned> run_sums(Bench& bench, int barriers) {
  auto values = bench.upload(first_values());
  kernels::neighbour_sums(bench.stream(), kSteps, kDistance, barriers, values.span());
  return bench.download(values);
}

TEST_CASE("blocks of a cooperative launch exchange values through grid barriers, under every schedule",
          "[simt]") {
  for (const std::uint64_t seed : {0u, 1u, 2u, 3u, 4u, 19u}) {
    TestBench<Simt> bench({.schedule_seed = seed});
    CHECK(run_sums(bench, 2) == expected());
    CHECK(bench.stream().device().engine().last_launch()[simt::Counter::barriers] == 5 * kSteps * 2);
  }
}

TEST_CASE("without its second grid barrier the exchange is a race", "[simt]") {
  TestBench<Simt> bench;
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build sees no accesses");
  for (const int barriers : {0, 1}) {
    try {
      run_sums(bench, barriers);
      FAIL("no error");
    } catch (const simt::EngineError& error) {
      INFO(error.what());
      CHECK(error.kind() == simt::ErrorKind::race);
      CHECK(std::string(error.what()).find("no grid barrier") != std::string::npos);
    }
  }
}

TEST_CASE("a cooperative grid that can't be resident at once names kernel, grid, limit and remedy",
          "[simt]") {
  TestBench<Simt> bench;
  CHECK(kernels::empty_grid_limit(bench.stream(), 1024, 0) == 2 * 132);
  CHECK(kernels::empty_grid_limit(bench.stream(), 32, 200 * 1024) == 132);
  kernels::empty_grid(bench.stream(), 132, 32, 200 * 1024);
  try {
    kernels::empty_grid(bench.stream(), 133, 32, 200 * 1024);
    FAIL("no error");
  } catch (const simt::EngineError& error) {
    CHECK(error.kind() == simt::ErrorKind::launch_configuration);
    for (const char* part : {"empty_grid", "133 blocks", "132 can", "use fewer or smaller blocks"}) {
      INFO(error.what() << " lacks " << part);
      CHECK(std::string(error.what()).find(part) != std::string::npos);
    }
  }
}

TEST_CASE("a GPU exchanges values through grid barriers as Simt does", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  CHECK(testing::same_on_gpu([](auto& bench) { return run_sums(bench, 2); }));
}

TEST_CASE("a GPU refuses a cooperative grid that can't be resident at once by name and limit", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  testing::on_gpu([](auto& bench) {
    const auto limit = kernels::empty_grid_limit(bench.stream(), 1024, 0);
    CHECK(limit > 0);
    kernels::empty_grid(bench.stream(), static_cast<unsigned>(limit), 1024, 0);
    try {
      kernels::empty_grid(bench.stream(), static_cast<unsigned>(limit) + 1, 1024, 0);
      FAIL("no error");
    } catch (const DeviceError& error) {
      CHECK(std::string(error.what()).find("empty_grid") != std::string::npos);
      CHECK(std::string(error.what()).find("holds " + std::to_string(limit)) != std::string::npos);
    }
    bench.stream().synchronize();
  });
}

}  // namespace
}  // namespace remeasure
