// SPDX-License-Identifier: Apache-2.0
//
// Reading an array in pieces of a few MiB, so that checking a file needs little memory whatever its size.
// Internal.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "datasets/hdf5_object.h"

namespace remeasure::datasets::hdf5 {

/// Calls `use(std::span<const T>)` for consecutive pieces, row-major. A piece is a whole number of rows of
/// the first axis, and of chunks where there are any, so no chunk is decompressed twice.
template <class T, class Use>
void for_each_block(hid_t dataset, const ArrayInfo& info, ElementType type, const Where& where, Use use) {
  if (info.elements == 0) return;
  if (info.shape.empty()) {  // a single value; foreign files only
    T value{};
    check(H5Dread(dataset, native_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, &value), where, "read it");
    use(std::span<const T>(&value, 1));
    return;
  }
  const std::uint64_t rows = info.shape[0], row = info.elements / rows;
  std::uint64_t step = std::max<std::uint64_t>((std::uint64_t{4} << 20) / (row * sizeof(T)), 1);
  if (!info.chunk.empty()) step = std::max(step / info.chunk[0], std::uint64_t{1}) * info.chunk[0];
  std::vector<T> block(static_cast<std::size_t>(std::min(step, rows) * row));
  const Handle file_space = own(H5Dget_space(dataset), H5Sclose, where, "read its dataspace");
  std::vector<hsize_t> start(info.shape.size(), 0), count(info.shape.begin(), info.shape.end());
  for (std::uint64_t first = 0; first < rows; first += step) {
    start[0] = first;
    count[0] = std::min(step, rows - first);
    const hsize_t elements = count[0] * row;
    check(H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
          where, "select rows");
    const Handle memory = own(H5Screate_simple(1, &elements, nullptr), H5Sclose, where, "make a dataspace");
    check(H5Dread(dataset, native_type(type), memory, file_space, H5P_DEFAULT, block.data()), where,
          "read it");
    use(std::span<const T>(block.data(), static_cast<std::size_t>(elements)));
  }
}

/// The same with the C++ type chosen by `type`.
template <class Use>
void for_each_block_of(hid_t dataset, const ArrayInfo& info, ElementType type, const Where& where, Use use) {
  switch (type) {
    case ElementType::f32:
      return for_each_block<float>(dataset, info, type, where, use);
    case ElementType::f64:
      return for_each_block<double>(dataset, info, type, where, use);
    case ElementType::u8:
      return for_each_block<std::uint8_t>(dataset, info, type, where, use);
    case ElementType::i8:
      return for_each_block<std::int8_t>(dataset, info, type, where, use);
    case ElementType::u16:
      return for_each_block<std::uint16_t>(dataset, info, type, where, use);
    case ElementType::i16:
      return for_each_block<std::int16_t>(dataset, info, type, where, use);
    case ElementType::i32:
      return for_each_block<std::int32_t>(dataset, info, type, where, use);
    case ElementType::u32:
      return for_each_block<std::uint32_t>(dataset, info, type, where, use);
    case ElementType::i64:
      return for_each_block<std::int64_t>(dataset, info, type, where, use);
    case ElementType::u64:
      return for_each_block<std::uint64_t>(dataset, info, type, where, use);
  }
}

}  // namespace remeasure::datasets::hdf5
