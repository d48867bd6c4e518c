// SPDX-License-Identifier: Apache-2.0
//
// Points (v, x) at which modified Bessel functions are evaluated, in three regions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

struct BesselPoints {
  std::vector<double> v, x;
};

/// "bessel_grid": parameter points (per region). Regions:
///   small  uniform in (0, 150)^2        large  uniform in (150, 1e4)^2        mixed  log-uniform in (1e-2,
///   1e5)^2
extern const Definition bessel_grid_definition;

/// Bounds of a region, the same for v and x. Throws DatasetError for an unknown one.
struct BesselRegion {
  std::string name;
  double low = 0, high = 0;
  bool logarithmic = false;
};
const std::vector<BesselRegion>& bessel_regions();
const BesselRegion& bessel_region(const std::string& name);

Parameters bessel_grid(std::size_t points, std::uint64_t seed);
BesselPoints read_bessel_grid(Reader& reader, const std::string& region);

}  // namespace remeasure::datasets
