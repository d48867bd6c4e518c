// SPDX-License-Identifier: Apache-2.0
//
// An LSTM layer as a framework without fusion runs it: a launch for each operation of each step.
#pragma once

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/sequences/rnn_alternating.h"

namespace remeasure::kernels {

/// Launches of a step, the product among them.
inline constexpr int kVanillaLaunches = 14;

/// Floats of workspace that rnn_vanilla_lstm needs.
inline std::size_t rnn_vanilla_workspace(const RnnShape& shape) {
  return 8 * shape.slot();
}

/// As rnn_alternating, for Cell::lstm alone; `products` of one step.
template <class Target, class Element>
void rnn_vanilla_lstm(Stream<Target>& stream, const RnnShape& shape, RnnProducts<Target, Element>& by,
                      DeviceSpan<Target, const Element> wx, DeviceSpan<Target, const float> bias,
                      DeviceSpan<Target, const float> first, DeviceSpan<Target, float> workspace,
                      DeviceSpan<Target, Element> products, DeviceSpan<Target, Element> states);

}  // namespace remeasure::kernels
