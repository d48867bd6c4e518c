// SPDX-License-Identifier: Apache-2.0
#include "datasets/file_reader.h"

#include <fmt/format.h>

#include "datasets/array_check.h"
#include "datasets/file_writer.h"
#include "datasets/hdf5_blocks.h"
#include "datasets/seal.h"

namespace remeasure::datasets {
namespace {

using hdf5::fail;
using hdf5::Handle;
using hdf5::own;
using hdf5::Where;

/// Opens a sealed file and checks that it is a dataset of this program.
Handle open_dataset_file(const std::filesystem::path& file) {
  check_seal(file);
  Handle hdf5 = hdf5::open_file(file.string());
  const Where where{file.string(), {}};
  const std::string schema = hdf5::read_text(hdf5, "schema", where);
  if (schema != "remeasure.dataset")
    fail(where, fmt::format("schema is \"{}\", expected \"remeasure.dataset\"", schema));
  const std::uint64_t version = hdf5::read_u64(hdf5, "format_version", where);
  if (version != 1) fail(where, fmt::format("format version {}, expected 1", version), kMakeAgain);
  return hdf5;
}

void check_parameters(hid_t file, const Parameters& expected, bool synthetic, std::uint64_t seed,
                      const Where& where) {
  for (const auto& [name, value] : expected.values) {
    const std::string found = hdf5::read_text(file, "param_" + name, where);
    if (found != value)
      fail({where.file, "attribute param_" + name}, fmt::format("\"{}\", expected \"{}\"", found, value));
  }
  if (synthetic && seed != expected.seed) {
    fail({where.file, "attribute seed"}, fmt::format("{}, expected {}", seed, expected.seed));
  }
}

Parameters parameters_in(hid_t file, std::uint64_t seed, const Where& where) {
  Parameters parameters{.values = {}, .seed = seed};
  for (const std::string& name : hdf5::attribute_names(file, where)) {
    if (name.starts_with("param_")) parameters.values[name.substr(6)] = hdf5::read_text(file, name, where);
  }
  return parameters;
}

}  // namespace

std::string dataset_name(const std::filesystem::path& file) {
  const hdf5::Quiet quiet;
  return hdf5::read_text(open_dataset_file(file), "name", {file.string(), {}});
}

FileReader::FileReader(const std::filesystem::path& file, const Definition& definition,
                       const Parameters* expected) {
  const hdf5::Quiet quiet;
  provenance_ = {.dataset = definition.name, .file = file, .sha256 = {}, .synthetic = true, .seed = 0};
  hdf5_ = open_dataset_file(file);
  const Where where = at("");
  const std::string name = hdf5::read_text(hdf5_, "name", where);
  if (name != definition.name)
    fail(where, fmt::format("holds dataset \"{}\", expected \"{}\"", name, definition.name));
  provenance_.synthetic = hdf5::read_u64(hdf5_, "synthetic", where) != 0;
  provenance_.seed = hdf5::read_u64(hdf5_, "seed", where);
  const char* remedy = provenance_.synthetic ? kMakeAgain : "bring it in again with `remeasure data import`";
  const auto check_version = [&](const char* what, int wanted) {
    const std::uint64_t found = hdf5::read_u64(hdf5_, what, where);
    if (found != static_cast<std::uint64_t>(wanted)) {
      fail(at(fmt::format("attribute {}", what)), fmt::format("{}, expected {} for {}", found, wanted, name),
           remedy);
    }
  };
  check_version("schema_version", definition.schema_version);
  if (provenance_.synthetic) check_version("generator_version", definition.generator_version);
  const Parameters parameters = parameters_in(hdf5_, provenance_.seed, where);
  if (expected != nullptr) check_parameters(hdf5_, *expected, provenance_.synthetic, provenance_.seed, where);

  Extents extents;
  if (definition.extents) extents = definition.extents(parameters);
  Sha256 content;
  for (const std::string& path : hdf5::array_paths(hdf5_, where)) {
    const Where here = at(path);
    const ArraySchema* schema = find_schema(definition, path);
    if (schema == nullptr) fail(here, fmt::format("isn't in the schema of {}", name), remedy);
    const Handle dataset = own(H5Dopen2(hdf5_, path.c_str(), H5P_DEFAULT), H5Dclose, here, "open it");
    const hdf5::ArrayInfo found = hdf5::array_info(dataset, here);
    if (found.type != schema->type) {
      fail(here, fmt::format("type {}, expected {}", found.type_name, to_string(schema->type)), remedy);
    }
    check_shape(*schema, found.shape, extents, here);
    ValueCheck values(schema, here);
    hdf5::for_each_block_of(dataset, found, schema->type, here, [&](auto block) { values.add(block); });
    content.update(array_digest(path, schema->type, found.shape, values.sha256()));
    arrays_[path] = found;
  }
  for (const ArraySchema& schema : definition.arrays) {
    if (!schema.optional && !arrays_.contains(schema.path)) {
      fail(at(schema.path),
           fmt::format("missing; expected {} ({})", to_string(schema.type), fmt::join(schema.axes, ", ")),
           remedy);
    }
  }
  provenance_.sha256 = content.finish();
  const std::string stated = hdf5::read_text(hdf5_, "sha256", where);
  if (stated != provenance_.sha256) {
    fail(where,
         fmt::format("its content has SHA-256 {}, its attribute sha256 says {}", provenance_.sha256, stated),
         remedy);
  }
}

const hdf5::ArrayInfo& FileReader::info(const std::string& path) const {
  const auto found = arrays_.find(path);
  if (found == arrays_.end()) fail(at(path), fmt::format("no such array in dataset {}", provenance_.dataset));
  return found->second;
}

template <class T>
std::vector<T> FileReader::get(const std::string& path, ElementType type) {
  const Where where = at(path);
  const hdf5::ArrayInfo& array = info(path);
  if (array.type != type) {
    fail(where, fmt::format("asked for as {}, but its schema says {}", to_string(type), array.type_name));
  }
  std::vector<T> values(static_cast<std::size_t>(array.elements));
  if (values.empty()) return values;
  const hdf5::Quiet quiet;
  const Handle dataset = own(H5Dopen2(hdf5_, path.c_str(), H5P_DEFAULT), H5Dclose, where, "open it");
  hdf5::check(H5Dread(dataset, hdf5::native_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), where,
              "read it");
  return values;
}

double FileReader::number(const std::string& attribute) {
  const hdf5::Quiet quiet;
  return hdf5::read_number(hdf5_, attribute, at(""));
}

std::string FileReader::text(const std::string& attribute) {
  const hdf5::Quiet quiet;
  return hdf5::read_text(hdf5_, attribute, at(""));
}

}  // namespace remeasure::datasets
