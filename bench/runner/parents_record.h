// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bench/experiment.h"
#include "bench/runner/budget.h"
#include "bench/runner/settings.h"
#include "reports/record.h"

namespace remeasure::bench::runner {

/// The record of an experiment in its parent process: what the workers of this run wrote, and the rows that
/// they couldn't write. What is given to the constructor stays the caller's, and may change.
class ParentsRecord {
 public:
  ParentsRecord(const Registered& registered, const Settings& settings, const Assignment& assignment,
                reports::Record& record);

  /// From the file; a blank record where it isn't of this run, nor one that --resume goes on with.
  void read();
  /// Whether rows may be added though no worker of this call wrote it: to a fresh record, or to one that
  /// --resume goes on with. Fills in the record.
  bool may_be_completed();
  /// Throws std::exception if it can't be written; then the file stands as it was.
  void write() const;

  /// Good results on a device so far.
  int device_passes() const;
  reports::CaseResult row(const std::string& case_name, const std::string& error) const;
  /// In the place of the row of that name.
  void put(reports::CaseResult row);
  /// Verdicts from all rows.
  void judge();
  /// After the last turn: rows for the cases that had none, and the state that follows. False if nothing
  /// changes.
  bool add_unreached(const std::vector<Unreached>& unreached);

 private:
  bool may_go_on_with(const reports::Record& earlier) const;

  const Registered& registered_;
  const Settings& settings_;
  const Assignment& assignment_;
  reports::Record& record_;
};

}  // namespace remeasure::bench::runner
