// SPDX-License-Identifier: Apache-2.0
//
// Samples for the tests of the quantum feature map, and the kernels run on plain vectors.
#pragma once

#include <complex>
#include <cstdint>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "kernels/device/philox.h"
#include "kernels/science/feature_map.h"
#include "kernels/science/feature_map_reference.h"

namespace remeasure::kernels::testing {

/// Uniform in (0, 2 pi).
inline std::vector<double> random_points(const FeatureMapShape& shape, std::uint64_t seed = 1) {
  std::vector<double> x(shape.points());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Philox4 random = philox(seed, i);
    x[i] = 2 * std::numbers::pi * uniform_double(random.word[0], random.word[1]);
  }
  return x;
}

template <class Scalar>
std::vector<std::complex<Scalar>> reference_states(const FeatureMapShape& shape,
                                                   const std::vector<double>& x) {
  std::vector<std::complex<Scalar>> states(shape.values() / 2);
  feature_map_reference<Scalar>(shape, x, states, 1);
  return states;
}

template <class Scalar>
std::span<const std::complex<Scalar>> state_of(const std::vector<std::complex<Scalar>>& states,
                                               const FeatureMapShape& shape, std::size_t i) {
  return std::span(states).subspan(i * shape.amplitudes(), shape.amplitudes());
}

template <class Scalar>
std::vector<Scalar> reference_gram(const GramShape& shape, const std::vector<std::complex<Scalar>>& a,
                                   const std::vector<std::complex<Scalar>>& b) {
  std::vector<Scalar> gram(shape.entries());
  gram_reference<Scalar>(shape, a, b, gram, 1);
  return gram;
}

/// The floats of complex numbers.
inline std::vector<float> pairs(const std::vector<std::complex<float>>& states) {
  const float* first = reinterpret_cast<const float*>(states.data());
  return {first, first + 2 * states.size()};
}
inline std::vector<double> pairs(const std::vector<std::complex<double>>& states) {
  const double* first = reinterpret_cast<const double*>(states.data());
  return {first, first + 2 * states.size()};
}

template <class Target>
std::vector<float> run_feature_map(Device<Target>& device, const FeatureMapShape& shape,
                                   const std::vector<double>& x) {
  Stream<Target> stream(device);
  DeviceBuffer<Target, double> points(device, x.size());
  DeviceBuffer<Target, float> states(device, shape.values());
  stream.upload(std::span<const double>(x), points.span());
  feature_map<Target>(stream, shape, points, states);
  std::vector<float> result(shape.values());
  stream.download(std::as_const(states).span(), std::span<float>(result));
  return result;
}

template <class Target>
std::vector<float> run_gram(Device<Target>& device, const GramShape& shape, const Measurement& measurement,
                            const std::vector<std::complex<float>>& a,
                            const std::vector<std::complex<float>>& b) {
  Stream<Target> stream(device);
  const std::vector<float> left = pairs(a), right = pairs(b);
  DeviceBuffer<Target, float> rows(device, left.size()), columns(device, right.size()),
      gram(device, shape.entries());
  stream.upload(std::span<const float>(left), rows.span());
  stream.upload(std::span<const float>(right), columns.span());
  gram_abs2<Target>(stream, shape, measurement, rows, shape.symmetric ? rows : columns, gram);
  std::vector<float> result(shape.entries());
  stream.download(std::as_const(gram).span(), std::span<float>(result));
  return result;
}

}  // namespace remeasure::kernels::testing
