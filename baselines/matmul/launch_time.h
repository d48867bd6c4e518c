// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <limits>

#include "kernels/device/device.h"

namespace remeasure::baselines {

/// Seconds of one `launch` at its best, for choosing between algorithms and for ceilings, never for a table:
/// after one launch that isn't counted, three rounds of so many launches in a row that a round lasts about
/// 0.2 ms (20 launches at most).
template <class Target>
double launch_seconds(Stream<Target>& stream, const std::function<void()>& launch) {
  Event<Target> start(stream.device()), stop(stream.device());
  const auto round = [&](int launches) {
    start.record(stream);
    for (int i = 0; i < launches; ++i) launch();
    stop.record(stream);
    return stop.seconds_since(start) / launches;
  };
  static_cast<void>(round(1));
  const double once = round(1);
  const int launches = once > 0 ? static_cast<int>(std::clamp(2e-4 / once, 1.0, 20.0)) : 20;
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3; ++i) best = std::min(best, round(launches));
  return best;
}

}  // namespace remeasure::baselines
