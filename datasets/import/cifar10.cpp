// SPDX-License-Identifier: Apache-2.0
#include "datasets/import/cifar10.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <system_error>

namespace remeasure::datasets {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPixels = 3 * Cifar10::kSide * Cifar10::kSide, kRecord = 1 + kPixels;

/// Appends pictures of one file until there are `wanted`.
void append(const fs::path& file, std::size_t wanted, Cifar10& result) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(file, error);
  if (error) throw DatasetError(fmt::format("{}: {}", file.string(), error.message()));
  if (bytes == 0 || bytes % kRecord != 0) {
    throw DatasetError(fmt::format("{}: {} bytes; CIFAR-10's binary files are whole records of {} bytes",
                                   file.string(), bytes, kRecord));
  }
  std::ifstream in(file, std::ios::binary);
  const std::size_t take = std::min<std::size_t>(bytes / kRecord, wanted - result.label.size());
  std::vector<char> record(kRecord);
  for (std::size_t i = 0; i < take; ++i) {
    if (!in.read(record.data(), static_cast<std::streamsize>(kRecord)))
      throw DatasetError(fmt::format("{}: picture {} can't be read", file.string(), i));
    const auto label = static_cast<std::uint8_t>(record[0]);
    if (label >= Cifar10::kClasses)
      throw DatasetError(
          fmt::format("{}: picture {} has label {}; CIFAR-10's are 0 to 9", file.string(), i, label));
    result.label.push_back(label);
    for (std::size_t p = 0; p < kPixels; ++p)
      result.image.push_back(static_cast<std::uint8_t>(record[1 + p]));
  }
}

}  // namespace

Cifar10 read_cifar10(const fs::path& source, std::size_t pictures) {
  std::vector<fs::path> files;
  if (fs::is_directory(source)) {
    for (const char* name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                             "data_batch_5.bin", "test_batch.bin"}) {
      if (fs::exists(source / name)) files.push_back(source / name);
    }
  } else {
    files.push_back(source);
  }
  Cifar10 result;
  for (const fs::path& file : files) {
    if (result.label.size() < pictures) append(file, pictures, result);
  }
  if (result.label.size() < pictures) {
    throw DatasetError(fmt::format("{}: {} pictures in {} files of CIFAR-10's binary version; {} are wanted",
                                   source.string(), result.label.size(), files.size(), pictures));
  }
  return result;
}

}  // namespace remeasure::datasets
