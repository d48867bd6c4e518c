// SPDX-License-Identifier: Apache-2.0
//
// What comes of a case's samples: speedups, when sampling ends, what is measured beside time.
#include <testing/catch.h>

#include <chrono>
#include <set>
#include <thread>

#include "bench/run_case.h"
#include "bench/test_case.h"

using namespace remeasure;
using namespace remeasure::bench;
using namespace remeasure::bench::testing;
using Catch::Matchers::ContainsSubstring;
using reports::Status;
using reports::Where;

namespace {

void slow(std::span<const float> in, std::span<float> out) {
  right(in, out);
  std::this_thread::sleep_for(std::chrono::microseconds(300));
}

}  // namespace

TEST_CASE("speedups are ratios of medians with an interval, and above 10x over a vendor they are withheld",
          "[cpu]") {
  Fixture fixture;
  fixture.experiment.claims = {{.id = "speedup", .reported = {2, 2}, .is_time = true, .any_size = true}};
  std::vector<std::vector<float>> sets = {inputs_of(1), inputs_of(1001), inputs_of(2001)};
  const auto body = [&](const std::string& explanation) {
    return [&, explanation](Trial& trial) {
      VariantInfo quick = info_of("method");
      quick.explain_speedup = explanation;
      declare_oracle(trial);
      declare_host(trial, {quick, right}, sets);
      declare_host(trial, {info_of("vendor"), slow}, sets);
      declare_host(trial, {info_of("eigen"), slow}, sets);
      trial.measure();
      trial.claim("speedup", trial.speedup("method", "vendor"));
    };
  };
  const auto withheld = fixture.run(body(""));
  REQUIRE(withheld.error == "");
  REQUIRE(withheld.speedups.size() == 2);  // method over eigen comes by itself
  CHECK(withheld.speedups[0].ratio.median > 10);
  CHECK(withheld.speedups[0].ratio.low <= withheld.speedups[0].ratio.median);
  CHECK_THAT(withheld.speedups[0].withheld, ContainsSubstring("without an explanation"));
  CHECK(withheld.speedups[1].base == "eigen");
  CHECK(withheld.speedups[1].withheld.empty());
  CHECK_FALSE(withheld.claim_samples[0].value.has_value());
  CHECK(judge_all(fixture.experiment, {withheld}, Size::smoke)[0].verdict == reports::Verdict::not_measured);
  const auto explained = fixture.run(body("the vendor sleeps"));
  CHECK(explained.claim_samples[0].value->median > 10);
  CHECK(judge_all(fixture.experiment, {explained}, Size::smoke)[0].verdict == reports::Verdict::reproduced);
}

TEST_CASE("a variant that fills the whole time cap gets one sample and says so", "[cpu]") {
  Fixture fixture;
  const auto result = fixture.run({{info_of("slow"), [](auto in, auto out) {
                                      right(in, out);
                                      std::this_thread::sleep_for(std::chrono::milliseconds(30));
                                    }}});
  REQUIRE(result.variants[0].status == Status::passed);
  CHECK(result.variants[0].time->samples.size() == 1);
  CHECK_THAT(result.variants[0].time->stop_reason,
             ContainsSubstring("1 sample") && ContainsSubstring("one input set"));
}

TEST_CASE("smoke size keeps many variants within its time", "[cpu]") {
  Fixture fixture;
  fixture.options.min_time.reset();
  fixture.options.cases = 20;
  std::vector<HostVariant> variants;
  for (int i = 0; i < 5; ++i) variants.push_back({info_of("v" + std::to_string(i)), right});
  const auto result = fixture.run(variants);
  CHECK(result.elapsed_seconds <
        2);  // 20 such cases may take 4 s of sampling; a loaded machine gets ten times that
  for (const auto& variant : result.variants) CHECK(variant.time->samples.size() >= 10);
}

TEST_CASE("deadline and interrupt: late variants are timed out, an interrupt ends the case", "[cpu]") {
  Fixture fixture;
  fixture.options.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  const auto late = fixture.run({{info_of("late"), right}});
  CHECK(late.variants[0].status == Status::timed_out);
  fixture.options.deadline.reset();
  fixture.options.stop_requested = [] { return true; };
  CHECK_THROWS_AS(fixture.run({{info_of("any"), right}}), Interrupted);
}

TEST_CASE("host memory has the temporaries of one run", "[cpu]") {
  Fixture fixture;
  const auto result = fixture.run({{info_of("temporary"), [](auto in, auto out) {
                                      const std::vector<double> temporary(in.begin(), in.end());
                                      for (std::size_t i = 0; i < out.size(); ++i) {
                                        out[i] = static_cast<float>(3 * temporary[i] + 1);
                                      }
                                    }}});
  REQUIRE(result.variants[0].status == Status::passed);
  if (result.variants[0].memory->host_peak) CHECK(*result.variants[0].memory->host_peak == kElements * 8.0);
}

TEST_CASE("progress hears of every declared variant, every round and every row", "[cpu]") {
  struct Log : Progress {
    void variant_declared(const std::string& variant, Where) override { declared.insert(variant); }
    void sampled(const std::string&, std::size_t, double) override { ++rounds; }
    void variant_finished(const reports::VariantResult&) override { ++rows; }
    std::set<std::string> declared;
    int rounds = 0, rows = 0;
  } log;
  Fixture fixture;
  fixture.options.progress = &log;
  fixture.run({{info_of("a"), right}, {info_of("b"), right}});
  CHECK(log.declared == std::set<std::string>{"a", "b"});
  CHECK(log.rounds > 0);
  CHECK(log.rows == 2);
}
