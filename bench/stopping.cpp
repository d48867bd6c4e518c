// SPDX-License-Identifier: Apache-2.0
#include "bench/stopping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace remeasure::bench {
namespace {

std::string in_words(const SamplingState& state) {
  const double width = state.widths.empty() ? std::numeric_limits<double>::infinity() : state.widths.back();
  const std::string samples = fmt::format("{} sample{}", state.samples, state.samples == 1 ? "" : "s");
  if (state.samples < 6) return samples + ", range instead of a 95 % interval";
  return fmt::format("{}, interval {:.2g} % of the median", samples, 100 * width);
}

}  // namespace

StopDecision decide(const StopRule& rule, const SamplingState& state) {
  if (state.deadline_passed) return {true, "deadline: " + in_words(state)};
  if (state.wall_seconds >= rule.max_wall_seconds) {
    return {true, fmt::format("time cap {:.2g} s: {}", rule.max_wall_seconds, in_words(state))};
  }
  if (state.samples >= rule.max_samples) return {true, "sample cap: " + in_words(state)};
  if (state.samples < rule.min_samples || state.measured_seconds < rule.min_seconds) return {};
  if (state.widths.empty()) return {};
  if (state.widths.back() < rule.width) return {true, "precise: " + in_words(state)};
  if (state.widths.size() > rule.patience) {
    const auto recent = state.widths.end() - static_cast<std::ptrdiff_t>(rule.patience);
    const double before = *std::min_element(state.widths.begin(), recent);
    const double now = *std::min_element(recent, state.widths.end());
    if (now > (1 - rule.shrink) * before) return {true, "stopped shrinking: " + in_words(state)};
  }
  return {};
}

std::size_t next_round(const StopRule& rule, const SamplingState& state, double seconds_per_sample) {
  const std::size_t wanted =
      state.samples < rule.min_samples ? rule.min_samples - state.samples : state.samples;
  const double left = std::max(0.0, rule.max_wall_seconds - state.wall_seconds);
  const double affordable = seconds_per_sample > 0 ? left / seconds_per_sample : static_cast<double>(wanted);
  const std::size_t most =
      std::max<std::size_t>(1, rule.max_samples - std::min(rule.max_samples, state.samples));
  const double bounded = std::clamp(affordable, 1.0, static_cast<double>(std::min(wanted, most)));
  return static_cast<std::size_t>(bounded);
}

std::size_t iterations_per_sample(double seconds_per_call, double sample_seconds) {
  if (!(seconds_per_call > 0)) return 1'000'000;
  return static_cast<std::size_t>(std::clamp(std::ceil(sample_seconds / seconds_per_call), 1.0, 1e6));
}

}  // namespace remeasure::bench
