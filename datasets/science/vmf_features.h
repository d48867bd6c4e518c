// SPDX-License-Identifier: Apache-2.0
//
// Unit vectors from von Mises-Fisher distributions in many dimensions, and their mean resultant lengths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// Row r, class c at [r * classes + c]: one row per concentration.
struct VmfFeatures {
  std::size_t d = 0, concentrations = 0, classes = 0, rows = 0;
  std::vector<double> mean_resultant;  ///< [concentrations, classes]
  std::vector<std::uint64_t> n;        ///< [concentrations, classes]
  std::vector<double> kappa_true;      ///< [concentrations]; NaN for real data
  std::vector<float> samples;          ///< [rows, d]: whole unit vectors, from the middle concentration
};

/// "vmf_features": parameters d, rows. Of each of 3 concentrations and 10 classes 5,000 points are drawn
/// exactly (Wood 1994) as far as the mean resultant length needs them: their cosine with the mean direction.
/// kappa is R (d - R^2) / (1 - R^2) for R = 0.2, 0.5, 0.9, which makes the mean resultant length R to O(1/d).
/// `rows` whole vectors come besides.
extern const Definition vmf_features_definition;

Parameters vmf_features(std::size_t d, std::size_t rows, std::uint64_t seed);
VmfFeatures read_vmf_features(Reader& reader);

}  // namespace remeasure::datasets
