// SPDX-License-Identifier: Apache-2.0
//
// NumPy's .npy files (format versions 1 to 3: NumPy Enhancement Proposal 1).
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

namespace remeasure::datasets {

template <class T>
struct NpyArray {
  std::vector<std::size_t> shape;
  std::vector<T> values;               ///< row-major
};

/// Little-endian float32 in C order. Throws DatasetError naming the file, what is there and what was expected.
NpyArray<float> read_npy_f32(const std::filesystem::path& file);

}  // namespace remeasure::datasets
