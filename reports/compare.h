// SPDX-License-Identifier: Apache-2.0
//
// How two values of one quantity are compared: before (the reference) and after (this run). Pure functions, no records.
//
// Times and speedups, by their 95 % intervals. For a quantity of which more is worse (a speedup is inverted first) let
// b, a be the medians before and after, [bl, bh] and [al, ah] their intervals, and
//     noise = max((bh - bl) / 2b, (ah - al) / 2a, quartile deviation / median of either's samples),
//     t     = max(3 %, noise).
//   (1) worse:   al / bh > 1 + t
//   (2) better:  bl / ah > 1 + t
//   (3) same:    max(a / b, b / a) <= 1 + 3 %  and  noise <= 10 %
//   (4) unclear: anything else. It never fails a check.
// The quartile deviation is there because medians differ more between two runs than the interval inside one says.
//
// Errors against the oracle, e with limit L:
//   (5) worse:  e_after > 2 e_before   and  e_after  > L / 10
//   (6) better: e_after < e_before / 2 and  e_before > L / 10;  same otherwise
//   so neither far below its limit counts, nor a small step anywhere (another compiler rounds differently). A limit
//   that was raised by more than a rounding of its decimals is worse.
//
// Bytes: (7) worse or better beyond a relative threshold and a slack in bytes; same otherwise.
//
// Metrics:
//   (8) exact: equal, or worse
//   (9) with a tolerance r: same if |a - b| <= max(r |b|, 3 standard errors of the difference), else worse
//  (10) with neither: same within max(3 %, 3 standard errors), else unclear
#pragma once

#include <string>
#include <vector>

#include "reports/record.h"

namespace remeasure::reports {

enum class Outcome { same, better, worse, unclear };
const char* to_string(Outcome);

struct Judgement {
  Outcome outcome = Outcome::same;
  double threshold = 0;          ///< relative, where there is one
  std::string note = {};
};

inline constexpr double kLeastThreshold = 0.03;
inline constexpr double kMostNoise = 0.10;
inline constexpr double kErrorGrowth = 2;
inline constexpr double kFarBelowLimit = 0.1;

Judgement compare_times(const TimeResult& before, const TimeResult& after);
Judgement compare_speedups(const Estimate& before, const Estimate& after);
Judgement compare_accuracy(const Accuracy& before, const Accuracy& after);
Judgement compare_bytes(double before, double after, double threshold = kLeastThreshold, double slack = 0);
Judgement compare_metrics(const Metric& before, const Metric& after, bool same_machine);

/// Half the distance between the quartiles, relative to the median; 0 for fewer than four samples.
double quartile_deviation(std::vector<double> samples);

}  // namespace remeasure::reports
