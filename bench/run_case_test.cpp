// SPDX-License-Identifier: Apache-2.0
#include "bench/run_case.h"

#include <testing/catch.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "bench/test_case.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/thread.h"

using namespace remeasure;
using namespace remeasure::bench;
using namespace remeasure::bench::testing;
using Catch::Matchers::ContainsSubstring;
using reports::Status;
using reports::Where;

namespace {

/// A "kernel" for either target without a .cu file: copies its input through the stream.
VariantInfo copy_info(const std::string& name) {
  VariantInfo info = info_of(name);
  info.accept[0].limit = 1e-7;
  return info;
}

template <class Target>
std::function<void()> copy_launch(DeviceBench<Target>& bench, const std::vector<std::vector<float>>& sets) {
  const auto in = bench.input(sets[bench.set()]);
  const auto out = bench.template output<float>("out", kElements);
  return [&bench, in, out] { bench.stream().copy(in, out); };
}

std::vector<std::vector<float>> three_sets() {
  return {inputs_of(1), inputs_of(1001), inputs_of(2001)};
}

void declare_copy_oracle(Trial& trial) {
  trial.oracle("out", 1, [] {
    OracleOutput oracle;
    for (const float value : inputs_of(1)) oracle.values.push_back(static_cast<double>(value));
    return oracle;
  });
}

const reports::VariantResult& row(const reports::CaseResult& result, std::string_view name, Where where) {
  for (const auto& variant : result.variants) {
    if (variant.name == name && variant.where == where) return variant;
  }
  throw std::runtime_error("no row " + std::string(name));
}

}  // namespace

TEST_CASE("a kernel is checked on Simt with exact memory and without a time", "[simt]") {
  Fixture fixture;
  const auto sets = three_sets();
  const auto result = fixture.run([&](Trial& trial) {
    declare_copy_oracle(trial);
    trial.kernel(copy_info("kernel"), [&](auto& bench) {
      static_cast<void>(bench.template workspace<double>(100));
      return copy_launch(bench, sets);
    });
    trial.measure();
    CHECK(trial.passed("kernel"));
    CHECK(trial.output("kernel", "out").size() == kElements);
    if (trial.output("kernel", "out").size() == kElements) {
      CHECK(trial.output("kernel", "out")[3] == static_cast<double>(sets[0][3]));
    }
  });
  REQUIRE(result.error == "");
  const auto& simt = row(result, "kernel", Where::simt);
  INFO(simt.reason);
  REQUIRE(simt.status == Status::passed);
  CHECK_FALSE(simt.time.has_value());
  CHECK(simt.memory->inputs == 4096.0);
  CHECK(simt.memory->outputs == 4096.0);
  CHECK(simt.memory->workspace == 800.0);
  CHECK(simt.memory->device_peak == 8992.0);
}

TEST_CASE("without a GPU its rows say why, and times are missing for that reason", "[cpu]") {
  if (Device<Cuda>::count() > 0) SKIP_TEST("this machine has a GPU");
  Fixture fixture;
  fixture.experiment.claims = {{.id = "speedup", .needs = Needs::gpu, .is_time = true}};
  const auto sets = three_sets();
  const auto result = fixture.run([&](Trial& trial) {
    declare_copy_oracle(trial);
    trial.kernel(copy_info("kernel"), [&](auto& bench) { return copy_launch(bench, sets); });
    trial.vendor(copy_info("vendor"), [&](auto& bench) { return copy_launch(bench, sets); });
    trial.measure();
    CHECK_THAT(trial.time("kernel").missing,
               ContainsSubstring("no CUDA device") || ContainsSubstring("SIMT"));
    trial.claim("speedup", trial.speedup("kernel", "vendor"));
  });
  REQUIRE(result.error == "");
  CHECK(row(result, "kernel", Where::gpu).status == Status::not_run);
  CHECK_THAT(row(result, "vendor", Where::gpu).reason, ContainsSubstring("no CUDA device"));
  CHECK(result.speedups.empty());
  const auto claims = judge_all(fixture.experiment, {result}, Size::paper);
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].verdict == reports::Verdict::not_measured);
  CHECK_THAT(claims[0].why, ContainsSubstring("no CUDA device"));
}

TEST_CASE("on a GPU a kernel gets cold times, interleaved with the vendor's", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  Fixture fixture;
  const auto sets = three_sets();
  const auto result = fixture.run([&](Trial& trial) {
    declare_copy_oracle(trial);
    trial.kernel(copy_info("kernel"), [&](auto& bench) { return copy_launch(bench, sets); });
    trial.vendor(copy_info("vendor"), [&](auto& bench) { return copy_launch(bench, sets); });
    trial.measure();
  });
  REQUIRE(result.error == "");
  const auto& gpu = row(result, "kernel", Where::gpu);
  INFO(gpu.reason);
  REQUIRE(gpu.status == Status::passed);
  CHECK(gpu.time->mode == "cold");
  CHECK(gpu.time->launch_bound);
  REQUIRE(result.speedups.size() == 1);
}

TEST_CASE("a kernel whose bits depend on the schedule isn't bitwise deterministic", "[simt]") {
  Fixture fixture;
  const auto last_block = [](Determinism determinism) {
    return [determinism](Trial& trial) {
      trial.oracle("out", 1, [] { return OracleOutput{.values = std::vector<double>(kElements, 1.0)}; });
      VariantInfo info = info_of("kernel");
      info.accept[0].limit = 0.9;  // any order of the blocks is right
      info.determinism = determinism;
      trial.kernel(info, [](auto& bench) -> std::function<void()> {
        const auto out = bench.template output<float>("out", kElements);
        if constexpr (std::is_same_v<std::decay_t<decltype(bench)>, DeviceBench<Simt>>) {
          return [&bench, out] {
            std::size_t turn = 0;
            const simt::LaunchInfo launch{
                .name = "order", .grid = {64, 1, 1}, .block = {1, 1, 1}, .order_dependent = true};
            std::fill(out.data(), out.data() + kElements, 1.0F);
            std::mutex mutex;
            bench.stream().device().engine().launch(launch, [&] {
              const std::lock_guard guard(mutex);
              out.data()[turn++] = 1 + 1e-3F * static_cast<float>(simt::this_thread().block_index.x);
            });
          };
        } else {
          return [] {};
        }
      });
      trial.measure();
    };
  };
  const auto wrong = fixture.run(last_block(Determinism::bitwise));
  REQUIRE(wrong.error == "");
  CHECK(row(wrong, "kernel", Where::simt).status == Status::incorrect);
  CHECK_THAT(row(wrong, "kernel", Where::simt).reason, ContainsSubstring("declared bitwise"));
  const auto honest = fixture.run(last_block(Determinism::order_dependent));
  CHECK(row(honest, "kernel", Where::simt).status == Status::passed);
}

TEST_CASE("variants selected by name run alone; one that can't run is an error", "[cpu]") {
  Fixture fixture;
  const auto sets = three_sets();
  const auto body = [&](Trial& trial) {
    declare_copy_oracle(trial);
    for (const char* name : {"eigen", "method"}) {
      trial.host(copy_info(name), [&](HostBench& bench) -> std::function<void()> {
        const auto in = bench.input(sets[bench.set()]);
        const auto out = bench.output<float>("out", kElements);
        return [=] { std::copy(in.begin(), in.end(), out.begin()); };
      });
    }
    VariantInfo absent = copy_info("gsl");
    absent.not_supported = "built without GSL";
    trial.host(absent, [](HostBench&) { return [] {}; });
    trial.kernel(copy_info("kernel"), [&](auto& bench) { return copy_launch(bench, sets); });
    trial.measure();
    CHECK_THAT(trial.speedup("eigen", "kernel").missing, ContainsSubstring("not selected"));
    CHECK(trial.output("kernel", "out").empty());
  };
  fixture.options.variants = {"eigen"};
  const auto result = fixture.run(body);
  REQUIRE(result.error == "");
  REQUIRE(result.variants.size() == 1);
  CHECK(result.variants[0].name == "eigen");
  CHECK(result.variants[0].status == Status::passed);

  fixture.options.variants = {"eigen", "gsl"};
  CHECK_THROWS_WITH(fixture.run(body), ContainsSubstring("'gsl'") && ContainsSubstring("built without GSL"));
  fixture.options.variants = {"nobody"};
  CHECK(fixture.run(body).variants.empty());
  if (Device<Cuda>::count() == 0) {
    fixture.options.variants = {"kernel@gpu"};
    CHECK_THROWS_AS(fixture.run(body), VariantUnavailable);
  }
}

TEST_CASE("an exception of the case keeps what was measured before it", "[cpu]") {
  Fixture fixture;
  std::vector<std::vector<float>> sets = three_sets();
  const auto result = fixture.run([&](Trial& trial) {
    declare_oracle(trial);
    declare_host(trial, {info_of("right"), right}, sets);
    trial.measure();
    trial.check("before", true, "1 <= 2");
    throw std::runtime_error("the curve has no peak");
  });
  CHECK(result.error == "the curve has no peak");
  REQUIRE(result.variants.size() == 1);
  CHECK(result.variants[0].status == Status::passed);
  CHECK(result.checks.size() == 1);
}

TEST_CASE("mistakes of an experiment's author are named", "[cpu]") {
  Fixture fixture;
  fixture.experiment.claims = {{.id = "one"}, {.id = "time", .is_time = true}};
  std::vector<std::vector<float>> sets = three_sets();
  const auto error_of_case = [&](std::function<void(Trial&)> body) {
    return fixture.run(std::move(body)).error;
  };
  CHECK_THAT(error_of_case([&](Trial& trial) {
               declare_host(trial, {info_of("a"), right}, sets);
             }),
             ContainsSubstring("never calls measure()"));
  CHECK_THAT(error_of_case([&](Trial& trial) {
               declare_host(trial, {info_of("a"), right}, sets);
               declare_host(trial, {info_of("a"), right}, sets);
             }),
             ContainsSubstring("'a' is declared twice"));
  CHECK_THAT(error_of_case([&](Trial& trial) {
               trial.measure();
               static_cast<void>(trial.time("b"));
             }),
             ContainsSubstring("no variant 'b'"));
  CHECK_THAT(error_of_case([&](Trial& trial) { trial.claim("two", reports::Estimate{}); }),
             ContainsSubstring("no claim 'two'") && ContainsSubstring("one, time"));
  CHECK_THAT(error_of_case([&](Trial& trial) {
               trial.claim("time", reports::Estimate{1, 1, 1});
             }),
             ContainsSubstring("takes what time() or speedup() gave"));
  CHECK_THAT(error_of_case([&](Trial& trial) {
               trial.oracle("out", 1, [] { return OracleOutput{}; });
               declare_host(trial, {info_of("a"), right}, sets);
               trial.measure();
             }),
             ContainsSubstring("oracle of 'out' is empty"));
}

TEST_CASE("a case that is left out says so and isn't run", "[cpu]") {
  const Experiment experiment = {.paper = {.id = "test"}};
  const CaseDefinition definition{
      .name = {{"n", "1"}}, .run = [](Trial&) { FAIL("it ran"); }, .left_out = "40 minutes"};
  CHECK(run_case({&experiment, "testing"}, definition, {}).left_out == "40 minutes");
}

TEST_CASE("a claim about real data is judged on the cases that ran on real data, if there are any", "[cpu]") {
  Experiment experiment;
  experiment.claims = {{.id = "gain", .reported = {2, 2}, .unit = "", .real_data = true}};
  const auto case_with = [](double gain, bool synthetic) {
    reports::CaseResult result;
    result.synthetic = synthetic;
    result.claim_samples = {{.claim = "gain", .value = reports::Estimate{gain, gain, gain}, .on = "CPU"}};
    return result;
  };
  CHECK(judge_all(experiment, {case_with(3, true)}, Size::paper)[0].verdict ==
        reports::Verdict::not_comparable);
  const auto mixed = judge_all(experiment, {case_with(3, true), case_with(1, false)}, Size::paper)[0];
  CHECK(mixed.verdict == reports::Verdict::not_reproduced);
  CHECK(mixed.measured->high == 1);
}

TEST_CASE("input sets rotate through the timed samples, and the last one is set 0", "[cpu]") {
  Fixture fixture;
  fixture.options.min_time = 0.02;  // three calls within the cap of 0.4 s, also beside other work
  const auto sets = three_sets();
  std::vector<std::size_t> order;
  const auto result = fixture.run([&](Trial& trial) {
    declare_copy_oracle(trial);
    trial.host(copy_info("variant"), [&](HostBench& bench) -> std::function<void()> {
      const auto in = bench.input(sets[bench.set()]);
      const auto out = bench.output<float>("out", kElements);
      return [&order, in, out, set = bench.set()] {
        order.push_back(set);
        std::copy(in.begin(), in.end(), out.begin());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      };
    });
    trial.measure();
  });
  REQUIRE(result.variants[0].status == Status::passed);
  REQUIRE(order.size() > 12);
  CHECK(order.back() == 0);
  const std::map<std::size_t, std::size_t> seen = [&] {
    std::map<std::size_t, std::size_t> counts;
    for (const std::size_t set : order) ++counts[set];
    return counts;
  }();
  REQUIRE(seen.size() == 3);
  CHECK(seen.at(1) >= 3);
  CHECK(seen.at(2) >= 3);
}
