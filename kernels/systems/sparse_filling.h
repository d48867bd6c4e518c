// SPDX-License-Identifier: Apache-2.0
//
// The steps between the sparse products where rates are filled by a library: A [links, flows] is 0 or 1,
// block diagonal over systems (a rail of a trial). A round is
//   n = A active;  share, least share of a system -> `full`;  hits = A^T full;  freeze -> rate, step, active;
//   residual -= A step
#pragma once

#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/systems/clos.h"

namespace remeasure::kernels {

/// least: of residual / flows, rounded down, over each system's links that have flows; infinite where none
/// has. full: 1 for the links at it.  flows, full: [systems, links]
template <class Target>
void filling_shares(Stream<Target>& stream, int systems, int links, DeviceSpan<Target, const float> flows,
                    DeviceSpan<Target, const double> residual, DeviceSpan<Target, double> least,
                    DeviceSpan<Target, float> full);

/// Active flows with hits are frozen at their system's least share: step is it, 0 for all others.
/// hits, active, step, rate: [systems, flows]
template <class Target>
void filling_freeze(Stream<Target>& stream, int systems, int flows, DeviceSpan<Target, const float> hits,
                    DeviceSpan<Target, const double> least, DeviceSpan<Target, float> active,
                    DeviceSpan<Target, double> step, DeviceSpan<Target, double> rate);

/// busbw as ecmp_trials gives it.  job: [pairs]; rate: [trials, rails, pairs, qps]; even, weighted: [trials,
/// jobs]
template <class Target>
void filling_busbw(Stream<Target>& stream, const ClosShape& shape, int trials,
                   DeviceSpan<Target, const std::int32_t> job, DeviceSpan<Target, const double> rate,
                   DeviceSpan<Target, std::uint32_t> even, DeviceSpan<Target, std::uint32_t> weighted);

}  // namespace remeasure::kernels
