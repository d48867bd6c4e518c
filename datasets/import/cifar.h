// SPDX-License-Identifier: Apache-2.0
//
// The binary versions of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html): files of
// records, one label byte (CIFAR-100: a coarse label, then the fine one) and 3072 bytes of red, green and
// blue planes of 32 x 32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// Bytes before a record's planes, of which the last is the label.
enum class CifarLabels : std::size_t { ten = 1, hundred = 2 };

/// Calls `visit(label, planes)` for the records of a file in order, until it returns false. Throws
/// DatasetError for a file that can't be read or isn't whole records.
void for_each_cifar_record(const std::filesystem::path& file, CifarLabels labels,
                           const std::function<bool(std::size_t, std::span<const std::uint8_t>)>& visit);

struct Cifar10 {
  static constexpr std::size_t kSide = 32, kClasses = 10;
  std::vector<std::uint8_t> image;  ///< [pictures, 3, 32, 32]
  std::vector<std::uint8_t> label;  ///< [pictures], below 10
};

/// The first `pictures` of a folder's data_batch_1.bin to data_batch_5.bin and test_batch.bin in this order,
/// or of one file. Throws DatasetError: no such file, a size that isn't whole records, a label above 9, too
/// few pictures.
Cifar10 read_cifar10(const std::filesystem::path& source, std::size_t pictures);

}  // namespace remeasure::datasets
