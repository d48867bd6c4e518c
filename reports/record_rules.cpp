// SPDX-License-Identifier: Apache-2.0
#include "reports/record_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "reports/record_io.h"

namespace remeasure::reports {
namespace {

/// Where in the record a rule is checked.
class Place {
 public:
  Place(const std::string& origin, std::string pointer) : origin_(origin), pointer_(std::move(pointer)) {}
  Place operator/(const std::string& key) const { return {origin_, pointer_ + "/" + key}; }
  Place operator/(std::size_t index) const { return *this / std::to_string(index); }
  void require(bool holds, const std::string& found, const std::string& expected) const {
    if (!holds) {
      throw RecordError(fmt::format("{}: {}: found {}, expected {}", origin_,
                                    pointer_.empty() ? "/" : pointer_, found, expected));
    }
  }

 private:
  const std::string& origin_;
  std::string pointer_;
};

/// Rule 1.
template <class Items, class Name>
void require_unique(const Items& items, const Place& place, Name name) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string key = name(items[i]);
    (place / i).require(!key.empty(), "an empty name", "a name");
    (place / i).require(seen.insert(key).second, fmt::format("a second \"{}\"", key), "unique names");
  }
}

void require_ordered(const Estimate& it, const Place& place) {
  place.require(it.low <= it.high, fmt::format("low {} above high {}", it.low, it.high), "low <= high");
}

void check_accuracy(const Accuracy& it, const Place& place) {
  const bool inside = it.value <= it.limit && (!it.at_least || it.value >= *it.at_least);
  place.require(it.passed == inside,
                fmt::format("passed = {} with value {} and limit {}{}", it.passed, it.value, it.limit,
                            it.at_least ? fmt::format(", at least {}", *it.at_least) : ""),
                fmt::format("passed = {}", inside));
}

void check_time(const TimeResult& time, const Place& place) {
  const Estimate& seconds = time.seconds;
  (place / "seconds")
      .require(0 < seconds.low && seconds.low <= seconds.median && seconds.median <= seconds.high,
               fmt::format("low {}, median {}, high {}", seconds.low, seconds.median, seconds.high),
               "0 < low <= median <= high");
  for (std::size_t i = 0; i < time.throttled.size(); ++i) {
    (place / "throttled" / i)
        .require(time.throttled[i] < time.samples.size(), std::to_string(time.throttled[i]),
                 fmt::format("an index of one of the {} samples", time.samples.size()));
  }
  for (std::size_t i = 0; i < time.other_modes.size(); ++i) {
    const OtherMode& other = time.other_modes[i];
    const Place where = place / "other_modes" / i;
    where.require(other.mode != time.mode, fmt::format("mode \"{}\" twice", other.mode),
                  "another mode than the quoted one");
    where.require(other.seconds.has_value() == other.missing.empty(),
                  other.seconds ? "seconds and a reason why there are none" : "neither seconds nor a reason",
                  "seconds, or in `missing` the reason why there are none");
    if (other.seconds) {
      where.require(0 < other.seconds->low, fmt::format("low {}", other.seconds->low), "0 < low");
      require_ordered(*other.seconds, where / "seconds");
    }
  }
}

void check_variant(const VariantResult& variant, const Place& place) {
  const bool passed = variant.status == Status::passed;
  const std::string with_status = fmt::format(" with status \"{}\"", to_string(variant.status));
  const std::string none = "none: it exists only where the status is \"passed\"";
  (place / "time").require(passed || !variant.time, "a time" + with_status, none);
  (place / "roofline").require(passed || !variant.roofline, "a roofline" + with_status, none);
  (place / "memory").require(passed || !variant.memory, "memory" + with_status, none);
  (place / "time")
      .require(variant.where != Where::simt || !variant.time, "a time of a simt variant",
               "none: simt is checked, never timed");
  (place / "reason")
      .require(passed || !variant.reason.empty(), "no reason" + with_status, "the reason in words");
  (place / "accuracy")
      .require(!passed || !variant.accuracy.empty(), "status \"passed\" without an accuracy",
               "at least one comparison with the oracle, or status \"not verified\"");
  for (std::size_t i = 0; i < variant.accuracy.size(); ++i) {
    check_accuracy(variant.accuracy[i], place / "accuracy" / i);
    (place / "accuracy" / i)
        .require(!passed || variant.accuracy[i].passed, "a failed accuracy" + with_status,
                 "status \"incorrect\"");
  }
  if (variant.time) {
    check_time(*variant.time, place / "time");
  }
  if (variant.roofline && variant.roofline->fraction_of_floor) {
    (place / "roofline" / "fraction_of_floor")
        .require(*variant.roofline->fraction_of_floor <= 1,
                 fmt::format("{}", *variant.roofline->fraction_of_floor),
                 "at most 1: a time below its floor is invalid, not a record");
  }
}

void check_speedup(const Speedup& speedup, const CaseResult& test, const Place& place) {
  for (const std::string& name : {speedup.variant, speedup.base}) {
    const bool timed = std::any_of(
        test.variants.begin(), test.variants.end(),
        [&](const VariantResult& variant) { return variant.name == name && variant.time.has_value(); });
    place.require(timed, fmt::format("a speedup with \"{}\", which has no time", name), "two timed variants");
  }
  require_ordered(speedup.ratio, place / "ratio");
}

void check_plot(const Plot& plot, const Place& place) {
  for (std::size_t i = 0; i < plot.curves.size(); ++i) {
    const Curve& curve = plot.curves[i];
    (place / "curves" / i)
        .require(
            curve.x.size() == curve.y.size() && (curve.error.empty() || curve.error.size() == curve.x.size()),
            fmt::format("{} x, {} y, {} errors", curve.x.size(), curve.y.size(), curve.error.size()),
            "as many of each");
  }
}

void check_case(const CaseResult& test, const Place& place) {
  const auto name = [](const auto& it) { return it.name; };
  require_unique(test.variants, place / "variants", [](const VariantResult& it) {
    return it.name.empty() ? it.name : fmt::format("{} on {}", it.name, to_string(it.where));
  });
  require_unique(test.metrics, place / "metrics", name);
  require_unique(test.plots, place / "plots", name);
  require_unique(test.tables, place / "tables", name);
  for (std::size_t i = 0; i < test.variants.size(); ++i) {
    check_variant(test.variants[i], place / "variants" / i);
  }
  for (std::size_t i = 0; i < test.speedups.size(); ++i) {
    check_speedup(test.speedups[i], test, place / "speedups" / i);
  }
  for (std::size_t i = 0; i < test.plots.size(); ++i) {
    check_plot(test.plots[i], place / "plots" / i);
  }
  for (std::size_t i = 0; i < test.tables.size(); ++i) {
    const Table& table = test.tables[i];
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      (place / "tables" / i / "rows" / row)
          .require(table.rows[row].size() == table.columns.size(),
                   fmt::format("{} cells", table.rows[row].size()),
                   fmt::format("{}, one per column", table.columns.size()));
    }
  }
}

void check_claim(const ClaimResult& claim, const Place& place) {
  const bool judged = claim.verdict == Verdict::reproduced || claim.verdict == Verdict::partly ||
                      claim.verdict == Verdict::not_reproduced;
  const std::string verdict = fmt::format("verdict \"{}\"", to_string(claim.verdict));
  (place / "measured")
      .require(!judged || claim.measured || !claim.measured_text.empty(),
               verdict + " without anything measured", "a measured value or text");
  (place / "why").require(judged || !claim.why.empty(), verdict + " without a reason", "the reason in words");
  (place / "reported")
      .require(claim.reported.low <= claim.reported.high,
               fmt::format("low {} above high {}", claim.reported.low, claim.reported.high), "low <= high");
}

}  // namespace

void check_rules(const Record& record, const std::string& origin) {
  const Place root(origin, "");
  (root / "experiment").require(!record.experiment.empty(), "an empty name", "the experiment's id");
  const bool ended_badly = record.state == RunState::crashed || record.state == RunState::timed_out;
  (root / "error")
      .require(!ended_badly || !record.error.empty(),
               fmt::format("state \"{}\" without an error", to_string(record.state)),
               "how the run ended, in words");
  require_unique(record.cases, root / "cases", [](const CaseResult& it) { return it.name; });
  require_unique(record.claims, root / "claims", [](const ClaimResult& it) { return it.id; });
  for (std::size_t i = 0; i < record.cases.size(); ++i) {
    check_case(record.cases[i], root / "cases" / i);
  }
  for (std::size_t i = 0; i < record.claims.size(); ++i) {
    check_claim(record.claims[i], root / "claims" / i);
  }
}

}  // namespace remeasure::reports
