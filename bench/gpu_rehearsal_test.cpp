// SPDX-License-Identifier: Apache-2.0
//
// The dress rehearsal: an experiment with GPU rows through the whole frame without a GPU. Its kernels run on
// the SIMT engine, on a fake device whose clock gives them their time. From declaration to record, tables and
// check.
#include <testing/catch.h>

#include "bench/fake_gpu.h"
#include "bench/test_case.h"
#include "bench/verdict.h"
#include "reports/check.h"
#include "reports/record_io.h"
#include "reports/writers.h"

using namespace remeasure;
using namespace remeasure::bench;
using namespace remeasure::bench::testing;
using Catch::Matchers::ContainsSubstring;
using reports::Status;
using reports::Where;

namespace {

struct Rehearsal {
  explicit Rehearsal(std::map<std::string, double> seconds) : gpu(std::move(seconds)) {
    fixture.experiment.claims = {{.id = "speedup",
                                  .text = "faster",
                                  .reported = {1.5, 2.5},
                                  .needs = Needs::gpu,
                                  .is_time = true,
                                  .any_size = true}};
    fixture.options.gpu = &gpu;
    fixture.options.min_time = 0.02;
    for (std::uint64_t set = 0; set < kInputSets; ++set) sets.push_back(inputs_of(1 + 1000 * set));
  }

  /// "kernel" and "vendor" copy their input; `change` may change what is declared.
  reports::CaseResult run(const std::function<void(VariantInfo&)>& change = {}) {
    return fixture.run([&](Trial& trial) {
      trial.oracle("out", 1, [] {
        OracleOutput oracle;
        for (const float value : inputs_of(1)) oracle.values.push_back(static_cast<double>(value));
        return oracle;
      });
      for (const char* name : {"kernel", "vendor"}) {
        VariantInfo info = info_of(name);
        if (change) change(info);
        trial.kernel(info, [&](auto& bench) -> std::function<void()> {
          const auto in = bench.input(sets[bench.set()]);
          const auto out = bench.template output<float>("out", kElements);
          return [&bench, in, out] { bench.stream().copy(in, out); };
        });
      }
      trial.measure();
      trial.claim("speedup", trial.speedup("kernel", "vendor"));
    });
  }

  Fixture fixture;
  FakeGpu gpu;
  std::vector<std::vector<float>> sets;
};

const reports::VariantResult& gpu_row(const reports::CaseResult& result, const std::string& name) {
  for (const auto& variant : result.variants) {
    if (variant.name == name && variant.where == Where::gpu) return variant;
  }
  throw std::runtime_error("no row " + name);
}

reports::Record record_of(const Rehearsal& rehearsal, reports::CaseResult result) {
  reports::Record record;
  record.run_id = "00000000-0000-4000-8000-000000000001";
  record.started = "2026-01-01T00:00:00Z";
  record.state = reports::RunState::complete;
  record.experiment = "rehearsal";
  record.theme = "testing";
  record.title = "A rehearsal";
  record.size = "smoke";
  record.build.version = "0";
  record.system.gpu = rehearsal.gpu.name();
  record.system.id = "fake";
  for (const Claim& claim : rehearsal.fixture.experiment.claims) {
    record.claims.push_back(
        judge(claim, result.claim_samples, {.size = Size::paper}, {"CPU", record.system.gpu, ""}));
  }
  record.cases = {std::move(result)};
  return record;
}

}  // namespace

TEST_CASE("rehearsal: GPU rows have their cold time, the other modes, a speedup and a verdict", "[simt]") {
  Rehearsal rehearsal({{"kernel", 6e-6}, {"vendor", 12e-6}});
  const reports::CaseResult result = rehearsal.run();
  REQUIRE(result.error == "");
  const auto& kernel = gpu_row(result, "kernel");
  INFO(kernel.reason);
  REQUIRE(kernel.status == Status::passed);
  CHECK(kernel.device == "Fake H200");
  CHECK(kernel.time->mode == "cold");
  CHECK(std::abs(kernel.time->seconds.median - 6e-6) < 1e-12);
  CHECK(kernel.time->launch_bound);
  CHECK_FALSE(gpu_row(result, "vendor").time->launch_bound);     // 12 us are enough
  CHECK_THAT(kernel.time->cache, ContainsSubstring("rotated"));  // 3 x 8 KiB over an L2 of 1000 bytes
  CHECK(kernel.time->before->sm_mhz == 1980.0);
  REQUIRE(kernel.time->other_modes.size() == 2);
  CHECK(kernel.time->other_modes[0].mode == "hot");
  CHECK(kernel.time->other_modes[1].mode == "graph");
  CHECK(std::abs(kernel.time->other_modes[1].seconds->median - 6e-6) < 1e-12);
  REQUIRE(result.speedups.size() == 1);
  CHECK(std::abs(result.speedups[0].ratio.median - 2) < 1e-9);
  CHECK(record_of(rehearsal, result).claims[0].verdict == reports::Verdict::reproduced);
}

TEST_CASE("rehearsal: the record of GPU rows goes through its file, every report and check", "[simt]") {
  Rehearsal rehearsal({{"kernel", 5e-6}, {"vendor", 1e-5}});
  rehearsal.gpu.device.reading = [turn = 0]() mutable {
    return ClockReading{1755, ++turn % 4 == 0 ? "power cap" : ""};
  };
  const reports::Record record = record_of(rehearsal, rehearsal.run());
  const reports::Record back = reports::from_json(reports::to_json(record), "rehearsal");
  CHECK(reports::to_json(back) == reports::to_json(record));
  const std::string terminal = reports::terminal_report({back}), markdown = reports::markdown_report({back});
  for (const std::string& text : {terminal, markdown, reports::html_report({back})}) {
    CHECK_THAT(text, ContainsSubstring("launch-bound"));
    CHECK_THAT(text, ContainsSubstring("while the clock was limited"));
    CHECK_THAT(text, ContainsSubstring("graph"));
  }
  CHECK_THAT(reports::csv_report({back}), ContainsSubstring("time graph"));
  CHECK(reports::check({back}, {back}).exit_code == reports::ExitCode::fine);

  Rehearsal slower({{"kernel", 8e-6}, {"vendor", 1e-5}});
  const auto regression = reports::check({back}, {record_of(slower, slower.run())});
  CHECK(regression.exit_code == reports::ExitCode::regression);
}

TEST_CASE("rehearsal: a kernel that is wrong only in a graph has no time at all", "[simt]") {
  Rehearsal rehearsal({{"kernel", 5e-6}, {"vendor", 1e-5}});
  rehearsal.gpu.on_launch = [&](const std::string& name) {
    if (name == "kernel" && rehearsal.gpu.device.capturing) rehearsal.gpu.device.drop_next = true;
  };
  const reports::CaseResult result = rehearsal.run();
  REQUIRE(result.error == "");
  CHECK(gpu_row(result, "kernel").status == Status::incorrect);
  CHECK_FALSE(gpu_row(result, "kernel").time.has_value());
  CHECK(gpu_row(result, "vendor").status == Status::passed);
  CHECK(result.speedups.empty());
}

TEST_CASE(
    "rehearsal: a hidden synchronisation fails its row with the remedy; declared, it is timed and says so",
    "[simt]") {
  Rehearsal rehearsal({{"kernel", 5e-5}, {"vendor", 1e-4}});
  rehearsal.gpu.on_launch = [&](const std::string& name) {
    if (name == "vendor") rehearsal.gpu.device.synchronise();
  };
  const auto hidden = rehearsal.run();
  CHECK(gpu_row(hidden, "vendor").status == Status::failed);
  CHECK_THAT(gpu_row(hidden, "vendor").reason, ContainsSubstring("VariantInfo::synchronises"));
  CHECK(gpu_row(hidden, "kernel").status == Status::passed);
  const auto declared = rehearsal.run([](VariantInfo& info) {
    if (info.name == "vendor") info.synchronises = "reads its status back";
  });
  REQUIRE(gpu_row(declared, "vendor").status == Status::passed);
  CHECK(gpu_row(declared, "vendor").time->unhidden == "reads its status back");
  CHECK_THAT(reports::terminal_report({record_of(rehearsal, declared)}),
             ContainsSubstring("reads its status back"));
}

TEST_CASE("rehearsal: an experiment may quote another mode, says why, and no ratio joins two modes",
          "[simt]") {
  Rehearsal rehearsal({{"kernel", 5e-6}, {"vendor", 1e-5}});
  const auto both = rehearsal.run([](VariantInfo& info) {
    info.quote = {"graph", "the paper times a graph"};
  });
  REQUIRE(both.error == "");
  const auto& time = *gpu_row(both, "kernel").time;
  CHECK(time.mode == "graph");
  CHECK(time.quoted_because == "the paper times a graph");
  CHECK(std::any_of(time.other_modes.begin(), time.other_modes.end(),
                    [](const auto& it) { return it.mode == "cold"; }));
  CHECK(both.speedups.size() == 1);
  CHECK_NOTHROW(reports::to_json(record_of(rehearsal, both)));
  const auto mixed = rehearsal.run([](VariantInfo& info) {
    if (info.name == "kernel") info.quote = {"hot", "why not"};
  });
  CHECK(mixed.speedups.empty());
  CHECK_THAT(mixed.claim_samples[0].missing, ContainsSubstring("no ratio joins two modes"));
  CHECK_THAT(rehearsal.run([](VariantInfo& info) { info.quote.mode = "hot"; }).error,
             ContainsSubstring("without saying why"));
}
