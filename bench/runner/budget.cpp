// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <tuple>

#include "bench/runner/progress.h"

namespace remeasure::bench::runner {
namespace {

bool same_class(const Candidate& a, const Candidate& b) {
  return a.experiment == b.experiment && a.priority == b.priority && a.cut_short == b.cut_short;
}

std::vector<Candidate> in_order(const std::vector<Candidate>& candidates) {
  struct Key {
    bool cut_short;
    int priority;
    std::size_t rank, experiment;  // place in its experiment's class, and the experiment's own
  };
  std::vector<std::string> experiments;
  std::map<std::tuple<std::string, bool, int>, std::size_t> members;
  std::vector<std::pair<Key, Candidate>> keyed;
  for (const Candidate& candidate : candidates) {
    const auto found = std::find(experiments.begin(), experiments.end(), candidate.experiment);
    const auto experiment = static_cast<std::size_t>(found - experiments.begin());
    if (found == experiments.end()) experiments.push_back(candidate.experiment);
    const std::size_t rank = members[{candidate.experiment, candidate.cut_short, candidate.priority}]++;
    keyed.push_back({{candidate.cut_short, candidate.priority, rank, experiment}, candidate});
  }
  std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) {
    return std::tuple(a.first.cut_short, -a.first.priority, a.first.rank, a.first.experiment) <
           std::tuple(b.first.cut_short, -b.first.priority, b.first.rank, b.first.experiment);
  });
  std::vector<Candidate> ordered;
  for (auto& [key, candidate] : keyed) ordered.push_back(std::move(candidate));
  return ordered;
}

}  // namespace

BudgetPlan::BudgetPlan(const std::vector<Candidate>& candidates, double seconds)
    : waiting_(in_order(candidates)), seconds_(seconds) {}

double BudgetPlan::cap_of(const Candidate& candidate, double left) const {
  const double four = kSharesPerCase * left / static_cast<double>(waiting_.size());
  const double shares = waiting_.size() > 1 ? std::min(four, left / 2) : four;
  return std::max({shares, 2 * candidate.expected.value_or(0), kLeastCap});
}

std::optional<Turn> BudgetPlan::next(double spent) {
  const double left = seconds_ - spent;
  if (!(left > 0)) return std::nullopt;
  const auto fits = [&](const Candidate& candidate) {
    return candidate.free || candidate.expected.value_or(0) <= left;
  };
  const auto first = std::find_if(waiting_.begin(), waiting_.end(), fits);
  if (first == waiting_.end()) return std::nullopt;
  Turn turn;
  turn.experiment = first->experiment;
  const int earlier = turns_[turn.experiment]++;
  const std::size_t most = std::size_t{1} << std::min(earlier, 20);
  double known = 0;
  std::size_t counted = 0;
  for (const auto& candidate : waiting_) {
    if (candidate.experiment != turn.experiment) continue;
    if (!candidate.free) {
      const double sum = known + candidate.expected.value_or(0);
      if (counted == most || !same_class(candidate, *first) || !fits(candidate) ||
          (counted > 0 && sum > left))
        continue;
      known = sum;
      ++counted;
    }
    turn.cases.push_back(candidate.name);
    turn.caps.push_back(std::min(cap_of(candidate, left), left));
    turn.clipped.push_back(cap_of(candidate, left) > left);
  }
  const double share = left / static_cast<double>(waiting_.size());
  turn.seconds = std::min(left, static_cast<double>(turn.cases.size()) * share);
  return turn;
}

void BudgetPlan::done(const Turn& turn, const std::vector<std::string>& cases) {
  std::erase_if(waiting_, [&](const Candidate& candidate) {
    return candidate.experiment == turn.experiment &&
           std::find(cases.begin(), cases.end(), candidate.name) != cases.end();
  });
}

std::vector<Unreached> BudgetPlan::unreached(double spent) const {
  std::vector<Unreached> all;
  const double left = std::max(0.0, seconds_ - spent);
  for (const auto& candidate : waiting_) {
    std::string why = "budget spent: run again with --resume";
    const double needs = candidate.expected.value_or(0);
    const char* at_least = candidate.at_least ? "at least " : "about ";
    if (needs > seconds_) {
      why = fmt::format(
          "it takes {}{}, more than the whole budget of {}: run again with a larger --budget and --resume",
          at_least, format_duration(needs), format_duration(seconds_));
    } else if (needs > left && left > 0) {
      why = fmt::format("it takes {}{}, and less was left of the budget: run again with --resume", at_least,
                        format_duration(needs));
    }
    all.push_back({candidate.experiment, candidate.name, why});
  }
  return all;
}

std::optional<double> parse_duration(const std::string& text) {
  double sum = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  double smallest_unit = 7200;  // units go down, each at most once: 1h30m
  while (at != end) {
    double value = 0;
    if (!std::isdigit(static_cast<unsigned char>(*at))) return std::nullopt;
    const auto parsed = std::from_chars(at, end, value, std::chars_format::fixed);
    if (parsed.ec != std::errc{}) return std::nullopt;
    at = parsed.ptr;
    double unit = 1;
    if (at != end) {
      unit = *at == 'h' ? 3600 : *at == 'm' ? 60 : *at == 's' ? 1 : 0;
      ++at;
    }
    if (unit == 0 || unit >= smallest_unit) return std::nullopt;
    smallest_unit = unit;
    sum += value * unit;
  }
  return sum > 0 && std::isfinite(sum) ? std::optional(sum) : std::nullopt;
}

std::string duration_text(double seconds) {
  const double minutes = seconds / 60;
  return minutes >= 1 && minutes == std::floor(minutes) ? fmt::format("{}m", minutes)
                                                        : fmt::format("{}s", seconds);
}

}  // namespace remeasure::bench::runner
