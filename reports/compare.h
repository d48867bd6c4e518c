// SPDX-License-Identifier: Apache-2.0
//
// How two values of one quantity are compared: before (the reference) and after (this run). Pure functions,
// no records.
//
// Times and speedups. For a quantity of which more is worse (a speedup is inverted first) let
// b, a be the medians before and after, [bl, bh] and [al, ah] their 95 % intervals, and
//     noise = max((bh - bl) / 2b, (ah - al) / 2a, quartile deviation / median of either's samples),
//     t     = max(least, noise), least = 3 % on a GPU, 50 % on a CPU.
// One or two runs a side (of two: the hull of their intervals):
//   (1) worse:   al / bh > 1 + t
//   (2) better:  bl / ah > 1 + t
//   (3) same:    max(a / b, b / a) <= 1 + 3 %  and  noise <= 10 %
//   (4) unclear: anything else. It never fails a check.
// The quartile deviation is there because medians differ more between two runs than the interval inside one
// says. On a CPU they differ far more: load, frequency and the place of pages and threads last as long as a
// run, so nothing inside it tells of them. A dfss row with an interval of 0.5 % was seen to move by 43 %
// between runs of one program.
//
// Three runs a side or more: what runs differ in is then measured. Let [l, h] be the 95 % interval of the
// shift between the runs' medians, of all quotients a_i / b_j by the ranks of Mann and Whitney (Hodges and
// Lehmann 1963; of 3 against 3 all quotients, 90 %), and s their median. Runs, not samples, are what is
// drawn; no distribution is assumed. t = max(3 %, the median of the runs' own half intervals, relative): a
// run that doesn't know its median adds nothing.
//   (5) worse:   s > 1 + t  and  l > 1
//   (6) better:  1 / s > 1 + t  and  h < 1
//   (7) same:    max(s, 1 / s) <= 1 + 3 %  and  l > 1 / (1 + 10 %)  and  h < 1 + 10 %;  unclear: anything
//   else
// However many runs:
//   (8) A time is worse or better only if it is so relative to the other variants of its case too: the same
//   rule on
//       time / geometric mean of the others' times in the same run. They are sampled in turns, so what hits
//       all alike is the machine (or what they share), and unclear. A case with one timed variant has no such
//       witness.
//  (8a) A run whose time is disturbed (others kept the cores busy) is left out where the side has calm ones,
//       three of them if it has three runs. Of one or two runs a side, all disturbed: unclear. Of three and
//       more the spread between them is known, and judged as above.
//
// Errors against the oracle, e with limit L:
//   (9) worse:  e_after > 2 e_before   and  e_after  > L / 10
//  (10) better: e_after < e_before / 2 and  e_before > L / 10;  same otherwise
//   so neither far below its limit counts, nor a small step anywhere (another compiler rounds differently). A
//   limit that was raised by more than a rounding of its decimals is worse.
//
// Bytes: a range over the runs, [least, most]:
//  (11) worse or better where the ranges are apart by more than a relative threshold and a slack in bytes;
//  same where
//       their upper ends are that near; unclear otherwise. The host's peak in a run of T threads counts as
//       [peak / T, peak]: whether their temporaries exist at the same time is chance, and a loaded machine
//       repeats it for many runs.
//
// Metrics:
//  (12) exact: equal, or worse
//  (13) with a tolerance r: same if |a - b| <= max(r |b|, 3 standard errors of the difference), else worse
//  (14) with neither: same within max(3 %, 3 standard errors), else unclear
#pragma once

#include <string>
#include <vector>

#include "reports/record.h"

namespace remeasure::reports {

enum class Outcome { same, better, worse, unclear };
const char* to_string(Outcome);

struct Judgement {
  Outcome outcome = Outcome::same;
  double threshold = 0;  ///< relative, where there is one
  std::string note = {};
};

inline constexpr double kLeastThreshold = 0.03;
inline constexpr double kLeastThresholdOneCpuRun = 0.5;
inline constexpr double kMostNoise = 0.10;
inline constexpr std::size_t kFewestRepeats = 3;
inline constexpr double kErrorGrowth = 2;
inline constexpr double kFarBelowLimit = 0.1;

struct ByteRange {
  double least = 0, most = 0;
};

/// What the runs of one side say of one time, or of one inverted speedup: more is worse.
struct Evidence {
  std::vector<Estimate> runs = {};  ///< one per run
  std::vector<double> relative =
      {};                   ///< time / that of the case's other variants, one per run; empty: no witness
  double sample_noise = 0;  ///< largest quartile deviation of the runs' samples
  bool on_cpu = false;
  std::string disturbed = {};  ///< what disturbed one of these runs; empty if they were calm
};

/// Rules 1 to 8a.
Judgement compare_times(const Evidence& before, const Evidence& after);
Judgement compare_accuracy(const Accuracy& before, const Accuracy& after);
Judgement compare_bytes(ByteRange before, ByteRange after, double threshold = kLeastThreshold,
                        double slack = 0);
Judgement compare_bytes(double before, double after, double threshold = kLeastThreshold, double slack = 0);
Judgement compare_metrics(const Metric& before, const Metric& after, bool same_machine);

/// Half the distance between the quartiles, relative to the median; 0 for fewer than four samples.
double quartile_deviation(std::vector<double> samples);

/// Factor between two samples of positive values, after over before: median of all quotients, and its 95 %
/// interval.
Estimate shift_between(const std::vector<double>& before, const std::vector<double>& after);

/// The median of the runs' medians and the hull of their intervals.
Estimate hull(const std::vector<Estimate>& runs);
Estimate inverse(const Estimate& it);

}  // namespace remeasure::reports
