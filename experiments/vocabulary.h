// SPDX-License-Identifier: Apache-2.0
//
// The words of a trial that headers of experiments use, in their namespace.
#pragma once

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

}  // namespace remeasure::experiments
