// SPDX-License-Identifier: Apache-2.0
//
// Layers of small convolutional networks with explicit gradients, beside those of layers.h: 3x3 convolutions,
// batch normalisation whose statistics come from a sample, group normalisation, global average pooling. A row
// of a matrix is a pixel with its channels (channels last), the pixels of a picture follow one another. One
// thread and one order of sums, as in layers.h.
//
//   Convolution3x3<float> conv(3, 16, 1);      BatchNorm<float> norm(16);      Matrix<float> x, y, dx, dy;
//   conv.forward(pictures, x, y);
//   norm.forward(pictures, y, {{rows_of(shape, sample), 1.0}}, z);             // normalised, ReLU
//   ...
//   norm.backward(StatisticsGradient::exact, dz, dy);
//   conv.backward(dy, &dx);
#pragma once

#include <vector>

#include "kernels/learning/batch_norm_reference.h"
#include "kernels/learning/layers.h"

namespace remeasure::kernels::layers {

/// How many pictures, and of what size: rows of a matrix.
struct Pictures {
  int images = 0, height = 0, width = 0;
  int rows() const { return images * height * width; }
  bool operator==(const Pictures&) const = default;
};

inline BatchNormShape shape_of(const Pictures& pictures, int channels) {
  return {pictures.images, pictures.height, pictures.width, channels};
}

/// Padding 1, no bias (a normalisation follows). Sides become ceil(side / stride).
template <class T>
class Convolution3x3 {
 public:
  Convolution3x3(int in_channels, int out_channels, int stride);
  /// Uniform with the variance 2 / (9 in_channels) that keeps activations' scale behind a ReLU (He et al.,
  /// ICCV 2015). Stream 2 layer of the seed.
  void initialise(std::uint64_t seed, std::uint64_t layer);
  Pictures output(const Pictures& input) const;
  /// x: [input rows, in_channels], y: [output rows, out_channels]. Keeps what `backward` needs.
  void forward(const Pictures& input, const Matrix<T>& x, Matrix<T>& y);
  /// Sets the weight's gradient; `dx` too, unless it is null.
  void backward(const Matrix<T>& dy, Matrix<T>* dx);

  Parameter<T> weight;  ///< [out_channels, 3 * 3 * in_channels], the taps row by row

 private:
  /// use(row of the output, tap, row of the input) for every pair inside the picture.
  template <class Use>
  void for_each_tap(const Use& use) const;

  int channels_, stride_;
  Pictures input_;
  Matrix<T> patches_, patch_gradient_;
};

/// y = ReLU(gamma (x - mean) / deviation + beta) with statistics of sampled rows; running averages of them
/// (momentum 0.1) for inference. Starts at gamma 1, beta 0.
template <class T>
class BatchNorm {
 public:
  explicit BatchNorm(int channels);
  void forward(const Pictures& pictures, const Matrix<T>& x, const StatisticsSample& sample, Matrix<T>& y);
  /// With the running averages.
  void infer(const Pictures& pictures, const Matrix<T>& x, Matrix<T>& y) const;
  /// Of the last `forward`, whose x must still be there. Sets the parameters' gradients and dx.
  void backward(StatisticsGradient mode, const Matrix<T>& dy, Matrix<T>& dx);

  const ChannelStatistics<T>& statistics() const { return statistics_; }  ///< of the last `forward`
  const ChannelStatistics<T>& running() const { return running_; }

  Parameter<T> gamma, beta;  ///< [1, channels]

 private:
  Pictures pictures_;
  const Matrix<T>* x_ = nullptr;
  StatisticsSample sample_;
  ChannelStatistics<T> statistics_, running_;
};

/// Group normalisation (Wu and He, ECCV 2018) and ReLU: statistics of each picture and group of channels.
template <class T>
class GroupNorm {
 public:
  GroupNorm(int channels, int groups);
  void forward(const Pictures& pictures, const Matrix<T>& x, Matrix<T>& y);
  void backward(const Matrix<T>& dy, Matrix<T>& dx);

  Parameter<T> gamma, beta;

 private:
  int groups_;
  Pictures pictures_;
  Matrix<T> normal_, inverse_;  // normalised x; [images, groups]
};

/// y[image] = mean over its pixels.  y: [images, channels]
template <class T>
void average_pool(const Pictures& pictures, const Matrix<T>& x, Matrix<T>& y);
template <class T>
void average_pool_backward(const Pictures& pictures, const Matrix<T>& dy, Matrix<T>& dx);

}  // namespace remeasure::kernels::layers
