// SPDX-License-Identifier: Apache-2.0
//
// What a user sees while experiments run: one line that is rewritten on a terminal, a line per case in a log.
#pragma once

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/runner/protocol.h"

namespace remeasure::bench::runner {

/// "850 ms", "12.3 s", "4 min 05 s", "2 h 03 min".
std::string format_duration(double seconds);
/// "3 passed, 1 not run"; "no variants" if all are zero.
std::string format_tally(const Tally& tally);

struct ProgressState {
  int experiment = 0, experiments = 0;  ///< from 1
  std::string id;
  std::int64_t case_index = 0, cases = 0;
  std::string case_name = {};
  std::string phase = {};  ///< variant and what is done with it
  double elapsed = 0;      ///< of the whole run, in seconds
  std::optional<double> remaining = {};
  std::optional<double> budget_left = {};  ///< seconds of a --budget; shown instead of `remaining`
};

/// "[2/3] dfss · case 4/12 n=512 · kernel: simt check · 12.3 s · about 40 s left", at most `width` columns:
/// the parts in the middle give way first.
std::string progress_line(const ProgressState& state, std::size_t width, bool unicode = true);

/// How long the rest takes: from an earlier run's times where there are some, else from the mean of what is
/// finished.
class Estimator {
 public:
  explicit Estimator(std::vector<std::string> experiments) : experiments_(std::move(experiments)) {}
  void expect(const std::string& experiment, double seconds) { expected_[experiment] = seconds; }
  void finished(const std::string& experiment, double seconds) { measured_[experiment] = seconds; }
  /// How far the running experiment is: `done` of `total` cases took `done_seconds` of the `elapsed`.
  struct Position {
    std::string experiment;
    double elapsed = 0;
    std::int64_t done = 0, total = 0;
    double done_seconds = 0;
  };
  /// Empty while nothing is known.
  std::optional<double> remaining(const Position& position) const;

 private:
  std::vector<std::string> experiments_;
  std::map<std::string, double> expected_, measured_;
};

/// Writes to a stream, usually stderr. `live`: the line that is rewritten; else only note() and line() show.
class ProgressView {
 public:
  ProgressView(std::FILE* stream, bool live, bool unicode)
      : stream_(stream), live_(live), unicode_(unicode) {}
  ~ProgressView() { clear(); }
  bool live() const { return live_; }
  void update(const ProgressState& state);
  void line(const std::string& text);  ///< stays, above the live line
  void clear();

 private:
  std::FILE* stream_;
  bool live_, unicode_;
  std::string shown_;
};

/// Columns of a terminal, 80 if it doesn't say.
std::size_t terminal_width(std::FILE* stream);
/// True where the locale's encoding is UTF-8.
bool locale_is_unicode();

}  // namespace remeasure::bench::runner
