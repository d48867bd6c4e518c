// SPDX-License-Identifier: Apache-2.0
#include "reports/repeats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace remeasure::reports {
namespace {

const VariantResult* find_variant(const CaseResult& test, const VariantResult& like) {
  const auto found = std::find_if(test.variants.begin(), test.variants.end(), [&](const VariantResult& it) {
    return it.name == like.name && it.where == like.where;
  });
  return found == test.variants.end() ? nullptr : &*found;
}

/// Time of a variant over the geometric mean of the others of its case on the same device; nothing without
/// others.
std::optional<double> relative_time(const CaseResult& test, const VariantResult& variant) {
  double logarithms = 0;
  int others = 0;
  for (const VariantResult& other : test.variants) {
    if (&other == &variant || !other.time || other.device != variant.device) continue;
    logarithms += std::log(other.time->seconds.median);
    ++others;
  }
  if (others == 0) return {};
  return variant.time->seconds.median / std::exp(logarithms / others);
}

/// One side from its runs, by rule 8a: calm ones stand for it where there are enough. Of three and more the
/// spread between them is measured, whatever disturbed them: two calm ones would know less.
Evidence side_of(const std::vector<Evidence>& runs) {
  const auto calm = static_cast<std::size_t>(
      std::count_if(runs.begin(), runs.end(), [](const Evidence& it) { return it.disturbed.empty(); }));
  const bool calm_alone = calm > 0 && (calm >= kFewestRepeats || runs.size() < kFewestRepeats);
  Evidence side;
  for (const Evidence& run : runs) {
    if (calm_alone && !run.disturbed.empty()) continue;
    side.runs.insert(side.runs.end(), run.runs.begin(), run.runs.end());
    side.relative.insert(side.relative.end(), run.relative.begin(), run.relative.end());
    side.sample_noise = std::max(side.sample_noise, run.sample_noise);
    side.on_cpu = side.on_cpu || run.on_cpu;
    if (!run.disturbed.empty()) side.disturbed = run.disturbed;
  }
  return side;
}

}  // namespace

std::vector<Runs> by_experiment(const std::vector<Record>& records) {
  std::vector<Runs> groups;
  for (const Record& record : records) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const Runs& runs) {
      return runs.front()->experiment == record.experiment;
    });
    if (group == groups.end())
      groups.push_back({&record});
    else
      group->push_back(&record);
  }
  return groups;
}

std::string mixture(const Runs& runs) {
  const Record& first = *runs.front();
  for (const Record* run : runs) {
    if (run->size != first.size) return fmt::format("runs of size {} and {}", first.size, run->size);
    if (run->command != first.command)
      return fmt::format("runs of `{}` and `{}`", first.command, run->command);
    if (run->system.id != first.system.id) return "runs on different machines";
    if (run->build.git_commit != first.build.git_commit) {
      return fmt::format("runs of commits {} and {}", first.build.git_commit, run->build.git_commit);
    }
  }
  return {};
}

const CaseResult* find_case(const Record& record, const std::string& test) {
  const auto found =
      std::find_if(record.cases.begin(), record.cases.end(), [&](const auto& it) { return it.name == test; });
  return found == record.cases.end() ? nullptr : &*found;
}

const VariantResult* find_variant(const Runs& runs, const std::string& test, const VariantResult& like) {
  const VariantResult* first = nullptr;
  for (const Record* run : runs) {
    const CaseResult* now = find_case(*run, test);
    const VariantResult* variant = now ? find_variant(*now, like) : nullptr;
    if (!variant || variant->status != Status::passed) return variant;
    if (!first) first = variant;
  }
  return first;
}

std::optional<Evidence> times_of(const Runs& runs, const std::string& test, const VariantResult& like) {
  std::vector<Evidence> each;
  for (const Record* run : runs) {
    const CaseResult* now = find_case(*run, test);
    const VariantResult* variant = now ? find_variant(*now, like) : nullptr;
    if (!variant || !variant->time) return {};
    Evidence& evidence = each.emplace_back();
    evidence.runs = {variant->time->seconds};
    evidence.sample_noise = quartile_deviation(variant->time->samples);
    if (const auto relative = relative_time(*now, *variant)) evidence.relative = {*relative};
    evidence.on_cpu = like.where == Where::cpu;
    evidence.disturbed = variant->time->disturbed;
  }
  return side_of(each);
}

std::optional<Evidence> inverse_speedups_of(const Runs& runs, const std::string& test, const Speedup& like) {
  std::vector<Evidence> each;
  for (const Record* run : runs) {
    const CaseResult* now = find_case(*run, test);
    if (!now) return {};
    const auto found = std::find_if(now->speedups.begin(), now->speedups.end(), [&](const Speedup& it) {
      return it.variant == like.variant && it.base == like.base;
    });
    if (found == now->speedups.end() || !(found->ratio.low > 0)) return {};
    Evidence& evidence = each.emplace_back();
    evidence.runs = {inverse(found->ratio)};
    for (const VariantResult& variant : now->variants) {
      if ((variant.name != like.variant && variant.name != like.base) || !variant.time) continue;
      evidence.sample_noise = std::max(evidence.sample_noise, quartile_deviation(variant.time->samples));
      evidence.on_cpu = evidence.on_cpu || variant.where == Where::cpu;
      if (!variant.time->disturbed.empty()) evidence.disturbed = variant.time->disturbed;
    }
  }
  return side_of(each);
}

std::optional<ByteRange> host_peaks_of(const Runs& runs, const std::string& test, const VariantResult& like) {
  std::optional<ByteRange> range;
  for (const Record* run : runs) {
    const CaseResult* now = find_case(*run, test);
    const VariantResult* variant = now ? find_variant(*now, like) : nullptr;
    if (!variant || !variant->memory || !variant->memory->host_peak) return {};
    const double peak = *variant->memory->host_peak;
    const double least = peak / (variant->time ? std::max(1, variant->time->threads) : 1);
    range = range ? ByteRange{std::min(range->least, least), std::max(range->most, peak)}
                  : ByteRange{least, peak};
  }
  return range;
}

}  // namespace remeasure::reports
