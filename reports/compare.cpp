// SPDX-License-Identifier: Apache-2.0
#include "reports/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/format.h"

namespace remeasure::reports {
namespace {

double half_width(const Estimate& it) { return (it.high - it.low) / (2 * it.median); }

/// Rules 1 to 4; more is worse.
Judgement compare_intervals(const Estimate& before, const Estimate& after, double sample_noise) {
  const double noise = std::max({half_width(before), half_width(after), sample_noise});
  const double threshold = std::max(kLeastThreshold, noise);
  const double growth = after.median / before.median;
  if (after.low / before.high > 1 + threshold) return {Outcome::worse, threshold};
  if (before.low / after.high > 1 + threshold) return {Outcome::better, threshold};
  if (noise > kMostNoise) {
    return {Outcome::unclear, threshold, fmt::format("noise of {}", percent_text(noise))};
  }
  if (std::max(growth, 1 / growth) <= 1 + kLeastThreshold) return {Outcome::same, threshold};
  return {Outcome::unclear, threshold, "within the noise"};
}

Estimate inverse(const Estimate& it) { return {1 / it.median, 1 / it.high, 1 / it.low}; }

}  // namespace

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::same: return "same";
    case Outcome::better: return "better";
    case Outcome::worse: return "worse";
    case Outcome::unclear: break;
  }
  return "unclear";
}

double quartile_deviation(std::vector<double> samples) {
  if (samples.size() < 4) return 0;
  std::sort(samples.begin(), samples.end());
  const auto quantile = [&](double share) {
    const double at = share * static_cast<double>(samples.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, samples.size() - 1);
    return samples[below] + (at - static_cast<double>(below)) * (samples[above] - samples[below]);
  };
  return (quantile(0.75) - quantile(0.25)) / (2 * quantile(0.5));
}

Judgement compare_times(const TimeResult& before, const TimeResult& after) {
  const double noise = std::max(quartile_deviation(before.samples), quartile_deviation(after.samples));
  return compare_intervals(before.seconds, after.seconds, noise);
}

Judgement compare_speedups(const Estimate& before, const Estimate& after) {
  if (!(before.low > 0 && after.low > 0)) return {Outcome::unclear, kLeastThreshold, "an interval that reaches zero"};
  return compare_intervals(inverse(before), inverse(after), 0);
}

Judgement compare_accuracy(const Accuracy& before, const Accuracy& after) {
  if (after.limit > before.limit * (1 + 1e-6)) {
    return {Outcome::worse, 0, fmt::format("the limit was raised from {}", error_text(before.limit))};
  }
  const double enough = kFarBelowLimit * after.limit;
  if (after.value > kErrorGrowth * before.value && after.value > enough) return {Outcome::worse, kErrorGrowth - 1};
  if (after.value < before.value / kErrorGrowth && before.value > enough) return {Outcome::better, kErrorGrowth - 1};
  return {Outcome::same, kErrorGrowth - 1};
}

Judgement compare_bytes(double before, double after, double threshold, double slack) {
  const double step = std::max(threshold * before, slack);
  if (after > before + step) return {Outcome::worse, threshold};
  if (after < before - step) return {Outcome::better, threshold};
  return {Outcome::same, threshold};
}

Judgement compare_metrics(const Metric& before, const Metric& after, bool same_machine) {
  if (before.exact) {
    return before.value == after.value ? Judgement{Outcome::same, 0} : Judgement{Outcome::worse, 0, "must be equal"};
  }
  const double deviation = 3 * std::hypot(before.error.value_or(0), after.error.value_or(0));
  const double difference = std::abs(after.value - before.value);
  if (before.tolerance > 0) {
    const bool near = difference <= std::max(before.tolerance * std::abs(before.value), deviation);
    return {near ? Outcome::same : Outcome::worse, before.tolerance};
  }
  if (difference <= std::max(kLeastThreshold * std::abs(before.value), deviation)) return {Outcome::same, kLeastThreshold};
  return {Outcome::unclear, kLeastThreshold, same_machine ? "has no tolerance" : "has no tolerance, another machine"};
}

}  // namespace remeasure::reports
