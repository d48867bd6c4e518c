// SPDX-License-Identifier: Apache-2.0
#include "bench/machine_load.h"

#include <testing/catch.h>

#include <thread>

#include "bench/test_case.h"

namespace remeasure::bench {
namespace {

const std::string kStat =
    "cpu  1000 200 300 9000 50 6 7 8 0 0\n"
    "cpu0 400 100 100 4000 20 1 2 3 0 0\n"
    "cpu1 600 100 200 5000 30 5 5 5 0 0\n"
    "cpu10 1 1 1 1 1 1 1 1 1 1\n"
    "intr 123 4 5 6 7 8 9 10 11\nctxt 99\n";

CpuUse use(double second, double all, double own, int cores = 2) {
  return {
      all, own, cores,
      std::chrono::steady_clock::time_point(std::chrono::microseconds(static_cast<long long>(1e6 * second)))};
}

}  // namespace

TEST_CASE("seconds in use are all but idle and waiting, of the cores asked for", "[cpu]") {
  CHECK(busy_seconds(kStat, {0}, 100) == 6.06);
  CHECK(busy_seconds(kStat, {1}, 100) == 9.15);
  CHECK(busy_seconds(kStat, {0, 1}, 100) == 15.21);
  CHECK(busy_seconds(kStat, {10}, 1) == 6);
  CHECK_FALSE(busy_seconds(kStat, {0, 2}, 100).has_value());
  CHECK_FALSE(busy_seconds(kStat, {}, 100).has_value());
  CHECK_FALSE(busy_seconds("", {0}, 100).has_value());
}

TEST_CASE("others disturb from a tenth of the cores on, two ticks a core apart", "[cpu]") {
  CHECK(disturbance(use(0, 100, 50), use(10, 118, 68)) == "");    // all our own
  CHECK(disturbance(use(0, 100, 50), use(10, 102.0, 50)) == "");  // 2.04 s would be
  CHECK(disturbance(use(0, 100, 50), use(10, 102.1, 50)) == "others kept 0.2 of 2 cores busy");
  CHECK(disturbance(use(0, 100, 50), use(10, 120, 57)) == "others kept 1.3 of 2 cores busy");
  CHECK(disturbance(use(0, 100, 50), use(0.01, 100.04, 50)) == "");  // ticks alone
  CHECK(disturbance(use(0, 100, 50, 16), use(1, 101.8, 50, 16)) == "");
  CHECK(disturbance(use(0, 100, 50), use(1, 100.1, 50.2)) == "");  // ours is known more finely
}

TEST_CASE("the kernel's account grows with our own work, and knows it as ours", "[cpu]") {
  const std::optional<CpuUse> before = cpu_use();
  if (!before) SKIP_TEST("no /proc/stat with the cores of this process");
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  volatile double x = 1;
  while (std::chrono::steady_clock::now() < until) x = x * 1.0000001;
  const std::optional<CpuUse> after = cpu_use();
  REQUIRE(after);
  CHECK(after->cores >= 1);
  CHECK(after->own - before->own > 0.02);  // on a loaded machine a share
  CHECK(after->all - before->all > after->own - before->own - 0.03);
}

TEST_CASE("a time that others disturbed says so, and judges no claim", "[cpu]") {
  using Catch::Matchers::ContainsSubstring;
  for (const double others : {0.0, 1.5}) {
    testing::Fixture fixture;
    fixture.experiment.claims = {{.id = "speedup", .reported = {1, 2}, .is_time = true},
                                 {.id = "time", .reported = {1, 2}, .is_time = true}};
    int asked = 0;
    fixture.options.cpu_use = [&] {
      ++asked;
      return use(asked, others * asked, 0);
    };
    std::vector<std::vector<float>> sets = {testing::inputs_of(1), testing::inputs_of(1001),
                                            testing::inputs_of(2001)};
    const reports::CaseResult result = fixture.run([&](Trial& trial) {
      testing::declare_oracle(trial);
      testing::declare_host(trial, {testing::info_of("method"), testing::right}, sets);
      testing::declare_host(trial, {testing::info_of("eigen"), testing::right}, sets);
      trial.measure();
      trial.claim("speedup", trial.speedup("method", "eigen"));
      trial.claim("time", trial.time("method") * 1e3);
    });
    INFO(result.error);
    CHECK(asked == 2);
    REQUIRE(result.claim_samples.size() == 2);
    for (const reports::VariantResult& variant : result.variants) {
      REQUIRE(variant.time);
      CHECK(variant.time->disturbed == (others > 0 ? "others kept 1.5 of 2 cores busy" : ""));
    }
    for (const reports::ClaimSample& sample : result.claim_samples) {
      CHECK(sample.value.has_value() == (others == 0));
      if (others > 0)
        CHECK_THAT(sample.missing, ContainsSubstring("1.5 of 2 cores") && ContainsSubstring("idle"));
    }
  }
}

}  // namespace remeasure::bench
