// SPDX-License-Identifier: Apache-2.0
//
// The Reader that the Store hands out: a file that has passed every check of its schema. Internal.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "datasets/hdf5_object.h"

namespace remeasure::datasets {

class FileReader final : public Reader {
 public:
  /// Checks seal, format, schema, parameters, every array and the content hash; throws DatasetError with the
  /// first fault. `expected` are the parameters asked for, or null: then those in the file are taken.
  FileReader(const std::filesystem::path& file, const Definition& definition, const Parameters* expected);

  std::vector<float> f32(const std::string& path) override { return get<float>(path, ElementType::f32); }
  std::vector<double> f64(const std::string& path) override { return get<double>(path, ElementType::f64); }
  std::vector<std::uint8_t> u8(const std::string& path) override {
    return get<std::uint8_t>(path, ElementType::u8);
  }
  std::vector<std::int8_t> i8(const std::string& path) override {
    return get<std::int8_t>(path, ElementType::i8);
  }
  std::vector<std::uint16_t> u16(const std::string& path) override {
    return get<std::uint16_t>(path, ElementType::u16);
  }
  std::vector<std::int16_t> i16(const std::string& path) override {
    return get<std::int16_t>(path, ElementType::i16);
  }
  std::vector<std::int32_t> i32(const std::string& path) override {
    return get<std::int32_t>(path, ElementType::i32);
  }
  std::vector<std::uint32_t> u32(const std::string& path) override {
    return get<std::uint32_t>(path, ElementType::u32);
  }
  std::vector<std::int64_t> i64(const std::string& path) override {
    return get<std::int64_t>(path, ElementType::i64);
  }
  std::vector<std::uint64_t> u64(const std::string& path) override {
    return get<std::uint64_t>(path, ElementType::u64);
  }
  bool has(const std::string& path) const override { return arrays_.contains(path); }
  Shape shape(const std::string& path) override { return info(path).shape; }
  double number(const std::string& attribute) override;
  std::string text(const std::string& attribute) override;

  const Provenance& provenance() const { return provenance_; }

 private:
  template <class T>
  std::vector<T> get(const std::string& path, ElementType type);
  const hdf5::ArrayInfo& info(const std::string& path) const;
  hdf5::Where at(const std::string& object) const { return {provenance_.file.string(), object}; }

  hdf5::Handle hdf5_;
  Provenance provenance_;
  std::map<std::string, hdf5::ArrayInfo> arrays_;
};

/// Name of the Definition that a sealed file belongs to.
std::string dataset_name(const std::filesystem::path& file);

}  // namespace remeasure::datasets
