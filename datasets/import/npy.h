// SPDX-License-Identifier: Apache-2.0
//
// NumPy's .npy files (format versions 1 and 2, C order) for importers. The format: numpy.lib.format, NEP 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// One array of a .npy file, little-endian: f4, f8, i1, u1, i2, u2, i4, u4, i8 or u8.
struct NpyArray {
  ElementType type = ElementType::f32;
  Shape shape;                  ///< empty for a single value
  std::vector<std::byte> data;  ///< row-major, little-endian
  std::filesystem::path file;

  std::uint64_t elements() const { return data.size() / size_of(type); }
  /// The values converted: integers from 2^24 (to float) or 2^53 (to double) on are refused, since they may
  /// be rounded.
  std::vector<float> as_f32() const;
  std::vector<double> as_f64() const;
  /// The values as integers; throws for a floating-point array and for values outside int32 or int64.
  std::vector<std::int32_t> as_i32() const;
  std::vector<std::int64_t> as_i64() const;
};

/// Reads and checks the whole file: magic, version, header, and that shape and length agree. Throws
/// DatasetError. Nothing is allocated for a size that the file doesn't have. At most 32 axes.
NpyArray read_npy(const std::filesystem::path& file);

/// The same from memory; `name` is what errors call it.
NpyArray npy_of_bytes(std::string_view bytes, const std::filesystem::path& name);

}  // namespace remeasure::datasets
