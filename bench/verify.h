// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bench/output_values.h"
#include "bench/trial.h"
#include "reports/record.h"

namespace remeasure::bench {

/// What the oracles say about one run's outputs. `reason` is empty if and only if the status is `passed`.
struct Verification {
  reports::Status status = reports::Status::passed;
  std::string reason;
  std::vector<reports::Accuracy> accuracy;
};

/// Oracle of each output by name.
using Oracles = std::map<std::string, OracleOutput>;

/// Samples of an oracle may be no fewer than this, unless they are the whole output.
inline constexpr std::size_t kFewestSamples = 1000;

/// Compares every output that `accept` names with its oracle. First match decides:
///  1. nothing is required                                             -> not verified
///  2. a required output isn't among `outputs`, or has no oracle       -> failed, not verified
///  3. the oracle samples fewer than kFewestSamples elements           -> not verified
///  4. an output of zeros would pass the requirement                   -> not verified: the check can't fail
///  5. an error above its limit, or below `at_least`                   -> incorrect
///  6. otherwise                                                       -> passed
Verification verify(const std::vector<Accept>& accept, const std::vector<OutputCopy>& outputs,
                    const Oracles& oracles);

}  // namespace remeasure::bench
