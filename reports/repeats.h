// SPDX-License-Identifier: Apache-2.0
//
// Several runs of one experiment as one side of a comparison: what they say together of one time, ratio or
// number of bytes. One record is a side of one run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/compare.h"
#include "reports/record.h"

namespace remeasure::reports {

/// Not empty; all of one experiment. The first stands for the side wherever runs can't differ.
using Runs = std::vector<const Record*>;

/// The records of every experiment together, in the order of their first.
std::vector<Runs> by_experiment(const std::vector<Record>& records);

/// What keeps these runs from standing on one side: another size, seed, machine or build. Empty if nothing
/// does.
std::string mixture(const Runs& runs);

const CaseResult* find_case(const Record& record, const std::string& test);
/// The variant of the first run in which it didn't pass, else of the first; null if that run lacks it.
const VariantResult* find_variant(const Runs& runs, const std::string& test, const VariantResult& like);

/// Times of a variant that passed with a time in every run; none if it lacks one in some run.
std::optional<Evidence> times_of(const Runs& runs, const std::string& test, const VariantResult& like);
/// Inverted ratios, likewise; none also where an interval reaches zero.
std::optional<Evidence> inverse_speedups_of(const Runs& runs, const std::string& test, const Speedup& like);

/// Bytes of the host's peak over the runs (compare.h, rule 11).
std::optional<ByteRange> host_peaks_of(const Runs& runs, const std::string& test, const VariantResult& like);

}  // namespace remeasure::reports
