// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/resume.h"

#include <testing/catch.h>

using namespace remeasure;
using namespace remeasure::bench::runner;

namespace {

Settings settings() {
  Settings result;
  result.seed = 3;
  return result;
}

reports::CaseResult a_case(const std::string& name, reports::Status status, const std::string& error = "") {
  reports::CaseResult result;
  result.name = name;
  result.error = error;
  result.variants.emplace_back();
  result.variants.back().status = status;
  return result;
}

reports::Record earlier() {
  reports::Record record;
  record.command = canonical_command("dfss", settings());
  record.build.git_commit = "0123456789abcdef";
  record.system.id = "machine";
  record.cases = {
      a_case("passed", reports::Status::passed),       a_case("incorrect", reports::Status::incorrect),
      a_case("not run", reports::Status::not_run),     a_case("failed", reports::Status::failed),
      a_case("timed out", reports::Status::timed_out), a_case("crashed", reports::Status::passed, "killed"),
      a_case("left out", reports::Status::passed)};
  record.cases.back().left_out = "too large";
  record.cases.back().variants.clear();
  return record;
}

ResumeKey key() {
  return {.command = canonical_command("dfss", settings()),
          .git_commit = "0123456789abcdef",
          .git_dirty = false,
          .system_id = "machine"};
}

}  // namespace

TEST_CASE("resuming keeps what ended, also where it was wrong, and redoes what crashed, threw or hung",
          "[cpu]") {
  const auto record = earlier();
  const auto decision = decide_resume(&record, key());
  CHECK(decision.why_not.empty());
  CHECK(decision.warning.empty());
  CHECK(decision.finished == std::set<std::string>{"incorrect", "left out", "not run", "passed"});
}

TEST_CASE("nothing is taken over without an earlier record", "[cpu]") {
  const auto decision = decide_resume(nullptr, key());
  CHECK(decision.finished.empty());
  CHECK(decision.why_not.empty());
}

TEST_CASE("nothing is taken over from another build, machine, seed, size, variant or time", "[cpu]") {
  const auto record = earlier();
  const auto why_not = [&](const ResumeKey& other) {
    const auto decision = decide_resume(&record, other);
    CHECK(decision.finished.empty());
    return decision.why_not;
  };
  auto other = key();
  other.git_commit = "fedcba9876543210";
  CHECK(why_not(other).find("from commit 0123456789ab, this build from fedcba987654") != std::string::npos);
  other = key();
  other.git_dirty = true;
  CHECK(why_not(other).find("uncommitted changes") != std::string::npos);
  other = key();
  other.system_id = "elsewhere";
  CHECK(why_not(other).find("another machine") != std::string::npos);
  for (int what = 0; what < 4; ++what) {
    auto changed = settings();
    if (what == 0) changed.seed = 4;
    if (what == 1) changed.size = bench::Size::paper;
    if (what == 2) changed.variants = {"kernel"};
    if (what == 3) changed.min_time = 0.5;
    other = key();
    other.command = canonical_command("dfss", changed);
    CHECK(why_not(other).find("the earlier result is of `remeasure run dfss --size smoke --seed 3`") !=
          std::string::npos);
  }
}

TEST_CASE("another filter, folder or timeout is no reason to measure again", "[cpu]") {
  const auto record = earlier();
  auto changed = settings();
  changed.filter = "n=512";
  changed.out = "elsewhere";
  changed.timeout = 17;
  auto other = key();
  other.command = canonical_command("dfss", changed);
  CHECK(decide_resume(&record, other).finished.size() == 4);
}

TEST_CASE("a build with uncommitted changes resumes with a warning", "[cpu]") {
  auto record = earlier();
  record.build.git_dirty = true;
  auto other = key();
  other.git_dirty = true;
  const auto decision = decide_resume(&record, other);
  CHECK(decision.finished.size() == 4);
  CHECK(decision.warning.find("uncommitted") != std::string::npos);
}

TEST_CASE("the canonical command is one form of a run", "[cpu]") {
  auto one = settings(), two = settings();
  one.variants = {"kernel", "eigen", "kernel"};
  two.variants = {"eigen", "kernel"};
  one.filter = "it's | n=5";
  CHECK(
      canonical_command("dfss", one) ==
      "remeasure run dfss --size smoke --seed 3 --variant eigen --variant kernel --filter 'it'\\''s | n=5'");
  CHECK(without_filter(canonical_command("dfss", one)) == canonical_command("dfss", two));
}

TEST_CASE("an assignment survives the command line of a worker", "[cpu]") {
  Assignment assignment{.experiment = "dfss", .run_id = "id", .parent = 42, .settings = settings()};
  assignment.settings.variants = {"kernel@simt"};
  assignment.settings.min_time = 0.25;
  assignment.settings.filter = "\"quoted\" \\ and \n more";
  assignment.settings.out = "with space/ü";
  assignment.settings.resume = true;
  assignment.settings.timeout = 12.5;
  const auto back = decode_assignment(encode(assignment));
  CHECK(encode(back) == encode(assignment));
  CHECK(back.settings.out == assignment.settings.out);
  CHECK(back.settings.filter == assignment.settings.filter);
  CHECK(back.parent == 42);
  CHECK_THROWS_AS(decode_assignment("{}"), std::invalid_argument);
  CHECK_THROWS_AS(decode_assignment("nonsense"), std::invalid_argument);
}

TEST_CASE("a tally counts an unverified variant as failed, not as absent", "[cpu]") {
  auto result = a_case("x", reports::Status::not_verified);
  result.checks = {{.name = "holds", .passed = true, .detail = ""},
                   {.name = "doesn't", .passed = false, .detail = ""}};
  const auto tally = tally_of(result);
  CHECK(tally == Tally{.failed = 1, .failed_checks = 1});
  CHECK(tally_of(a_case("x", reports::Status::not_supported)) == Tally{.not_run = 1});
}

TEST_CASE("a case that a budget didn't reach isn't finished", "[cpu]") {
  auto record = earlier();
  reports::CaseResult waiting;
  waiting.name = "waiting";
  waiting.not_reached = "budget spent: run again with --resume";
  record.cases.push_back(waiting);
  CHECK_FALSE(decide_resume(&record, key()).finished.contains("waiting"));
}

TEST_CASE("results of a GPU that fell out of this machine aren't replaced by rows that say so", "[cpu]") {
  auto record = earlier();
  record.system.host = "here";
  record.system.gpu = "NVIDIA H200";
  record.system.id = "with the GPU";
  auto now = key();
  now.host = "here";
  const auto decision = decide_resume(&record, now);
  CHECK(decision.refused.find(
            "measured with NVIDIA H200, which this machine doesn't have now: choose another --out") !=
        std::string::npos);
  CHECK(decision.finished.empty());
  now.host = "elsewhere";
  CHECK(decide_resume(&record, now).refused.empty());  // another machine measures for itself
  CHECK_FALSE(decide_resume(&record, now).why_not.empty());
}
