// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "reports/format.h"
#include "reports/text_table.h"

namespace remeasure::bench::cli {
namespace {

void paragraph(Console& console, const std::string& text, std::size_t indent, const std::string& first) {
  const auto lines = reports::wrapped(text, console.width() - indent);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    console.print(i == 0 ? first : std::string(indent, ' '));
    console.print(lines[i] + "\n");
  }
}

std::string reported_text(const Claim& claim) {
  return claim.reported_text.empty() ? reports::interval_text(claim.reported, claim.unit)
                                     : claim.reported_text;
}

std::string needs_text(const Claim& claim) {
  switch (claim.needs) {
    case Needs::cpu:
      return "any machine";
    case Needs::gpu:
      return "a GPU";
    case Needs::elsewhere:
      return "not here: " + claim.instead;
  }
  return {};
}

void print_cases(Console& console, const Experiment& experiment, Size size) {
  std::vector<CaseDefinition> cases;
  try {
    cases = experiment.cases(size);
  } catch (const std::exception& error) {
    console.print(fmt::format("  {}: can't be listed: {}\n", to_string(size), error.what()));
    return;
  }
  std::string names;
  for (const auto& definition : cases) {
    if (definition.left_out.empty()) names += (names.empty() ? "" : "  |  ") + to_string(definition.name);
  }
  const std::string first = fmt::format("  {:<7}", to_string(size));
  paragraph(console, fmt::format("{}: {}", cases.size(), names), 9, first);
  for (const auto& definition : cases) {
    if (definition.left_out.empty()) continue;
    paragraph(console, fmt::format("left out: {}: {}", to_string(definition.name), definition.left_out), 11,
              std::string(9, ' '));
  }
}

}  // namespace

int describe(const DescribeOptions& options, const Program& program, Console& console) {
  const Registered& entry = find_experiment(options.id, program);
  const Experiment& experiment = *entry.experiment;
  const Paper& paper = experiment.paper;
  paragraph(console, paper.title, 0, "");
  std::string line = paper.authors;
  for (const auto& part : {paper.venue, paper.arxiv.empty() ? "" : "arXiv:" + paper.arxiv,
                           "theme " + std::string(entry.theme)}) {
    if (!part.empty()) line += (line.empty() ? "" : ", ") + part;
  }
  paragraph(console, line, 0, "");
  if (!paper.summary.empty()) {
    console.print("\n");
    paragraph(console, paper.summary, 0, "");
  }

  console.print("\nClaims\n");
  reports::TextTable claims({{.title = "id", .whole = true},
                             {.title = "the paper says", .least = 16},
                             {.title = "reported", .least = 8},
                             {.title = "on", .least = 8},
                             {.title = "source", .least = 8},
                             {.title = "needs", .least = 8}});
  for (const auto& claim : experiment.claims) {
    claims.add(
        {{claim.id}, {claim.text}, {reported_text(claim)}, {claim.on}, {claim.source}, {needs_text(claim)}});
  }
  console.print(claims.text(console.width(), 2, console.colour()));

  console.print("\nCases\n");
  print_cases(console, experiment, Size::smoke);
  print_cases(console, experiment, Size::paper);

  if (!experiment.notes.empty()) console.print("\nNotes\n");
  for (const auto& note : experiment.notes) paragraph(console, note, 4, "  - ");
  console.print(fmt::format("\nMeasure it: remeasure run {} [--size paper]\n", paper.id));
  return kFine;
}

}  // namespace remeasure::bench::cli
