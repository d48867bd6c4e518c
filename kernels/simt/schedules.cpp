// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/schedules.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace remeasure::simt {
namespace {

/// Puts the engine's schedule back, also when a launch throws.
class KeepSchedule {
 public:
  explicit KeepSchedule(Engine& engine)
      : engine_(engine), seed_(engine.options().schedule_seed), timing_(engine.options().cp_async) {}
  ~KeepSchedule() {
    engine_.set_schedule(seed_);
    engine_.set_copy_timing(timing_);
  }
  KeepSchedule(const KeepSchedule&) = delete;
  KeepSchedule& operator=(const KeepSchedule&) = delete;

 private:
  Engine& engine_;
  std::uint64_t seed_;
  CopyTiming timing_;
};

void compare(const Engine& engine, const std::vector<std::byte>& first, const std::vector<std::byte>& other,
             const std::string& how) {
  if (first == other) return;
  Finding finding;
  finding.kind = ErrorKind::order_dependent;
  finding.kernel = engine.last_kernel();
  const auto [a, b] = std::mismatch(first.begin(), first.end(), other.begin(), other.end());
  static_cast<void>(b);
  finding.message = fmt::format(
      "results of {} and {} bytes differ between schedules from byte {} on: {}; find the missing order, or "
      "declare the launch order_dependent",
      first.size(), other.size(), a - first.begin(), how);
  throw EngineError(std::move(finding));
}

}  // namespace

std::vector<std::vector<std::byte>> run_schedules(Engine& engine, std::span<const std::uint64_t> seeds,
                                                  const ScheduledRun& run) {
  const KeepSchedule keep(engine);
  std::vector<std::vector<std::byte>> results;
  for (const std::uint64_t seed : seeds) {
    engine.set_schedule(seed);
    results.push_back(run());
  }
  return results;
}

void expect_schedule_independent(Engine& engine, std::span<const std::uint64_t> seeds,
                                 const ScheduledRun& run) {
  if (seeds.empty()) throw std::invalid_argument("expect_schedule_independent: no seeds");
  const std::uint64_t before = engine.order_dependent_launches();
  const auto results = run_schedules(engine, seeds, run);
  if (engine.order_dependent_launches() != before) return;
  for (std::size_t i = 1; i < results.size(); ++i) {
    compare(engine, results.front(), results[i], fmt::format("seed {} against seed {}", seeds[0], seeds[i]));
  }
  const KeepSchedule keep(engine);
  engine.set_schedule(seeds[0]);
  const bool late = engine.options().cp_async == CopyTiming::late;
  engine.set_copy_timing(late ? CopyTiming::early : CopyTiming::late);
  compare(engine, results.front(), run(), "cp.async late against early");
}

}  // namespace remeasure::simt
