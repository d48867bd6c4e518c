// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/systems/clos.h"

namespace remeasure::kernels {

/// A cluster's traffic on a device: arrays of Traffic.
template <class Target>
struct DeviceTraffic {
  ClosShape shape = {};
  DeviceSpan<Target, const std::int32_t> group, from, to, job;
  DeviceSpan<Target, const std::uint32_t> capacity;
};

/// Threads that fill a rail together: a warp each for all rails of a block at once, or the block for one rail
/// after the other.
enum class RailTeam { automatic, warp, block };

inline constexpr int kEcmpWarps = 8;  ///< of a block

/// 32-bit words of a rail in shared memory: residual, count, share of each link; sum and least rate of each
/// pair; two paths a word.
RM_HOST_DEVICE constexpr std::size_t ecmp_rail_words(const ClosShape& s) {
  return 3 * static_cast<std::size_t>(s.rail_links()) + 2 * static_cast<std::size_t>(s.pairs) +
         (static_cast<std::size_t>(s.rail_flows()) + 1) / 2;
}
/// Words that the rails of a block share: two minima of each job, four link numbers of 16 bits of each pair.
RM_HOST_DEVICE constexpr std::size_t ecmp_block_words(const ClosShape& s) {
  return 2 * static_cast<std::size_t>(s.jobs) + 2 * static_cast<std::size_t>(s.pairs);
}
/// Shared memory of a block. `automatic` takes warps where that needs no opt-in.
constexpr std::size_t ecmp_shared_bytes(const ClosShape& s, RailTeam team) {
  const auto warps = static_cast<std::size_t>(s.rails < kEcmpWarps ? s.rails : kEcmpWarps);
  const std::size_t by_warps = 4 * (ecmp_block_words(s) + warps * ecmp_rail_words(s));
  const bool warp = team == RailTeam::warp || (team == RailTeam::automatic && by_warps <= 48 * 1024);
  return warp ? by_warps : 4 * (ecmp_block_words(s) + ecmp_rail_words(s));
}

/// Max-min fair busbw of each job in each of `trials` draws of the paths (choose_path), in units of 2^-20
/// Gb/s, exactly as ecmp_trials_reference.  plan: [flows] codes, or empty unless the routing is `planned`;
/// even, weighted: [trials, jobs]; rates: [trials, flows], or empty.  Throws std::invalid_argument for shapes
/// that don't fit.
template <class Target>
void ecmp_trials(Stream<Target>& stream, const DeviceTraffic<Target>& traffic, Routing routing,
                 DeviceSpan<Target, const std::uint16_t> plan, std::uint32_t seed, int trials,
                 DeviceSpan<Target, std::uint32_t> even, DeviceSpan<Target, std::uint32_t> weighted,
                 DeviceSpan<Target, std::uint32_t> rates = {}, RailTeam team = RailTeam::automatic);

}  // namespace remeasure::kernels
