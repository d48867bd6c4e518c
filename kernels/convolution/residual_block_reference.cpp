// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/residual_block_reference.h"

#include <cmath>
#include <map>

#include "kernels/convolution/block_layers.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

double gelu(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

/// One pixel after another. Vectors of one pixel, kept where several pixels need them.
class PixelOracle {
 public:
  PixelOracle(Block block, const BlockShape& shape, const BlockWeights<float>& weights,
              std::span<const float> x)
      : block_(block), shape_(shape), weights_(weights), x_(x) {}

  std::vector<double> operator()(std::size_t pixel) {
    std::vector<double> inner;
    if (block_ == Block::mbconv) {
      inner = filtered(pixel, shape_.hidden(),
                       [&](std::size_t at) -> const std::vector<double>& { return hidden_of(at); });
      for (double& value : inner) value = gelu(value);
    } else {
      std::vector<double> z =
          block_ == Block::convfirst
              ? grouped(pixel)
              : filtered(pixel, shape_.channels, [&](std::size_t at) { return input(at); });
      if (block_ == Block::convnext) normalise(z);
      inner = expanded(z);
    }
    std::vector<double> y = input(pixel);
    const auto hidden = static_cast<std::size_t>(shape_.hidden());
    for (std::size_t c = 0; c < y.size(); ++c) {
      y[c] += static_cast<double>(weights_.project_bias[c]);
      for (std::size_t j = 0; j < hidden; ++j)
        y[c] += static_cast<double>(weights_.project[c * hidden + j]) * inner[j];
    }
    return y;
  }

 private:
  std::vector<double> input(std::size_t pixel) const {
    const auto c = static_cast<std::size_t>(shape_.channels);
    return {x_.begin() + static_cast<std::ptrdiff_t>(pixel * c),
            x_.begin() + static_cast<std::ptrdiff_t>((pixel + 1) * c)};
  }
  /// visit(tap, pixel) for the taps around a pixel that lie in the picture.
  template <class Visit>
  void around(std::size_t pixel, const Visit& visit) const {
    const auto width = static_cast<std::size_t>(shape_.width),
               height = static_cast<std::size_t>(shape_.height);
    const int x = static_cast<int>(pixel % width), y = static_cast<int>(pixel / width % height);
    const std::size_t picture = pixel / (width * height);
    for (int u = 0; u < shape_.kernel; ++u) {
      for (int v = 0; v < shape_.kernel; ++v) {
        const int at_y = y + u - shape_.kernel / 2, at_x = x + v - shape_.kernel / 2;
        if (at_y < 0 || at_y >= shape_.height || at_x < 0 || at_x >= shape_.width) continue;
        visit(static_cast<std::size_t>(u * shape_.kernel + v),
              (picture * height + static_cast<std::size_t>(at_y)) * width + static_cast<std::size_t>(at_x));
      }
    }
  }
  std::vector<double> bias(std::span<const float> values) const { return {values.begin(), values.end()}; }

  std::vector<double> grouped(std::size_t pixel) const {
    std::vector<double> z = bias(weights_.filter_bias);
    const auto taps = static_cast<std::size_t>(shape_.kernel * shape_.kernel);
    around(pixel, [&](std::size_t tap, std::size_t at) {
      const std::vector<double> in = input(at);
      for (std::size_t c = 0; c < z.size(); ++c) {
        for (std::size_t d = 0; d < kGroupWidth; ++d) {
          z[c] += static_cast<double>(weights_.filter[(c * taps + tap) * kGroupWidth + d]) *
                  in[c / kGroupWidth * kGroupWidth + d];
        }
      }
    });
    return z;
  }
  template <class In>
  std::vector<double> filtered(std::size_t pixel, int channels, const In& in) const {
    std::vector<double> z = bias(weights_.filter_bias);
    const auto taps = static_cast<std::size_t>(shape_.kernel * shape_.kernel);
    around(pixel, [&](std::size_t tap, std::size_t at) {
      const std::vector<double>& values = in(at);
      for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c)
        z[c] += static_cast<double>(weights_.filter[c * taps + tap]) * values[c];
    });
    return z;
  }
  void normalise(std::vector<double>& z) const {
    double mean = 0, variance = 0;
    for (const double value : z) mean += value / static_cast<double>(z.size());
    for (const double value : z) variance += (value - mean) * (value - mean) / static_cast<double>(z.size());
    for (std::size_t c = 0; c < z.size(); ++c) {
      z[c] = (z[c] - mean) / std::sqrt(variance + kNormEpsilon) * static_cast<double>(weights_.norm[c]) +
             static_cast<double>(weights_.norm[z.size() + c]);
    }
  }
  std::vector<double> expanded(const std::vector<double>& z) const {
    std::vector<double> h = bias(weights_.expand_bias);
    for (std::size_t j = 0; j < h.size(); ++j) {
      for (std::size_t c = 0; c < z.size(); ++c)
        h[j] += static_cast<double>(weights_.expand[j * z.size() + c]) * z[c];
      h[j] = gelu(h[j]);
    }
    return h;
  }
  const std::vector<double>& hidden_of(std::size_t pixel) {
    const auto found = hidden_.find(pixel);
    return found != hidden_.end() ? found->second
                                  : hidden_.emplace(pixel, expanded(input(pixel))).first->second;
  }

  Block block_;
  BlockShape shape_;
  BlockWeights<float> weights_;
  std::span<const float> x_;
  std::map<std::size_t, std::vector<double>> hidden_;
};

template <class Scalar>
BlockSizes sizes_of(const BlockWeights<Scalar>& w) {
  return {
      w.filter.size(),      w.filter_bias.size(),  w.expand.size() == w.project.size() ? w.expand.size() : 0,
      w.expand_bias.size(), w.project_bias.size(), w.norm.size()};
}

}  // namespace

std::vector<double> block_pixels(Block block, const BlockShape& shape, const BlockWeights<float>& weights,
                                 std::span<const float> x, std::span<const std::size_t> pixels) {
  check_block("block_pixels", block, shape);
  check_block_sizes("block_pixels", block, shape, x.size(), x.size(), sizes_of(weights));
  PixelOracle oracle(block, shape, weights, x);
  std::vector<double> result;
  for (const std::size_t pixel : pixels) {
    const std::vector<double> y = oracle(pixel);
    result.insert(result.end(), y.begin(), y.end());
  }
  return result;
}

int depth_first_rows(const BlockShape& shape, std::size_t element_bytes) {
  const std::size_t row =
      static_cast<std::size_t>(shape.width) * static_cast<std::size_t>(shape.hidden()) * element_bytes;
  return std::clamp(static_cast<int>((256u << 10) / row), 1, shape.height);
}

template <class Scalar>
void block_depth_first(Block block, const BlockShape& shape, const BlockWeights<Scalar>& weights,
                       std::span<const Scalar> x, std::span<Scalar> y, int band_rows, int threads) {
  using namespace block_layers;
  check_block("block_depth_first", block, shape);
  check_block_sizes("block_depth_first", block, shape, x.size(), y.size(), sizes_of(weights));
  const auto row_elements = static_cast<std::size_t>(shape.width * shape.channels);
  const std::size_t picture_elements = row_elements * static_cast<std::size_t>(shape.height);
  const int filtered = block == Block::mbconv ? shape.hidden() : shape.channels, halo = shape.kernel / 2;
  const Matrix<Scalar> taps = block == Block::convfirst
                                  ? Matrix<Scalar>()
                                  : taps_first<Scalar>(weights.filter, filtered, shape.kernel);
  for_each_row_block(shape.batch, shape.height, threads, [&](int image, int begin, int rows) {
    const Scalar* picture = x.data() + static_cast<std::size_t>(image) * picture_elements;
    // Eigen's own memory is aligned, so that a run has the same bits wherever its buffers lie.
    Matrix<Scalar> z(band_rows * shape.width, filtered),
        h((band_rows + (block == Block::mbconv ? 2 * halo : 0)) * shape.width, shape.hidden());
    for (int first = begin; first < begin + rows; first += band_rows) {
      const int count = std::min(band_rows, begin + rows - first), of_band = count * shape.width;
      const std::size_t at = static_cast<std::size_t>(first) * row_elements;
      const Scalar* inner = h.data();
      if (block == Block::mbconv) {
        const int from = std::max(first - halo, 0), to = std::min(first + count + halo, shape.height);
        expand(shape, weights, (to - from) * shape.width,
               picture + static_cast<std::size_t>(from) * row_elements, h.data());
        depthwise<Scalar>(shape, filtered, taps, weights.filter_bias, {h.data(), from}, first, count,
                          z.data());
        gelu_in_place(Rows<Scalar>(z.data(), of_band, filtered));
        inner = z.data();
      } else {
        if (block == Block::convfirst) {
          grouped_convolution<Scalar>(shape, weights, {picture, 0}, first, count, z.data());
        } else {
          depthwise<Scalar>(shape, filtered, taps, weights.filter_bias, {picture, 0}, first, count, z.data());
          layer_norm(weights.norm, filtered, of_band, z.data());
        }
        expand(shape, weights, of_band, z.data(), h.data());
      }
      project(shape, weights, of_band, inner, picture + at,
              y.data() + static_cast<std::size_t>(image) * picture_elements + at);
    }
  });
}

template void block_depth_first(Block, const BlockShape&, const BlockWeights<float>&, std::span<const float>,
                                std::span<float>, int, int);
template void block_depth_first(Block, const BlockShape&, const BlockWeights<double>&,
                                std::span<const double>, std::span<double>, int, int);

}  // namespace remeasure::kernels
