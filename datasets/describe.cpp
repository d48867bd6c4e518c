// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "datasets/array_check.h"
#include "datasets/hdf5_blocks.h"
#include "datasets/seal.h"

namespace remeasure::datasets {

std::string describe(const std::filesystem::path& file) {
  check_seal(file);
  const hdf5::Quiet quiet;
  const hdf5::Where where{file.string(), {}};
  const hdf5::Handle hdf5 = hdf5::open_file(file.string());
  std::string text = fmt::format("{}\n", file.string());
  for (const std::string& name : hdf5::attribute_names(hdf5, where)) {
    text += fmt::format("  {:<20} {}\n", name, hdf5::attribute_as_text(hdf5, name, where));
  }
  for (const std::string& path : hdf5::array_paths(hdf5, where)) {
    const hdf5::Where at{where.file, path};
    const hdf5::Handle dataset =
        hdf5::own(H5Dopen2(hdf5, path.c_str(), H5P_DEFAULT), H5Dclose, at, "open it");
    const hdf5::ArrayInfo info = hdf5::array_info(dataset, at);
    text += fmt::format("{}  {} {}, {} bytes stored, chunks {}, {}\n", path, info.type_name,
                        to_string(info.shape), info.stored_bytes,
                        info.chunk.empty() ? "none" : to_string(info.chunk),
                        info.filters.empty() ? "no filters" : info.filters);
    for (const std::string& name : hdf5::attribute_names(dataset, at)) {
      text += fmt::format("  {:<20} {}\n", name, hdf5::attribute_as_text(dataset, name, at));
    }
    if (!info.type || info.elements == 0) continue;
    ValueCheck values(nullptr, at);
    hdf5::for_each_block_of(dataset, info, *info.type, at, [&](auto block) { values.add(block); });
    if (values.nan() == info.elements) {
      text += fmt::format("  {:<20} all NaN\n", "values");
    } else {
      text += fmt::format("  {:<20} {:.6g} to {:.6g}, mean {:.6g}{}\n", "values", values.smallest(),
                          values.largest(), values.mean(),
                          values.nan() > 0 ? fmt::format(", {} NaN", values.nan()) : "");
    }
  }
  return text;
}

}  // namespace remeasure::datasets
