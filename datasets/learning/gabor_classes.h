// SPDX-License-Identifier: Apache-2.0
//
// Small colour images of classes that share their parts, for networks that a CPU trains in seconds; and
// CIFAR where its files are imported.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

struct ImageClasses {
  int classes = 0, side = 0;       ///< images are [3, side, side], a plane per colour
  std::vector<float> train, test;  ///< [images, 3, side, side]
  std::vector<std::uint8_t> train_label, test_label;

  std::size_t image_values() const {
    return 3 * static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  }
};

/// "gabor_classes": parameters classes (2 to 256), train and test (images of each class), side, noise.
/// 40 Gabor patches of random orientation, wavelength, phase and colour are shared by all classes; a class is
/// three of them at random places. In a sample each patch is moved by up to a pixel and has 0.7 to 1.3 of its
/// amplitude; N(0, noise^2) is added to every value. Sample i has class i % classes.
extern const Definition gabor_classes_definition;

Parameters gabor_classes(int classes, int train, int test, int side, double noise, std::uint64_t seed);
ImageClasses read_gabor_classes(Reader& reader);

/// The images of one set in channels-last order: [images, side, side, 3].
std::vector<float> channels_last(const ImageClasses& data, const std::vector<float>& images);

}  // namespace remeasure::datasets
