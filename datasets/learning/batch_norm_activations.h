// SPDX-License-Identifier: Apache-2.0
//
// What a batch normalisation layer sees: activations of a convolution and the gradient that comes back.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// How activations depend on one another: neighbouring pixels of a map by `rho` (0 = not at all), all of a
/// map by an offset of standard deviation `offset`, in units of a pixel's. Different images and channels are
/// independent.
struct ActivationLaw {
  double rho = 0.7788007830714049;  ///< exp(-1/4)
  double offset = 0.5;
  /// Correlation of two pixels of one map, `dy` rows and `dx` columns apart; (0, 0) gives 1.
  double correlation(int dy, int dx) const;
};

struct Activations {
  int images = 0, height = 0, width = 0, channels = 0;
  ActivationLaw law;
  std::vector<float> x, gradient;      ///< [images, height, width, channels]
  std::vector<float> mean, deviation;  ///< [channels]: of the law (of the data where it is imported)

  std::size_t values() const { return x.size(); }
};

/// "batch_norm_activations": parameters images, height, width, channels, rho, offset.
///   x[n, y, x, c] = mean_c + scale_c (offset o[n, c] + f[n, c](y, x))
/// with o ~ N(0, 1), f an autoregressive field of unit variance and correlation rho^(|dy| + |dx|), scale_c
/// lognormal (its logarithm N(0, 1/4)), mean_c / scale_c ~ N(0, 1). deviation_c = scale_c sqrt(1 +
/// offset^2). The gradient is N(0, 1) / 2 + 1 / 4 + (x - mean) / (4 deviation), so that neither its mean nor
/// its product with x vanishes.
extern const Definition batch_norm_activations_definition;

Parameters batch_norm_activations(int images, int height, int width, int channels, const ActivationLaw& law,
                                  std::uint64_t seed);
Activations read_batch_norm_activations(Reader& reader);

/// Further batches of the same channels, without a file: `batch` 0 is what the file of these parameters
/// holds, bit for bit. Without a gradient it takes half the time.
Activations activation_batch(int images, int height, int width, int channels, const ActivationLaw& law,
                             std::uint64_t seed, std::uint64_t batch, bool with_gradient = true);

}  // namespace remeasure::datasets
