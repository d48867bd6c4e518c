// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/convolution/convolution_reference.h"
#include "kernels/convolution/device_epilogue.h"
#include "kernels/convolution/testing/convolution_problem.h"
#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::kernels::testing {

template <class T>
std::vector<std::uint8_t> bytes_of(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Arrays of one convolution on a device, and a call of each pass with results in double.
template <class Target, class Element>
struct ConvolutionOnDevice {
  ConvolutionOnDevice(Device<Target>& device_, const ConvolutionShape& shape_, Layout layout_ = Layout::nhwc)
      : device(device_),
        stream(device_),
        shape(shape_),
        layout(layout_),
        arrays(convolution_arrays<Element>(shape_, layout_)),
        input(put<Element>(arrays.input)),
        weights(put<Element>(arrays.weights)),
        output_gradient(put<Element>(arrays.output_gradient)),
        residual(put<Element>(arrays.residual)),
        bias(put<float>(arrays.bias)) {}

  template <class T>
  DeviceBuffer<Target, T> put(const std::vector<double>& values) {
    std::vector<T> elements;
    for (const double value : values) elements.push_back(static_cast<T>(static_cast<float>(value)));
    DeviceBuffer<Target, T> buffer(device, elements.size());
    stream.upload(std::span<const T>(elements), buffer.span());
    stream.synchronize();
    return buffer;
  }
  /// run(result) writes `size` elements.
  template <class Run>
  std::vector<Element> result_of(std::size_t size, Run run) {
    DeviceBuffer<Target, Element> result(device, size);
    run(result.span());
    std::vector<Element> values(size);
    stream.download(std::as_const(result).span(), std::span<Element>(values));
    return values;
  }
  DeviceEpilogue<Target, Element> epilogue(Activation activation) {
    return {.bias = std::as_const(bias).span(),
            .residual = std::as_const(residual).span(),
            .activation = activation};
  }
  ReferenceEpilogue<double> reference_epilogue(Activation activation) const {
    return {.bias = arrays.bias, .residual = arrays.residual, .activation = activation};
  }

  // The oracle of each pass.
  std::vector<double> forward_reference(const ReferenceEpilogue<double>& with = {}) const {
    std::vector<double> y(arrays.output_gradient.size());
    convolution_forward_reference<double>(shape, layout, arrays.input, arrays.weights, y, with);
    return y;
  }
  std::vector<double> backward_data_reference() const {
    std::vector<double> dx(arrays.input.size());
    convolution_backward_data_reference<double>(shape, layout, arrays.output_gradient, arrays.weights, dx);
    return dx;
  }
  std::vector<double> backward_weights_reference() const {
    std::vector<double> dw(arrays.weights.size());
    convolution_backward_weights_reference<double>(shape, layout, arrays.input, arrays.output_gradient, dw);
    return dw;
  }

  Device<Target>& device;
  Stream<Target> stream;
  ConvolutionShape shape;
  Layout layout;
  ConvolutionArrays arrays;
  DeviceBuffer<Target, Element> input, weights, output_gradient, residual;
  DeviceBuffer<Target, float> bias;
};

/// As doubles, for comparisons.
template <class Element>
std::vector<double> doubles(const std::vector<Element>& values) {
  std::vector<double> result;
  for (const Element value : values) result.push_back(static_cast<double>(static_cast<float>(value)));
  return result;
}

/// <a, b>, and the sum of |a b|, which its rounding error is relative to.
struct Dot {
  double value = 0, scale = 0;
};
inline Dot dot(const std::vector<double>& a, const std::vector<double>& b) {
  Dot result;
  for (std::size_t i = 0; i < a.size(); ++i) {
    result.value += a[i] * b[i];
    result.scale += std::abs(a[i] * b[i]);
  }
  return result;
}

}  // namespace remeasure::kernels::testing
