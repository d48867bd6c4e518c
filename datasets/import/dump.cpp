// SPDX-License-Identifier: Apache-2.0
#include "datasets/import/dump.h"

#include <fmt/format.h>

#include "datasets/import/hdf5_array.h"
#include "datasets/import/npy.h"

namespace remeasure::datasets {

std::vector<float> read_dump(const std::filesystem::path& source, const std::string& name,
                             const Shape& expected, const std::string& axes) {
  const auto refuse = [&](const std::filesystem::path& file, const Shape& found) {
    throw DatasetError(fmt::format("{}: '{}' is {}; {} of the parameters are {}", file.string(), name,
                                   to_string(found), axes, to_string(expected)));
  };
  if (std::filesystem::is_directory(source)) {
    const NpyArray array = read_npy(source / (name + ".npy"));
    if (array.shape != expected) refuse(array.file, array.shape);
    return array.as_f32();
  }
  const ForeignHdf5 file(source);
  if (file.shape("/" + name) != expected) refuse(source, file.shape("/" + name));
  return file.f32("/" + name);
}

}  // namespace remeasure::datasets
