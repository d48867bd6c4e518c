// SPDX-License-Identifier: Apache-2.0
//
// The passes over memory around a library's transforms of a long convolution. Shapes as in monarch.h (real
// signals, whole sequences); spectra are [batch, channels, bins] of pairs. Value is the transforms' type,
// Element the signals'. `complex`: time sequences are pairs too. Everything throws std::invalid_argument for
// sizes that don't fit.
#pragma once

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/sequences/monarch.h"

namespace remeasure::kernels {

/// sequences[b, h, n] = u[b, h, n] * pregate[b, h, n] / sqrt(transform) for n < length, zeros to the
/// transform's length. Half of the scaling stands here, half in crop_and_gate: in half, all of it here makes
/// long sequences subnormal, none makes spectra overflow.
template <class Target, class Element, class Value>
void gate_and_pad(Stream<Target>& stream, const ConvolutionShape& shape, bool complex,
                  DeviceSpan<Target, const Element> u, DeviceSpan<Target, const Element> pregate,
                  DeviceSpan<Target, Value> sequences);

/// spectra[b, h, k] *= filter[h, k], complex.
template <class Target, class Value>
void multiply_by_channel(Stream<Target>& stream, const ConvolutionShape& shape, std::size_t bins,
                         DeviceSpan<Target, const Value> filter, DeviceSpan<Target, Value> spectra);

/// y[b, h, n] = sequences[b, h, n] * postgate[b, h, n] / sqrt(transform) for n < length.
template <class Target, class Element, class Value>
void crop_and_gate(Stream<Target>& stream, const ConvolutionShape& shape, bool complex,
                   DeviceSpan<Target, const Value> sequences, DeviceSpan<Target, const Element> postgate,
                   DeviceSpan<Target, Element> y);

}  // namespace remeasure::kernels
