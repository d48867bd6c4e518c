// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/runner/progress.h"
#include "bench/runner/protocol.h"

namespace remeasure::bench::runner {

/// What one experiment of a run says of itself: lines that begin with "[2/3] dfss", and the live line.
class ExperimentView {
 public:
  /// `number` of `count` experiments.
  ExperimentView(ProgressView& view, const std::string& id, int number, int count);

  void line(const std::string& text);
  /// Of the case that state has.
  void case_line(const std::string& name, const std::string& text);
  /// In a log every case has its line; on a terminal only what went wrong.
  void case_finished(const Message& message);
  void update() { view_.update(state); }

  ProgressState state;

 private:
  ProgressView& view_;
};

}  // namespace remeasure::bench::runner
