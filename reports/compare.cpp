// SPDX-License-Identifier: Apache-2.0
#include "reports/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/format.h"

namespace remeasure::reports {
namespace {

double half_width(const Estimate& it) {
  return (it.high - it.low) / (2 * it.median);
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<double> medians_of(const std::vector<Estimate>& runs) {
  std::vector<double> medians;
  for (const Estimate& run : runs) medians.push_back(run.median);
  return medians;
}

double typical_half_width(const std::vector<Estimate>& runs) {
  std::vector<double> widths;
  for (const Estimate& run : runs) widths.push_back(half_width(run));
  return median_of(std::move(widths));
}

std::vector<Estimate> points(const std::vector<double>& values) {
  std::vector<Estimate> estimates;
  for (const double value : values) estimates.push_back({value, value, value});
  return estimates;
}

/// Rules 1 to 4.
Judgement compare_few(const Estimate& before, const Estimate& after, double sample_noise, double least) {
  const double noise = std::max({half_width(before), half_width(after), sample_noise});
  const double threshold = std::max(least, noise);
  const double growth = std::max(after.median / before.median, before.median / after.median);
  if (after.low / before.high > 1 + threshold) return {Outcome::worse, threshold};
  if (before.low / after.high > 1 + threshold) return {Outcome::better, threshold};
  if (noise > kMostNoise) {
    return {Outcome::unclear, threshold, fmt::format("noise of {}", percent_text(noise))};
  }
  if (growth <= 1 + kLeastThreshold) return {Outcome::same, threshold};
  return {Outcome::unclear, threshold,
          least > kLeastThreshold ? fmt::format("give {} runs of each", kFewestRepeats) : "within the noise"};
}

/// Rules 5 to 7.
Judgement compare_many(const std::vector<double>& before, const std::vector<double>& after,
                       double threshold) {
  const Estimate shift = shift_between(before, after);
  if (shift.median > 1 + threshold && shift.low > 1) return {Outcome::worse, threshold};
  if (1 / shift.median > 1 + threshold && shift.high < 1) return {Outcome::better, threshold};
  const bool near = std::max(shift.median, 1 / shift.median) <= 1 + kLeastThreshold;
  if (near && shift.low > 1 / (1 + kMostNoise) && shift.high < 1 + kMostNoise)
    return {Outcome::same, threshold};
  return {Outcome::unclear, threshold, "within what the runs differ"};
}

/// In how many orders of n values and m others exactly u pairs have the smaller value among the n; u = 0 ...
/// n m.
std::vector<double> mann_whitney_counts(std::size_t n, std::size_t m) {
  // Gaussian binomial coefficients: prod (1 - q^(m+i)) / (1 - q^i), i = 1 ... n.
  std::vector<double> count(n * m + 1, 0);
  count[0] = 1;
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t u = n * m; u >= m + i; --u) count[u] -= count[u - (m + i)];
    for (std::size_t u = i; u <= n * m; ++u) count[u] += count[u - i];
  }
  return count;
}

}  // namespace

Estimate shift_between(const std::vector<double>& before, const std::vector<double>& after) {
  std::vector<double> quotients;
  for (const double a : after) {
    for (const double b : before) quotients.push_back(a / b);
  }
  std::sort(quotients.begin(), quotients.end());
  const std::vector<double> counts = mann_whitney_counts(before.size(), after.size());
  double orders = 0;
  for (const double count : counts) orders += count;
  // The shift is below the k-th smallest quotient with probability P(U <= k - 1): the largest k whose is at
  // most 2.5 %.
  std::size_t k = 0;
  double below = 0;
  while (2 * k + 1 < quotients.size() && (below += counts[k]) <= 0.025 * orders) ++k;
  const std::size_t outside = k > 0 ? k - 1 : 0;  // quotients left out at either end
  return {median_of(quotients), quotients[outside], quotients[quotients.size() - 1 - outside]};
}

Estimate hull(const std::vector<Estimate>& runs) {
  Estimate whole{median_of(medians_of(runs)), runs.front().low, runs.front().high};
  for (const Estimate& run : runs) {
    whole.low = std::min(whole.low, run.low);
    whole.high = std::max(whole.high, run.high);
  }
  return whole;
}

Estimate inverse(const Estimate& it) {
  return {1 / it.median, 1 / it.high, 1 / it.low};
}

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::same:
      return "same";
    case Outcome::better:
      return "better";
    case Outcome::worse:
      return "worse";
    case Outcome::unclear:
      break;
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

Judgement compare_times(const Evidence& before, const Evidence& after) {
  const bool few = std::min(before.runs.size(), after.runs.size()) < kFewestRepeats;
  for (const Evidence* side : {&before, &after}) {
    if (few && !side->disturbed.empty()) return {Outcome::unclear, 0, side->disturbed};
  }
  const double least = few && (before.on_cpu || after.on_cpu) ? kLeastThresholdOneCpuRun : kLeastThreshold;
  const double threshold = std::max({least, typical_half_width(before.runs), typical_half_width(after.runs)});
  const Judgement judgement = few ? compare_few(hull(before.runs), hull(after.runs),
                                                std::max(before.sample_noise, after.sample_noise), least)
                                  : compare_many(medians_of(before.runs), medians_of(after.runs), threshold);
  const bool moved = judgement.outcome == Outcome::worse || judgement.outcome == Outcome::better;
  if (!moved || before.relative.size() != before.runs.size() || after.relative.size() != after.runs.size()) {
    return judgement;
  }
  const Judgement witness =
      few ? compare_few(hull(points(before.relative)), hull(points(after.relative)), 0, least)
          : compare_many(before.relative, after.relative, threshold);
  if (witness.outcome == judgement.outcome) return judgement;
  return {Outcome::unclear, judgement.threshold, "the case's other variants moved alike"};
}

Judgement compare_accuracy(const Accuracy& before, const Accuracy& after) {
  if (after.limit > before.limit * (1 + 1e-6)) {
    return {Outcome::worse, 0, fmt::format("the limit was raised from {}", error_text(before.limit))};
  }
  const double enough = kFarBelowLimit * after.limit;
  if (after.value > kErrorGrowth * before.value && after.value > enough)
    return {Outcome::worse, kErrorGrowth - 1};
  if (after.value < before.value / kErrorGrowth && before.value > enough)
    return {Outcome::better, kErrorGrowth - 1};
  return {Outcome::same, kErrorGrowth - 1};
}

Judgement compare_bytes(ByteRange before, ByteRange after, double threshold, double slack) {
  const double step = std::max(threshold * before.most, slack);
  if (after.least > before.most + step) return {Outcome::worse, threshold};
  if (after.most < before.least - step) return {Outcome::better, threshold};
  if (std::abs(after.most - before.most) <= step) return {Outcome::same, threshold};
  return {Outcome::unclear, threshold, "threads' temporaries overlap differently"};
}

Judgement compare_bytes(double before, double after, double threshold, double slack) {
  return compare_bytes(ByteRange{before, before}, ByteRange{after, after}, threshold, slack);
}

Judgement compare_metrics(const Metric& before, const Metric& after, bool same_machine) {
  if (before.exact) {
    return before.value == after.value ? Judgement{Outcome::same, 0}
                                       : Judgement{Outcome::worse, 0, "must be equal"};
  }
  const double deviation = 3 * std::hypot(before.error.value_or(0), after.error.value_or(0));
  const double difference = std::abs(after.value - before.value);
  if (before.tolerance > 0) {
    const bool near = difference <= std::max(before.tolerance * std::abs(before.value), deviation);
    return {near ? Outcome::same : Outcome::worse, before.tolerance};
  }
  if (difference <= std::max(kLeastThreshold * std::abs(before.value), deviation))
    return {Outcome::same, kLeastThreshold};
  return {Outcome::unclear, kLeastThreshold,
          same_machine ? "has no tolerance" : "has no tolerance, another machine"};
}

}  // namespace remeasure::reports
