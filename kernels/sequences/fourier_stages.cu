// SPDX-License-Identifier: Apache-2.0
//
// What a convolution by a library's transforms does between them (the standard method that FlashFFTConv, ICLR
// 2024, fuses):
//
//   for (b) for (h) for (n) sequences[b, h, n] = n < length ? u[b, h, n] * pregate[b, h, n] / sqrt(transform)
//   : 0; for (b) for (h) for (k) spectra[b, h, k] *= filter[h, k]; for (b) for (h) for (n < length) y[b, h,
//   n] = sequences[b, h, n] * postgate[b, h, n] / sqrt(transform);
//
// Bound by memory: each value is read and written once, neighbours by neighbouring threads. Launch: blocks of
// 256 over the values. Limits: 2^31 blocks.
#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"
#include "kernels/sequences/fourier_stages.h"

namespace remeasure::kernels {
namespace {

constexpr int kThreads = 256;

RM_DEVICE std::size_t thread_number() {
  return static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x;
}

template <class Element, class Value>
__global__ void __launch_bounds__(kThreads)
    gate_and_pad_kernel(std::size_t count, int length, int transform, float scale, bool complex,
                        const Element* __restrict__ u, const Element* __restrict__ pregate,
                        Value* __restrict__ sequences) {
  const std::size_t i = thread_number();
  if (i >= count) return;
  const std::size_t row = i / static_cast<std::size_t>(transform),
                    n = i % static_cast<std::size_t>(transform);
  float value = 0;
  if (n < static_cast<std::size_t>(length)) {
    const std::size_t at = row * static_cast<std::size_t>(length) + n;
    value = static_cast<float>(u[at]) * (pregate == nullptr ? 1.0f : static_cast<float>(pregate[at])) * scale;
  }
  if (!complex) {
    sequences[i] = Value(value);
    return;
  }
  sequences[2 * i] = Value(value);
  sequences[2 * i + 1] = Value(0.0f);
}

template <class Value>
__global__ void __launch_bounds__(kThreads)
    multiply_by_channel_kernel(std::size_t count, std::size_t of_filters, const Value* __restrict__ filter,
                               Value* __restrict__ spectra) {
  const std::size_t i = thread_number();
  if (i >= count) return;
  const std::size_t k = i % of_filters;
  const float a = static_cast<float>(spectra[2 * i]), b = static_cast<float>(spectra[2 * i + 1]);
  const float c = static_cast<float>(filter[2 * k]), d = static_cast<float>(filter[2 * k + 1]);
  spectra[2 * i] = Value(a * c - b * d);
  spectra[2 * i + 1] = Value(a * d + b * c);
}

template <class Element, class Value>
__global__ void __launch_bounds__(kThreads)
    crop_and_gate_kernel(std::size_t count, int length, int transform, float scale, bool complex,
                         const Value* __restrict__ sequences, const Element* __restrict__ postgate,
                         Element* __restrict__ y) {
  const std::size_t i = thread_number();
  if (i >= count) return;
  const std::size_t at = i / static_cast<std::size_t>(length) * static_cast<std::size_t>(transform) +
                         i % static_cast<std::size_t>(length);
  const float gate = postgate == nullptr ? 1.0f : static_cast<float>(postgate[i]);
  y[i] = Element(static_cast<float>(sequences[complex ? 2 * at : at]) * scale * gate);
}

void require(const char* kernel, const char* name, std::size_t size, std::size_t expected) {
  if (size == expected) return;
  throw std::invalid_argument(std::string(kernel) + ": " + name + " has " + std::to_string(size) +
                              " values; " + std::to_string(expected) + " follow from the shape");
}

void check_whole(const char* kernel, const ConvolutionShape& s) {
  if (s.signal == Signal::real && s.hop == 0 && s.batch > 0 && s.channels > 0 && s.length > 0 &&
      s.length <= s.transform)
    return;
  throw std::invalid_argument(
      std::string(kernel) + ": real signals in whole sequences, not longer than the transform; got length " +
      std::to_string(s.length) + ", transform " + std::to_string(s.transform) + ", hop " +
      std::to_string(s.hop));
}

float scale_of(const ConvolutionShape& s) {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(s.transform)));
}

std::size_t rows_of(const ConvolutionShape& s) {
  return static_cast<std::size_t>(s.batch) * static_cast<std::size_t>(s.channels);
}

}  // namespace

template <class Target, class Element, class Value>
void gate_and_pad(Stream<Target>& stream, const ConvolutionShape& shape, bool complex,
                  DeviceSpan<Target, const Element> u, DeviceSpan<Target, const Element> pregate,
                  DeviceSpan<Target, Value> sequences) {
  check_whole("gate_and_pad", shape);
  const std::size_t count = rows_of(shape) * static_cast<std::size_t>(shape.transform);
  require("gate_and_pad", "u", u.size(), shape.values());
  require("gate_and_pad", "pregate", pregate.size(), pregate.empty() ? 0 : shape.values());
  require("gate_and_pad", "sequences", sequences.size(), count * (complex ? 2 : 1));
  launch({.name = "gate_and_pad", .grid = blocks_for(count, kThreads), .block = kThreads}, stream,
         gate_and_pad_kernel<Element, Value>, count, shape.length, shape.transform, scale_of(shape), complex,
         u.data(), pregate.empty() ? nullptr : pregate.data(), sequences.data());
}

template <class Target, class Value>
void multiply_by_channel(Stream<Target>& stream, const ConvolutionShape& shape, std::size_t bins,
                         DeviceSpan<Target, const Value> filter, DeviceSpan<Target, Value> spectra) {
  check_whole("multiply_by_channel", shape);
  const std::size_t of_filters = static_cast<std::size_t>(shape.channels) * bins,
                    count = of_filters * static_cast<std::size_t>(shape.batch);
  require("multiply_by_channel", "filter", filter.size(), 2 * of_filters);
  require("multiply_by_channel", "spectra", spectra.size(), 2 * count);
  launch({.name = "multiply_by_channel", .grid = blocks_for(count, kThreads), .block = kThreads}, stream,
         multiply_by_channel_kernel<Value>, count, of_filters, filter.data(), spectra.data());
}

template <class Target, class Element, class Value>
void crop_and_gate(Stream<Target>& stream, const ConvolutionShape& shape, bool complex,
                   DeviceSpan<Target, const Value> sequences, DeviceSpan<Target, const Element> postgate,
                   DeviceSpan<Target, Element> y) {
  check_whole("crop_and_gate", shape);
  require("crop_and_gate", "sequences", sequences.size(),
          rows_of(shape) * static_cast<std::size_t>(shape.transform) * (complex ? 2 : 1));
  require("crop_and_gate", "postgate", postgate.size(), postgate.empty() ? 0 : shape.values());
  require("crop_and_gate", "y", y.size(), shape.values());
  launch({.name = "crop_and_gate", .grid = blocks_for(y.size(), kThreads), .block = kThreads}, stream,
         crop_and_gate_kernel<Element, Value>, y.size(), shape.length, shape.transform, scale_of(shape),
         complex, sequences.data(), postgate.empty() ? nullptr : postgate.data(), y.data());
}

#define RM_INSTANTIATE(Element, Value)                                                                      \
  template void gate_and_pad(Stream<CompiledTarget>&, const ConvolutionShape&, bool,                        \
                             DeviceSpan<CompiledTarget, const Element>,                                     \
                             DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Value>); \
  template void crop_and_gate(                                                                              \
      Stream<CompiledTarget>&, const ConvolutionShape&, bool, DeviceSpan<CompiledTarget, const Value>,      \
      DeviceSpan<CompiledTarget, const Element>, DeviceSpan<CompiledTarget, Element>);
RM_INSTANTIATE(half, half)
RM_INSTANTIATE(half, float)
RM_INSTANTIATE(float, float)
#undef RM_INSTANTIATE
template void multiply_by_channel(Stream<CompiledTarget>&, const ConvolutionShape&, std::size_t,
                                  DeviceSpan<CompiledTarget, const half>, DeviceSpan<CompiledTarget, half>);
template void multiply_by_channel(Stream<CompiledTarget>&, const ConvolutionShape&, std::size_t,
                                  DeviceSpan<CompiledTarget, const float>, DeviceSpan<CompiledTarget, float>);

}  // namespace remeasure::kernels
