// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/system.h"
#include "kernels/simt/engine_benchmark.h"
#include "reports/format.h"
#include "reports/text_table.h"

namespace remeasure::bench::cli {

int engine(const EngineOptions& options, Console& console) {
  const auto timings = simt::run_engine_benchmark();
  if (options.json) {
    auto array = nlohmann::json::array();
    for (const auto& timing : timings) {
      array.push_back({{"name", timing.name},
                       {"items", timing.items},
                       {"seconds", timing.seconds},
                       {"samples", timing.samples}});
    }
    console.print(nlohmann::json{{"cpu", cpu_name()}, {"cores", usable_cores()}, {"kernels", array}}.dump(2) +
                  "\n");
    return kFine;
  }
  reports::TextTable table({{.title = "kernel", .least = 16},
                            {.title = "fastest", .right = true, .whole = true},
                            {.title = "median", .right = true, .whole = true},
                            {.title = "items/s", .right = true, .whole = true},
                            {.title = "launches", .right = true, .whole = true}});
  for (const auto& timing : timings) {
    auto samples = timing.samples;
    const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
    std::nth_element(samples.begin(), middle, samples.end());
    table.add({{timing.name},
               {reports::seconds_text(timing.seconds)},
               {samples.empty() ? "" : reports::seconds_text(*middle)},
               {reports::rate_text(timing.items / timing.seconds, "")},
               {std::to_string(samples.size())}});
  }
  console.print(fmt::format("The SIMT engine on {}, {} cores; every result was checked.\n\n", cpu_name(),
                            usable_cores()));
  console.print(table.text(console.width(), 0, console.colour()));
  console.print(
      "\nThese are times of the engine, which checks kernels on a CPU. They say nothing about a GPU.\n");
  return kFine;
}

}  // namespace remeasure::bench::cli
