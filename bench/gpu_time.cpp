// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bench/statistics.h"

namespace remeasure::bench {
namespace {

reports::OtherMode other_mode(const ModeSampling& sampling) {
  reports::OtherMode other;
  other.mode = sampling.mode;
  other.launches = static_cast<int>(sampling.launches);
  other.samples = sampling.samples;
  other.throttled = sampling.throttled;
  other.missing = sampling.missing;
  if (sampling.samples.empty()) return other;
  const reports::Estimate seconds = estimate(sampling.samples);
  if (seconds.low > 0)
    other.seconds = seconds;
  else
    other.missing = "a sample took no time at all";
  return other;
}

}  // namespace

reports::TimeResult time_result_of(DeviceSampling& sampling, const VariantInfo& info) {
  reports::TimeResult time;
  time.mode = "cold";
  time.cache = sampling.cache;
  time.unhidden = info.synchronises;
  if (!sampling.samples.empty()) {
    time.before = sampling.before;
    time.after = sampling.after;
    time.launch_bound = median(sampling.samples) < kLaunchBoundSeconds;
  }
  const auto quoted = std::find_if(sampling.others.begin(), sampling.others.end(),
                                   [&](const ModeSampling& other) { return other.mode == info.quote.mode; });
  if (quoted != sampling.others.end() && quoted->missing.empty() && sampling.failure.empty()) {
    time.mode = quoted->mode;
    time.quoted_because = info.quote.because;
    quoted->mode = "cold";
    std::swap(sampling.samples, quoted->samples);
    std::swap(sampling.throttled, quoted->throttled);
    std::swap(sampling.sm_mhz, quoted->sm_mhz);
    sampling.stop_reason =
        fmt::format("{} batches of {} launches", sampling.samples.size(), quoted->launches);
    quoted->launches = 1;
  } else if (info.quote.mode != "cold") {
    time.quoted_because = fmt::format("no {} time", info.quote.mode) +
                          (quoted == sampling.others.end() ? std::string() : ": " + quoted->missing);
  }
  time.throttled = sampling.throttled;
  time.sm_mhz = sampling.sm_mhz;
  for (const ModeSampling& other : sampling.others) {
    if (!other.samples.empty() || !other.missing.empty()) time.other_modes.push_back(other_mode(other));
  }
  return time;
}

}  // namespace remeasure::bench
