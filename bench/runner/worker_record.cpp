// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/worker_record.h"

#include <fmt/chrono.h>

#include <ctime>

#include "bench/plant.h"
#include "bench/system.h"

namespace remeasure::bench::runner {

std::string utc_now() {
  const auto now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", utc);
}

reports::Record blank_record(const Registered& registered, const Assignment& assignment) {
  const Paper& paper = registered.experiment->paper;
  reports::Record record;
  record.run_id = assignment.run_id;
  record.started = utc_now();
  record.command = canonical_command(assignment.experiment, assignment.settings);
  record.experiment = paper.id;
  record.theme = std::string(registered.theme);
  record.title = paper.title;
  record.authors = paper.authors;
  record.venue = paper.venue;
  record.arxiv = paper.arxiv;
  record.summary = paper.summary;
  record.notes = registered.experiment->notes;
  if (const std::string planted = plant(); !planted.empty()) {
    record.notes.insert(record.notes.begin(),
                        "NOT A MEASUREMENT: a test of the comparison, with REMEASURE_PLANT=" + planted);
  }
  record.size = to_string(assignment.settings.size);
  record.build = build_info();
  record.system = system_info();
  return record;
}

}  // namespace remeasure::bench::runner
