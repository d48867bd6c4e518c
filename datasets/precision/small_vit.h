// SPDX-License-Identifier: Apache-2.0
//
// A small vision transformer, trained when the file is made, with the images that it is calibrated and tested
// on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/learning/transformer.h"

namespace remeasure::datasets {

struct SmallVit {
  TransformerShape shape;
  std::vector<float> weights;
  /// Normalised patches [images, tokens, 3 patch^2], and classes.
  std::vector<float> calibration, test;
  std::vector<std::uint16_t> calibration_label, test_label;
  double trained_accuracy = 0;  ///< on the test images, as the generator found it

  std::size_t image_values() const {
    return static_cast<std::size_t>(shape.tokens) * static_cast<std::size_t>(shape.inputs);
  }
};

/// "small_vit": parameters side (pixels), patch, dim, heads, layers, train, epochs, calibration, test
/// (images). Images of ten classes: stripes in four directions, checks, disc, ring, square, cross, dots;
/// place, size, phase and two colours of each image are random, the contrast is low and the pixels are noisy.
/// Norms first, class token, mlp 4 dim, exact GELU. Imported: a ViT of timm's with images of its own data
/// (timm_weights.h); parameter classes, where they aren't 10.
extern const Definition small_vit_definition;

struct SmallVitChoice {
  int side = 32, patch = 4, dim = 96, heads = 4, layers = 4;
  int train = 3000, epochs = 8, calibration = 32, test = 2000;
  int classes = 10;  ///< of generated images always 10
};
Parameters small_vit(const SmallVitChoice& choice, std::uint64_t seed);
/// The size that a smoke run trains in about two seconds.
inline constexpr SmallVitChoice kSmokeVit{.side = 32,
                                          .patch = 4,
                                          .dim = 32,
                                          .heads = 2,
                                          .layers = 2,
                                          .train = 1024,
                                          .epochs = 8,
                                          .calibration = 32,
                                          .test = 512};

SmallVit read_small_vit(Reader& reader);

}  // namespace remeasure::datasets
