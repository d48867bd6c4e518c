// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include "kernels/graphs/testing/spgemm_problem.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

template <class Target>
bool same_plan(Device<Target>& device, const OwnedCsr& a, const OwnedCsr& b, const TablePlan& table) {
  const WindowPlan here = plan_windows(a.view(), b.view(), table), there = device_plan(device, a, b, table);
  return here.first_row == there.first_row && here.first_product == there.first_product;
}

OwnedCsr without_rows(int columns) {
  return {.rows = 0, .columns = columns};
}

}  // namespace

TEST_CASE("the device plans the windows that the host plans, at lengths around its parts and votes",
          "[simt]") {
  Device<Simt> device;
  const OwnedCsr b = ragged_csr(90, 300, 40, 12);
  for (const int rows : {1, 31, 32, 33, 1023, 1024, 1025, 2100}) {
    for (const TablePlan& table : {TablePlan{.slots = 256, .load = 0.5, .most_rows = 64},
                                   TablePlan{.slots = 4096, .load = 0.5, .most_rows = 256},
                                   TablePlan{.slots = 256, .load = 0.25, .most_rows = 1},
                                   TablePlan{.slots = 512, .load = 3, .most_rows = 32}}) {
      INFO(rows << " rows, " << table.slots << " slots, at most " << table.most_rows);
      REQUIRE(same_plan(device, ragged_csr(rows, 90, rows / 2, 11), b, table));
    }
  }
  CHECK(same_plan(device, without_rows(90), b, {}));
}

TEST_CASE("more parts than the scan has threads are planned too", "[simt]") {
  Device<Simt> device;
  // 130 parts, nearly all of empty rows.
  const OwnedCsr a = csr_of(
      130 * kPlanRows - 5, 8, 3, [](int i) { return i % 5000 == 0 ? 2 : 0; },
      [](int i, int n) { return (i + n) % 8; });
  const OwnedCsr b = random_csr(8, 16, 4, 4);
  CHECK(same_plan(device, a, b, {.slots = 256, .load = 0.5, .most_rows = 256}));
}

TEST_CASE("plans have the same bits under every schedule", "[simt]") {
  Device<Simt> device;
  const OwnedCsr a = ragged_csr(1500, 90, 700, 11), b = ragged_csr(90, 300, 40, 12);
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    device.engine().set_schedule(seed);
    CHECK(same_plan(device, a, b, {.slots = 256, .load = 0.5, .most_rows = 64}));
  }
}

TEST_CASE("On a GPU windows are planned as on the host", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    CHECK(same_plan(device, random_csr(20'000, 3000, 15, 61), random_csr(3000, 3000, 15, 62), {}));
    CHECK(same_plan(device, ragged_csr(5000, 900, 500, 63), random_csr(900, 20'000, 30, 64), {}));
  }
}
