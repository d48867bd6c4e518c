// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/run_summary.h"

#include <testing/catch.h>

#include "bench/cli/exit_codes.h"

using namespace remeasure;
using namespace remeasure::bench;

namespace {

reports::VariantResult variant(const std::string& name, reports::Status status,
                               const std::string& reason = "") {
  reports::VariantResult result;
  result.name = name;
  result.status = status;
  result.reason = reason;
  return result;
}

runner::Outcome outcome(const std::string& id, std::vector<reports::VariantResult> variants) {
  runner::Outcome result;
  result.id = id;
  result.ran = true;
  result.state = reports::RunState::complete;
  result.cases_total = 1;
  result.seconds = 1.25;
  result.record.experiment = id;
  result.record.cases.emplace_back();
  result.record.cases.back().name = "n=1";
  result.record.cases.back().variants = std::move(variants);
  return result;
}

const auto kPassed = reports::Status::passed;
const auto kNotRun = reports::Status::not_run;

}  // namespace

TEST_CASE("a reason is said once, with everything that it holds for", "[cpu]") {
  runner::RunReport report;
  report.outcomes = {outcome("a", {variant("eigen", kPassed), variant("kernel", kNotRun, "no GPU"),
                                   variant("vendor", kNotRun, "no GPU")}),
                     outcome("b", {variant("eigen", kPassed), variant("vendor", kNotRun, "no GPU")})};
  const std::string text = cli::run_summary(report, {.ids = {"a", "b"}}, 100, false);
  INFO(text);
  CHECK(text.find("not run: no GPU (a kernel, vendor; b vendor)\n") != std::string::npos);
  CHECK(text.find("no GPU") == text.rfind("no GPU"));
  CHECK(text.find("interrupted") == std::string::npos);
  CHECK(text.find('\033') == std::string::npos);
  for (std::size_t start = 0; start < text.size();) {
    const auto end = text.find('\n', start);
    std::size_t columns = 0;
    for (std::size_t i = start; i < end; ++i)
      columns += (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 ? 1 : 0;
    CHECK(columns <= 100);
    start = end + 1;
  }
}

TEST_CASE("what many variants lack is counted, what went wrong is named", "[cpu]") {
  const auto many = [](int experiments, int variants, reports::Status status) {
    runner::RunReport report;
    for (int i = 0; i < experiments; ++i) {
      std::vector<reports::VariantResult> rows;
      for (int k = 0; k < variants; ++k) rows.push_back(variant("v" + std::to_string(k), status, "no GPU"));
      report.outcomes.push_back(outcome("e" + std::to_string(i), rows));
    }
    return cli::run_summary(report, {.all = true}, 100, false);
  };
  using Catch::Matchers::ContainsSubstring;
  CHECK_THAT(many(3, 4, kNotRun), ContainsSubstring("no GPU (e0 v0, v1, v2, v3; e1 v0, v1, v2, v3; e2 v0"));
  CHECK_THAT(many(1, 13, kNotRun), ContainsSubstring("no GPU (13 variants: 13 of e0)"));
  CHECK_THAT(many(6, 3, kNotRun), ContainsSubstring("no GPU (18 variants: 3 of e0, 3 of e1, 3 of e2"));
  CHECK_THAT(many(100, 9, kNotRun), ContainsSubstring("no GPU (900 variants of 100 experiments)\n"));
  CHECK_THAT(many(7, 2, reports::Status::failed), ContainsSubstring("e6 v0, v1"));
}

TEST_CASE("an interrupted run ends with the command that goes on", "[cpu]") {
  runner::RunReport report;
  report.interrupted = true;
  const cli::RunCommand options{.all = true,
                                .size = "paper",
                                .filter = "n=(1|2)",
                                .variants = {"kernel"},
                                .min_time = 0.5,
                                .seed = 7,
                                .timeout = 60,
                                .out = "my results",
                                .data = "d",
                                .resume = false,
                                .shard = "1/2"};
  const std::string command =
      "remeasure run --all --size paper --filter 'n=(1|2)' --variant kernel --min-time 0.5 --seed 7 "
      "--timeout 60 --out 'my results' --data d --shard 1/2 --resume";
  CHECK(cli::resume_command(options) == command);
  const std::string text = cli::run_summary(report, options, 100, false);
  const std::string last = "interrupted; what is finished is kept. Go on with: " + command + "\n";
  REQUIRE(text.size() >= last.size());
  CHECK(text.substr(text.size() - last.size()) == last);
}

TEST_CASE("an incorrect result wins over every other exit code", "[cpu]") {
  runner::RunReport report;
  CHECK(runner::exit_code(report) == cli::kFine);
  report.outcomes = {outcome("a", {variant("eigen", kPassed), variant("kernel", kNotRun, "no GPU")})};
  CHECK(runner::exit_code(report) == cli::kFine);

  auto left_out = report;
  left_out.outcomes[0].record.cases[0].left_out = "too large";
  CHECK(runner::exit_code(left_out) == cli::kFine);

  for (const auto status :
       {reports::Status::failed, reports::Status::timed_out, reports::Status::not_verified}) {
    auto failed = report;
    failed.outcomes[0].record.cases[0].variants[0].status = status;
    CHECK(runner::exit_code(failed) == cli::kCrash);
  }
  auto thrown = report;
  thrown.outcomes[0].record.cases[0].error = "thrown";
  CHECK(runner::exit_code(thrown) == cli::kCrash);
  auto crashed = report;
  crashed.outcomes[0].state = reports::RunState::crashed;
  CHECK(runner::exit_code(crashed) == cli::kCrash);
  crashed.refused = "full disk";
  CHECK(runner::exit_code(crashed) == cli::kUsageOrToolError);
  crashed.interrupted = true;
  CHECK(runner::exit_code(crashed) == cli::kInterrupted);

  auto incorrect = crashed;
  incorrect.outcomes.push_back(outcome("b", {variant("kernel", reports::Status::incorrect, "wrong")}));
  CHECK(runner::exit_code(incorrect) == cli::kIncorrect);
  auto check = crashed;
  check.outcomes[0].record.cases[0].checks = {{.name = "holds", .passed = false, .detail = ""}};
  CHECK(runner::exit_code(check) == cli::kIncorrect);
}

TEST_CASE("a spent budget says what had no turn and the command that goes on", "[cpu]") {
  runner::RunReport report;
  report.outcomes = {outcome("dfss", {variant("kernel", reports::Status::passed)})};
  reports::CaseResult waiting;
  waiting.name = "n=2";
  waiting.not_reached = "budget spent: run again with --resume";
  report.outcomes[0].record.cases.push_back(waiting);
  report.outcomes[0].state = reports::RunState::partial;
  report.outcomes[0].cases_total = 2;
  report.unreached = {{"dfss", "n=2", waiting.not_reached}};
  cli::RunCommand options;
  options.all = true;
  options.size = "paper";
  options.budget = "8m";
  const auto text = cli::run_summary(report, options, 120, false);
  CHECK(text.find("1/2") != std::string::npos);
  CHECK(text.find("not run: budget spent: run again with --resume (dfss n=2)") != std::string::npos);
  const std::string last =
      "budget spent; 1 case had no turn. Go on with: remeasure run --all --size paper --budget 8m --resume\n";
  CHECK(text.ends_with(last));
  CHECK(runner::exit_code(report) == cli::kFine);
}
