// SPDX-License-Identifier: Apache-2.0
//
// Attributes and arrays of an open HDF5 file, with limits that keep a hostile file from costing memory.
// Internal.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/hdf5_handle.h"

namespace remeasure::datasets::hdf5 {

void write_attribute(hid_t object, const std::string& name, double value, const Where& where);
void write_attribute(hid_t object, const std::string& name, std::uint64_t value, const Where& where);
void write_attribute(hid_t object, const std::string& name, const std::string& text, const Where& where);

bool has_attribute(hid_t object, const std::string& name, const Where& where);
/// Any scalar integer or float.
double read_number(hid_t object, const std::string& name, const Where& where);
std::uint64_t read_u64(hid_t object, const std::string& name, const Where& where);
/// A scalar text of fixed length.
std::string read_text(hid_t object, const std::string& name, const Where& where);
/// Names in the order of the alphabet.
std::vector<std::string> attribute_names(hid_t object, const Where& where);
/// Text or number of an attribute as it reads; "(array)" for others.
std::string attribute_as_text(hid_t object, const std::string& name, const Where& where);

/// What the header of an array says; its data isn't touched.
struct ArrayInfo {
  std::optional<ElementType> type;  ///< empty if it is none of ours (then see type_name)
  std::string type_name;
  Shape shape;
  std::uint64_t elements = 0;
  std::uint64_t stored_bytes = 0;  ///< in the file, after the filters
  Shape chunk;                     ///< empty: not chunked
  std::string filters;             ///< "shuffle, deflate(4), fletcher32"
};

/// Refuses what no dataset of ours has and what would make reading unsafe: external files, virtual layouts,
/// chunks above 64 MiB, sizes beyond what the stored bytes can hold even after deflate's best ratio (1032).
ArrayInfo array_info(hid_t dataset, const Where& where);

/// Paths of all arrays ("/q", "/inputs/x"), sorted. Hard links only, at most 4096 objects, eight groups deep.
std::vector<std::string> array_paths(hid_t file, const Where& where);

/// Opens a file that exists, for reading, without HDF5's file locks (they fail on some network file systems).
Handle open_file(const std::string& file);

}  // namespace remeasure::datasets::hdf5
