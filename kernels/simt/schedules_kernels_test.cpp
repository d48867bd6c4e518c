// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/schedules.h"

#include <numeric>
#include <vector>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {

std::vector<std::uint64_t> seeds(std::uint64_t count) {
  std::vector<std::uint64_t> result(count);
  std::iota(result.begin(), result.end(), std::uint64_t{0});
  return result;
}

/// Sums that don't fit a float exactly, so that the order of additions shows in the bits.
std::vector<std::byte> atomic_sum(Engine& engine, bool declared) {
  auto total = zeros<float>(engine, 1, "total");
  float* sum = total.data();
  engine.launch({.name = "atomic_sum", .grid = 8, .block = 64, .order_dependent = declared}, [=] {
    const float value = 1.0f / static_cast<float>(1 + global_number());
    float seen;
    __atomic_load(sum, &seen, __ATOMIC_RELAXED);
    float next;
    do {
      next = seen + value;
    } while (!__atomic_compare_exchange(sum, &seen, &next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  });
  return total.bytes();
}

std::vector<std::byte> start_order(Engine& engine) {
  auto order = zeros<unsigned>(engine, 4 * 96, "order");
  auto ticket = zeros<unsigned>(engine, 1, "ticket");
  unsigned* to = order.data();
  unsigned* next = ticket.data();
  engine.launch({.name = "start_order", .grid = 4, .block = 96, .order_dependent = true}, [=] {
    to[__atomic_fetch_add(next, 1u, __ATOMIC_RELAXED)] = global_number();
    block_barrier();
  });
  return order.bytes();
}

}  // namespace

TEST_CASE("a seed is a run: twice the same, and other seeds give other orders", "[simt]") {
  Engine engine;
  const auto first = run_schedules(engine, seeds(16), [&] { return start_order(engine); });
  const auto second = run_schedules(engine, seeds(16), [&] { return start_order(engine); });
  CHECK(first == second);
  for (std::size_t a = 0; a < 16; ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      // Descending order has no choice in it: its seeds 1, 5, 9, 13 are one schedule.
      if (a % 4 == 1 && b % 4 == 1) continue;
      INFO("seeds " << a << " and " << b);
      CHECK(first[a] != first[b]);
    }
  }
  CHECK(engine.options().schedule_seed == 0);
}

TEST_CASE("a right kernel gives the same bits under 16 seeds", "[simt]") {
  Engine engine;
  expect_schedule_independent(engine, seeds(16), [&] {
    auto out = zeros<float>(engine, 4 * 96, "out");
    float* data = out.data();
    engine.launch({.name = "scan", .grid = 4, .block = 96}, [=] {
      RM_TEST_SHARED(float, tile, 96);
      const unsigned i = thread_number();
      tile[i] = 1.0f / static_cast<float>(1 + i);
      block_barrier();
      for (unsigned distance = 1; distance < 96; distance *= 2) {
        const float before = i >= distance ? tile[i - distance] : 0.0f;
        block_barrier();
        tile[i] += before;
        block_barrier();
      }
      data[global_number()] = tile[i];
    });
    return out.bytes();
  });
}

TEST_CASE("a floating-point atomic sum differs between seeds and must be declared", "[simt]") {
  Engine engine;
  try {
    expect_schedule_independent(engine, seeds(16), [&] { return atomic_sum(engine, false); });
    FAIL("the sums did not differ");
  } catch (const EngineError& error) {
    CHECK(error.kind() == ErrorKind::order_dependent);
    CHECK(error.kernel() == "atomic_sum");
    CHECK(std::string(error.what()).find("against seed") != std::string::npos);
  }
  expect_schedule_independent(engine, seeds(16), [&] { return atomic_sum(engine, true); });
}
