// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "bench/ceilings.h"
#include "bench/trial.h"
#include "reports/record.h"

namespace remeasure::bench {

/// The least time that `work` needs on the machine of the ceilings: max(bytes / bandwidth, flops / rate).
struct Floor {
  double seconds = 0;
  std::string bound;            ///< "memory" or "compute"
  std::string bandwidth, rate;  ///< ceilings used; empty where the work has no such part
  std::string cache_bandwidth;  ///< of the share that a GPU's L2 may hold (hard floors only)
};

/// Empty if the work is empty, or a ceiling that it needs wasn't measured.
///
/// The bandwidth is that of the smallest level which holds `footprint` bytes (of one input set; zero: the
/// work's bytes), because a data set that fits into cache runs rightly above the bandwidth of the main
/// memory; and the best of the kinds of traffic measured there, since a variant that only reads isn't bound
/// by writes. On a GPU the footprint counts up to the work's bytes: a workspace that isn't touched takes no
/// place in L2.
///
/// The rate is Work::rate ("gemm-T" and "fma-T" are "gpu-mma-T" and "gpu-fma-T" on a GPU). Without one, on a
/// CPU that of independent FMAs of `dtype` ("fma-f64"; f32 for f16 and bf16, which a CPU widens); on a GPU
/// the better of matrix product and FMAs of that dtype.
std::optional<Floor> floor_of(const Work& work, const std::string& dtype, std::size_t footprint,
                              const Ceilings& ceilings);

/// The floor that no program can pass. As floor_of, but
///  - with the highest rate of the dtype whatever Work::rate says: a product that beats another product's
///  rate is only
///    faster; one that beats independent FMAs didn't do its work. f32 on a GPU may be split into TF32
///    products;
///  - of a footprint above a GPU's L2, each pass may still find L2's share of it there from the pass before,
///  so that
///    only bytes * (1 - L2 / footprint) must come from memory.
std::optional<Floor> hard_floor_of(const Work& work, const std::string& dtype, std::size_t footprint,
                                   const Ceilings& ceilings);

/// A time this much below its hard floor is invalid: the margin covers the spread of the ceilings' own
/// measurement.
inline constexpr double kFloorMargin = 0.05;

bool below_floor(double seconds, const Floor& floor);

/// Position of a passed variant. A time below `floor` is reported as exactly 1.
reports::Roofline roofline_of(const Work& work, const std::optional<Floor>& floor, double seconds);

/// What a measured time is worth.
struct FloorJudgement {
  std::string invalid;                        ///< why the time can't be, or empty
  std::optional<reports::Roofline> roofline;  ///< none where the time is invalid or a ceiling is missing
};

/// Holds a time against its floors. Before it is called invalid, the ceilings that say so are measured once
/// more and raised in `ceilings` where they were too low.
FloorJudgement judge_time(const Work& work, const std::string& dtype, std::size_t footprint, double seconds,
                          Ceilings& ceilings);

}  // namespace remeasure::bench
