// SPDX-License-Identifier: Apache-2.0
//
// What an experiment's case calls: declarations before measure(), questions after it. measure() itself is in
// measure.cpp.
#include "bench/trial_impl.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "bench/hash.h"
#include "bench/places.h"
#include "bench/statistics.h"
#include "bench/system.h"
#include "bench/verdict.h"

namespace remeasure::bench {

using reports::Status;
using reports::Where;

Measured Measured::operator*(double factor) const {
  Measured scaled = *this;
  if (scaled.value) {
    reports::Estimate& estimate = *scaled.value;
    estimate = {estimate.median * factor, estimate.low * factor, estimate.high * factor};
    if (factor < 0) std::swap(estimate.low, estimate.high);
  }
  return scaled;
}

TrialImpl::TrialImpl(const Experiment& experiment, const CaseDefinition& definition,
                     const RunOptions& options, reports::CaseResult& result)
    : experiment_(experiment),
      definition_(definition),
      options_(options),
      case_(result),
      store_(options.data_root),
      places_(std::make_unique<Places>(options.gpu)) {}

TrialImpl::~TrialImpl() {
  entries_.clear();  // buffers go before the devices that they belong to
}

// --- declarations ---

datasets::Opened TrialImpl::open(const datasets::Definition& definition,
                                 const datasets::Parameters& parameters) {
  if (options_.progress != nullptr) options_.progress->phase("data " + definition.name);
  datasets::Opened opened = store_.open(definition, parameters);
  const datasets::Provenance& provenance = opened.provenance;
  if (case_.dataset.empty()) {
    case_.dataset = provenance.dataset;
    case_.dataset_sha256 = provenance.sha256;
    case_.synthetic = provenance.synthetic;
  } else {
    case_.synthetic = case_.synthetic || provenance.synthetic;
  }
  data_identity_ += provenance.sha256 + " ";
  return opened;
}

void TrialImpl::oracle(const std::string& output, int version, std::function<OracleOutput()> compute) {
  if (measured_) throw std::logic_error("oracle('" + output + "') comes after measure()");
  OracleKey key{experiment_.paper.id,
                fmt::format("{} {}", to_string(options_.size), case_.name),
                output,
                version,
                options_.seed,
                data_identity_};
  if (!oracle_makers_.emplace(output, std::pair{std::move(key), std::move(compute)}).second) {
    throw std::logic_error("oracle('" + output + "') is declared twice");
  }
}

Entry& TrialImpl::declare(VariantInfo info, Where where) {
  if (measured_) throw std::logic_error("variant '" + info.name + "' is declared after measure()");
  if (info.name.empty() || info.name.find('@') != std::string::npos) {
    throw std::logic_error("a variant needs a name without '@', found '" + info.name + "'");
  }
  for (const auto& other : entries_) {
    if (other->info.name == info.name && other->where == where) {
      throw std::logic_error("variant '" + info.name + "' is declared twice");
    }
  }
  auto entry = std::make_unique<Entry>();
  entry->where = where;
  entry->cant_run = info.not_supported;
  reports::VariantResult& row = entry->result;
  row.name = info.name;
  row.what = info.what;
  row.where = where;
  row.dtype = info.dtype;
  row.determinism = info.determinism == Determinism::bitwise ? "bitwise" : "order dependent";
  entry->info = std::move(info);
  entries_.push_back(std::move(entry));
  if (options_.progress != nullptr) options_.progress->variant_declared(row.name, where);
  return *entries_.back();
}

void TrialImpl::host(VariantInfo info, std::function<std::function<void()>(HostBench&)> prepare) {
  Entry& entry = declare(std::move(info), Where::cpu);
  entry.result.device = cpu_name();
  entry.make_station = [prepare = std::move(prepare), threads = entry.info.threads] {
    return host_station(prepare, threads);
  };
}

void TrialImpl::device_variant(VariantInfo info, DevicePrepare prepare, bool library) {
  if (info.quote.mode != "cold" && info.quote.because.empty()) {
    throw std::logic_error("variant '" + info.name + "' quotes its " + info.quote.mode +
                           " time without saying why");
  }
  Entry& entry = declare(std::move(info), Where::gpu);
  entry.library = library;
  GpuPlace& gpu = places_->gpu();
  if (entry.cant_run.empty()) entry.cant_run = gpu.why_not();
  if (!entry.cant_run.empty()) return;
  entry.result.device = gpu.name();
  entry.make_station = [&gpu, &entry, prepare = std::move(prepare)] {
    return gpu.station(entry.info, prepare);
  };
}

void TrialImpl::simt_variant(VariantInfo info,
                             std::function<std::function<void()>(DeviceBench<Simt>&)> prepare) {
  Entry& entry = declare(std::move(info), Where::simt);
  entry.result.device = kSimtPrefix + std::string(" on ") + cpu_name();
  if (!entry.info.simt) {
    entry.cant_run =
        entry.info.simt_left_out.empty() ? "left out on SIMT at this size" : entry.info.simt_left_out;
  }
  if (!entry.cant_run.empty()) return;
  entry.make_station = [this, prepare = std::move(prepare)] {
    places_->simt_schedule_default();
    return device_station<Simt>(places_->simt(), places_->simt_stream(), prepare);
  };
}

// --- after measure() ---

namespace {

/// The GPU's row before the CPU's before Simt's.
int rank(Where where) {
  return where == Where::gpu ? 0 : where == Where::cpu ? 1 : 2;
}

}  // namespace

const Entry* TrialImpl::best(const std::string& variant) const {
  const Entry* found = nullptr;
  for (const auto& entry : entries_) {
    if (entry->info.name != variant || entry->run.outputs.empty()) continue;
    if (found == nullptr || rank(entry->where) < rank(found->where)) found = entry.get();
  }
  return found;
}

const Entry& TrialImpl::known(const std::string& variant) const {
  if (!measured_) throw std::logic_error("variant '" + variant + "' is asked about before measure()");
  const Entry* found = nullptr;
  for (const auto& entry : entries_) {
    if (entry->info.name != variant) continue;
    if (found == nullptr || (entry->result.time && !found->result.time)) found = entry.get();
  }
  if (found == nullptr) {
    std::string names;
    for (const auto& entry : entries_) names += (names.empty() ? "" : ", ") + entry->info.name;
    throw std::invalid_argument("no variant '" + variant + "' in this case; it declares: " + names);
  }
  return *found;
}

bool TrialImpl::passed(const std::string& variant) const {
  static_cast<void>(known(variant));
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) {
    return entry->info.name == variant && entry->result.status == Status::passed;
  });
}

std::vector<double> TrialImpl::output(const std::string& variant, const std::string& output) const {
  static_cast<void>(known(variant));
  const Entry* entry = best(variant);
  if (entry == nullptr) return {};
  for (const OutputCopy& copy : entry->run.outputs) {
    if (copy.name == output) return copy.values();
  }
  throw std::invalid_argument("variant '" + variant + "' has no output '" + output + "'");
}

Measured TrialImpl::time(const std::string& variant) const {
  const Entry& entry = known(variant);
  if (entry.result.time)
    return {entry.result.time->seconds, entry.result.device, {}, entry.result.time->disturbed};
  const std::string reason = entry.where == Where::simt && entry.result.status == Status::passed
                                 ? "a SIMT run gives no time"
                                 : entry.result.reason;
  return {std::nullopt, entry.result.device, variant + ": " + reason};
}

Measured TrialImpl::speedup(const std::string& variant, const std::string& base) {
  const Entry& fast = known(variant);
  const Entry& slow = known(base);
  for (const Measured& measured : {time(variant), time(base)}) {
    if (!measured.value) return measured;
  }
  const reports::TimeResult &quick = *fast.result.time, &long_time = *slow.result.time;
  if (fast.where == slow.where && quick.mode != long_time.mode) {
    return {std::nullopt, fast.result.device,
            fmt::format("{} is timed {}, {} {}: no ratio joins two modes", variant, quick.mode, base,
                        long_time.mode)};
  }
  const auto recorded =
      std::find_if(case_.speedups.begin(), case_.speedups.end(),
                   [&](const reports::Speedup& s) { return s.variant == variant && s.base == base; });
  reports::Speedup speedup;
  if (recorded != case_.speedups.end()) {
    speedup = *recorded;
  } else {
    speedup.variant = variant;
    speedup.base = base;
    speedup.ratio = ratio_of_medians(long_time.samples, quick.samples,
                                     hash_text(benchmark_name(fast) + base, options_.seed));
    if ((slow.library || base == "vendor") && speedup.ratio.median > kUnexplainedSpeedup &&
        fast.info.explain_speedup.empty()) {
      speedup.withheld = fmt::format("{:.3g}x over a vendor library without an explanation in the experiment",
                                     speedup.ratio.median);
    }
    case_.speedups.push_back(speedup);
  }
  Measured measured{
      speedup.ratio, fast.result.device, {}, quick.disturbed.empty() ? long_time.disturbed : quick.disturbed};
  if (fast.result.device != slow.result.device) measured.on += " against " + slow.result.device;
  if (!speedup.withheld.empty()) {
    measured.value.reset();
    measured.missing = "withheld: " + speedup.withheld;
  }
  return measured;
}

void TrialImpl::check(std::string name, bool holds, std::string detail) {
  case_.checks.push_back({std::move(name), holds, std::move(detail)});
}

const Claim& TrialImpl::known_claim(const std::string& id) const {
  std::string ids;
  for (const Claim& claim : experiment_.claims) {
    if (claim.id == id) return claim;
    ids += (ids.empty() ? "" : ", ") + claim.id;
  }
  throw std::invalid_argument("no claim '" + id + "' in '" + experiment_.paper.id + "'; it has: " + ids);
}

void TrialImpl::claim(const std::string& id, const Measured& measured) {
  static_cast<void>(known_claim(id));
  reports::ClaimSample sample;
  sample.claim = id;
  sample.on = measured.on;
  if (measured.disturbed.empty()) {
    sample.value = measured.value;
    sample.missing = measured.missing;
  } else {
    sample.missing = measured.disturbed + " meanwhile: to be measured again on an idle machine";
  }
  case_.claim_samples.push_back(std::move(sample));
}

void TrialImpl::claim(const std::string& id, const reports::Estimate& value) {
  if (known_claim(id).is_time) {
    throw std::logic_error("claim '" + id + "' is a time: it takes what time() or speedup() gave");
  }
  claim(id, Measured{value, cpu_name(), {}});
}

void TrialImpl::claim(const std::string& id, bool holds, std::string evidence) {
  static_cast<void>(known_claim(id));
  reports::ClaimSample sample;
  sample.claim = id;
  sample.holds = holds;
  sample.text = std::move(evidence);
  sample.on = cpu_name();
  case_.claim_samples.push_back(std::move(sample));
}

void TrialImpl::claim_not_measured(const std::string& id, std::string reason) {
  claim(id, Measured{std::nullopt, {}, std::move(reason)});
}

void TrialImpl::conclude() {
  if (!entries_.empty() && !measured_) {
    throw std::logic_error("the case declares variants but never calls measure()");
  }
  constexpr std::pair<const char*, const char*> kUsual[] = {{"kernel", "vendor"}, {"method", "eigen"}};
  for (const auto& [variant, base] : kUsual) {
    const auto declared = [&](const char* name) {
      return std::any_of(entries_.begin(), entries_.end(),
                         [&](const auto& entry) { return entry->info.name == name; });
    };
    if (declared(variant) && declared(base)) static_cast<void>(speedup(variant, base));
  }
}

}  // namespace remeasure::bench
