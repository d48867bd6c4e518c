// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/parents_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>
#include <utility>

#include "bench/run_case.h"
#include "bench/runner/resume.h"
#include "bench/runner/worker_record.h"
#include "reports/record_io.h"

namespace remeasure::bench::runner {
namespace {

/// "n=512 pattern=2:4" as pairs; a word without '=' belongs to the value before it.
std::map<std::string, std::string> parameters_of(const std::string& case_name) {
  std::map<std::string, std::string> parameters;
  std::istringstream words(case_name);
  std::string word, key;
  while (words >> word) {
    const auto equals = word.find('=');
    if (equals != std::string::npos) {
      key = word.substr(0, equals);
      parameters[key] = word.substr(equals + 1);
    } else if (!key.empty()) {
      parameters[key] += " " + word;
    }
  }
  return parameters;
}

}  // namespace

ParentsRecord::ParentsRecord(const Registered& registered, const Settings& settings,
                             const Assignment& assignment, reports::Record& record)
    : registered_(registered), settings_(settings), assignment_(assignment), record_(record) {}

void ParentsRecord::read() {
  const auto path = record_path(settings_, assignment_.experiment);
  try {
    if (std::filesystem::exists(path)) {
      record_ = reports::read_record(path);
      if (record_.run_id == assignment_.run_id) return;
      // A worker that ended before its first word hasn't taken the earlier results over; they are not to be
      // lost by it.
      if (settings_.resume && may_go_on_with(record_)) return;
    }
  } catch (const reports::RecordError&) {
    // Somebody else's file, about to be replaced.
  }
  record_ = blank_record(registered_, assignment_);
}

bool ParentsRecord::may_be_completed() {
  const auto path = record_path(settings_, assignment_.experiment);
  if (!std::filesystem::exists(path)) {
    record_ = blank_record(registered_, assignment_);
    return true;
  }
  if (!settings_.resume) return false;
  try {
    record_ = reports::read_record(path);
  } catch (const reports::RecordError&) {
    return false;
  }
  return may_go_on_with(record_);
}

bool ParentsRecord::may_go_on_with(const reports::Record& earlier) const {
  const auto now = blank_record(registered_, assignment_);
  const auto decision = decide_resume(&earlier, resume_key(now.command, now.build, now.system));
  return decision.why_not.empty() && decision.refused.empty();
}

void ParentsRecord::write() const {
  reports::write_record(record_, record_path(settings_, assignment_.experiment));
}

int ParentsRecord::device_passes() const {
  int passes = 0;
  for (const auto& result : record_.cases) {
    for (const auto& variant : result.variants) {
      passes += variant.status == reports::Status::passed && variant.where != reports::Where::cpu ? 1 : 0;
    }
  }
  return passes;
}

reports::CaseResult ParentsRecord::row(const std::string& case_name, const std::string& error) const {
  reports::CaseResult row;
  row.name = case_name;
  row.parameters = parameters_of(case_name);
  row.seed = settings_.seed;
  row.error = error;
  return row;
}

void ParentsRecord::put(reports::CaseResult row) {
  std::erase_if(record_.cases, [&](const auto& result) { return result.name == row.name; });
  record_.cases.push_back(std::move(row));
}

void ParentsRecord::judge() {
  record_.claims = judge_all(*registered_.experiment, record_.cases, settings_.size);
}

bool ParentsRecord::add_unreached(const std::vector<Unreached>& unreached) {
  const auto rows = record_.cases.size();
  for (const auto& one : unreached) {
    const auto found = std::find_if(record_.cases.begin(), record_.cases.end(),
                                    [&](const auto& result) { return result.name == one.name; });
    // What it came to earlier says more.
    if (found != record_.cases.end() && found->not_reached.empty()) continue;
    reports::CaseResult waiting = row(one.name, "");
    waiting.not_reached = one.why;
    put(std::move(waiting));
  }
  // A worker that the budget ended after its last case had no time to say so.
  const bool all_done =
      unreached.empty() && record_.state == reports::RunState::partial && record_.error.empty();
  if (all_done) {
    record_.state = reports::RunState::complete;
  } else if (unreached.empty() && rows == record_.cases.size()) {
    return false;
  } else if (record_.state == reports::RunState::complete || record_.state == reports::RunState::partial) {
    record_.state = reports::RunState::partial;
    record_.error = fmt::format("{} of {} cases were not reached within the budget", unreached.size(),
                                record_.cases.size());
  }
  judge();
  return true;
}

}  // namespace remeasure::bench::runner
