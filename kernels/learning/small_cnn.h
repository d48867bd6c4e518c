// SPDX-License-Identifier: Apache-2.0
//
// A network of three 3x3 convolutions, each normalised, that a CPU trains in a second: what normalisation
// does to accuracy is seen on it. The normalisation's statistics are the experiment's choice.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/learning/convolution_layers.h"

namespace remeasure::kernels::layers {

/// Where a layer's statistics come from.
enum class StatisticsFrom {
  batch,           ///< all rows
  images,          ///< sampled_images
  features,        ///< sampled_features
  scattered,       ///< scattered_rows
  fixed_pixel,     ///< one pixel of all images, the same in every step
  one_value,       ///< one pixel of one image, redrawn
  virtual_images,  ///< the appended images alone
  groups,          ///< group normalisation
};

struct Normalization {
  StatisticsFrom from = StatisticsFrom::batch;
  int parts = 1;  ///< one of so many rows is sampled
  StatisticsGradient gradient = StatisticsGradient::exact;
  int virtual_images = 0;     ///< appended to every batch
  double virtual_weight = 0;  ///< of their statistics, where `from` samples the batch too
  int groups = 4;             ///< StatisticsFrom::groups
};

/// The rows of one layer in one step; `images` of the pictures are real, virtual ones follow them.
StatisticsSample statistics_sample(const Normalization& normalization, const BatchNormShape& shape,
                                   int images, const SampleDraw& draw);

template <class T>
class SmallCnn {
 public:
  /// `width` channels, then twice as many at half the side, and again at a quarter.
  SmallCnn(int colours, int width, int classes, const Normalization& normalization, std::uint64_t seed);
  /// Logits of the first `images` pictures, with statistics of step `iteration`.
  const Matrix<T>& forward(const Pictures& pictures, const Matrix<T>& x, int images, int iteration);
  /// With running averages.
  Matrix<T> infer(const Pictures& pictures, const Matrix<T>& x);
  void backward(const Matrix<T>& logit_gradient);
  std::vector<Parameter<T>*> parameters();
  BatchNorm<T>& norm(std::size_t layer) { return layers_[layer].batch; }
  /// A layer's input to its normalisation in the last `forward`.
  const Matrix<T>& before_norm(std::size_t layer) const { return layers_[layer].before; }
  Pictures pictures_of(std::size_t layer) const { return layers_[layer].pictures; }
  static constexpr std::size_t kLayers = 3;

 private:
  struct Layer {
    Convolution3x3<T> convolution;
    BatchNorm<T> batch;
    GroupNorm<T> group;
    Pictures pictures = {};             // of its output
    Matrix<T> before = {}, after = {};  // the normalisation
    Matrix<T> before_gradient = {}, after_gradient = {};
  };
  Normalization normalization_;
  std::uint64_t seed_;
  std::vector<Layer> layers_;
  Linear<T> head_;
  Matrix<T> pooled_, pooled_gradient_, logits_;
};

/// Pictures with labels, channels last.
struct LabelledPictures {
  Pictures pictures;
  int colours = 0, classes = 0;
  std::span<const float> pixels;  ///< [images, height, width, colours]
  std::span<const std::uint8_t> labels;
};

struct CnnTraining {
  int width = 8, batch = 32, steps = 200;
  double learning_rate = 1e-2;  ///< AdamW, cosine to 0
  std::uint64_t seed = 1;
};

struct CnnTrained {
  double test_accuracy = 0, last_loss = 0;  ///< loss: mean of the last tenth of the steps
  bool finite = true;                       ///< the loss never was NaN or infinite
  std::vector<double> loss;                 ///< of every step
};

/// Virtual images are Gaussian with the training set's mean and deviation of each pixel.
CnnTrained train_small_cnn(const Normalization& normalization, const CnnTraining& plan,
                           const LabelledPictures& train, const LabelledPictures& test);

}  // namespace remeasure::kernels::layers
