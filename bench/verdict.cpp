// SPDX-License-Identifier: Apache-2.0
#include "bench/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

namespace remeasure::bench {
namespace {

using reports::ClaimResult;
using reports::ClaimSample;
using reports::Verdict;

bool begins_with(const std::string& text, const char* prefix) {
  return text.starts_with(prefix);
}

std::string joined(const std::set<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Samples that may be judged, and the reasons of those that may not.
struct Usable {
  std::vector<ClaimSample> samples;
  std::set<std::string> reasons;
};

/// Rules 2 to 4.
Usable usable(const Claim& claim, std::span<const ClaimSample> samples, const Devices& devices) {
  Usable kept;
  for (const ClaimSample& sample : samples) {
    const bool on_gpu = !devices.gpu.empty() && begins_with(sample.on, devices.gpu.c_str());
    const bool model = begins_with(sample.on, kModelPrefix);
    if (!sample.value && !sample.holds) {
      kept.reasons.insert(sample.missing.empty() ? "no value" : sample.missing);
    } else if (claim.is_time && begins_with(sample.on, kSimtPrefix)) {
      kept.reasons.insert("a SIMT run gives no time");
    } else if (claim.needs == Needs::gpu && !on_gpu && !model) {
      kept.reasons.insert(devices.gpu.empty() ? devices.why_no_gpu
                                              : "measured on " + sample.on + ", needs a GPU");
    } else {
      kept.samples.push_back(sample);
    }
  }
  return kept;
}

Interval over(Over how, const std::vector<double>& medians) {
  const auto [low, high] = std::minmax_element(medians.begin(), medians.end());
  switch (how) {
    case Over::range:
      return {*low, *high};
    case Over::smallest:
      return {*low, *low};
    case Over::largest:
      return {*high, *high};
    case Over::median:
    case Over::mean:
      break;
  }
  const double mean =
      std::accumulate(medians.begin(), medians.end(), 0.0) / static_cast<double>(medians.size());
  const double value = how == Over::mean ? mean : middle(medians);
  return {value, value};
}

const char* in_words(Over how) {
  switch (how) {
    case Over::range:
      return "every case";
    case Over::median:
      return "the median over the cases";
    case Over::mean:
      return "the mean over the cases";
    case Over::smallest:
      return "the smallest case";
    case Over::largest:
      return "the largest case";
  }
  return "";
}

/// Rule 11: which of the two borders of the reported range hold.
bool inside_or_better(const Claim& claim, const Interval& measured) {
  const Interval& reported = claim.reported;
  const bool above = measured.low >= reported.low - claim.tolerance * std::abs(reported.low);
  const bool below = measured.high <= reported.high + claim.tolerance * std::abs(reported.high);
  switch (claim.better) {
    case Better::higher:
      return above;
    case Better::lower:
      return below;
    case Better::neither:
      return above && below;
  }
  return false;
}

/// Rule 12: cases whose interval lies on the reported side of no_effect; -1 if the report has no side.
int cases_in_direction(const Claim& claim, const std::vector<ClaimSample>& samples) {
  const bool more = claim.reported.low > claim.no_effect, less = claim.reported.high < claim.no_effect;
  if (!more && !less) return -1;
  return static_cast<int>(std::count_if(samples.begin(), samples.end(), [&](const ClaimSample& sample) {
    return more ? sample.value->low > claim.no_effect : sample.value->high < claim.no_effect;
  }));
}

void judge_number(const Claim& claim, const std::vector<ClaimSample>& samples, ClaimResult& result) {
  const std::size_t cases = samples.size();
  if (inside_or_better(claim, *result.measured)) {
    result.verdict = Verdict::reproduced;
    result.why = fmt::format("{} is inside the reported range or better, within {:.3g} %",
                             in_words(claim.over), 100 * claim.tolerance);
    return;
  }
  const int direction = cases_in_direction(claim, samples);
  const bool holds = direction >= 0 && 2 * static_cast<std::size_t>(direction) > cases;
  result.verdict = holds ? Verdict::partly : Verdict::not_reproduced;
  if (direction < 0) {
    result.why = fmt::format("outside the reported range by more than {:.3g} %", 100 * claim.tolerance);
  } else {
    result.why = fmt::format(
        "outside the reported range by more than {:.3g} %; the direction (against {:.4g}) holds in "
        "{} of {} cases",
        100 * claim.tolerance, claim.no_effect, direction, cases);
  }
}

void judge_statement(const std::vector<ClaimSample>& samples, ClaimResult& result) {
  const auto holds = static_cast<std::size_t>(
      std::count_if(samples.begin(), samples.end(), [](const ClaimSample& sample) { return *sample.holds; }));
  result.verdict = holds == samples.size() ? Verdict::reproduced
                   : holds > 0             ? Verdict::partly
                                           : Verdict::not_reproduced;
  result.why = fmt::format("holds in {} of {} cases", holds, samples.size());
}

std::string tolerance_in_words(const Claim& claim) {
  if (!claim.reported_text.empty()) return "holds in every case";
  std::string text = fmt::format("{:.3g} % beyond the reported range", 100 * claim.tolerance);
  if (!claim.tolerance_reason.empty()) text += ": " + claim.tolerance_reason;
  return text;
}

/// "hardware as reported" can only be told by the name's last word: "NVIDIA A100-SXM4-40GB" against "A100,
/// batch 48".
bool same_hardware(const std::string& reported_on, const std::string& measured_on) {
  std::string word;
  for (const char c : measured_on + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += c;
      continue;
    }
    const bool names_model = word.size() >= 3 && std::any_of(word.begin(), word.end(),
                                                             [](char d) { return d >= '0' && d <= '9'; });
    if (names_model && reported_on.find(word) != std::string::npos) return true;
    word.clear();
  }
  return false;
}

/// What the cases say of a statement: those where it fails first, and of many a few.
std::string some_of(const std::vector<ClaimSample>& samples) {
  constexpr std::size_t kMost = 3;
  std::vector<std::string> texts;
  for (const bool wanted : {false, true}) {
    for (const ClaimSample& sample : samples) {
      if (sample.text.empty() || (sample.holds == true) != wanted) continue;
      if (std::find(texts.begin(), texts.end(), sample.text) == texts.end()) texts.push_back(sample.text);
    }
  }
  std::string list;
  for (std::size_t i = 0; i < std::min(kMost, texts.size()); ++i) list += (i == 0 ? "" : "; ") + texts[i];
  if (texts.size() > kMost) list += fmt::format("; and {} more", texts.size() - kMost);
  return list;
}

void add_evidence(const std::vector<ClaimSample>& samples, ClaimResult& result, const Claim& claim) {
  std::set<std::string> places;
  std::vector<double> medians;
  for (const ClaimSample& sample : samples) {
    if (!sample.on.empty()) places.insert(sample.on);
    if (sample.value) medians.push_back(sample.value->median);
  }
  result.measured_on = joined(places, "; ");
  if (!medians.empty()) {
    result.measured = over(claim.over, medians);
  } else {
    const auto holds =
        std::count_if(samples.begin(), samples.end(), [](const ClaimSample& s) { return s.holds == true; });
    result.measured_text = some_of(samples);
    if (result.measured_text.empty())
      result.measured_text = fmt::format("holds in {} of {} cases", holds, samples.size());
  }
}

}  // namespace

bool is_ratio(const Claim& claim) {
  return claim.unit == "x" || claim.unit == "%" || claim.unit.empty() || claim.unit == "1";
}

ClaimResult judge(const Claim& claim, std::span<const ClaimSample> samples, const Setting& setting,
                  const Devices& devices) {
  ClaimResult result;
  result.id = claim.id;
  result.text = claim.text;
  result.reported = claim.reported;
  result.reported_is_range = claim.reported.low != claim.reported.high;
  result.reported_text = claim.reported_text;
  result.unit = claim.unit;
  result.reported_on = claim.on;
  result.source = claim.source;
  result.tolerance = tolerance_in_words(claim);
  result.is_time = claim.is_time;
  const auto undecided = [&](Verdict verdict, std::string why) {
    result.verdict = verdict;
    result.why = std::move(why);
    return result;
  };

  if (claim.needs == Needs::elsewhere) return undecided(Verdict::not_measured, claim.instead);
  Usable kept = usable(claim, samples, devices);
  if (kept.samples.empty()) {
    if (claim.needs == Needs::gpu && devices.gpu.empty())
      return undecided(Verdict::not_measured, devices.why_no_gpu);
    if (kept.reasons.empty())
      return undecided(Verdict::not_measured, "no case that ran contributes to this claim");
    return undecided(Verdict::not_measured, joined(kept.reasons, "; "));
  }
  const bool statement = !claim.reported_text.empty();
  if (std::any_of(kept.samples.begin(), kept.samples.end(),
                  [&](const ClaimSample& sample) { return statement ? !sample.holds : !sample.value; })) {
    return undecided(Verdict::not_comparable,
                     statement ? "the claim is a statement, the experiment gives it a number"
                               : "the claim is a number, the experiment gives it a statement");
  }
  add_evidence(kept.samples, result, claim);

  const bool model = std::any_of(kept.samples.begin(), kept.samples.end(), [](const ClaimSample& sample) {
    return begins_with(sample.on, kModelPrefix);
  });
  result.modelled = model;
  if (model && !claim.modelled)
    return undecided(Verdict::not_comparable, "from a model of ours, not from what the paper measured on");
  if (setting.size == Size::smoke && !claim.any_size) {
    return undecided(Verdict::not_comparable, "smoke size: the claim is about the paper's sizes");
  }
  if (claim.real_data && setting.generated) {
    return undecided(Verdict::not_comparable,
                     "generated data stands in for the real one: remeasure data import");
  }
  if (claim.is_time && !is_ratio(claim) && !same_hardware(claim.on, result.measured_on)) {
    return undecided(Verdict::not_comparable, "an absolute value of other hardware: reported on " + claim.on);
  }
  if (statement) {
    judge_statement(kept.samples, result);
  } else {
    judge_number(claim, kept.samples, result);
  }
  if (!kept.reasons.empty()) {
    result.why += fmt::format("; not measured in {} cases: {}", samples.size() - kept.samples.size(),
                              joined(kept.reasons, "; "));
  }
  return result;
}

}  // namespace remeasure::bench
