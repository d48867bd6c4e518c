// SPDX-License-Identifier: Apache-2.0
#include "bench/checked_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>

#include "bench/run_case.h"

namespace remeasure::bench {
namespace {

using reports::Status;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void mark(CheckedRun& run, Status status, std::string reason) {
  run.status = status;
  run.reason = std::move(reason);
}

/// First output whose bits differ, in words; empty if none does.
std::string difference(const std::vector<OutputCopy>& first, const std::vector<OutputCopy>& second) {
  for (std::size_t k = 0; k < first.size(); ++k) {
    if (first[k].bytes == second[k].bytes) continue;
    const std::size_t element = size_of(first[k].type);
    const std::size_t count = first[k].bytes.size() / element;
    std::size_t different = 0, where = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (std::memcmp(&first[k].bytes[i * element], &second[k].bytes[i * element], element) == 0) continue;
      if (different++ == 0) where = i;
    }
    return fmt::format("{} of {} elements of '{}', the first at {}", different, count, first[k].name, where);
  }
  return {};
}

/// The outputs of another run of the same set: same bits where that was promised, and right in any case.
void compare_with_first(CheckedRun& run, std::vector<OutputCopy> again, const VariantInfo& info,
                        const Oracles& oracles, const char* which) {
  const std::string different = difference(run.outputs, again);
  if (different.empty()) return;
  const Verification verification = verify(info.accept, again, oracles);
  if (verification.status != Status::passed) {
    run.accuracy = verification.accuracy;
    run.outputs = std::move(again);
    return mark(run, verification.status, fmt::format("{}: {}", which, verification.reason));
  }
  if (info.determinism == Determinism::bitwise) {
    mark(run, Status::incorrect,
         fmt::format("declared bitwise deterministic, but {} has other bits in {}", which, different));
  }
}

}  // namespace

void catching(CheckedRun& run, const std::function<void()>& step) {
  try {
    step();
  } catch (const Interrupted&) {
    throw;
  } catch (const DeviceError& error) {
    if (error.sticky()) throw;  // not this variant's row alone: whoever knows its name says so
    mark(run, Status::failed, error.what());
  } catch (const std::exception& error) {
    mark(run, Status::failed, *error.what() == 0 ? "an exception without text" : error.what());
  } catch (...) {
    mark(run, Status::failed, "an exception that isn't a std::exception");
  }
}

CheckedRun check_variant(Station& station, const VariantInfo& info, const Oracles& oracles,
                         double repeat_cap_seconds) {
  CheckedRun run;
  catching(run, [&] {
    station.prepare(0);
    run.setting = station.setting();
    const std::uint64_t hash = station.input_hash(0);
    station.save_inputs(0);
    station.poison(0);
    run.seconds_per_call = seconds_of([&] { run.memory = station.run_metered(0); });
    run.outputs = station.outputs(0);
    if (station.input_hash(0) != hash) return mark(run, Status::incorrect, "inputs changed during the run");
    Verification verification = verify(info.accept, run.outputs, oracles);
    run.accuracy = std::move(verification.accuracy);
    mark(run, verification.status, std::move(verification.reason));
    if (run.status != Status::passed || run.seconds_per_call > repeat_cap_seconds) return;

    station.poison(0);
    run.seconds_per_call = std::min(run.seconds_per_call, seconds_of([&] { station.repeat(0); }));
    compare_with_first(run, station.outputs(0), info, oracles, "a repeated run");
    if (run.status == Status::passed && station.input_hash(0) != hash) {
      mark(run, Status::incorrect, "inputs changed during the repeated run");
    }
  });
  station.restore_inputs();
  return run;
}

void confirm_timed_run(CheckedRun& run, Station& station, const VariantInfo& info, const Oracles& oracles,
                       const std::vector<std::uint64_t>& input_hashes) {
  catching(run, [&] {
    for (std::size_t set = 0; set < input_hashes.size(); ++set) {
      if (station.input_hash(set) != input_hashes[set]) {
        return mark(run, Status::incorrect,
                    fmt::format("inputs of set {} changed during the timed runs, by this variant or by one "
                                "that is interleaved with it",
                                set));
      }
    }
    compare_with_first(run, station.outputs(0), info, oracles, "the last timed run");
  });
}

}  // namespace remeasure::bench
