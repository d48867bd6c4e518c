// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/resume.h"

#include <fmt/format.h>

#include <algorithm>

namespace remeasure::bench::runner {

bool is_finished(const reports::CaseResult& result) {
  if (!result.left_out.empty()) return true;
  return result.error.empty() && std::none_of(result.variants.begin(), result.variants.end(), [](const auto& variant) {
           return variant.status == reports::Status::failed || variant.status == reports::Status::timed_out;
         });
}

ResumeDecision decide_resume(const reports::Record* earlier, const ResumeKey& key) {
  ResumeDecision decision;
  if (earlier == nullptr) return decision;
  const auto short_commit = [](const std::string& commit) { return commit.substr(0, 12); };
  if (earlier->build.git_commit != key.git_commit) {
    decision.why_not = fmt::format("the earlier result is from commit {}, this build from {}: measuring again",
                                   short_commit(earlier->build.git_commit), short_commit(key.git_commit));
  } else if (earlier->build.git_dirty != key.git_dirty) {
    decision.why_not = fmt::format("the earlier result is from a build {} uncommitted changes, this one from a build {}: "
                                   "measuring again", earlier->build.git_dirty ? "with" : "without",
                                   key.git_dirty ? "with" : "without");
  } else if (earlier->system.id != key.system_id) {
    decision.why_not = fmt::format("the earlier result is from another machine ({}): measuring again",
                                   earlier->system.host.empty() ? earlier->system.id : earlier->system.host);
  } else if (without_filter(earlier->command) != without_filter(key.command)) {
    decision.why_not = fmt::format("the earlier result is of `{}`: measuring again", without_filter(earlier->command));
  }
  if (!decision.why_not.empty()) return decision;
  for (const auto& result : earlier->cases) {
    if (is_finished(result)) decision.finished.insert(result.name);
  }
  if (key.git_dirty && !decision.finished.empty()) {
    decision.warning = "the sources have uncommitted changes; finished cases are taken over even if code changed "
                       "since (leave out --resume to measure again)";
  }
  return decision;
}

Tally tally_of(const reports::CaseResult& result) {
  Tally tally;
  for (const auto& variant : result.variants) {
    switch (variant.status) {
      case reports::Status::passed: ++tally.passed; break;
      case reports::Status::incorrect: ++tally.incorrect; break;
      case reports::Status::not_run:
      case reports::Status::not_supported: ++tally.not_run; break;
      // A variant that nothing verified is its author's mistake, and must not look like an absent GPU.
      case reports::Status::not_verified:
      case reports::Status::failed:
      case reports::Status::timed_out: ++tally.failed; break;
    }
  }
  for (const auto& check : result.checks) tally.failed_checks += check.passed ? 0 : 1;
  return tally;
}

Tally tally_of(const reports::Record& record) {
  Tally tally;
  for (const auto& result : record.cases) tally += tally_of(result);
  return tally;
}

}  // namespace remeasure::bench::runner
