// SPDX-License-Identifier: Apache-2.0
//
// What the tests of datasets/ share: a folder that goes away, a small Definition, files with planted faults.
#pragma once

#include <hdf5.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/hdf5_handle.h"
#include "datasets/random.h"
#include "datasets/seal.h"

namespace remeasure::datasets::testing {

namespace fs = std::filesystem;

/// A new, empty folder; removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "remeasure-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Rows x columns of normal numbers in "/x", a label from 0 to 9 per row in "/group/label".
inline Definition small_definition() {
  Definition d;
  d.name = "small";
  d.title = "A small data set";
  d.theme = "science";
  d.stands_for = "nothing: a test";
  d.source = "synthetic in the literature";
  d.arrays = {{.path = "/x",
               .type = ElementType::f32,
               .axes = {"row", "column"},
               .description = "independent N(0, 1)",
               .minimum = -10,
               .maximum = 10},
              {.path = "/group/label",
               .type = ElementType::i32,
               .axes = {"row"},
               .description = "uniform from 0 to 9",
               .minimum = 0,
               .maximum = 9}};
  d.extents = [](const Parameters& p) {
    return Extents{{"row", p.extent("rows")}, {"column", p.extent("columns")}};
  };
  d.generate = [](const Parameters& p, Writer& out) {
    const std::uint64_t rows = p.extent("rows"), columns = p.extent("columns");
    std::vector<float> x(rows * columns);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(Philox(p.seed, 0).normal(i));
    std::vector<std::int32_t> label(rows);
    for (std::size_t i = 0; i < rows; ++i)
      label[i] = static_cast<std::int32_t>(Philox(p.seed, 1).integer(i, 10));
    out.array("/x", x, {rows, columns});
    out.array("/group/label", label, {rows});
    out.attribute("first", static_cast<double>(x[0]));
    out.attribute("generator_note", "counter-based");
  };
  return d;
}

inline Parameters small_parameters(int rows = 30, int columns = 20) {
  return {.values = {{"rows", std::to_string(rows)}, {"columns", std::to_string(columns)}}, .seed = 4};
}

inline std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void put_bytes(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

/// Changes the HDF5 part of a dataset file through `edit` and seals it again: what a hostile author could do,
/// and what tests need in order to get behind the seal.
inline void edit_behind_the_seal(const fs::path& file, const std::function<void(hid_t)>& edit) {
  const hdf5::Quiet quiet;
  std::string bytes = bytes_of(file);
  bytes.resize(bytes.size() - kSealBytes);
  put_bytes(file, bytes);
  {
    const hdf5::Where where{file.string(), {}};
    const hdf5::Handle h =
        hdf5::own(H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose, where, "open it");
    edit(h);
  }
  bytes = bytes_of(file);
  write_sealed(file, std::as_bytes(std::span(bytes.data(), bytes.size())), true);
}

/// The message of the DatasetError that `run` throws; "no error" if it throws none.
inline std::string message_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const DatasetError& error) {
    return error.what();
  }
  return "no error";
}

/// A .npy file of format 1 in float32.
inline void write_npy(const fs::path& file, const Shape& shape, const std::vector<float>& values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const std::uint64_t extent : shape) header += std::to_string(extent) + ", ";
  header += "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += '\1';
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  put_bytes(file, bytes);
}

}  // namespace remeasure::datasets::testing
