// SPDX-License-Identifier: Apache-2.0
#include "datasets/import/cifar.h"

#include <fmt/format.h>

#include <fstream>
#include <system_error>

namespace remeasure::datasets {

namespace fs = std::filesystem;

void for_each_cifar_record(const fs::path& file, CifarLabels labels,
                           const std::function<bool(std::size_t, std::span<const std::uint8_t>)>& visit) {
  constexpr std::size_t kPlanes = 3 * Cifar10::kSide * Cifar10::kSide;
  const auto header = static_cast<std::size_t>(labels);
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(file, error);
  if (error) throw DatasetError(fmt::format("{}: {}", file.string(), error.message()));
  std::vector<std::uint8_t> record(header + kPlanes);
  if (bytes == 0 || bytes % record.size() != 0) {
    throw DatasetError(fmt::format("{}: {} bytes; CIFAR's binary files are whole records of {} bytes",
                                   file.string(), bytes, record.size()));
  }
  std::ifstream in(file, std::ios::binary);
  for (std::uintmax_t i = 0; i < bytes / record.size(); ++i) {
    if (!in.read(reinterpret_cast<char*>(record.data()), static_cast<std::streamsize>(record.size())))
      throw DatasetError(fmt::format("{}: picture {} can't be read", file.string(), i));
    if (!visit(record[header - 1], std::span(record).subspan(header))) return;
  }
}

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
    if (result.label.size() == pictures) break;
    std::size_t place = 0;
    for_each_cifar_record(file, CifarLabels::ten, [&](std::size_t label, auto planes) {
      if (label >= Cifar10::kClasses) {
        throw DatasetError(
            fmt::format("{}: picture {} has label {}; CIFAR-10's are 0 to 9", file.string(), place, label));
      }
      ++place;
      result.label.push_back(static_cast<std::uint8_t>(label));
      result.image.insert(result.image.end(), planes.begin(), planes.end());
      return result.label.size() < pictures;
    });
  }
  if (result.label.size() < pictures) {
    throw DatasetError(fmt::format("{}: {} pictures in {} files of CIFAR-10's binary version; {} are wanted",
                                   source.string(), result.label.size(), files.size(), pictures));
  }
  return result;
}

}  // namespace remeasure::datasets
