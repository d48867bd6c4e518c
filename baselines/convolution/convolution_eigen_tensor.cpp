// SPDX-License-Identifier: Apache-2.0
//
// Eigen::Tensor counts a picture's axes from the fastest (ColMajor): channels, columns, rows, pictures is
// nhwc as it lies. Its patches are then [inner, pixels] and the weights [inner, outputs].
#define EIGEN_DONT_PARALLELIZE  // the threads are for_each_row_block's
// GCC 12 takes _mm512_undefined_ps(), inlined into Eigen's transpositions, for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <algorithm>
#include <map>
#include <mutex>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "baselines/convolution/convolution_eigen_methods.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::baselines::eigen {
namespace {

using Index = Eigen::Index;
using Map2 = Eigen::TensorMap<Eigen::Tensor<float, 2>>;
using ConstMap2 = Eigen::TensorMap<const Eigen::Tensor<const float, 2>>;
using ConstMap4 = Eigen::TensorMap<const Eigen::Tensor<const float, 4>>;
using Pairs = Eigen::array<Eigen::IndexPair<Index>, 1>;

std::size_t size(int n) {
  return static_cast<std::size_t>(n);
}

/// Rows of pixels that a gather reads, and the zeros around them.
struct Band {
  int first, rows;   // of the source
  int above, below;  // rows of zeros
  int left, right;   // columns of zeros
};

/// The patches of some rows of outputs, as an expression [inner, pixels].
auto patches_of(const float* picture, int channels, int width, int kernel, int stride, int inflate,
                const Band& band, int pixels) {
  const ConstMap4 rows(picture + size(band.first) * size(width) * size(channels), channels, width, band.rows,
                       1);
  return rows
      .extract_image_patches(kernel, kernel, stride, stride, 1, 1, inflate, inflate, band.left, band.right,
                             band.above, band.below, 0.0f)
      .reshape(Eigen::array<Index, 2>{static_cast<Index>(channels) * kernel * kernel, pixels});
}

/// Source rows of output rows first .. first + rows - 1 of a convolution.
Band forward_band(const ConvolutionShape& s, int first, int rows) {
  const int begin = first * s.stride - s.pad, end = (first + rows - 1) * s.stride - s.pad + s.kernel;
  Band band{};
  band.first = std::clamp(begin, 0, s.height);
  const int last = std::clamp(end, band.first, s.height);
  band.rows = last - band.first;
  band.above = band.first - begin;
  band.below = end - last;
  band.left = s.pad;
  band.right = (s.out_width() - 1) * s.stride + s.kernel - s.width - s.pad;
  return band;
}

}  // namespace

void tensor(const ConvolutionShape& s, ConvolutionPass pass, const Operands& o) {
  const std::size_t in_picture = size(s.in_channels) * size(s.height) * size(s.width),
                    out_picture = size(s.out_channels) * size(s.out_height()) * size(s.out_width());
  // Of the backward passes a picture is one piece.
  const bool whole = pass != ConvolutionPass::forward;
  const int lines = whole ? 1 : s.out_height();
  std::map<int, std::vector<float>> parts;  // backward weights: sums of each picture
  std::mutex mutex;
  std::vector<float> turned;  // backward data: [c][taps, reversed][k]
  if (pass == ConvolutionPass::backward_data) {
    turned.resize(sizes_of(s, pass).second);
    for (std::size_t k = 0; k < size(s.out_channels); ++k)
      for (std::size_t tap = 0; tap < size(s.taps()); ++tap)
        for (std::size_t c = 0; c < size(s.in_channels); ++c)
          turned[(c * size(s.taps()) + size(s.taps()) - 1 - tap) * size(s.out_channels) + k] =
              o.second[(k * size(s.taps()) + tap) * size(s.in_channels) + c];
  }
  kernels::for_each_row_block(s.batch, lines, 0, [&](int image, int first, int rows) {
    if (whole) first = 0, rows = s.out_height();
    const int pixels = rows * s.out_width();
    switch (pass) {
      case ConvolutionPass::forward: {
        const ConstMap2 weights(o.second, s.inner(), s.out_channels);
        Map2 out(
            o.result + size(image) * out_picture + size(first) * size(s.out_width()) * size(s.out_channels),
            s.out_channels, pixels);
        out = weights.contract(patches_of(o.first + size(image) * in_picture, s.in_channels, s.width,
                                          s.kernel, s.stride, 1, forward_band(s, first, rows), pixels),
                               Pairs{Eigen::IndexPair<Index>(0, 0)});
        return;
      }
      case ConvolutionPass::backward_data: {
        // A convolution of the gradient with stride - 1 zeros between its pixels and the taps reversed.
        const int before = s.kernel - 1 - s.pad;
        const auto behind = [&](int extent, int outputs) {
          return extent + s.kernel - 1 - ((outputs - 1) * s.stride + 1) - before;
        };
        const Band band{.first = 0,
                        .rows = s.out_height(),
                        .above = before,
                        .below = behind(s.height, s.out_height()),
                        .left = before,
                        .right = behind(s.width, s.out_width())};
        const int inner = s.taps() * s.out_channels, places = s.height * s.width;
        const ConstMap2 weights(turned.data(), inner, s.in_channels);
        Map2 out(o.result + size(image) * in_picture, s.in_channels, places);
        out = weights.contract(patches_of(o.first + size(image) * out_picture, s.out_channels, s.out_width(),
                                          s.kernel, 1, s.stride, band, places),
                               Pairs{Eigen::IndexPair<Index>(0, 0)});
        return;
      }
      case ConvolutionPass::backward_weights: {
        std::vector<float> part(sizes_of(s, pass).result);
        const ConstMap2 gradient(o.second + size(image) * out_picture, s.out_channels, pixels);
        Map2 sum(part.data(), s.inner(), s.out_channels);
        sum = patches_of(o.first + size(image) * in_picture, s.in_channels, s.width, s.kernel, s.stride, 1,
                         forward_band(s, 0, s.out_height()), pixels)
                  .contract(gradient, Pairs{Eigen::IndexPair<Index>(1, 1)});
        const std::lock_guard lock(mutex);
        parts.emplace(image, std::move(part));
        return;
      }
    }
  });
  if (pass != ConvolutionPass::backward_weights) return;
  const std::size_t weights = sizes_of(s, pass).result;
  std::fill_n(o.result, weights, 0.0f);
  for (const auto& [image, part] : parts) {
    for (std::size_t i = 0; i < weights; ++i) o.result[i] += part[i];
  }
}

}  // namespace remeasure::baselines::eigen
