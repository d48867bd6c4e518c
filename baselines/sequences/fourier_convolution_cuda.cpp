// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "baselines/sequences/fourier_convolution.h"
#include "kernels/sequences/fourier_stages.h"

namespace remeasure::baselines {
namespace {

using kernels::Signal;

/// The passes of one convolution with intermediates of type Value.
template <class Element, class Value>
class Passes {
 public:
  Passes(Stream<Cuda>& stream, const ConvolutionShape& shape, bool complex, std::span<const float> filters)
      : stream_(stream),
        shape_(shape),
        complex_(complex),
        forward_shape_(of(shape, complex, false)),
        spectra_(stream.device(), forward_shape_.spectrum_values(), MemoryUse::workspace, "spectra"),
        sequences_(stream.device(), forward_shape_.time_values(), MemoryUse::workspace, "padded sequences"),
        filter_(stream.device(), forward_shape_.spectrum_values() / static_cast<std::size_t>(shape.batch),
                MemoryUse::workspace, "spectra of the filters"),
        forward_(stream, forward_shape_),
        inverse_(stream, of(shape, complex, true)) {
    const auto channels = static_cast<std::size_t>(shape.channels),
               transform = static_cast<std::size_t>(shape.transform);
    const std::size_t taps = filters.size() / channels, stride = complex ? 2 : 1;
    std::vector<Value> padded(channels * transform * stride, Value(0.0f));
    for (std::size_t i = 0; i < filters.size(); ++i)
      padded[(i / taps * transform + i % taps) * stride] = Value(filters[i]);
    stream.upload(std::span<const Value>(padded), sequences_.span().subspan(0, padded.size()));
    FourierShape once = forward_shape_;
    once.batch = channels;
    CufftTransform<Value> of_filters(stream, once);
    of_filters.forward(sequences_.span().subspan(0, padded.size()), filter_.span());
    stream.synchronize();
  }

  void run(DeviceSpan<Cuda, const Element> u, DeviceSpan<Cuda, const Element> pregate,
           DeviceSpan<Cuda, const Element> postgate, DeviceSpan<Cuda, Element> y) {
    kernels::gate_and_pad<Cuda, Element, Value>(stream_, shape_, complex_, u, pregate, sequences_);
    forward_.forward(sequences_, spectra_);
    kernels::multiply_by_channel<Cuda, Value>(stream_, shape_, forward_shape_.bins(), filter_, spectra_);
    inverse_.inverse(spectra_, sequences_);
    kernels::crop_and_gate<Cuda, Element, Value>(stream_, shape_, complex_, sequences_, postgate, y);
  }

 private:
  static FourierShape of(const ConvolutionShape& shape, bool complex, bool inverse) {
    if (shape.signal != Signal::real || shape.hop != 0)
      throw std::invalid_argument("CufftConvolution: real signals, whole sequences only");
    return {complex   ? Fourier::complex_to_complex
            : inverse ? Fourier::complex_to_real
                      : Fourier::real_to_complex,
            static_cast<std::size_t>(shape.transform),
            static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.channels)};
  }

  Stream<Cuda>& stream_;
  ConvolutionShape shape_;
  bool complex_;
  FourierShape forward_shape_;
  DeviceBuffer<Cuda, Value> spectra_, sequences_, filter_;
  CufftTransform<Value> forward_, inverse_;
};

}  // namespace

template <class Element>
struct CufftConvolution<Element>::Chain {
  std::unique_ptr<Passes<Element, float>> in_float;
  std::unique_ptr<Passes<Element, half>> in_half;
};

template <class Element>
CufftConvolution<Element>::CufftConvolution(Stream<Cuda>& stream, const ConvolutionShape& shape, CufftWay way,
                                            std::span<const float> filters)
    : chain_(std::make_unique<Chain>()) {
  if (way != CufftWay::real_half) {
    chain_->in_float =
        std::make_unique<Passes<Element, float>>(stream, shape, way == CufftWay::complex, filters);
  } else if constexpr (std::is_same_v<Element, half>) {
    chain_->in_half = std::make_unique<Passes<Element, half>>(stream, shape, false, filters);
  } else {
    throw std::invalid_argument("CufftConvolution: transforms in half are for signals in half");
  }
}
template <class Element>
CufftConvolution<Element>::~CufftConvolution() = default;

template <class Element>
void CufftConvolution<Element>::operator()(DeviceSpan<Cuda, const Element> u,
                                           DeviceSpan<Cuda, const Element> pregate,
                                           DeviceSpan<Cuda, const Element> postgate,
                                           DeviceSpan<Cuda, Element> y) {
  if constexpr (std::is_same_v<Element, half>) {
    if (chain_->in_half) return chain_->in_half->run(u, pregate, postgate, y);
  }
  chain_->in_float->run(u, pregate, postgate, y);
}

template class CufftConvolution<half>;
template class CufftConvolution<float>;

}  // namespace remeasure::baselines
