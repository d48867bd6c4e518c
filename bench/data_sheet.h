// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

namespace remeasure::bench {

/// What a GPU's maker prints. Shown beside what was measured, with the source; no floor is ever computed from
/// it.
struct DataSheet {
  std::map<std::string, double> values;  ///< by the names of gpu_ceilings.h; dense rates
  std::string source;
};

/// By the name that the driver gives the device; null where we know of none.
const DataSheet* data_sheet_of(const std::string& device);

}  // namespace remeasure::bench
