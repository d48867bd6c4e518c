// SPDX-License-Identifier: Apache-2.0
#include "baselines/matmul/choose.h"

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <utility>

#include "kernels/device/device.h"

namespace remeasure::baselines {

Choice choose_fastest(std::span<const Candidate> candidates,
                      const std::function<double(std::size_t)>& seconds) {
  std::optional<Choice> best;
  std::size_t failed = 0;
  std::string why = "the library offers none";
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    double time = 0;
    try {
      time = seconds(i);
      if (!(time > 0)) throw DeviceError(fmt::format("{} took {} s", candidates[i].name, time));
    } catch (const std::exception& error) {
      why = error.what();
      ++failed;
      continue;
    }
    const auto rank = [&](std::size_t index, double t) {
      return std::pair(t, candidates[index].workspace_bytes);
    };
    if (!best || rank(i, time) < rank(best->index, best->seconds))
      best = {.index = i, .seconds = time, .failed = 0, .setting = {}};
  }
  if (!best) throw DeviceError(fmt::format("none of {} algorithms can do this: {}", candidates.size(), why));
  best->failed = failed;
  const Candidate& chosen = candidates[best->index];
  best->setting = fmt::format("{}, workspace {} KiB; fastest of {}", chosen.name,
                              chosen.workspace_bytes / 1024, candidates.size());
  if (failed > 0) best->setting += fmt::format(" ({} failed)", failed);
  return *best;
}

}  // namespace remeasure::baselines
