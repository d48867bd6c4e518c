// SPDX-License-Identifier: Apache-2.0
//
// CIFAR-10's binary version: files of records, a label byte and 3072 bytes of red, green and blue planes of
// 32 x 32 (https://www.cs.toronto.edu/~kriz/cifar.html, "binary version").
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

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
