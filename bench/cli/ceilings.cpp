// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bench/ceilings.h"
#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/cpu_ceilings.h"
#include "bench/data_sheet.h"
#include "bench/system.h"
#include "reports/format.h"
#include "reports/text_table.h"

namespace remeasure::bench::cli {
namespace {

/// One machine, measured or not.
struct Place {
  std::string name;     ///< of the device
  std::string missing;  ///< why nothing was measured; else empty
  Ceilings ceilings;
  const DataSheet* sheet = nullptr;
};

Place measured(const std::string& name, const CeilingPlan& plan, const std::filesystem::path& folder,
               bool again) {
  Place place{.name = name, .missing = {}, .ceilings = {}};
  if (again) {
    place.ceilings = measure_ceilings(plan);
    store_ceilings(place.ceilings, folder);
  } else {
    place.ceilings = measured_ceilings(plan, folder);
  }
  return place;
}

Place gpu_place(const Program& program, const std::filesystem::path& folder, bool again) {
  const std::string missing = why_no_gpu();
  if (!program.gpu_probes)
    return {.name = "GPU",
            .missing = missing.empty() ? "this program has no GPU probes" : missing,
            .ceilings = {}};
  const auto probes = program.gpu_probes();
  if (!probes)
    return {.name = "GPU", .missing = missing.empty() ? "no CUDA device" : missing, .ceilings = {}};
  Place place = measured(probes->device.name, gpu_ceiling_plan(*probes), folder, again);
  place.sheet = data_sheet_of(place.name);
  return place;
}

std::string table_of(const Place& place, const Console& console) {
  std::string text = place.name + "\n\n";
  if (!place.missing.empty()) return text + "  not measured: " + place.missing + "\n";
  std::vector<reports::TextTable::Column> columns{{.title = "ceiling", .least = 18},
                                                  {.title = "measured", .right = true, .whole = true}};
  if (place.sheet != nullptr) columns.push_back({.title = "data sheet", .right = true, .whole = true});
  reports::TextTable table(columns);
  for (const auto& [name, value] : place.ceilings.values) {
    std::vector<reports::TextTable::Cell> row{{name}, {reports::ceiling_text(name, value)}};
    if (place.sheet != nullptr) {
      const auto printed = place.sheet->values.find(name);
      row.push_back(
          {printed == place.sheet->values.end() ? "" : reports::ceiling_text(name, printed->second)});
    }
    table.add(row);
  }
  text += table.text(console.width(), 0, console.colour());
  for (const std::string& name : place.ceilings.not_here) text += name + ": not on this device\n";
  if (place.sheet != nullptr)
    text += "Data sheet: " + place.sheet->source + ". Floors use what was measured.\n";
  return text;
}

nlohmann::json json_of(const Place& place) {
  nlohmann::json json = {{"device", place.name}};
  if (!place.missing.empty()) {
    json["missing"] = place.missing;
    return json;
  }
  json["machine"] = place.ceilings.machine;
  json["values"] = place.ceilings.values;
  json["not_here"] = place.ceilings.not_here;
  for (const MemoryLevel& level : place.ceilings.levels)
    json["levels"].push_back({{"name", level.name}, {"bytes", level.bytes}});
  if (place.sheet != nullptr)
    json["data_sheet"] = {{"values", place.sheet->values}, {"source", place.sheet->source}};
  return json;
}

}  // namespace

int ceilings(const CeilingsOptions& options, const Program& program, Console& console) {
  const std::filesystem::path folder = ceilings_folder(data_folder(options.data));
  const Place cpu = measured(cpu_name(), cpu_ceiling_plan(), folder, options.again);
  const Place gpu = gpu_place(program, folder, options.again);
  if (options.json) {
    console.print(nlohmann::json{{"cpu", json_of(cpu)}, {"gpu", json_of(gpu)}}.dump(2) + "\n");
    return kFine;
  }
  console.print(table_of(cpu, console) + "\n" + table_of(gpu, console));
  console.print(
      fmt::format("\nKept in {}; every result holds those that it was judged by. `--again` measures anew.\n",
                  folder.string()));
  return kFine;
}

}  // namespace remeasure::bench::cli
