// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/device/device.h"
#include "kernels/spiking/membrane.h"

namespace remeasure::kernels {

/// The stages around a Fourier transform of every neuron's sequence (Yarga and Wood, IJCNN 2023: the
/// convolution by FFT). Sequences are [batch * neurons, length], length >= steps; spectra [batch * neurons,
/// bins] of pairs (real, imaginary).

/// sequences[b * neurons + h, t] = current[b, t, h], zeros from `steps` on.
template <class Target>
void pad_sequences(Stream<Target>& stream, const SpikingShape& shape, std::size_t length,
                   DeviceSpan<Target, const float> current, DeviceSpan<Target, float> sequences);

/// spectra[i, k] *= response[k] * scale, complex.  spectra: [count, bins, 2]; response: [bins, 2]
template <class Target>
void multiply_spectra(Stream<Target>& stream, std::size_t bins, float scale,
                      DeviceSpan<Target, const float> response, DeviceSpan<Target, float> spectra);

/// membrane[b, t, h] = sequences[b * neurons + h, t] for t < steps.
template <class Target>
void crop_sequences(Stream<Target>& stream, const SpikingShape& shape, std::size_t length,
                    DeviceSpan<Target, const float> sequences, DeviceSpan<Target, float> membrane);

}  // namespace remeasure::kernels
