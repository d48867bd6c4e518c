// SPDX-License-Identifier: Apache-2.0
//
// What every variant goes through before it may have a time, and again after it was timed. No variant can
// leave a step out or do it itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/station.h"
#include "bench/trial.h"
#include "bench/verify.h"
#include "reports/record.h"

namespace remeasure::bench {

struct CheckedRun {
  reports::Status status = reports::Status::passed;
  std::string reason;  ///< for every status but passed
  std::vector<reports::Accuracy> accuracy;
  reports::Memory memory;
  std::string setting;              ///< Station::setting
  std::vector<OutputCopy> outputs;  ///< of the verified run, also where it is incorrect
  double seconds_per_call = 0;      ///< host clock; for planning, never for a table
};

/// On set 0: prepare, hash the inputs, poison the outputs, run under the memory meters, hash again, verify;
/// then poison and run again (other schedule on Simt) unless one run took longer than `repeat_cap_seconds`:
/// `bitwise` outputs must have the same bits, others must pass verification again.
CheckedRun check_variant(Station& station, const VariantInfo& info, const Oracles& oracles,
                         double repeat_cap_seconds);

/// After the closing sample: the outputs of set 0, written inside the timed region, must pass too, and no
/// input set may have changed since `input_hashes` were taken (one per prepared set). Changes status and
/// reason of `run`.
void confirm_timed_run(CheckedRun& run, Station& station, const VariantInfo& info, const Oracles& oracles,
                       const std::vector<std::uint64_t>& input_hashes);

/// Runs `step` and turns an exception into `failed` with its text; Interrupted
/// passes through, and so does a sticky DeviceError, whose consequence isn't this variant's alone.
void catching(CheckedRun& run, const std::function<void()>& step);

}  // namespace remeasure::bench
