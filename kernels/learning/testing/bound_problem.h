// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <vector>

#include "kernels/device/testing/normal_values.h"
#include "kernels/learning/bound_arrays.h"
#include "kernels/learning/bound_oracle.h"

namespace remeasure::kernels::testing {

/// Bounds around N(0, 1): weights of a norm of about 1, upper above lower by `width` times another normal's
/// size; biases shifted by `shift`, so that intervals are positive where an operation needs that.
inline BoundArrays<float> random_bounds(const BoundShape& shape, std::uint64_t seed, float width = 0.3f,
                                        float shift = 0) {
  BoundArrays<float> bounds(shape);
  const float scale = 1 / std::sqrt(static_cast<float>(shape.inputs));
  const auto fill = [&](std::vector<float>& lower, std::vector<float>& upper, std::uint64_t of, float size,
                        float around) {
    const std::vector<float> centre = normal_values(lower.size(), of, size),
                             half = normal_values(lower.size(), of + 1, width * size);
    for (std::size_t i = 0; i < lower.size(); ++i) {
      lower[i] = centre[i] - std::fabs(half[i]) + around;
      upper[i] = centre[i] + std::fabs(half[i]) + around;
    }
  };
  fill(bounds.lower_weight, bounds.upper_weight, 4 * seed, scale, 0);
  fill(bounds.lower_bias, bounds.upper_bias, 4 * seed + 2, 1, shift);
  return bounds;
}

inline std::vector<double> wide(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

template <class Scalar>
struct HostIntervals {
  std::vector<Scalar> lower, upper;
};
inline HostIntervals<float> narrow(const oracle::Intervals& intervals) {
  return {{intervals.lower.begin(), intervals.lower.end()}, {intervals.upper.begin(), intervals.upper.end()}};
}
inline oracle::Intervals widened(const HostIntervals<float>& intervals) {
  return {wide(intervals.lower), wide(intervals.upper)};
}

/// Largest of the relative errors (in the 2-norm) of four arrays; infinite for NaN.
template <class Scalar>
double worst_error(const BoundArrays<Scalar>& out, const BoundArrays<double>& reference) {
  double worst = 0;
  const auto compare = [&](const std::vector<Scalar>& a, const std::vector<double>& b) {
    double difference = a.size() == b.size() ? 0 : INFINITY, size = 0;
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
      difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
      size += b[i] * b[i];
    }
    const double error = difference == 0 ? 0 : std::sqrt(difference / size);  // of zeros only zeros are right
    worst = std::isnan(error) ? INFINITY : std::fmax(worst, error);
  };
  compare(out.lower_weight, reference.lower_weight);
  compare(out.upper_weight, reference.upper_weight);
  compare(out.lower_bias, reference.lower_bias);
  compare(out.upper_bias, reference.upper_bias);
  return worst;
}

template <class Scalar>
bool same_bits(const BoundArrays<Scalar>& a, const BoundArrays<Scalar>& b) {
  return a.lower_weight == b.lower_weight && a.upper_weight == b.upper_weight &&
         a.lower_bias == b.lower_bias && a.upper_bias == b.upper_bias;
}

/// A bound object on a device.
template <class Target>
struct DeviceBounds {
  BoundShape shape;
  Stream<Target>& stream;
  DeviceBuffer<Target, float> lower_weight, upper_weight, lower_bias, upper_bias;

  DeviceBounds(Stream<Target>& on, const BoundShape& of)
      : shape(of),
        stream(on),
        lower_weight(on.device(), of.weights()),
        upper_weight(on.device(), of.weights()),
        lower_bias(on.device(), of.biases()),
        upper_bias(on.device(), of.biases()) {}
  DeviceBounds(Stream<Target>& on, const BoundArrays<float>& from) : DeviceBounds(on, from.shape) {
    on.upload(std::span<const float>(from.lower_weight), lower_weight.span());
    on.upload(std::span<const float>(from.upper_weight), upper_weight.span());
    on.upload(std::span<const float>(from.lower_bias), lower_bias.span());
    on.upload(std::span<const float>(from.upper_bias), upper_bias.span());
    on.synchronize();
  }
  BoundSpans<Target, const float> in() const {
    return {std::as_const(lower_weight).span(), std::as_const(upper_weight).span(),
            std::as_const(lower_bias).span(), std::as_const(upper_bias).span()};
  }
  BoundSpans<Target, float> out() {
    return {lower_weight.span(), upper_weight.span(), lower_bias.span(), upper_bias.span()};
  }
  BoundArrays<float> get() const {
    BoundArrays<float> result(shape);
    stream.download(std::as_const(lower_weight).span(), std::span<float>(result.lower_weight));
    stream.download(std::as_const(upper_weight).span(), std::span<float>(result.upper_weight));
    stream.download(std::as_const(lower_bias).span(), std::span<float>(result.lower_bias));
    stream.download(std::as_const(upper_bias).span(), std::span<float>(result.upper_bias));
    return result;
  }
};

template <class Target>
DeviceBuffer<Target, float> on_device(Stream<Target>& stream, const std::vector<float>& values) {
  DeviceBuffer<Target, float> buffer(stream.device(), values.size());
  stream.upload(std::span<const float>(values), buffer.span());
  stream.synchronize();
  return buffer;
}

}  // namespace remeasure::kernels::testing
