// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// "feature_angles": parameters points, qubits. Angles uniform in (0, 2 pi): what a quantum feature map is
/// evaluated at where labels don't matter.
extern const Definition feature_angles_definition;

Parameters feature_angles(std::size_t points, int qubits, std::uint64_t seed);
std::vector<double> read_feature_angles(Reader& reader);  ///< [points, qubits]

}  // namespace remeasure::datasets
