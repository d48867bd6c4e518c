// SPDX-License-Identifier: Apache-2.0
#include "datasets/hdf5_object.h"

#include <fmt/format.h>

#include <algorithm>

namespace remeasure::datasets::hdf5 {
namespace {

constexpr std::size_t kMaximumText = 60000;  // an attribute lies in the object header: below 64 KiB
constexpr std::uint64_t kMaximumChunk = std::uint64_t{64} << 20;
constexpr std::uint64_t kDeflateRatio = 1032;  // zlib's technical notes: 1032:1 is the most there can be
constexpr int kMaximumObjects = 4096, kMaximumDepth = 8;

Where attribute_at(const Where& where, const std::string& name) {
  return {where.file, fmt::format("{}{}attribute {}", where.object, where.object.empty() ? "" : " ", name)};
}

void write_scalar(hid_t object, const std::string& name, hid_t file_type, hid_t memory_type,
                  const void* value, const Where& where) {
  const Where at = attribute_at(where, name);
  const Handle space = own(H5Screate(H5S_SCALAR), H5Sclose, at, "make a dataspace");
  const Handle attribute = own(H5Acreate2(object, name.c_str(), file_type, space, H5P_DEFAULT, H5P_DEFAULT),
                               H5Aclose, at, "create it");
  check(H5Awrite(attribute, memory_type, value), at, "write it");
}

struct Attribute {
  Where at;
  Handle handle, type;
};

Attribute open_scalar(hid_t object, const std::string& name, const Where& where) {
  Attribute a{attribute_at(where, name), {}, {}};
  if (!has_attribute(object, name, where))
    fail(a.at, "missing", "the file wasn't written by this version of remeasure");
  a.handle = own(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, a.at, "open it");
  a.type = own(H5Aget_type(a.handle), H5Tclose, a.at, "read its type");
  const Handle space = own(H5Aget_space(a.handle), H5Sclose, a.at, "read its dataspace");
  if (H5Sget_simple_extent_npoints(space) != 1) fail(a.at, "has several elements; expected one");
  return a;
}

std::string filter_list(hid_t properties, const Where& where) {
  std::string list;
  const int count = check(H5Pget_nfilters(properties), where, "count its filters");
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0, configuration = 0, values[8] = {};
    std::size_t value_count = 8;
    char name[64] = "";
    const H5Z_filter_t filter = check(H5Pget_filter2(properties, static_cast<unsigned>(i), &flags,
                                                     &value_count, values, sizeof name, name, &configuration),
                                      where, "read its filters");
    list += fmt::format("{}{}", list.empty() ? "" : ", ", name);
    if (filter == H5Z_FILTER_DEFLATE) list += fmt::format("({})", values[0]);
  }
  return list;
}

void collect(hid_t group, const std::string& prefix, int depth, int& objects, std::vector<std::string>& out,
             const Where& where) {
  H5G_info_t info;
  check(H5Gget_info(group, &info), where, "read the group");
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    if (++objects > kMaximumObjects) fail(where, fmt::format("more than {} objects", kMaximumObjects));
    const ssize_t length =
        check(H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT), where,
              "read a link's name");
    if (length > 1024) fail(where, fmt::format("a name of {} bytes; at most 1024 are read", length));
    std::string name(static_cast<std::size_t>(length) + 1, '\0');
    check(
        H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT),
        where, "read a link's name");
    name.pop_back();
    const Where at{where.file, prefix + name};
    H5L_info_t link;
    check(H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT), at, "read the link");
    if (link.type != H5L_TYPE_HARD)
      fail(at, "a soft or external link; expected a group or an array in this file");
    const Handle object = own(H5Oopen(group, name.c_str(), H5P_DEFAULT), H5Oclose, at, "open it");
    const H5I_type_t kind = H5Iget_type(object);
    if (kind == H5I_DATASET) {
      out.push_back(at.object);
    } else if (kind == H5I_GROUP) {
      if (depth >= kMaximumDepth) fail(at, fmt::format("groups nested deeper than {}", kMaximumDepth));
      collect(object, at.object + "/", depth + 1, objects, out, where);
    }
  }
}

}  // namespace

void write_attribute(hid_t object, const std::string& name, double value, const Where& where) {
  write_scalar(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, where);
}

void write_attribute(hid_t object, const std::string& name, std::uint64_t value, const Where& where) {
  write_scalar(object, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value, where);
}

void write_attribute(hid_t object, const std::string& name, const std::string& text, const Where& where) {
  const Where at = attribute_at(where, name);
  if (text.size() > kMaximumText)
    fail(at, fmt::format("{} bytes of text; an attribute holds {}", text.size(), kMaximumText));
  const Handle type = own(H5Tcopy(H5T_C_S1), H5Tclose, at, "make a string type");
  check(H5Tset_size(type, std::max<std::size_t>(text.size(), 1)), at, "set a string's length");
  check(H5Tset_strpad(type, H5T_STR_NULLPAD), at, "set a string's padding");
  check(H5Tset_cset(type, H5T_CSET_UTF8), at, "set a string's encoding");
  write_scalar(object, name, type, type, text.c_str(), where);
}

bool has_attribute(hid_t object, const std::string& name, const Where& where) {
  return check(H5Aexists(object, name.c_str()), attribute_at(where, name), "look for it") > 0;
}

double read_number(hid_t object, const std::string& name, const Where& where) {
  const Attribute a = open_scalar(object, name, where);
  const H5T_class_t kind = H5Tget_class(a.type);
  if (kind != H5T_INTEGER && kind != H5T_FLOAT)
    fail(a.at, fmt::format("a {}; expected a number", type_name(a.type)));
  double value = 0;
  check(H5Aread(a.handle, H5T_NATIVE_DOUBLE, &value), a.at, "read it");
  return value;
}

std::uint64_t read_u64(hid_t object, const std::string& name, const Where& where) {
  const Attribute a = open_scalar(object, name, where);
  if (H5Tget_class(a.type) != H5T_INTEGER)
    fail(a.at, fmt::format("a {}; expected an integer", type_name(a.type)));
  std::uint64_t value = 0;
  check(H5Aread(a.handle, H5T_NATIVE_UINT64, &value), a.at, "read it");
  return value;
}

std::string read_text(hid_t object, const std::string& name, const Where& where) {
  const Attribute a = open_scalar(object, name, where);
  if (H5Tget_class(a.type) != H5T_STRING || check(H5Tis_variable_str(a.type), a.at, "read its type") > 0) {
    fail(a.at, fmt::format("a {} that is no text of fixed length; expected one", type_name(a.type)));
  }
  const std::size_t size = H5Tget_size(a.type);
  if (size > kMaximumText)
    fail(a.at, fmt::format("a text of {} bytes; at most {} are read", size, kMaximumText));
  std::string text(size, '\0');
  check(H5Aread(a.handle, a.type, text.data()), a.at, "read it");
  text.erase(std::find(text.begin(), text.end(), '\0'), text.end());
  return text;
}

std::vector<std::string> attribute_names(hid_t object, const Where& where) {
  std::vector<std::string> names;
  const auto visit = [](hid_t, const char* name, const H5A_info_t*, void* data) -> herr_t {
    auto& list = *static_cast<std::vector<std::string>*>(data);
    if (list.size() >= static_cast<std::size_t>(kMaximumObjects)) return -1;
    list.emplace_back(name);
    return 0;
  };
  hsize_t position = 0;
  check(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &position, visit, &names), where,
        "list the attributes");
  std::sort(names.begin(), names.end());
  return names;
}

std::string attribute_as_text(hid_t object, const std::string& name, const Where& where) {
  const Handle attribute =
      own(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, attribute_at(where, name), "open it");
  const Handle type = own(H5Aget_type(attribute), H5Tclose, attribute_at(where, name), "read its type");
  const Handle space =
      own(H5Aget_space(attribute), H5Sclose, attribute_at(where, name), "read its dataspace");
  if (H5Sget_simple_extent_npoints(space) != 1) return "(array)";
  switch (H5Tget_class(type)) {
    case H5T_STRING:
      return H5Tis_variable_str(type) > 0 ? "(text of variable length)" : read_text(object, name, where);
    case H5T_INTEGER:
      if (H5Tget_sign(type) == H5T_SGN_NONE) return fmt::format("{}", read_u64(object, name, where));
      [[fallthrough]];
    case H5T_FLOAT:
      return fmt::format("{}", read_number(object, name, where));
    default:
      return fmt::format("({})", type_name(type));
  }
}

ArrayInfo array_info(hid_t dataset, const Where& where) {
  ArrayInfo info;
  const Handle type = own(H5Dget_type(dataset), H5Tclose, where, "read its type");
  info.type_name = type_name(type);
  for (const ElementType candidate :
       {ElementType::f32, ElementType::f64, ElementType::u8, ElementType::i8, ElementType::u16,
        ElementType::i16, ElementType::i32, ElementType::u32, ElementType::i64, ElementType::u64}) {
    if (check(H5Tequal(type, file_type(candidate)), where, "compare its type") > 0) info.type = candidate;
  }
  const Handle space = own(H5Dget_space(dataset), H5Sclose, where, "read its dataspace");
  const int rank = check(H5Sget_simple_extent_ndims(space), where, "read its rank");
  Shape shape(static_cast<std::size_t>(rank));
  static_assert(sizeof(hsize_t) == sizeof(std::uint64_t));
  std::vector<hsize_t> extents(shape.size()), most(shape.size());
  if (rank > 0)
    check(H5Sget_simple_extent_dims(space, extents.data(), most.data()), where, "read its extents");
  std::copy(extents.begin(), extents.end(), shape.begin());
  info.shape = shape;
  const std::size_t element_bytes = H5Tget_size(type);
  if (element_bytes == 0 || element_bytes > kMaximumText)
    fail(where, fmt::format("elements of {} bytes", element_bytes));

  const Handle properties =
      own(H5Dget_create_plist(dataset), H5Pclose, where, "read its creation properties");
  const H5D_layout_t layout = check(H5Pget_layout(properties), where, "read its layout");
  if (layout == H5D_VIRTUAL)
    fail(where, "a virtual array that points into other files; expected data in this file");
  if (check(H5Pget_external_count(properties), where, "look for external files") > 0) {
    fail(where, "its data lie in another file; expected data in this file");
  }
  info.filters = filter_list(properties, where);
  info.stored_bytes = H5Dget_storage_size(dataset);
  if (layout == H5D_CHUNKED) {
    std::vector<hsize_t> chunk(shape.size());
    check(H5Pget_chunk(properties, rank, chunk.data()), where, "read its chunks");
    std::uint64_t bytes = element_bytes;
    for (const hsize_t extent : chunk) {
      if (extent == 0 || bytes > kMaximumChunk / extent) fail(where, "chunks larger than 64 MiB; refused");
      bytes *= extent;
    }
    info.chunk.assign(chunk.begin(), chunk.end());
  }
  // Nothing is allocated for an array that the file can't hold: stored bytes, times what deflate can gain,
  // plus a chunk.
  const std::uint64_t most_bytes =
      std::min<std::uint64_t>(info.stored_bytes, std::uint64_t{1} << 50) * kDeflateRatio;
  std::uint64_t bytes = element_bytes;
  if (std::find(shape.begin(), shape.end(), 0u) != shape.end()) bytes = 0;
  for (const std::uint64_t extent : shape) {
    if (bytes != 0 && bytes > most_bytes / extent) {
      fail(where,
           fmt::format("claims shape {} of {}, but only {} bytes are stored; the file is damaged or hostile",
                       to_string(shape), info.type_name, info.stored_bytes));
    }
    bytes *= extent;
  }
  info.elements = bytes / element_bytes;
  return info;
}

std::vector<std::string> array_paths(hid_t file, const Where& where) {
  std::vector<std::string> paths;
  int objects = 0;
  const Handle root = own(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose, where, "open its root group");
  collect(root, "/", 0, objects, paths, where);
  std::sort(paths.begin(), paths.end());
  return paths;
}

Handle open_file(const std::string& file) {
  const Where where{file, {}};
  const Handle access = own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, where, "make a property list");
#if H5_VERSION_GE(1, 10, 7)
  check(H5Pset_file_locking(access, 0, 1), where, "switch its file locks off");
#endif
  check(H5Pset_fclose_degree(access, H5F_CLOSE_SEMI), where, "set its closing rule");
  return own(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access), H5Fclose, where, "open it");
}

}  // namespace remeasure::datasets::hdf5
