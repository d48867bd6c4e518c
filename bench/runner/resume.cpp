// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/resume.h"

#include <fmt/format.h>

#include <algorithm>

namespace remeasure::bench::runner {

bool is_finished(const reports::CaseResult& result) {
  if (!result.left_out.empty()) return true;
  if (!result.not_reached.empty()) return false;
  return result.error.empty() &&
         std::none_of(result.variants.begin(), result.variants.end(), [](const auto& variant) {
           return variant.status == reports::Status::failed || variant.status == reports::Status::timed_out;
         });
}

ResumeKey resume_key(const std::string& command, const reports::Build& build, const reports::System& system) {
  return {.command = command,
          .git_commit = build.git_commit,
          .git_dirty = build.git_dirty,
          .system_id = system.id,
          .host = system.host,
          .gpu = system.gpu};
}

ResumeDecision decide_resume(const reports::Record* earlier, const ResumeKey& key) {
  ResumeDecision decision;
  if (earlier == nullptr) return decision;
  const auto short_commit = [](const std::string& commit) { return commit.substr(0, 12); };
  if (earlier->build.git_commit != key.git_commit) {
    decision.why_not =
        fmt::format("the earlier result is from commit {}, this build from {}: measuring again",
                    short_commit(earlier->build.git_commit), short_commit(key.git_commit));
  } else if (earlier->build.git_dirty != key.git_dirty) {
    decision.why_not = fmt::format(
        "the earlier result is from a build {} uncommitted changes, this one from a build {}: "
        "measuring again",
        earlier->build.git_dirty ? "with" : "without", key.git_dirty ? "with" : "without");
  } else if (earlier->system.id != key.system_id && earlier->system.host == key.host &&
             !earlier->system.gpu.empty() && key.gpu.empty()) {
    // A GPU that fell out is no other machine: measuring again would put "not run" in the place of its
    // results.
    decision.refused = fmt::format(
        "the earlier result was measured with {}, which this machine doesn't have now: choose "
        "another --out, or leave out --resume to measure again without it",
        earlier->system.gpu);
  } else if (earlier->system.id != key.system_id) {
    decision.why_not = fmt::format("the earlier result is from another machine ({}): measuring again",
                                   earlier->system.host.empty() ? earlier->system.id : earlier->system.host);
  } else if (without_filter(earlier->command) != without_filter(key.command)) {
    decision.why_not =
        fmt::format("the earlier result is of `{}`: measuring again", without_filter(earlier->command));
  }
  if (!decision.why_not.empty() || !decision.refused.empty()) return decision;
  for (const auto& result : earlier->cases) {
    if (is_finished(result)) decision.finished.insert(result.name);
  }
  if (key.git_dirty && !decision.finished.empty()) {
    decision.warning =
        "the sources have uncommitted changes; finished cases are taken over even if code changed "
        "since (leave out --resume to measure again)";
  }
  return decision;
}

Tally tally_of(const reports::CaseResult& result) {
  Tally tally;
  for (const auto& variant : result.variants) {
    switch (variant.status) {
      case reports::Status::passed:
        ++tally.passed;
        break;
      case reports::Status::incorrect:
        ++tally.incorrect;
        break;
      case reports::Status::not_run:
      case reports::Status::not_supported:
        ++tally.not_run;
        break;
      // A variant that nothing verified is its author's mistake, and must not look like an absent GPU.
      case reports::Status::not_verified:
      case reports::Status::failed:
      case reports::Status::timed_out:
        ++tally.failed;
        break;
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
