// SPDX-License-Identifier: Apache-2.0
//
// Queries, keys and values on a sequence, a picture or a volume, heads last, as neighborhood attention takes
// them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// [batch, extent 0, extent 1, extent 2, heads, dim] row-major.
struct FeatureMaps {
  std::vector<float> query, key, value;
};

/// "feature_maps": parameters batch, x, y, z (1 where there is no such axis), heads, dim. Independent N(0,
/// 1): scores q.k/sqrt(dim) are N(0, 1), so a softmax over a window of w keys has a largest weight well above
/// 1/w.
extern const Definition feature_maps_definition;

Parameters feature_maps(int batch, const std::array<int, 3>& extents, int heads, int dim, std::uint64_t seed);
FeatureMaps read_feature_maps(Reader& reader);

}  // namespace remeasure::datasets
