// SPDX-License-Identifier: Apache-2.0
//
// Max-min fair rates of flows on a Clos network by progressive filling (Bertsekas and Gallager, "Data
// Networks", 6.5.2), in plain loops.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/systems/traffic_plan.h"

namespace remeasure::kernels {

/// Path codes of all flows in one trial. `plan`: by flow; empty where the routing plans nothing.
std::vector<std::uint16_t> trial_paths(const Traffic& traffic, Routing routing,
                                       std::span<const std::uint16_t> plan, std::uint32_t seed,
                                       std::uint32_t trial);

/// The oracle: all links of all rails at once, as the text says it. Rate = std::int64_t: units of 2^-20 Gb/s,
/// shares rounded down. Rate = double: the same units, not rounded.
///   repeat { share_l = c_l / n_l;  m = min share;  every active flow on a link with share = m is frozen at m
///   }
template <class Rate>
struct Filling {
  std::vector<Rate> rates = {};  ///< by flow
  int rounds = 0;
};
template <class Rate>
Filling<Rate> fill_rates(const Traffic& traffic, std::span<const std::uint16_t> paths);

/// busbw of each job, min over its pairs and rails: q x min rate where the bytes are split evenly, the sum of
/// the rates where they follow the rates; both at most shape.nvlink.
template <class Rate>
struct Busbw {
  std::vector<Rate> even = {}, weighted = {};
};
template <class Rate>
Busbw<Rate> busbw(const Traffic& traffic, std::span<const Rate> rates);

/// What is wrong with rates as max-min fair ones: a link above its capacity, or a flow without a link that is
/// full up to its number of flows and on which no flow is faster. 0 = nothing.
struct FairnessFaults {
  int overfull = 0, without_bottleneck = 0;
};
FairnessFaults fairness_faults(const Traffic& traffic, std::span<const std::uint16_t> paths,
                               std::span<const std::int64_t> rates);

/// The method, for all cores: rail by rail, active flows in a list that shrinks. even, weighted: [trials,
/// jobs]
void ecmp_trials_reference(const Traffic& traffic, Routing routing, std::span<const std::uint16_t> plan,
                           std::uint32_t seed, int trials, std::span<std::uint32_t> even,
                           std::span<std::uint32_t> weighted, int threads = 0);

/// The same for given paths of one trial.
void path_trial(const Traffic& traffic, std::span<const std::uint16_t> paths, std::span<std::uint32_t> even,
                std::span<std::uint32_t> weighted);

/// busbw of each job in Gb/s if every pair were spread evenly over both ports and all living spines: packet
/// spraying, an upper bound of what fixed paths reach without knowledge of the load.
std::vector<double> spray_busbw(const Traffic& traffic);

}  // namespace remeasure::kernels
