// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "bench/runner/protocol.h"
#include "bench/runner/settings.h"
#include "reports/record.h"

namespace remeasure::bench::runner {

/// What an earlier record must have in common with the run that wants to go on with it.
struct ResumeKey {
  std::string command;  ///< canonical
  std::string git_commit;
  bool git_dirty = false;
  std::string system_id;
  std::string host = {}, gpu = {};  ///< of this machine, now
};

ResumeKey resume_key(const std::string& command, const reports::Build& build, const reports::System& system);

struct ResumeDecision {
  std::set<std::string> finished;  ///< names of the cases to take over
  std::string why_not;             ///< why none is: for the user; empty also where there is nothing to say
  std::string warning;             ///< taken over, but ...
  std::string refused;             ///< going on would destroy results that can't be made again here
};

/// A case that needs no second run: it ended, and no variant of it crashed, threw or ran out of time. A wrong
/// result is a finished one: doing it again would hide it.
bool is_finished(const reports::CaseResult& result);

/// `earlier` is null where no record exists.
ResumeDecision decide_resume(const reports::Record* earlier, const ResumeKey& key);

Tally tally_of(const reports::CaseResult& result);
Tally tally_of(const reports::Record& record);

}  // namespace remeasure::bench::runner
