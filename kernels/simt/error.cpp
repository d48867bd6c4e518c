// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/error.h"

#include <fmt/format.h>

#include <utility>

namespace remeasure::simt {
namespace {

std::string compose(const Finding& finding) {
  std::string text = fmt::format("{}: kernel '{}'", name(finding.kind), finding.kernel);
  if (finding.in_block) {
    text += fmt::format(", block {}", describe(finding.block));
    if (finding.threads.size() == 1) text += fmt::format(", thread {}", describe(finding.threads.front()));
  }
  text += fmt::format(": {}", finding.message);
  // Sites that the message doesn't name itself.
  for (const Site& site : finding.sites) {
    const std::string place = describe(site);
    if (text.find(place) == std::string::npos) text += fmt::format(" [{}]", place);
  }
  return text;
}

}  // namespace

EngineError::EngineError(Finding finding)
    : std::runtime_error(compose(finding)), finding_(std::move(finding)) {}

std::string describe(Dim3 index) {
  return fmt::format("({},{},{})", index.x, index.y, index.z);
}

std::string describe(const Site& site) {
  if (site.column == 0) return fmt::format("{}:{}", site.file, site.line);
  return fmt::format("{}:{}:{}", site.file, site.line, site.column);
}

std::string describe_threads(const std::vector<Dim3>& threads, Dim3 dim) {
  constexpr int kMaxRuns = 6;
  const auto linear = [&](Dim3 i) { return i.x + std::uint64_t{dim.x} * (i.y + std::uint64_t{dim.y} * i.z); };
  std::string text;
  int runs = 0;
  for (std::size_t first = 0; first < threads.size();) {
    std::size_t last = first;
    while (last + 1 < threads.size() && linear(threads[last + 1]) == linear(threads[last]) + 1) ++last;
    if (++runs > kMaxRuns) return fmt::format("{}, ... ({} in all)", text, threads.size());
    if (!text.empty()) text += ", ";
    text += describe(threads[first]);
    if (last != first) text += fmt::format("-{}", describe(threads[last]));
    first = last + 1;
  }
  return text;
}

}  // namespace remeasure::simt
