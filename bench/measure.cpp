// SPDX-License-Identifier: Apache-2.0
//
// TrialImpl::measure(): oracles, then every variant checked, then the passed ones timed together, then
// confirmed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "bench/gpu_time.h"
#include "bench/host_timer.h"
#include "bench/places.h"
#include "bench/plant.h"
#include "bench/statistics.h"
#include "bench/system.h"
#include "bench/trial_impl.h"
#include "kernels/simt/engine.h"

namespace remeasure::bench {

using reports::Status;
using reports::Where;

namespace {

constexpr const char* kNotSelected = "not selected";

/// "kernel@gpu"
std::string name_at(const Entry& entry) {
  return entry.info.name + "@" + reports::to_string(entry.where);
}

bool matches(const std::string& asked, const Entry& entry) {
  const std::size_t at = asked.find('@');
  if (asked.substr(0, at) != entry.info.name) return false;
  return at == std::string::npos || asked.substr(at + 1) == reports::to_string(entry.where);
}

}  // namespace

bool TrialImpl::selected(const Entry& entry) const {
  const auto& asked = options_.variants;
  return asked.empty() ||
         std::any_of(asked.begin(), asked.end(), [&](const auto& name) { return matches(name, entry); });
}

void TrialImpl::require_selection() const {
  for (const std::string& asked : options_.variants) {
    const Entry* unable = nullptr;
    bool able = false;
    for (const auto& entry : entries_) {
      if (!matches(asked, *entry)) continue;
      if (entry->make_station && entry->cant_run.empty())
        able = true;
      else if (unable == nullptr)
        unable = entry.get();
    }
    if (able || unable == nullptr) continue;
    throw VariantUnavailable(
        fmt::format("variant '{}' was asked for by name, but can't run in case '{}': {}. Leave out --variant "
                    "to run what can.",
                    asked, case_.name, unable->cant_run));
  }
}

void TrialImpl::poll() const {
  if (options_.stop_requested && options_.stop_requested()) throw Interrupted("interrupted");
}

void TrialImpl::compute_oracles() {
  const OracleCache cache(options_.data_root / ".oracle");
  for (const auto& [output, maker] : oracle_makers_) {
    poll();
    if (options_.progress != nullptr) options_.progress->phase("oracle " + output);
    use_threads(0);
    oracles_[output] = cache.get(maker.first, maker.second);
  }
}

std::string TrialImpl::benchmark_name(const Entry& entry) const {
  return experiment_.paper.id + "/" + case_.name + "/" + entry.info.name;
}

/// 0.2 s and a hard cap of 4 s, unless told otherwise. At smoke size all variants of all cases divide 4 s, so
/// that an experiment stays within its 10 s however many rows it has.
StopRule TrialImpl::stop_rule(std::size_t timed) const {
  StopRule rule;
  rule.max_samples = 2000;
  if (options_.min_time) {
    rule.min_seconds = *options_.min_time;
    rule.max_wall_seconds = 20 * rule.min_seconds;
  } else if (options_.size == Size::smoke) {
    const double rows =
        static_cast<double>(std::max<std::size_t>(1, options_.cases) * std::max<std::size_t>(1, timed));
    rule.max_wall_seconds = std::clamp(4.0 / rows, 0.01, 0.2);
    rule.min_seconds = rule.max_wall_seconds / 4;
  }
  return rule;
}

/// True if the entry has its status without being tried.
bool TrialImpl::excused(Entry& entry) const {
  CheckedRun& run = entry.run;
  const auto broken = options_.broken.find(name_at(entry));
  const auto given_up = options_.given_up.find(reports::to_string(entry.where));
  const bool fails = broken != options_.broken.end() || given_up != options_.given_up.end();
  if (fails && entry.info.not_supported.empty() && entry.cant_run != kNotSelected) {
    run.status = Status::failed;
    run.reason = broken != options_.broken.end() ? broken->second : "not tried: " + given_up->second;
    return true;
  }
  if (entry.cant_run.empty()) return false;
  run.status = entry.info.not_supported.empty() ? Status::not_run : Status::not_supported;
  run.reason = entry.cant_run;
  entry.result.reason = run.reason;
  return true;
}

/// A step of one variant: its exception is its row, and an error that broke the device has its name.
/// Libraries say "execution failed" of what the runtime calls sticky, so the device is asked itself after any
/// failure.
void TrialImpl::blaming(Entry& entry, const std::function<void()>& step) {
  try {
    catching(entry.run, step);
    if (entry.run.status == Status::failed) {
      CheckedRun after;
      catching(after, [&] { places_->synchronize(entry.where); });
    }
  } catch (const DeviceError& error) {
    const std::string first = entry.run.status == Status::failed ? entry.run.reason + "; then " : "";
    throw DeviceBroken(first + error.what(), name_at(entry), error.reach);
  }
}

void TrialImpl::check_entry(Entry& entry) {
  CheckedRun& run = entry.run;
  if (excused(entry)) return;
  if (options_.deadline && std::chrono::steady_clock::now() >= *options_.deadline) {
    run.status = Status::timed_out;
    run.reason = "the run's deadline passed before this variant began";
    return;
  }
  if (options_.progress != nullptr) options_.progress->variant_started(entry.info.name, entry.where);
  blaming(entry, [&] { entry.station = entry.make_station(); });
  if (run.status != Status::passed) return;
  // A repeat that costs more than the whole sampling is left to the closing sample; Simt has none, so it
  // always repeats.
  const double repeat_cap = entry.where == Where::simt ? 60 : stop_rule(1).max_wall_seconds;
  blaming(entry, [&] { run = check_variant(*entry.station, entry.info, oracles_, repeat_cap); });
  if (entry.where == Where::simt && options_.launches != nullptr) {
    const auto& shapes = places_->simt().engine().shapes();
    options_.launches->insert(shapes.begin(), shapes.end());
  }
  const bool to_be_timed = run.status == Status::passed && entry.where != Where::simt;
  if (!to_be_timed) entry.station.reset();
}

/// The other input sets, where they are affordable, and the hashes that tell whether anything wrote to them.
void TrialImpl::prepare_sets(Entry& entry, double cap_seconds) {
  blaming(entry, [&] {
    const std::size_t sets = entry.run.seconds_per_call * kInputSets > cap_seconds ? 1 : kInputSets;
    for (std::size_t set = 0; set < sets; ++set) {
      if (set > 0) entry.station->prepare(set);
      entry.input_hashes.push_back(entry.station->input_hash(set));
    }
  });
}

/// What is to be timed on `where`, with its input sets.
std::vector<Entry*> TrialImpl::prepare_timing(Where where, const StopRule& rule) {
  std::vector<Entry*> timed;
  for (const auto& entry : entries_) {
    if (entry->where != where || !entry->station) continue;
    prepare_sets(*entry, rule.max_wall_seconds);
    if (entry->run.status == Status::passed) timed.push_back(entry.get());
  }
  return timed;
}

SamplingControl TrialImpl::control_of(const std::vector<Entry*>& timed) const {
  SamplingControl control{options_.deadline, options_.stop_requested, {}};
  control.on_round = [this, &timed](std::size_t i, const Sampling& sampling) {
    if (options_.progress == nullptr || sampling.samples.empty()) return;
    options_.progress->sampled(timed[i]->info.name, sampling.samples.size(), median(sampling.samples));
  };
  return control;
}

void TrialImpl::time_on_cpu(const StopRule& rule) {
  const std::vector<Entry*> timed = prepare_timing(Where::cpu, rule);
  if (timed.empty()) return;
  std::vector<HostSubject> subjects;
  for (Entry* entry : timed) {
    HostSubject subject;
    subject.name = benchmark_name(*entry);
    const double slower = planted_factor(plant(), subject.name);
    if (slower != 1) entry->result.what += fmt::format(" [slowed down {:.3g}x on purpose]", slower);
    for (std::size_t set = 0; set < entry->input_hashes.size(); ++set) {
      subject.runs.push_back(
          slowed_down([station = entry->station.get(), set] { station->launch(set); }, slower));
    }
    subject.before_sample = [entry] {
      for (std::size_t set = 0; set < entry->input_hashes.size(); ++set) entry->station->poison(set);
    };
    subject.seconds_per_call = entry->run.seconds_per_call;
    subject.rule = rule;
    subjects.push_back(std::move(subject));
  }
  const auto use = [&] { return options_.cpu_use ? options_.cpu_use() : std::optional<CpuUse>(); };
  const std::optional<CpuUse> before = use();
  std::vector<Sampling> samplings = sample_on_host(subjects, control_of(timed));
  const std::optional<CpuUse> after = use();
  for (std::size_t i = 0; i < timed.size(); ++i) {
    reports::TimeResult time;
    time.mode = "cpu";
    time.threads = timed[i]->info.threads > 0 ? timed[i]->info.threads : usable_cores();
    if (before && after) time.disturbed = disturbance(*before, *after);
    if (samplings[i].failure.empty() && !confirmed(*timed[i])) continue;
    accept_samples(*timed[i], std::move(samplings[i]), std::move(time));
  }
}

void TrialImpl::time_on_gpu(const StopRule& rule) {
  const std::vector<Entry*> timed = prepare_timing(Where::gpu, rule);
  if (timed.empty()) return;
  std::vector<DeviceSubject> subjects;
  for (Entry* entry : timed) {
    DeviceSubject subject;
    subject.name = benchmark_name(*entry);
    subject.who = name_at(*entry);
    subject.launch = [station = entry->station.get()](std::size_t set) { station->launch(set); };
    subject.sets = entry->input_hashes.size();
    subject.set_bytes = static_cast<std::size_t>(entry->run.memory.inputs.value_or(0) +
                                                 entry->run.memory.outputs.value_or(0));
    subject.before_sample = [entry] { entry->station->poison(0); };
    subject.verify = [this, entry] { return confirmed(*entry); };
    subject.rule = rule;
    subject.synchronises = entry->info.synchronises;
    subjects.push_back(std::move(subject));
  }
  std::vector<DeviceSampling> samplings =
      sample_on_device(places_->gpu().timer(), subjects, control_of(timed));
  for (std::size_t i = 0; i < timed.size(); ++i) {
    DeviceSampling& sampling = samplings[i];
    if (timed[i]->run.status != Status::passed) continue;  // a mode's last sample wasn't right
    reports::TimeResult time = time_result_of(sampling, timed[i]->info);
    if (sampling.failure.empty()) sampling.samples = hand_over(subjects[i].name, sampling.samples);
    accept_samples(*timed[i], std::move(sampling), std::move(time));
  }
}

/// Whether the last timed outputs are right; changes the entry's status if not.
bool TrialImpl::confirmed(Entry& entry) {
  blaming(entry,
          [&] { confirm_timed_run(entry.run, *entry.station, entry.info, oracles_, entry.input_hashes); });
  return entry.run.status == Status::passed;
}

void TrialImpl::accept_samples(Entry& entry, Sampling sampling, reports::TimeResult time) {
  CheckedRun& run = entry.run;
  if (!sampling.failure.empty() || sampling.samples.empty()) {
    run.status = Status::failed;
    run.reason =
        sampling.failure.empty() ? "the sampler returned no sample" : "while timed: " + sampling.failure;
    return;
  }
  time.seconds = estimate(sampling.samples);
  if (!(time.seconds.low > 0)) {
    run.status = Status::incorrect;
    run.reason = "a timed sample took no time at all: the variant does no work, or the clock can't see it";
    return;
  }
  time.stop_reason = std::move(sampling.stop_reason);
  if (entry.input_hashes.size() < kInputSets) time.stop_reason += "; one input set";
  time.samples = std::move(sampling.samples);
  entry.result.time = std::move(time);
  apply_floor(entry);
}

void TrialImpl::apply_floor(Entry& entry) {
  Ceilings* ceilings = entry.where == Where::gpu ? options_.gpu_ceilings : options_.ceilings;
  if (ceilings == nullptr) return;
  FloorJudgement judgement = judge_time(entry.info.work, entry.info.dtype, entry.station->footprint(),
                                        entry.result.time->seconds.median, *ceilings);
  entry.result.roofline = std::move(judgement.roofline);
  if (judgement.invalid.empty()) return;
  entry.run.status = Status::incorrect;
  entry.run.reason = std::move(judgement.invalid);
}

void TrialImpl::measure() {
  if (measured_) throw std::logic_error("measure() is called twice");
  if (options_.counted != nullptr) count_entries();
  require_selection();
  measured_ = true;
  for (const auto& entry : entries_) {
    if (!selected(*entry)) entry->cant_run = kNotSelected;
  }
  const bool anything_runs =
      std::any_of(entries_.begin(), entries_.end(), [](const auto& e) { return e->cant_run.empty(); });
  if (anything_runs) compute_oracles();
  std::size_t timed = 0;
  for (const auto& entry : entries_) {
    poll();
    check_entry(*entry);
    if (entry->station) ++timed;
  }
  time_on_cpu(stop_rule(timed));
  time_on_gpu(stop_rule(timed));
  for (const auto& entry : entries_) {
    reports::VariantResult& row = entry->result;
    if (entry->cant_run == kNotSelected) continue;
    row.status = entry->run.status;
    row.reason = row.status == Status::passed ? std::string() : entry->run.reason;
    row.accuracy = entry->run.accuracy;
    row.setting = entry->run.setting;
    if (row.status == Status::passed) {
      row.memory = entry->run.memory;
      row.memory->formula = entry->info.formula_bytes;
    } else {
      row.time.reset();
      row.roofline.reset();
    }
    entry->station.reset();
    case_.variants.push_back(row);
    if (options_.progress != nullptr) options_.progress->variant_finished(row);
  }
}

}  // namespace remeasure::bench
