// SPDX-License-Identifier: Apache-2.0
#include "datasets/import/hdf5_array.h"

#include <fmt/format.h>

#include "datasets/hdf5_object.h"

namespace remeasure::datasets {

struct ForeignHdf5::State {
  std::string file;
  hdf5::Handle hdf5;

  hdf5::Where at(const std::string& path) const { return {file, path}; }
};

namespace {

struct Open {
  hdf5::Handle dataset, type;
  hdf5::ArrayInfo info;
};

bool holds_numbers(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  return kind == H5T_INTEGER || kind == H5T_FLOAT;
}

/// An array of numbers, or of sequences of numbers.
Open open_array(hid_t file, const std::string& path, const hdf5::Where& where, bool ragged = false) {
  // H5Lexists fails on a missing group, so each step of the path is looked for. A link out of the file isn't
  // followed.
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (part.empty() || part == "/" ||
        hdf5::check(H5Lexists(file, part.c_str(), H5P_DEFAULT), where, "look for it") == 0) {
      hdf5::fail(where, "no such array");
    }
    H5L_info_t link;
    hdf5::check(H5Lget_info(file, part.c_str(), &link, H5P_DEFAULT), where, "read the link");
    if (link.type == H5L_TYPE_EXTERNAL)
      hdf5::fail(where, "a link into another file; expected data in this file");
    if (slash == std::string::npos) break;
  }
  Open open;
  open.dataset = hdf5::own(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose, where, "open it as an array");
  open.type = hdf5::own(H5Dget_type(open.dataset), H5Tclose, where, "read its type");
  open.info = hdf5::array_info(open.dataset, where);
  if (ragged) {
    const bool sequences = H5Tget_class(open.type) == H5T_VLEN;
    const hdf5::Handle element =
        sequences ? hdf5::own(H5Tget_super(open.type), H5Tclose, where, "read its element type")
                  : hdf5::Handle();
    if (!sequences || !holds_numbers(element) || open.info.shape.size() != 1) {
      hdf5::fail(where,
                 fmt::format("type {}, shape {}; expected one axis of variable-length sequences of numbers",
                             open.info.type_name, to_string(open.info.shape)));
    }
  } else if (!holds_numbers(open.type)) {
    hdf5::fail(where, fmt::format("type {}; expected integers or floats", open.info.type_name));
  }
  return open;
}

template <class T>
std::vector<T> read_all(const Open& open, hid_t memory_type, const hdf5::Where& where) {
  std::vector<T> values(static_cast<std::size_t>(open.info.elements));
  if (values.empty()) return values;
  hdf5::check(H5Dread(open.dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), where,
              "read it");
  return values;
}

}  // namespace

ForeignHdf5::ForeignHdf5(const std::filesystem::path& file) : state_(std::make_unique<State>()) {
  const hdf5::Quiet quiet;
  state_->file = file.string();
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    hdf5::fail(state_->at(""), "no such file, or no regular file; expected an HDF5 file");
  }
  state_->hdf5 = hdf5::open_file(state_->file);
}

ForeignHdf5::~ForeignHdf5() = default;
ForeignHdf5::ForeignHdf5(ForeignHdf5&&) noexcept = default;
ForeignHdf5& ForeignHdf5::operator=(ForeignHdf5&&) noexcept = default;

std::vector<std::string> ForeignHdf5::paths() const {
  const hdf5::Quiet quiet;
  return hdf5::array_paths(state_->hdf5, state_->at(""));
}

Shape ForeignHdf5::shape(const std::string& path) const {
  const hdf5::Quiet quiet;
  return open_array(state_->hdf5, path, state_->at(path)).info.shape;
}

std::vector<float> ForeignHdf5::f32(const std::string& path) const {
  const hdf5::Quiet quiet;
  const hdf5::Where where = state_->at(path);
  return read_all<float>(open_array(state_->hdf5, path, where), H5T_NATIVE_FLOAT, where);
}

std::vector<double> ForeignHdf5::f64(const std::string& path) const {
  const hdf5::Quiet quiet;
  const hdf5::Where where = state_->at(path);
  return read_all<double>(open_array(state_->hdf5, path, where), H5T_NATIVE_DOUBLE, where);
}

std::vector<std::int64_t> ForeignHdf5::i64(const std::string& path) const {
  const hdf5::Quiet quiet;
  const hdf5::Where where = state_->at(path);
  const Open open = open_array(state_->hdf5, path, where);
  if (H5Tget_class(open.type) != H5T_INTEGER) {
    hdf5::fail(where, fmt::format("type {}; expected integers", open.info.type_name));
  }
  const bool may_overflow = H5Tget_sign(open.type) == H5T_SGN_NONE && H5Tget_size(open.type) >= 8;
  if (may_overflow) {
    for (const std::uint64_t value : read_all<std::uint64_t>(open, H5T_NATIVE_UINT64, where)) {
      if (value > std::uint64_t{INT64_MAX})
        hdf5::fail(where, fmt::format("value {} doesn't fit int64", value));
    }
  }
  return read_all<std::int64_t>(open, H5T_NATIVE_INT64, where);
}

std::vector<std::vector<double>> ForeignHdf5::ragged_f64(const std::string& path) const {
  const hdf5::Quiet quiet;
  const hdf5::Where where = state_->at(path);
  const Open open = open_array(state_->hdf5, path, where, true);
  const hdf5::Handle type = hdf5::own(H5Tvlen_create(H5T_NATIVE_DOUBLE), H5Tclose, where, "make a type");
  const hdf5::Handle space = hdf5::own(H5Dget_space(open.dataset), H5Sclose, where, "read its dataspace");
  std::vector<hvl_t> sequences(static_cast<std::size_t>(open.info.elements), hvl_t{0, nullptr});
  std::vector<std::vector<double>> result;
  if (sequences.empty()) return result;
  const herr_t status = H5Dread(open.dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, sequences.data());
  if (status >= 0) {
    for (const hvl_t& sequence : sequences) {
      const double* values = static_cast<const double*>(sequence.p);
      result.emplace_back(values, values + sequence.len);
    }
  }
  const std::string cause = status < 0 ? hdf5::cause() : std::string();
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, sequences.data());  // also what a failed read left
  if (status < 0) hdf5::fail(where, "HDF5 can't read it: " + cause);
  return result;
}

std::vector<float> ForeignHdf5::rows_f32(const std::string& path, std::uint64_t first,
                                         std::uint64_t count) const {
  const hdf5::Quiet quiet;
  const hdf5::Where where = state_->at(path);
  const Open open = open_array(state_->hdf5, path, where);
  const Shape& shape = open.info.shape;
  if (shape.empty() || first > shape[0] || count > shape[0] - first) {
    hdf5::fail(where,
               fmt::format("rows {} to {} of shape {} asked for", first, first + count, to_string(shape)));
  }
  if (count == 0 || open.info.elements == 0) return {};
  std::vector<hsize_t> start(shape.size(), 0), size(shape.begin(), shape.end());
  start[0] = first;
  size[0] = count;
  const hsize_t elements = open.info.elements / shape[0] * count;
  const hdf5::Handle space = hdf5::own(H5Dget_space(open.dataset), H5Sclose, where, "read its dataspace");
  hdf5::check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr), where,
              "select rows");
  const hdf5::Handle memory =
      hdf5::own(H5Screate_simple(1, &elements, nullptr), H5Sclose, where, "make a dataspace");
  std::vector<float> values(static_cast<std::size_t>(elements));
  hdf5::check(H5Dread(open.dataset, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, values.data()), where,
              "read it");
  return values;
}

}  // namespace remeasure::datasets
