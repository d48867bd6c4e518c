// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/checked_run.h"
#include "bench/host_timer.h"
#include "bench/oracle_cache.h"
#include "bench/roofline.h"
#include "bench/run_case.h"
#include "bench/station.h"
#include "bench/trial.h"

namespace remeasure::bench {

/// One declared variant on one place, from its declaration to its row.
struct Entry {
  VariantInfo info;
  reports::Where where = reports::Where::cpu;
  bool library = false;  ///< declared with vendor(): not a kernel of ours
  std::function<std::unique_ptr<Station>()> make_station;
  std::string cant_run;  ///< why there is no station to make
  std::unique_ptr<Station> station;
  std::vector<std::uint64_t> input_hashes;  ///< of the prepared sets, before timing
  CheckedRun run;
  reports::VariantResult result;
};

/// Leaves a case whose kernels are to be counted only.
struct CaseCounted {};

/// A vendor library's speedup above this needs an explanation in the experiment.
inline constexpr double kUnexplainedSpeedup = 10;

class TrialImpl final : public Trial {
 public:
  /// Fills `result`, which is complete up to where the case got if it throws.
  TrialImpl(const Experiment& experiment, const CaseDefinition& definition, const RunOptions& options,
            reports::CaseResult& result);
  ~TrialImpl() override;

  Size size() const override { return options_.size; }
  std::uint64_t seed() const override { return options_.seed; }
  datasets::Store& store() override { return store_; }
  datasets::Opened open(const datasets::Definition& definition,
                        const datasets::Parameters& parameters) override;
  void oracle(const std::string& output, int version, std::function<OracleOutput()> compute) override;
  void host(VariantInfo info, std::function<std::function<void()>(HostBench&)> prepare) override;
  void measure() override;

  bool passed(const std::string& variant) const override;
  std::vector<double> output(const std::string& variant, const std::string& output) const override;
  Measured time(const std::string& variant) const override;
  Measured speedup(const std::string& variant, const std::string& base) override;

  void metric(reports::Metric metric) override { case_.metrics.push_back(std::move(metric)); }
  void check(std::string name, bool holds, std::string detail) override;
  void plot(reports::Plot plot) override { case_.plots.push_back(std::move(plot)); }
  void table(reports::Table table) override { case_.tables.push_back(std::move(table)); }
  void claim(const std::string& id, const Measured& measured) override;
  void claim(const std::string& id, const reports::Estimate& value) override;
  void claim(const std::string& id, bool holds, std::string evidence) override;
  void claim_not_measured(const std::string& id, std::string reason) override;

  /// After the case's own function: declared but never measured is an error of the experiment; the usual
  /// speedups (kernel over vendor, method over eigen) are added where the case didn't ask for them.
  void conclude();

 protected:
  std::uint64_t set_seed(std::size_t set) const override { return options_.seed + 1000 * set; }
  void device_variant(VariantInfo info, DevicePrepare prepare, bool library) override;
  void simt_variant(VariantInfo info,
                    std::function<std::function<void()>(DeviceBench<Simt>&)> prepare) override;

 private:
  struct Places;  // devices and streams, opened when first needed

  Entry& declare(VariantInfo info, reports::Where where);
  bool selected(const Entry& entry) const;
  void require_selection() const;
  void poll() const;
  void compute_oracles();
  [[noreturn]] void count_entries();
  bool excused(Entry& entry) const;
  void blaming(Entry& entry, const std::function<void()>& step);
  void check_entry(Entry& entry);
  void prepare_sets(Entry& entry, double cap_seconds);
  std::vector<Entry*> prepare_timing(reports::Where where, const StopRule& rule);
  SamplingControl control_of(const std::vector<Entry*>& timed) const;
  void time_on_cpu(const StopRule& rule);
  void time_on_gpu(const StopRule& rule);
  bool confirmed(Entry& entry);
  void accept_samples(Entry& entry, Sampling sampling, reports::TimeResult time);
  void apply_floor(Entry& entry);
  StopRule stop_rule(std::size_t timed) const;
  std::string benchmark_name(const Entry& entry) const;
  const Entry* best(const std::string& variant) const;
  const Entry& known(const std::string& variant) const;
  const Claim& known_claim(const std::string& id) const;

  const Experiment& experiment_;
  const CaseDefinition& definition_;
  const RunOptions& options_;
  reports::CaseResult& case_;
  datasets::Store store_;
  std::unique_ptr<Places> places_;
  std::string data_identity_;  ///< content hashes of everything opened so far
  std::map<std::string, std::pair<OracleKey, std::function<OracleOutput()>>> oracle_makers_;
  Oracles oracles_;
  std::vector<std::unique_ptr<Entry>> entries_;
  bool measured_ = false;
};

}  // namespace remeasure::bench
