// SPDX-License-Identifier: Apache-2.0
//
// The Writer that the Store hands to generators and importers. Internal.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "datasets/hdf5_handle.h"

namespace remeasure::datasets {

/// Checks each array against the schema as it comes, and builds the file in memory: a full disk then is an
/// ordinary failed write (seal.h), which libhdf5 doesn't survive well.
class FileWriter final : public Writer {
 public:
  /// `file` is the name for messages. Real data has `synthetic` false.
  FileWriter(const Definition& definition, const Parameters& parameters, bool synthetic, std::string file);

  void array(const std::string& path, std::span<const float> data, Shape shape) override;
  void array(const std::string& path, std::span<const double> data, Shape shape) override;
  void array(const std::string& path, std::span<const std::uint8_t> data, Shape shape) override;
  void array(const std::string& path, std::span<const std::int8_t> data, Shape shape) override;
  void array(const std::string& path, std::span<const std::uint16_t> data, Shape shape) override;
  void array(const std::string& path, std::span<const std::int16_t> data, Shape shape) override;
  void array(const std::string& path, std::span<const std::int32_t> data, Shape shape) override;
  void array(const std::string& path, std::span<const std::uint32_t> data, Shape shape) override;
  void array(const std::string& path, std::span<const std::int64_t> data, Shape shape) override;
  void array(const std::string& path, std::span<const std::uint64_t> data, Shape shape) override;
  void attribute(const std::string& name, double value) override;
  void attribute(const std::string& name, const std::string& value) override;

  /// Completes the file and gives its bytes; the writer can't be used afterwards.
  std::vector<std::byte> finish();

 private:
  template <class T>
  void put(const std::string& path, ElementType type, std::span<const T> data, const Shape& shape);
  void make_groups(const std::string& path);
  void check_new_attribute(const std::string& name);
  hdf5::Where at(const std::string& object) const { return {file_, object}; }

  const Definition& definition_;
  const Parameters& parameters_;
  bool synthetic_;
  std::string file_;
  std::map<std::string, std::uint64_t> extents_;
  hdf5::Quiet quiet_;
  std::vector<std::byte> image_;  // the file, while and after HDF5 writes it; outlives hdf5_
  hdf5::Handle hdf5_;
  std::map<std::string, std::string> digests_;  // by path; sorted, so the content has one hash
  std::set<std::string> attributes_;
};

/// Rows, then planes, then ... up to 1 MiB, HDF5's default chunk cache: arrays above that have chunks of 512
/// KiB to 1 MiB.
Shape chunk_of(const Shape& shape, std::size_t element_bytes);

/// The part of an array in the content hash; Reader and Writer must agree on it.
std::string array_digest(const std::string& path, ElementType type, const Shape& shape,
                         const std::string& data_sha256);

}  // namespace remeasure::datasets
