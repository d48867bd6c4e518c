// SPDX-License-Identifier: Apache-2.0
#include "datasets/file_writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "datasets/array_check.h"
#include "datasets/hdf5_object.h"
#include "datasets/seal.h"

namespace remeasure::datasets {
namespace {

using hdf5::check;
using hdf5::Handle;
using hdf5::own;
using hdf5::Where;

constexpr unsigned kDeflateLevel = 4;
constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << 20;

const std::set<std::string> kReserved{
    "schema", "format_version", "schema_version", "name",   "title",   "generator", "generator_version",
    "seed",   "synthetic",      "stands_for",     "source", "licence", "sha256",    "theme"};

/// No object times, names in the order of the alphabet, attributes in the object header: the same bytes every
/// time.
template <class... Set>
Handle property_list(hid_t kind, const Where& where, Set... set) {
  Handle list = own(H5Pcreate(kind), H5Pclose, where, "make a property list");
  (check(set(static_cast<hid_t>(list)), where, "set a property"), ...);
  return list;
}

herr_t without_times(hid_t list) {
  return H5Pset_obj_track_times(list, false);
}
herr_t compact_attributes(hid_t list) {
  return H5Pset_attr_phase_change(list, 1000, 0);
}

// The file grows in a vector of ours, which is left alone when HDF5 closes the file: then it holds the
// finished file. (H5Fget_file_image, made for this, gives a superblock with a wrong checksum in HDF5 1.10.8.)
void* resize_image(void*, std::size_t size, H5FD_file_image_op_t, void* image) noexcept {
  auto& bytes = *static_cast<std::vector<std::byte>*>(image);
  try {
    bytes.resize(size);
  } catch (const std::exception&) {
    return nullptr;  // HDF5 reports that memory is out
  }
  return bytes.data();
}
void* allocate_image(std::size_t size, H5FD_file_image_op_t operation, void* image) noexcept {
  return resize_image(nullptr, size, operation, image);
}
herr_t free_image(void*, H5FD_file_image_op_t, void*) noexcept {
  return 0;
}
void* keep_pointer(void* image) noexcept {
  return image;
}
herr_t drop_pointer(void*) noexcept {
  return 0;
}

}  // namespace

Shape chunk_of(const Shape& shape, std::size_t element_bytes) {
  Shape chunk(shape.size(), 1);
  std::uint64_t bytes = element_bytes;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    chunk[axis] = std::clamp<std::uint64_t>(kChunkBytes / bytes, 1, std::max<std::uint64_t>(shape[axis], 1));
    if (chunk[axis] < shape[axis]) break;
    bytes *= chunk[axis];
  }
  return chunk;
}

std::string array_digest(const std::string& path, ElementType type, const Shape& shape,
                         const std::string& data_sha256) {
  Sha256 sha256;
  sha256.update(std::uint64_t{path.size()})
      .update(path)
      .update(to_string(type))
      .update(std::uint64_t{shape.size()});
  for (const std::uint64_t extent : shape) sha256.update(extent);
  return sha256.update(data_sha256).finish();
}

FileWriter::FileWriter(const Definition& definition, const Parameters& parameters, bool synthetic,
                       std::string file)
    : definition_(definition), parameters_(parameters), synthetic_(synthetic), file_(std::move(file)) {
  if (definition.extents) extents_ = definition.extents(parameters);
  const Where where = at("");
  // `false` means that closing writes nothing to disk. The 1.8 format is read by every HDF5 since 2008.
  const Handle access = property_list(
      H5P_FILE_ACCESS, where, [](hid_t list) { return H5Pset_fapl_core(list, std::size_t{1} << 20, false); },
      [](hid_t list) { return H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_V18); },
      [&](hid_t list) {
        H5FD_file_image_callbacks_t callbacks{allocate_image, nullptr,      resize_image, free_image,
                                              keep_pointer,   drop_pointer, &image_};
        return H5Pset_file_image_callbacks(list, &callbacks);
      });
  const Handle creation = property_list(H5P_FILE_CREATE, where, without_times, compact_attributes);
  hdf5_ =
      own(H5Fcreate(file_.c_str(), H5F_ACC_TRUNC, creation, access), H5Fclose, where, "create it in memory");
}

void FileWriter::make_groups(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string group = path.substr(0, slash);
    const Where where = at(group);
    if (check(H5Lexists(hdf5_, group.c_str(), H5P_DEFAULT), where, "look for it") > 0) continue;
    // HDF5's own H5Pset_create_intermediate_group would store the time in them.
    const Handle creation = property_list(H5P_GROUP_CREATE, where, without_times);
    own(H5Gcreate2(hdf5_, group.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT), H5Gclose, where, "create it");
  }
}

template <class T>
void FileWriter::put(const std::string& path, ElementType type, std::span<const T> data, const Shape& shape) {
  const Where where = at(path);
  const ArraySchema* schema = find_schema(definition_, path);
  if (schema == nullptr) hdf5::fail(where, fmt::format("isn't in the schema of {}", definition_.name));
  if (digests_.contains(path)) hdf5::fail(where, "written twice");
  if (schema->type != type) {
    hdf5::fail(where, fmt::format("written as {}, expected {}", to_string(type), to_string(schema->type)));
  }
  if (shape.empty()) hdf5::fail(where, "has rank 0; give it an axis of length 1, or make it an attribute");
  check_shape(*schema, shape, extents_, where);
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : shape) {
    if (extent != 0 && elements > data.size() / extent + 1)
      elements = data.size() + 1;  // enough to fail below
    else
      elements *= extent;
  }
  if (elements != data.size()) {
    hdf5::fail(where, fmt::format("{} elements given for shape {}", data.size(), to_string(shape)));
  }
  ValueCheck values(schema, where);
  values.add(data);

  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const Shape chunk = chunk_of(shape, sizeof(T));
  const std::vector<hsize_t> chunks(chunk.begin(), chunk.end());
  const int rank = static_cast<int>(shape.size());
  const Handle space =
      own(H5Screate_simple(rank, extents.data(), nullptr), H5Sclose, where, "make a dataspace");
  make_groups(path);
  const Handle creation = property_list(H5P_DATASET_CREATE, where, without_times, compact_attributes);
  if (!data.empty()) {  // an empty array has no bytes to filter, and no valid chunk
    check(H5Pset_chunk(creation, rank, chunks.data()), where, "set its chunks");
    check(H5Pset_shuffle(creation), where, "set the shuffle filter");
    check(H5Pset_deflate(creation, kDeflateLevel), where, "set the deflate filter");
    check(H5Pset_fletcher32(creation), where, "set the fletcher32 filter");
  }
  const Handle dataset =
      own(H5Dcreate2(hdf5_, path.c_str(), hdf5::file_type(type), space, H5P_DEFAULT, creation, H5P_DEFAULT),
          H5Dclose, where, "create it");
  if (!data.empty()) {
    check(H5Dwrite(dataset, hdf5::native_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data()), where,
          "write it");
  }
  hdf5::write_attribute(dataset, "description", schema->description, where);
  hdf5::write_attribute(dataset, "units", schema->units, where);
  hdf5::write_attribute(dataset, "axes", fmt::format("{}", fmt::join(schema->axes, ",")), where);
  hdf5::write_attribute(dataset, "logical_dtype",
                        schema->logical_dtype.empty() ? std::string(to_string(type)) : schema->logical_dtype,
                        where);
  if (schema->minimum) hdf5::write_attribute(dataset, "valid_min", *schema->minimum, where);
  if (schema->maximum) hdf5::write_attribute(dataset, "valid_max", *schema->maximum, where);
  digests_[path] = array_digest(path, type, shape, values.sha256());
}

void FileWriter::array(const std::string& p, std::span<const float> d, Shape s) {
  put(p, ElementType::f32, d, s);
}
void FileWriter::array(const std::string& p, std::span<const double> d, Shape s) {
  put(p, ElementType::f64, d, s);
}
void FileWriter::array(const std::string& p, std::span<const std::uint8_t> d, Shape s) {
  put(p, ElementType::u8, d, s);
}
void FileWriter::array(const std::string& p, std::span<const std::int8_t> d, Shape s) {
  put(p, ElementType::i8, d, s);
}
void FileWriter::array(const std::string& p, std::span<const std::uint16_t> d, Shape s) {
  put(p, ElementType::u16, d, s);
}
void FileWriter::array(const std::string& p, std::span<const std::int16_t> d, Shape s) {
  put(p, ElementType::i16, d, s);
}
void FileWriter::array(const std::string& p, std::span<const std::int32_t> d, Shape s) {
  put(p, ElementType::i32, d, s);
}
void FileWriter::array(const std::string& p, std::span<const std::uint32_t> d, Shape s) {
  put(p, ElementType::u32, d, s);
}
void FileWriter::array(const std::string& p, std::span<const std::int64_t> d, Shape s) {
  put(p, ElementType::i64, d, s);
}
void FileWriter::array(const std::string& p, std::span<const std::uint64_t> d, Shape s) {
  put(p, ElementType::u64, d, s);
}

void FileWriter::check_new_attribute(const std::string& name) {
  const Where where = at("attribute " + name);
  if (name.empty() || kReserved.contains(name) || name.starts_with("param_")) {
    hdf5::fail(where, "the name belongs to the file format; choose another");
  }
  if (!attributes_.insert(name).second) hdf5::fail(where, "written twice");
}

void FileWriter::attribute(const std::string& name, double value) {
  check_new_attribute(name);
  hdf5::write_attribute(hdf5_, name, value, at(""));
}

void FileWriter::attribute(const std::string& name, const std::string& value) {
  check_new_attribute(name);
  hdf5::write_attribute(hdf5_, name, value, at(""));
}

std::vector<std::byte> FileWriter::finish() {
  const Where where = at("");
  Sha256 content;
  for (const ArraySchema& schema : definition_.arrays) {
    if (!schema.optional && !digests_.contains(schema.path)) {
      hdf5::fail(at(schema.path),
                 fmt::format("{} didn't write it",
                             synthetic_ ? "the generator of " + definition_.name : "the importer"));
    }
  }
  for (const auto& [path, digest] : digests_) content.update(digest);

  const auto text = [&](const char* name, const std::string& value) {
    hdf5::write_attribute(hdf5_, name, value, where);
  };
  const auto number = [&](const char* name, std::uint64_t value) {
    hdf5::write_attribute(hdf5_, name, value, where);
  };
  text("schema", "remeasure.dataset");
  number("format_version", 1);
  text("name", definition_.name);
  text("title", definition_.title);
  text("theme", definition_.theme);
  number("schema_version", static_cast<std::uint64_t>(definition_.schema_version));
  text("generator", fmt::format("remeasure {} {}", synthetic_ ? "generator" : "importer", definition_.name));
  number("generator_version", static_cast<std::uint64_t>(definition_.generator_version));
  number("seed", parameters_.seed);
  for (const auto& [name, value] : parameters_.values) text(("param_" + name).c_str(), value);
  number("synthetic", synthetic_ ? 1 : 0);
  text("stands_for", definition_.stands_for);
  text("source", definition_.source);
  text("licence", definition_.licence);
  text("sha256", content.finish());

  check(H5Fflush(hdf5_, H5F_SCOPE_LOCAL), where, "flush it");
  hdf5_ = Handle();
  image_.resize(static_cast<std::size_t>(hdf5_end(image_, file_)));  // memory grows in steps of 1 MiB
  return std::move(image_);
}

}  // namespace remeasure::datasets
