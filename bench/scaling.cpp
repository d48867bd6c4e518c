// SPDX-License-Identifier: Apache-2.0
#include "bench/scaling.h"

#include <fmt/format.h>

#include "bench/statistics.h"

namespace remeasure::bench {

std::string scaling_variant(const Scaling& scaling, const std::string& method, int size) {
  return fmt::format("{}/{}={}", method, scaling.symbol, size);
}

void report_scaling(Trial& trial, const Scaling& scaling) {
  const auto time_of = [&](const std::string& method, int size) {
    return trial.time(scaling_variant(scaling, method, size)).value;
  };
  const std::string& of = scaling.exponent_of.empty() ? scaling.symbol : scaling.exponent_of;
  reports::Plot plot{.name = "scaling",
                     .title = scaling.title,
                     .x_label = scaling.axis.empty() ? scaling.symbol : scaling.axis,
                     .y_label = "seconds",
                     .log_x = true,
                     .log_y = true,
                     .curves = {}};
  for (const ScalingMethod& method : scaling.methods) {
    reports::Curve curve{.label = method.label.empty() ? method.name : method.label};
    int first_faster = 0;
    for (const int size : scaling.sizes) {
      const auto time = time_of(method.name, size);
      if (!time) continue;
      curve.x.push_back(size);
      curve.y.push_back(time->median);
      curve.error.push_back((time->high - time->low) / 4);
      if (scaling.beats.empty() || first_faster != 0) continue;
      const auto base = time_of(scaling.beats, size);
      if (base && time->median < base->median) first_faster = size;
    }
    if (curve.x.size() == scaling.sizes.size()) {
      const PowerLaw law = fit_power_law(curve.x, curve.y);
      trial.metric({.name = fmt::format("exponent of {}, {}", of, curve.label),
                    .value = law.exponent,
                    .unit = "",
                    .error = law.error});
      if (first_faster != 0 && method.name != scaling.beats) {
        trial.metric(
            {.name = fmt::format("shortest of these {} at which {} beats {}", of, curve.label, scaling.beats),
             .value = static_cast<double>(first_faster),
             .unit = scaling.unit});
      }
    }
    plot.curves.push_back(std::move(curve));
  }
  trial.plot(std::move(plot));
}

}  // namespace remeasure::bench
