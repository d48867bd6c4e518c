// SPDX-License-Identifier: Apache-2.0
#include "bench/counted_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "bench/places.h"
#include "bench/trial_impl.h"
#include "kernels/simt/engine.h"

namespace remeasure::bench {
namespace {

/// The three parts of Work: which formula is compared with which count.
struct Part {
  const char* name;
  double Work::*formula;
  double Counted::*count;
  bool operations;  ///< Work::uncounted is about these
};
constexpr Part kParts[] = {
    {"flops", &Work::flops, &Counted::flops, true},
    {"special functions", &Work::special, &Counted::special, true},
    {"bytes", &Work::bytes, &Counted::bytes, false},
};

bool agree(double formula, double count) {
  return std::abs(formula - count) <= kWorkTolerance * count;
}

}  // namespace

Counted counted_by(const simt::Engine& engine) {
  using simt::Counter;
  simt::LaunchCounts sum;
  for (const auto& [kernel, counts] : engine.counts()) sum += counts;
  const auto of = [&](Counter counter) { return static_cast<double>(sum[counter]); };
  return {.flops = of(Counter::scalar_flops) + of(Counter::mma_flops),
          .bytes = of(Counter::distinct_global_bytes_read) + of(Counter::distinct_global_bytes_written),
          .special = of(Counter::special_functions)};
}

void TrialImpl::count_entries() {
  for (const auto& entry : entries_) {
    if (entry->where != reports::Where::simt) continue;
    CountedVariant result{.case_name = case_.name,
                          .variant = entry->info.name,
                          .work = entry->info.work,
                          .not_run = entry->cant_run};
    if (entry->cant_run.empty()) {
      const std::unique_ptr<Station> station = entry->make_station();
      station->prepare(0);
      simt::Engine& engine = places_->simt().engine();
      engine.reset_counts();  // what prepare() launched isn't the variant's work
      station->launch(0);
      station->finish();
      result.counted = counted_by(engine);
    }
    options_.counted->push_back(std::move(result));
  }
  throw CaseCounted{};
}

std::vector<CountedVariant> count_work(const Registered& experiment, RunOptions options) {
  std::vector<CountedVariant> counted;
  options.size = Size::smoke;
  options.counted = &counted;
  for (const CaseDefinition& definition : experiment.experiment->cases(options.size)) {
    const reports::CaseResult result = run_case(experiment, definition, options);
    if (!result.error.empty()) {
      throw std::runtime_error(
          fmt::format("{} {}: {}", experiment.experiment->paper.id, result.name, result.error));
    }
  }
  return counted;
}

std::vector<std::string> disagreements(const CountedVariant& variant) {
  std::vector<std::string> found;
  if (!variant.not_run.empty()) return found;
  for (const Part& part : kParts) {
    if (part.operations && !variant.work.uncounted.empty()) continue;
    const double formula = variant.work.*part.formula, count = variant.counted.*part.count;
    if (agree(formula, count)) continue;
    found.push_back(
        fmt::format("{} of {}: the formula says {:.10g} {}, {:.10g} were counted ({:+.1f} %, allowed {:g} %)",
                    variant.variant, variant.case_name, formula, part.name, count,
                    100 * (formula / count - 1), 100 * kWorkTolerance));
  }
  return found;
}

std::string table_of(const std::vector<CountedVariant>& variants) {
  std::string text =
      fmt::format("{:<52} {:>14} {:>14} {:>7}\n", "case, variant, what", "formula", "counted", "ratio");
  for (const CountedVariant& variant : variants) {
    text += fmt::format("{}, {}\n", variant.case_name, variant.variant);
    if (!variant.not_run.empty()) {
      text += fmt::format("  not run on SIMT: {}\n", variant.not_run);
      continue;
    }
    for (const Part& part : kParts) {
      const double formula = variant.work.*part.formula, count = variant.counted.*part.count;
      if (formula == 0 && count == 0) continue;
      text += fmt::format("  {:<50} {:>14.10g} {:>14.10g} {:>7.4f}\n", part.name, formula, count,
                          formula / count);
    }
    if (!variant.work.uncounted.empty())
      text += fmt::format("  flops not compared: {}\n", variant.work.uncounted);
  }
  return text;
}

}  // namespace remeasure::bench
