// SPDX-License-Identifier: Apache-2.0
//
// A time budget spread over the cases of many experiments. Pure: no clock, no process; the caller says what
// was spent.
//
// Order. Cases of a higher CaseDefinition::priority first. Among equals the experiments take turns: the first
// case of each, then the second of each, ...: an author lists first what his claims rest on. A case that an
// earlier call cut short comes after those that had no turn at all, so that it can't eat every call's budget.
//
// Turns. A worker process has to be started for each, so an experiment's first turn has one case, its second
// two, then four: log2(cases) starts, and every experiment has its first case before any has its second (of
// one priority).
//
// Bounds. With `left` seconds and n cases to go a fair share is left / n.
//   - A case is ended at its cap: the largest of 4 shares (but half of what is left as long as others wait),
//   twice what it
//     took earlier, and 2 s; never more than is left. However long it hangs, something is left for the next
//     one.
//   - A turn of k cases begins no further case after k shares.
//   - A case that is known to take longer than what is left doesn't begin.
// So the last case ends when the budget does; what comes on top is the time to kill and to write (kOverrun at
// most).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace remeasure::bench::runner {

/// One case that is still to run.
struct Candidate {
  std::string experiment, name;
  int priority = 0;
  std::optional<double> expected = {};  ///< seconds that it took earlier; empty: unknown
  bool at_least = false;   ///< `expected` is a lower bound: it was cut short, or ran at a smaller size
  bool cut_short = false;  ///< an earlier call gave it its turn, and it didn't end in time
  bool free = false;       ///< left out by its author: costs nothing, goes with the first turn
};

/// Cases of one experiment that one worker runs.
struct Turn {
  std::string experiment;
  std::vector<std::string> cases;
  std::vector<double> caps;  ///< seconds each, same order
  std::vector<bool>
      clipped;         ///< the cap is what was left, less than the case's due: cut there, it waits again
  double seconds = 0;  ///< no further case begins after so long
};

struct Unreached {
  std::string experiment, name, why;
};

inline constexpr double kSharesPerCase = 4;
inline constexpr double kLeastCap = 2;
/// What a call may take beyond its budget: two periods of grace for a worker that must be killed, and
/// writing.
inline constexpr double kOverrun = 6;

class BudgetPlan {
 public:
  /// `candidates` of each experiment in their author's order; experiments in the order of their first
  /// candidate.
  BudgetPlan(const std::vector<Candidate>& candidates, double seconds);

  /// The next turn when `spent` seconds are gone; empty when nothing fits any more.
  std::optional<Turn> next(double spent);
  /// These cases of the turn had theirs, whatever came of it; the others wait again.
  void done(const Turn& turn, const std::vector<std::string>& cases);

  std::size_t waiting() const { return waiting_.size(); }
  /// What had no turn, and why.
  std::vector<Unreached> unreached(double spent) const;

 private:
  double cap_of(const Candidate& candidate, double left) const;

  std::vector<Candidate> waiting_;    // in the order in which they run
  std::map<std::string, int> turns_;  // had by each experiment
  double seconds_;
};

/// "480", "480s", "8m", "1h30m" in seconds; empty if it is none of these or not above 0.
std::optional<double> parse_duration(const std::string& text);
/// "8m", "90s": what parse_duration reads.
std::string duration_text(double seconds);

}  // namespace remeasure::bench::runner
