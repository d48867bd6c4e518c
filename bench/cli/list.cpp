// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/cli/nearest.h"
#include "reports/text_table.h"

namespace remeasure::bench::cli {
namespace {

/// "4 / 12": smoke and paper.
std::string cases_text(const Experiment& experiment) {
  const auto text = [&](Size size) {
    const auto count = count_cases(experiment, size);
    return count.error.empty() ? std::to_string(count.all) : std::string("error");
  };
  return fmt::format("{} / {}", text(Size::smoke), text(Size::paper));
}

std::string as_json(const std::vector<Registered>& chosen) {
  auto array = nlohmann::json::array();
  for (const auto& entry : chosen) {
    const Experiment& experiment = *entry.experiment;
    auto claims = nlohmann::json::array();
    for (const auto& claim : experiment.claims) {
      nlohmann::json one = {
          {"id", claim.id}, {"text", claim.text}, {"on", claim.on}, {"source", claim.source}};
      if (claim.reported_text.empty()) {
        one["reported"] = {claim.reported.low, claim.reported.high};
        one["unit"] = claim.unit;
      } else {
        one["reported"] = claim.reported_text;
      }
      claims.push_back(std::move(one));
    }
    array.push_back({{"id", experiment.paper.id},
                     {"theme", entry.theme},
                     {"title", experiment.paper.title},
                     {"authors", experiment.paper.authors},
                     {"venue", experiment.paper.venue},
                     {"arxiv", experiment.paper.arxiv},
                     {"summary", experiment.paper.summary},
                     {"claims", claims},
                     {"cases",
                      {{"smoke", count_cases(experiment, Size::smoke).all},
                       {"paper", count_cases(experiment, Size::paper).all}}}});
  }
  return array.dump(2) + "\n";
}

}  // namespace

int list(const ListOptions& options, const Program& program, Console& console) {
  std::vector<Registered> chosen;
  std::set<std::string> themes;
  for (const auto& entry : program.experiments) {
    themes.emplace(entry.theme);
    if (options.theme.empty() || entry.theme == options.theme) chosen.push_back(entry);
  }
  if (!options.theme.empty() && !themes.contains(options.theme)) {
    const std::vector<std::string> names(themes.begin(), themes.end());
    throw CommandError(
        unknown_name("theme", options.theme, names, fmt::format("there are: {}", fmt::join(names, ", "))));
  }
  if (options.json) {
    console.print(as_json(chosen));
    return kFine;
  }
  reports::TextTable table({{.title = "experiment", .whole = true},
                            {.title = "what it is", .least = 20},
                            {.title = "venue", .least = 8},
                            {.title = "claims", .right = true, .whole = true},
                            {.title = "cases", .right = true, .whole = true}});
  std::string_view theme;
  for (const auto& entry : chosen) {
    if (entry.theme != theme) table.add_heading(std::string(entry.theme));
    theme = entry.theme;
    const Paper& paper = entry.experiment->paper;
    table.add({{paper.id},
               {paper.summary.empty() ? paper.title : paper.summary},
               {paper.venue},
               {std::to_string(entry.experiment->claims.size())},
               {cases_text(*entry.experiment)}});
  }
  console.print(table.text(console.width(), 0, console.colour()));
  console.print(fmt::format("\n{} experiments; cases at smoke / paper size. More: remeasure describe {}\n",
                            chosen.size(), chosen.empty() ? "ID" : chosen.front().experiment->paper.id));
  return kFine;
}

}  // namespace remeasure::bench::cli
