// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/experiment_view.h"

#include <fmt/format.h>

namespace remeasure::bench::runner {

ExperimentView::ExperimentView(ProgressView& view, const std::string& id, int number, int count)
    : view_(view) {
  state.experiment = number;
  state.experiments = count;
  state.id = id;
}

void ExperimentView::line(const std::string& text) {
  view_.line(fmt::format("[{}/{}] {} {}", state.experiment, state.experiments, state.id, text));
}

void ExperimentView::case_line(const std::string& name, const std::string& text) {
  line(fmt::format("case {}/{} {}: {}", state.case_index, state.cases, name, text));
}

void ExperimentView::case_finished(const Message& message) {
  const bool left_out = message.detail.starts_with(kLeftOut);
  const bool wrong = message.tally.incorrect + message.tally.failed + message.tally.failed_checks > 0 ||
                     (!message.detail.empty() && !left_out);
  if (view_.live() && !wrong) return;
  const std::string how = message.detail.empty() ? format_tally(message.tally)
                          : left_out             ? message.detail
                                                 : "FAILED: " + message.detail;
  line(fmt::format("case {}/{} {}: {} ({})", message.index, message.total, message.name, how,
                   format_duration(message.seconds)));
}

}  // namespace remeasure::bench::runner
