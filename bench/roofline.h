// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "bench/ceilings.h"
#include "bench/trial.h"
#include "reports/record.h"

namespace remeasure::bench {

/// The least time that `work` needs on this CPU: max(bytes / bandwidth, flops / rate).
struct Floor {
  double seconds = 0;
  std::string bound;                   ///< "memory" or "compute"
  std::string bandwidth, rate;         ///< ceilings used; empty where the work has no such part
};

/// Empty if the work is empty, or a ceiling that it needs wasn't measured.
///
/// The bandwidth is that of the smallest cache level which holds `footprint` bytes (of one input set; zero: the work's
/// bytes), because a data set that fits into cache runs rightly above the triad of the main memory; and the better of
/// the read and the triad kernel, since a variant that only reads isn't bound by writes. The rate without Work::rate is
/// that of independent FMAs of `dtype` ("fma-f64"; f32 for f16 and bf16, which a CPU widens).
std::optional<Floor> floor_of(const Work& work, const std::string& dtype, std::size_t footprint,
                              const Ceilings& ceilings);

/// The floor that no program can pass: as floor_of, but with the FMA rate whatever Work::rate says. A product that beats
/// another product's rate is only faster; one that beats independent FMAs didn't do its work.
std::optional<Floor> hard_floor_of(const Work& work, const std::string& dtype, std::size_t footprint,
                                   const Ceilings& ceilings);

/// A time this much below its hard floor is invalid: the margin covers the spread of the ceilings' own measurement.
inline constexpr double kFloorMargin = 0.05;

bool below_floor(double seconds, const Floor& floor);

/// Position of a passed variant. A time below `floor` is reported as exactly 1.
reports::Roofline roofline_of(const Work& work, const std::optional<Floor>& floor, double seconds);

}  // namespace remeasure::bench
