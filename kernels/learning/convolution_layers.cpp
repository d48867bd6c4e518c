// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/convolution_layers.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace remeasure::kernels::layers {
namespace {

constexpr double kMomentum = 0.1;

template <class T>
void require(const char* what, const Matrix<T>& m, int rows, Eigen::Index columns) {
  if (m.rows() == rows && m.cols() == columns) return;
  throw std::invalid_argument(std::string(what) + ": a matrix of " + std::to_string(m.rows()) + " x " +
                              std::to_string(m.cols()) + "; " + std::to_string(rows) + " pixels of " +
                              std::to_string(columns) + " channels are expected");
}

template <class T>
BatchNormParameters<T> parameters_of(const Parameter<T>& gamma, const Parameter<T>& beta) {
  return {values(gamma.value), values(beta.value), true};
}

template <class T>
void set(Parameter<T>& parameter, const std::vector<T>& gradient) {
  std::copy(gradient.begin(), gradient.end(), parameter.gradient.data());
}

}  // namespace

template <class T>
Convolution3x3<T>::Convolution3x3(int in_channels, int out_channels, int stride)
    : weight(out_channels, 9 * in_channels), channels_(in_channels), stride_(stride) {
  if (in_channels < 1 || out_channels < 1 || stride < 1)
    throw std::invalid_argument("Convolution3x3: channels and stride must be positive");
}

template <class T>
void Convolution3x3<T>::initialise(std::uint64_t seed, std::uint64_t layer) {
  initialise_uniform(weight, std::sqrt(6.0 / (9 * channels_)), seed, 2 * layer);
}

template <class T>
Pictures Convolution3x3<T>::output(const Pictures& input) const {
  return {input.images, (input.height + stride_ - 1) / stride_, (input.width + stride_ - 1) / stride_};
}

template <class T>
template <class Use>
void Convolution3x3<T>::for_each_tap(const Use& use) const {
  const Pictures out = output(input_);
  int row = 0;
  for (int n = 0; n < out.images; ++n) {
    for (int y = 0; y < out.height; ++y) {
      for (int x = 0; x < out.width; ++x, ++row) {
        for (int tap = 0; tap < 9; ++tap) {
          const int v = y * stride_ + tap / 3 - 1, u = x * stride_ + tap % 3 - 1;
          if (v < 0 || v >= input_.height || u < 0 || u >= input_.width) continue;
          use(row, tap, (n * input_.height + v) * input_.width + u);
        }
      }
    }
  }
}

template <class T>
void Convolution3x3<T>::forward(const Pictures& input, const Matrix<T>& x, Matrix<T>& y) {
  require("Convolution3x3::forward", x, input.rows(), channels_);
  input_ = input;
  patches_.setZero(output(input).rows(), 9 * channels_);
  for_each_tap([&](int row, int tap, int from) {
    const T* const source = x.data() + static_cast<Eigen::Index>(from) * channels_;
    std::copy(source, source + channels_,
              patches_.data() + static_cast<Eigen::Index>(row) * patches_.cols() + tap * channels_);
  });
  y.noalias() = patches_ * weight.value.transpose();
}

template <class T>
void Convolution3x3<T>::backward(const Matrix<T>& dy, Matrix<T>* dx) {
  require("Convolution3x3::backward", dy, output(input_).rows(), weight.value.rows());
  weight.gradient.noalias() = dy.transpose() * patches_;
  if (dx == nullptr) return;
  patch_gradient_.noalias() = dy * weight.value;
  dx->setZero(input_.rows(), channels_);
  for_each_tap([&](int row, int tap, int to) {
    const T* const from =
        patch_gradient_.data() + static_cast<Eigen::Index>(row) * patch_gradient_.cols() + tap * channels_;
    T* const sum = dx->data() + static_cast<Eigen::Index>(to) * channels_;
    for (int c = 0; c < channels_; ++c) sum[c] += from[c];
  });
}

template <class T>
BatchNorm<T>::BatchNorm(int channels) : gamma(1, channels), beta(1, channels) {
  gamma.value.setOnes();
  running_.mean.assign(static_cast<std::size_t>(channels), T(0));
  running_.variance.assign(static_cast<std::size_t>(channels), T(1));
}

template <class T>
void BatchNorm<T>::forward(const Pictures& pictures, const Matrix<T>& x, const StatisticsSample& sample,
                           Matrix<T>& y) {
  require("BatchNorm::forward", x, pictures.rows(), gamma.value.cols());
  const BatchNormShape shape = shape_of(pictures, static_cast<int>(x.cols()));
  pictures_ = pictures;
  x_ = &x;
  sample_ = sample;
  statistics_ = statistics_reference<T>(shape, sample, values(x));
  for (std::size_t c = 0; c < running_.mean.size(); ++c) {
    running_.mean[c] += static_cast<T>(kMomentum) * (statistics_.mean[c] - running_.mean[c]);
    running_.variance[c] += static_cast<T>(kMomentum) * (statistics_.variance[c] - running_.variance[c]);
  }
  y.resize(x.rows(), x.cols());
  normalize_reference<T>(shape, statistics_, parameters_of(gamma, beta), values(x), values(y));
}

template <class T>
void BatchNorm<T>::infer(const Pictures& pictures, const Matrix<T>& x, Matrix<T>& y) const {
  require("BatchNorm::infer", x, pictures.rows(), gamma.value.cols());
  y.resize(x.rows(), x.cols());
  normalize_reference<T>(shape_of(pictures, static_cast<int>(x.cols())), running_, parameters_of(gamma, beta),
                         values(x), values(y));
}

template <class T>
void BatchNorm<T>::backward(StatisticsGradient mode, const Matrix<T>& dy, Matrix<T>& dx) {
  if (x_ == nullptr) throw std::logic_error("BatchNorm::backward before forward");
  require("BatchNorm::backward", dy, pictures_.rows(), gamma.value.cols());
  const BatchNormGradients<T> gradients =
      backward_reference<T>(shape_of(pictures_, static_cast<int>(dy.cols())), sample_, mode, statistics_,
                            parameters_of(gamma, beta), values(*x_), values(dy));
  set(gamma, gradients.gamma);
  set(beta, gradients.beta);
  dx = Eigen::Map<const Matrix<T>>(gradients.x.data(), dy.rows(), dy.cols());
}

template <class T>
GroupNorm<T>::GroupNorm(int channels, int groups) : gamma(1, channels), beta(1, channels), groups_(groups) {
  if (groups < 1 || channels % groups != 0)
    throw std::invalid_argument("GroupNorm: " + std::to_string(channels) + " channels in " +
                                std::to_string(groups) + " groups");
  gamma.value.setOnes();
}

template <class T>
void GroupNorm<T>::forward(const Pictures& pictures, const Matrix<T>& x, Matrix<T>& y) {
  require("GroupNorm::forward", x, pictures.rows(), gamma.value.cols());
  pictures_ = pictures;
  const Eigen::Index pixels = pictures.height * pictures.width, width = x.cols() / groups_;
  normal_.resize(x.rows(), x.cols());
  inverse_.resize(pictures.images, groups_);
  for (int n = 0; n < pictures.images; ++n) {
    for (int g = 0; g < groups_; ++g) {
      const auto block = x.block(n * pixels, g * width, pixels, width).array();
      const T mean = block.mean();
      const T variance = (block - mean).square().mean();
      inverse_(n, g) = T(1) / std::sqrt(variance + static_cast<T>(kBatchNormEpsilon));
      normal_.block(n * pixels, g * width, pixels, width) = ((block - mean) * inverse_(n, g)).matrix();
    }
  }
  y = ((normal_.array().rowwise() * gamma.value.row(0).array()).rowwise() + beta.value.row(0).array())
          .max(T(0))
          .matrix();
}

template <class T>
void GroupNorm<T>::backward(const Matrix<T>& dy, Matrix<T>& dx) {
  require("GroupNorm::backward", dy, pictures_.rows(), gamma.value.cols());
  const auto affine =
      (normal_.array().rowwise() * gamma.value.row(0).array()).rowwise() + beta.value.row(0).array();
  const Matrix<T> before_relu = (affine > T(0)).select(dy, T(0));
  gamma.gradient.row(0) = before_relu.cwiseProduct(normal_).colwise().sum();
  beta.gradient.row(0) = before_relu.colwise().sum();
  dx = (before_relu.array().rowwise() * gamma.value.row(0).array()).matrix();  // by the normalised values
  const Eigen::Index pixels = pictures_.height * pictures_.width, width = dx.cols() / groups_;
  for (int n = 0; n < pictures_.images; ++n) {
    for (int g = 0; g < groups_; ++g) {
      auto block = dx.block(n * pixels, g * width, pixels, width).array();
      const auto normal = normal_.block(n * pixels, g * width, pixels, width).array();
      const T mean = block.mean(), product = (block * normal).mean();
      block = (block - mean - normal * product) * inverse_(n, g);
    }
  }
}

template <class T>
void average_pool(const Pictures& pictures, const Matrix<T>& x, Matrix<T>& y) {
  require("average_pool", x, pictures.rows(), x.cols());
  const Eigen::Index pixels = pictures.height * pictures.width;
  y.resize(pictures.images, x.cols());
  for (Eigen::Index n = 0; n < y.rows(); ++n) y.row(n) = x.middleRows(n * pixels, pixels).colwise().mean();
}

template <class T>
void average_pool_backward(const Pictures& pictures, const Matrix<T>& dy, Matrix<T>& dx) {
  require("average_pool_backward", dy, pictures.images, dy.cols());
  const Eigen::Index pixels = pictures.height * pictures.width;
  dx.resize(pictures.rows(), dy.cols());
  for (Eigen::Index n = 0; n < dy.rows(); ++n)
    dx.middleRows(n * pixels, pixels).rowwise() = dy.row(n) / static_cast<T>(pixels);
}

#define RM_INSTANTIATE_CONVOLUTION_LAYERS(T)                                 \
  template class Convolution3x3<T>;                                          \
  template class BatchNorm<T>;                                               \
  template class GroupNorm<T>;                                               \
  template void average_pool(const Pictures&, const Matrix<T>&, Matrix<T>&); \
  template void average_pool_backward(const Pictures&, const Matrix<T>&, Matrix<T>&);
RM_INSTANTIATE_CONVOLUTION_LAYERS(float)
RM_INSTANTIATE_CONVOLUTION_LAYERS(double)

}  // namespace remeasure::kernels::layers
