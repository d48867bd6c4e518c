// SPDX-License-Identifier: Apache-2.0
//
// The words of a trial that headers of experiments use, in their namespace.
#pragma once

#include <string>
#include <vector>

#include "bench/trial.h"

namespace remeasure::experiments {

using bench::Accept;
using bench::DeviceBench;
using bench::ErrorMetric;
using bench::HostBench;
using bench::InputSets;
using bench::Measured;
using bench::OracleOutput;
using bench::Trial;
using bench::VariantInfo;
using bench::Work;

/// What the variants of a case on a device have in common; a call makes the description of one.
struct VariantsOnDevice {
  bool simt = true;                   ///< the SIMT engine checks them at this size; else it would have ...
  const char* too_many = "products";  ///< ... too many of these, and does at the smaller sizes
  const char* explain_speedup = "";   ///< where a GPU's speedup over a library comes from
  bench::Quote quote = {};

  VariantInfo operator()(std::string name, std::string what, std::string dtype, std::vector<Accept> accept,
                         Work work = {}) const;
};

}  // namespace remeasure::experiments
