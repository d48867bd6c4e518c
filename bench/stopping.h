// SPDX-License-Identifier: Apache-2.0
//
// When to stop sampling: one rule for CPU and GPU. Pure; rounds of samples come in, a decision with its
// reason comes out. First match decides:
//  1. the deadline of the run has passed                                  -> stop "deadline"
//  2. wall time spent on the variant >= max_wall_seconds                  -> stop "time cap"
//  3. samples >= max_samples                                              -> stop "sample cap"
//  4. samples < min_samples, or sum of measured time < min_seconds        -> go on
//  5. 95 % interval of the median narrower than `width`                   -> stop "precise"
//  6. the narrowest interval of the last `patience` rounds is more than (1 - shrink) of the narrowest before
//  them
//                                                                         -> stop "stopped shrinking"
//  7.                                                                     -> go on
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace remeasure::bench {

struct StopRule {
  std::size_t min_samples = 10;
  double min_seconds = 0.2;  ///< measured time, summed over the samples and their iterations
  double width = 0.01;
  std::size_t patience = 4;
  double shrink = 0.05;
  std::size_t max_samples = 10'000;
  double max_wall_seconds = 4;  ///< set-up between samples included, so that no clock can run for ever
};

/// What the rule looks at. `widths` has the relative width of the interval after each round.
struct SamplingState {
  std::size_t samples = 0;
  double measured_seconds = 0;
  double wall_seconds = 0;
  bool deadline_passed = false;
  std::vector<double> widths;
};

struct StopDecision {
  bool stop = false;
  std::string reason;  ///< stored with the result: "interval 0.8 % of the median", "time cap 4 s, ..."
};

StopDecision decide(const StopRule& rule, const SamplingState& state);

/// Samples to take in the next round: the first reaches min_samples, later ones double what is there, within
/// caps.
std::size_t next_round(const StopRule& rule, const SamplingState& state, double seconds_per_sample);

/// Calls of a variant that make one sample: enough that the clock's resolution and the loop around it don't
/// matter.
std::size_t iterations_per_sample(double seconds_per_call, double sample_seconds = 5e-4);

}  // namespace remeasure::bench
