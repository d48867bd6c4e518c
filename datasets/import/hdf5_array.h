// SPDX-License-Identifier: Apache-2.0
//
// Arrays of HDF5 files that others made, for importers of real data (SHD, PDEBench, ...).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// An HDF5 file as it was published. Integers and floats of any width and byte order are converted; anything
/// else, links into other files and sizes that the file can't hold are refused with a DatasetError that names
/// file and array.
class ForeignHdf5 {
 public:
  explicit ForeignHdf5(const std::filesystem::path& file);
  ~ForeignHdf5();
  ForeignHdf5(ForeignHdf5&&) noexcept;
  ForeignHdf5& operator=(ForeignHdf5&&) noexcept;

  std::vector<std::string> paths() const;
  Shape shape(const std::string& path) const;
  /// Row-major; integers beyond 2^24 in magnitude are rounded as HDF5 does.
  std::vector<float> f32(const std::string& path) const;
  std::vector<double> f64(const std::string& path) const;
  /// Throws for floating-point arrays and for values outside int64.
  std::vector<std::int64_t> i64(const std::string& path) const;
  /// An array of one axis whose elements are sequences of numbers (HDF5's variable length), as SHD's spike
  /// times.
  std::vector<std::vector<double>> ragged_f64(const std::string& path) const;
  /// Rows [first, first + count) of the first axis, as float: for files larger than memory.
  std::vector<float> rows_f32(const std::string& path, std::uint64_t first, std::uint64_t count) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::datasets
