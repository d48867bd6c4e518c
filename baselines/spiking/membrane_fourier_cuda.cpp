// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "baselines/sequences/fourier.h"
#include "baselines/spiking/lif_steps.h"
#include "kernels/spiking/sequence_layout.h"
#include "kernels/spiking/spsn_reference.h"

namespace remeasure::baselines {

struct CufftMembrane::State {
  State(Stream<Cuda>& on, const SpikingShape& of, const Decay& decay)
      : stream(on),
        shape(of),
        length(2 * static_cast<std::size_t>(of.steps)),
        bins(length / 2 + 1),
        count(static_cast<std::size_t>(of.batch) * static_cast<std::size_t>(of.neurons)),
        sequences(on.device(), count * length, MemoryUse::workspace, "sequences"),
        spectra(on.device(), 2 * count * bins, MemoryUse::workspace, "spectra"),
        response(on.device(), 2 * bins, MemoryUse::workspace, "response"),
        forward(on, {Fourier::real_to_complex, length, count}),
        inverse(on, {Fourier::complex_to_real, length, count}) {
    const std::vector<double> h = kernels::membrane_response(decay, static_cast<std::size_t>(of.steps));
    std::vector<float> padded(length, 0.0f);
    for (std::size_t t = 0; t < h.size(); ++t) padded[t] = static_cast<float>(h[t]);
    stream.upload(std::span<const float>(padded), sequences.span().subspan(0, length));
    CufftTransform<float> one(on, {Fourier::real_to_complex, length, 1});
    one.forward(sequences.span().subspan(0, length), response);
    stream.synchronize();
  }

  Stream<Cuda>& stream;
  SpikingShape shape;
  std::size_t length, bins, count;
  DeviceBuffer<Cuda, float> sequences, spectra, response;
  CufftTransform<float> forward, inverse;
};

CufftMembrane::CufftMembrane(Stream<Cuda>& stream, const SpikingShape& shape, const Decay& decay)
    : state_(std::make_unique<State>(stream, shape, decay)) {}
CufftMembrane::~CufftMembrane() = default;

void CufftMembrane::operator()(DeviceSpan<Cuda, const float> current, DeviceSpan<Cuda, float> membrane) {
  State& s = *state_;
  kernels::pad_sequences<Cuda>(s.stream, s.shape, s.length, current, s.sequences);
  s.forward.forward(s.sequences, s.spectra);
  kernels::multiply_spectra<Cuda>(s.stream, s.bins, 1.0f / static_cast<float>(s.length), s.response,
                                  s.spectra);
  s.inverse.inverse(s.spectra, s.sequences);
  kernels::crop_sequences<Cuda>(s.stream, s.shape, s.length, s.sequences, membrane);
}

}  // namespace remeasure::baselines
