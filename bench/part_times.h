// SPDX-License-Identifier: Apache-2.0
//
// How a ratio of two CPU variants spreads over the parts of a case (sub-boxes of a region, groups of rows):
// each part is timed by itself, its subjects interleaved, by the same sampler as whole variants. For variants
// that the case has verified already: what a part writes isn't checked again.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "bench/stopping.h"

namespace remeasure::bench {

/// Median seconds of a call, [part][subject]. `run(part, subject)` gives what is timed; an exception that it
/// throws is rethrown as std::runtime_error with the subject's name.
std::vector<std::vector<double>> time_parts(
    std::size_t parts, const std::vector<std::string>& subjects,
    const std::function<std::function<void()>(std::size_t, std::size_t)>& run, const StopRule& rule);

}  // namespace remeasure::bench
