// SPDX-License-Identifier: Apache-2.0
#include "reports/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "reports/check_kernels.h"
#include "reports/format.h"
#include "reports/repeats.h"

namespace remeasure::reports {
namespace {

template <class Items, class Same>
auto find_if(const Items& items, Same same) {
  const auto found = std::find_if(items.begin(), items.end(), same);
  return found == items.end() ? nullptr : &*found;
}

/// How good a verdict is; nothing for those that aren't judgements of the paper.
std::optional<int> rank(Verdict verdict) {
  switch (verdict) {
    case Verdict::reproduced:
      return 2;
    case Verdict::partly:
      return 1;
    case Verdict::not_reproduced:
      return 0;
    case Verdict::not_comparable:
    case Verdict::not_measured:
      break;
  }
  return {};
}

/// Whether a claim has no value because others kept the cores busy while its times were taken.
bool disturbed(const Record& record, const std::string& claim) {
  for (const CaseResult& test : record.cases) {
    for (const ClaimSample& sample : test.claim_samples) {
      if (sample.claim != claim || sample.value || sample.holds) continue;
      for (const VariantResult& variant : test.variants) {
        if (variant.time && !variant.time->disturbed.empty() &&
            sample.missing.starts_with(variant.time->disturbed))
          return true;
      }
    }
  }
  return false;
}

/// Compares the runs of one experiment: `before_` and `after_` are the first of each side.
class Comparison {
 public:
  Comparison(const Runs& before, const Runs& after, bool times, CheckResult& result)
      : before_(*before.front()),
        after_(*after.front()),
        before_runs_(before),
        after_runs_(after),
        result_(result),
        same_machine_(times && before_.system.id == after_.system.id),
        times_asked_(times) {}

  void run() {
    if (before_.size != after_.size) {
      result_.not_applied.push_back(fmt::format("{}: not compared: the reference has size {}, this run {}",
                                                before_.experiment, before_.size, after_.size));
      return;
    }
    for (const CaseResult& test : before_.cases) {
      test_ = test.name;
      variant_.clear();
      const CaseResult* now =
          find_if(after_.cases, [&](const CaseResult& it) { return it.name == test.name; });
      if (now) {
        compare_case(test, *now);
      } else {
        const bool complete = after_.state == RunState::complete;
        row("case", "present", "missing",
            {complete ? Outcome::worse : Outcome::unclear, 0, complete ? "" : "the run isn't complete"});
      }
    }
    test_.clear();
    variant_.clear();
    compare_kernels(before_, after_, result_);
    for (const ClaimResult& claim : before_.claims) {
      compare_claim(claim);
    }
    if (!times_asked_ && skipped_times_ > 0) {
      result_.not_applied.push_back(fmt::format("{}: {} time{} and their speedups: --no-times",
                                                before_.experiment, skipped_times_,
                                                skipped_times_ == 1 ? "" : "s"));
    } else if (!same_machine_ && skipped_times_ > 0) {
      result_.not_applied.push_back(fmt::format(
          "{}: reference not applied to {} time{} and their speedups: it is of {} ({}), this run of {} ({})",
          before_.experiment, skipped_times_, skipped_times_ == 1 ? "" : "s", device_of(before_),
          before_.system.id, device_of(after_), after_.system.id));
    }
  }

 private:
  static std::string device_of(const Record& record) {
    return record.system.gpu.empty() ? record.system.cpu : record.system.gpu + ", " + record.system.cpu;
  }

  void row(const std::string& quantity, const std::string& before, const std::string& after,
           Judgement judgement, std::optional<double> change = {}) {
    result_.rows.push_back(
        {before_.experiment, test_, variant_, quantity, before, after, change, std::move(judgement)});
  }

  static std::optional<double> change_of(double before, double after) {
    if (before == 0) return {};
    return after / before - 1;
  }

  void compare_case(const CaseResult& before, const CaseResult& after) {
    const bool same_seed = before.seed == after.seed;
    const bool same_data = same_seed && before.dataset_sha256 == after.dataset_sha256;
    if (same_seed && !same_data) {
      row("content of the data", before.dataset_sha256.substr(0, 12), after.dataset_sha256.substr(0, 12),
          {Outcome::worse, 0, "same seed"});
    } else if (!same_data) {
      result_.not_applied.push_back(
          fmt::format("{}, {}: errors and metrics not compared: seed {} before, {} now", before_.experiment,
                      test_, before.seed, after.seed));
    }
    for (const VariantResult& variant : before.variants) {
      variant_ = fmt::format("{} on {}", variant.name, to_string(variant.where));
      compare_variant(variant, find_variant(after_runs_, test_, variant), same_data);
    }
    variant_.clear();
    for (const Speedup& speedup : before.speedups) {
      compare_speedup(speedup, after);
    }
    for (const Metric& metric : before.metrics) {
      const Metric* now = find_if(after.metrics, [&](const Metric& it) { return it.name == metric.name; });
      if (now && same_data) {
        row(metric.name, number_text(metric.value, metric.unit), number_text(now->value, metric.unit),
            compare_metrics(metric, *now, same_machine_), change_of(metric.value, now->value));
      } else if (!now) {
        const bool promised = metric.exact || metric.tolerance > 0;
        row(metric.name, number_text(metric.value, metric.unit), "missing",
            {promised ? Outcome::worse : Outcome::unclear, 0});
      }
    }
    compare_checks(before.checks, after.checks);
  }

  void compare_variant(const VariantResult& before, const VariantResult* after, bool same_data) {
    const bool passed_before = before.status == Status::passed;
    if (!after || after->status != Status::passed) {
      if (!passed_before) return;
      // Rule 21: what another machine doesn't have is no regression.
      const bool absent =
          after && (after->status == Status::not_run || after->status == Status::not_supported);
      const Outcome outcome = absent && !same_machine_ ? Outcome::unclear : Outcome::worse;
      row("status", "passed", after ? to_string(after->status) : "missing",
          {outcome, 0, after ? after->reason : ""});
      return;
    }
    row("status", to_string(before.status), "passed", {passed_before ? Outcome::same : Outcome::better, 0});
    if (!passed_before) return;
    if (before.time && after->time) {
      const auto old_times = times_of(before_runs_, test_, before);
      const auto new_times = times_of(after_runs_, test_, before);
      if (!old_times || !new_times) {
        result_.not_applied.push_back(
            fmt::format("{}, {}: time of {}: not in all runs", before_.experiment, test_, variant_));
      } else if (same_machine_ && before.device == after->device) {
        const Estimate was = hull(old_times->runs), is = hull(new_times->runs);
        row("time", time_text(was), time_text(is), compare_times(*old_times, *new_times),
            change_of(was.median, is.median));
      } else {
        ++skipped_times_;
      }
    }
    for (const Accuracy& it : before.accuracy) {
      const Accuracy* now = find_if(after->accuracy, [&](const Accuracy& other) {
        return other.output == it.output && other.metric == it.metric;
      });
      const std::string quantity = fmt::format("{} of {}", it.metric, it.output);
      if (!now) {
        row(quantity, error_text(it.value), "missing",
            {Outcome::worse, 0, "no longer compared with the oracle"});
      } else if (same_data) {
        row(quantity, error_text(it.value), error_text(now->value), compare_accuracy(it, *now),
            change_of(it.value, now->value));
      }
    }
    if (before.memory && after->memory) compare_memory(before, *after);
  }

  void compare_memory(const VariantResult& before, const VariantResult& after) {
    const bool same_device = same_machine_ && before.device == after.device;
    const auto compare = [&](const char* quantity, double old_bytes, double new_bytes, double threshold,
                             double slack) {
      row(quantity, bytes_text(old_bytes), bytes_text(new_bytes),
          compare_bytes(old_bytes, new_bytes, threshold, slack), change_of(old_bytes, new_bytes));
    };
    const Memory& old_memory = *before.memory;
    const Memory& new_memory = *after.memory;
    if (old_memory.device_peak && new_memory.device_peak) {
      // A library's workspace follows the device; elsewhere what is compared is the rest.
      const double old_library = same_device ? 0 : old_memory.workspace.value_or(0);
      const double new_library = same_device ? 0 : new_memory.workspace.value_or(0);
      compare(same_device ? "device memory" : "device memory without workspace",
              *old_memory.device_peak - old_library, *new_memory.device_peak - new_library, kLeastThreshold,
              0);
    }
    const auto old_peaks = host_peaks_of(before_runs_, test_, before);
    const auto new_peaks = host_peaks_of(after_runs_, test_, before);
    if (old_peaks && new_peaks) {
      // Eigen's temporaries follow the threads and the caches of a machine.
      constexpr double kElsewhere = 0.25;
      constexpr double kSlack = 1 << 20;
      row("host memory", bytes_text(old_peaks->most), bytes_text(new_peaks->most),
          compare_bytes(*old_peaks, *new_peaks, same_machine_ ? kLeastThreshold : kElsewhere,
                        same_machine_ ? 4096 : kSlack),
          change_of(old_peaks->most, new_peaks->most));
    }
  }

  void compare_speedup(const Speedup& before, const CaseResult& after) {
    const Speedup* now = find_if(after.speedups, [&](const Speedup& it) {
      return it.variant == before.variant && it.base == before.base;
    });
    if (!now || !same_machine_) return;  // a missing one shows as a variant that doesn't pass
    const auto old_inverse = inverse_speedups_of(before_runs_, test_, before);
    const auto new_inverse = inverse_speedups_of(after_runs_, test_, before);
    variant_ = before.variant;
    if (old_inverse && new_inverse) {
      const double was = 1 / hull(old_inverse->runs).median, is = 1 / hull(new_inverse->runs).median;
      row("speedup over " + before.base, ratio_text(was), ratio_text(is),
          compare_times(*old_inverse, *new_inverse), change_of(was, is));
    } else {
      row("speedup over " + before.base, ratio_text(before.ratio.median), ratio_text(now->ratio.median),
          {Outcome::unclear, 0, "an interval that reaches zero, or not in all runs"});
    }
    variant_.clear();
  }

  /// Rule 22. Checks of one name are told apart by their order.
  void compare_checks(const std::vector<Check>& before, const std::vector<Check>& after) {
    std::map<std::string, std::size_t> seen;
    for (const Check& check : before) {
      std::size_t skip = seen[check.name]++;
      const Check* now =
          find_if(after, [&](const Check& it) { return it.name == check.name && skip-- == 0; });
      if (!check.passed && !(now && now->passed)) continue;
      const std::string state = !now ? "missing" : now->passed ? "passed" : "failed";
      const Outcome outcome = state != "passed" ? Outcome::worse
                              : check.passed    ? Outcome::same
                                                : Outcome::better;
      row("check: " + check.name, check.passed ? "passed" : "failed", state,
          {outcome, 0, now ? now->detail : ""});
    }
  }

  /// Rule 23.
  void compare_claim(const ClaimResult& before) {
    const std::optional<int> old_rank = rank(before.verdict);
    if (!old_rank) return;
    const ClaimResult* after =
        find_if(after_.claims, [&](const ClaimResult& it) { return it.id == before.id; });
    const std::string quantity = "verdict of " + before.id;
    if (!after) {
      row(quantity, to_string(before.verdict), "missing",
          {same_machine_ ? Outcome::worse : Outcome::unclear, 0});
      return;
    }
    if (before.is_time && (!same_machine_ || before.measured_on != after->measured_on) &&
        rank(after->verdict)) {
      return;
    }
    const std::optional<int> new_rank = rank(after->verdict);
    Judgement judgement{Outcome::same, 0, ""};
    if (!new_rank) {
      const bool lost = same_machine_ && !(before.is_time && disturbed(after_, before.id));
      judgement = {lost ? Outcome::worse : Outcome::unclear, 0, after->why};
    } else if (*new_rank > *old_rank) {
      judgement.outcome = Outcome::better;
    } else if (*new_rank < *old_rank) {
      const bool overlap = before.measured && after->measured &&
                           before.measured->low <= after->measured->high &&
                           after->measured->low <= before.measured->high;
      judgement = {before.is_time && overlap ? Outcome::unclear : Outcome::worse, 0, after->why};
    }
    row(quantity, to_string(before.verdict), to_string(after->verdict), judgement);
  }

  const Record& before_;
  const Record& after_;
  const Runs& before_runs_;
  const Runs& after_runs_;
  CheckResult& result_;
  bool same_machine_;
  bool times_asked_;
  int skipped_times_ = 0;
  std::string test_, variant_;
};

}  // namespace

std::size_t CheckResult::count(Outcome outcome) const {
  return static_cast<std::size_t>(std::count_if(
      rows.begin(), rows.end(), [&](const CheckRow& row) { return row.judgement.outcome == outcome; }));
}

CheckResult check(const std::vector<Record>& reference, const std::vector<Record>& run, bool times) {
  CheckResult result = judge_run(run);
  const std::vector<Runs> references = by_experiment(reference), runs = by_experiment(run);
  const auto same_experiment = [](const Runs& wanted) {
    return [&wanted](const Runs& it) { return it.front()->experiment == wanted.front()->experiment; };
  };
  for (const Runs& before : references) {
    const Runs* after = find_if(runs, same_experiment(before));
    const std::string& experiment = before.front()->experiment;
    if (!after) {
      result.not_applied.push_back(fmt::format("{}: not in this run", experiment));
    } else if (const std::string mixed = mixture(before) + mixture(*after); !mixed.empty()) {
      result.not_applied.push_back(fmt::format("{}: not compared: {} on one side", experiment, mixed));
    } else {
      Comparison(before, *after, times, result).run();
    }
  }
  for (const Runs& after : runs) {
    if (!find_if(references, same_experiment(after))) {
      result.not_applied.push_back(fmt::format("{}: there is no reference", after.front()->experiment));
    }
  }
  if (result.exit_code != ExitCode::fine) return result;
  if (result.count(Outcome::worse) > 0) {
    result.exit_code = ExitCode::regression;
  } else if (result.rows.empty()) {
    result.exit_code = ExitCode::nothing_comparable;
  }
  return result;
}

}  // namespace remeasure::reports
