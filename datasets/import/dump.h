// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// One named array of a dump: `/name` of an HDF5 file, or name.npy in a folder. Throws DatasetError where it
/// isn't float32 or its shape isn't `expected`, of which `axes` ("batch, heads, tokens, dim") are the names.
std::vector<float> read_dump(const std::filesystem::path& source, const std::string& name,
                             const Shape& expected, const std::string& axes);

}  // namespace remeasure::datasets
