// SPDX-License-Identifier: Apache-2.0
//
// The door between the command line and the measuring: runs one case and gives back what a record holds of
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/ceilings.h"
#include "bench/experiment.h"
#include "bench/machine_load.h"
#include "bench/progress.h"
#include "kernels/device/device_error.h"
#include "reports/record.h"

namespace remeasure::simt {
struct LaunchShape;
}

namespace remeasure::bench {

/// A variant that was asked for by name can't run here. Names the variant, the reason and the remedy.
struct VariantUnavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// RunOptions::stop_requested became true. What was finished before is in the caller's hands already.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct CountedVariant;  // bench/counted_work.h
class GpuPlace;

/// A device error that reaches beyond its call ended the measuring: this process can't use the device any
/// more.
struct DeviceBroken : std::runtime_error {
  DeviceBroken(const std::string& text, std::string variant_at, ErrorReach how_far)
      : std::runtime_error(text), variant(std::move(variant_at)), reach(how_far) {}
  std::string variant;  ///< who was at work, with its place: "kernel@gpu"
  ErrorReach reach;
};

struct RunOptions {
  Size size = Size::smoke;
  std::uint64_t seed = 1;
  std::filesystem::path data_root = "data";  ///< datasets, and the cached oracles under <data_root>/.oracle

  /// Variants asked for by name; empty = all. "kernel" runs it wherever it can; "kernel@gpu", "kernel@simt"
  /// and "eigen@cpu" insist on the place. A name that some case has but that can't run there throws
  /// VariantUnavailable; a name that no case has is seen by the caller (no row of that name in any result).
  std::vector<std::string> variants = {};

  /// Measured time that every variant gets at least (the stop rule's 0.2 s); the hard cap grows with it.
  /// Empty: 0.2 s at paper size; at smoke size a share of 4 s that all variants of all cases divide between
  /// them.
  std::optional<double> min_time = {};
  std::size_t cases = 1;  ///< how many cases divide that share

  /// No new round of samples begins after this moment; variants that have none are `timed_out`.
  std::optional<std::chrono::steady_clock::time_point> deadline = {};
  std::function<bool()> stop_requested = {};  ///< polled between rounds and variants (Ctrl-C)

  /// Ceilings of this CPU (`measured_ceilings`). Null: rows have no roofline and no floor is enforced. Grows
  /// when a variant proves that a ceiling was measured too low.
  Ceilings* ceilings = nullptr;
  Ceilings* gpu_ceilings = nullptr;  ///< the same of the GPU, for what runs there
  Progress* progress = nullptr;

  /// Asked before and after CPU times are taken; what it tells of others goes into them (machine_load.h).
  /// Empty: nobody asks.
  std::function<std::optional<CpuUse>()> cpu_use = {};

  /// Where set, the case is counted instead of measured: each kernel runs once on Simt, and its counts are
  /// put here.
  std::vector<CountedVariant>* counted = nullptr;
  /// Grows by what the cases launch on the SIMT engine (bench/kernel_figures.h makes figures of it); may be
  /// null.
  std::set<simt::LaunchShape>* launches = nullptr;
  GpuPlace* gpu = nullptr;  ///< a stand-in for the CUDA device, for tests (gpu_place.h)

  /// Variants of this case that broke a device in an earlier process, "kernel@gpu", and how: `failed`, not
  /// tried again.
  std::map<std::string, std::string> broken = {};
  /// Places that are given up, "gpu" or "simt", and why: their variants are `failed` without being tried.
  std::map<std::string, std::string> given_up = {};
};

/// Runs one case. An exception of a variant is that variant's `failed`; an exception of the case itself is in
/// CaseResult::error, with everything that was measured before it. A case that its definition leaves out has
/// only CaseResult::left_out. Throws only VariantUnavailable, Interrupted and DeviceBroken.
reports::CaseResult run_case(const Registered& experiment, const CaseDefinition& definition,
                             const RunOptions& options);

/// Judges every claim of the experiment on the samples of all cases (rules: bench/verdict.h).
std::vector<reports::ClaimResult> judge_all(const Experiment& experiment,
                                            const std::vector<reports::CaseResult>& cases, Size size);

}  // namespace remeasure::bench
