// SPDX-License-Identifier: Apache-2.0
//
// Residual blocks with random weights, for tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/convolution/residual_block_reference.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/device/testing/normal_values.h"

namespace remeasure::kernels::testing {

/// Arrays in the order of BlockWeights, and x; N(0, 2 / inputs of a sum) for weights, N(0, 1) for x. Biases
/// are not small, so that one that is forgotten shows.
template <class Scalar>
struct BlockArrays {
  std::vector<Scalar> x, filter, filter_bias, expand, expand_bias, project, project_bias, norm;
  BlockWeights<Scalar> weights() const {
    return {filter, filter_bias, expand, expand_bias, project, project_bias, norm};
  }
};

/// Values that Element has: the oracle sees what a kernel does. Biases stay floats.
template <class Element>
BlockArrays<float> block_arrays(Block block, const BlockShape& shape, std::uint64_t seed = 1) {
  const BlockSizes sizes = block_sizes(block, shape);
  const double taps = shape.kernel * shape.kernel;
  BlockArrays<float> a;
  a.x = normal_values<Element>(shape.elements(), seed);
  a.filter = normal_values<Element>(sizes.filter, seed + 1,
                                    std::sqrt(2 / (taps * (block == Block::convfirst ? kGroupWidth : 1))));
  a.filter_bias = normal_values(sizes.filter_bias, seed + 2, 0.3);
  a.expand = normal_values<Element>(sizes.dense, seed + 3, std::sqrt(2.0 / shape.channels));
  a.expand_bias = normal_values(sizes.expand_bias, seed + 4, 0.3);
  a.project = normal_values<Element>(sizes.dense, seed + 5, std::sqrt(2.0 / shape.hidden()));
  a.project_bias = normal_values(sizes.project_bias, seed + 6, 0.3);
  a.norm = normal_values(sizes.norm, seed + 7, 0.3);
  return a;
}

inline BlockArrays<double> in_double(const BlockArrays<float>& a) {
  const auto wide = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
  return {wide(a.x),           wide(a.filter),  wide(a.filter_bias),  wide(a.expand),
          wide(a.expand_bias), wide(a.project), wide(a.project_bias), wide(a.norm)};
}

inline std::vector<std::size_t> all_pixels(const BlockShape& shape) {
  std::vector<std::size_t> pixels(shape.pixels());
  std::iota(pixels.begin(), pixels.end(), std::size_t{0});
  return pixels;
}

inline std::vector<double> block_oracle(Block block, const BlockShape& shape, const BlockArrays<float>& a) {
  return block_pixels(block, shape, a.weights(), a.x, all_pixels(shape));
}

template <class T, class U>
double relative_l2(const std::vector<T>& is, const std::vector<U>& must) {
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < must.size(); ++i) {
    const double m = static_cast<double>(must[i]);
    const double d = static_cast<double>(static_cast<float>(is[i])) - m;
    difference += d * d, scale += m * m;
  }
  return std::sqrt(difference / scale);  // a NaN stays one, and no limit admits it
}

/// The arrays of a block on a device.
template <class Target, class Element>
struct DeviceBlock {
  DeviceBlock(Device<Target>& device, const BlockArrays<float>& a)
      : stream(device),
        x(device, a.x.size()),
        filter(device, a.filter.size()),
        expand(device, a.expand.size()),
        project(device, a.project.size()),
        y(device, a.x.size()),
        filter_bias(device, a.filter_bias.size()),
        expand_bias(device, a.expand_bias.size()),
        project_bias(device, a.project_bias.size()) {
    put(a.x, x), put(a.filter, filter), put(a.expand, expand), put(a.project, project);
    put(a.filter_bias, filter_bias), put(a.expand_bias, expand_bias), put(a.project_bias, project_bias);
  }
  template <class T>
  void put(const std::vector<float>& from, DeviceBuffer<Target, T>& to) {
    std::vector<T> elements;
    for (const float value : from) elements.push_back(T(value));
    stream.upload(std::span<const T>(elements), to.span());
    stream.synchronize();
  }
  template <class Weights>
  Weights weights() const {
    return {filter.span(),      expand.span(),      project.span(),
            filter_bias.span(), expand_bias.span(), project_bias.span()};
  }
  std::vector<Element> result() {
    std::vector<Element> values(y.size());
    stream.download(std::as_const(y).span(), std::span<Element>(values));
    return values;
  }

  Stream<Target> stream;
  DeviceBuffer<Target, Element> x, filter, expand, project, y;
  DeviceBuffer<Target, float> filter_bias, expand_bias, project_bias;
};

inline std::string in_words(const BlockShape& s) {
  return std::to_string(s.batch) + " x " + std::to_string(s.height) + " x " + std::to_string(s.width) +
         " x " + std::to_string(s.channels) + ", expansion " + std::to_string(s.expansion) + ", kernel " +
         std::to_string(s.kernel);
}

}  // namespace remeasure::kernels::testing
