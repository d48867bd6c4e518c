// SPDX-License-Identifier: Apache-2.0
//
// The layers of rnn.h on a CPU, templates on the scalar: in double the oracle, in float the paper's way of
// doing it (a head at a time through all steps, so that its R stays in the cache).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/sequences/rnn.h"

namespace remeasure::kernels {

/// `states` as in rnn.h, by `threads` CPU threads (0 = all) over heads and blocks of the batch. Scalar:
/// float, double. `only`: batch entries that are computed (empty: all); the others keep what they held.
template <class Scalar>
void rnn_reference(const RnnShape& shape, std::span<const float> wx, std::span<const float> weights,
                   std::span<const float> bias, std::span<const float> first, std::span<Scalar> states,
                   int threads = 0, std::span<const int> only = {});

/// The same with inputs in the scalar, for finite differences; one thread.
template <class Scalar>
void rnn_forward_reference(const RnnShape& shape, std::span<const Scalar> wx, std::span<const Scalar> weights,
                           std::span<const Scalar> bias, std::span<const Scalar> first,
                           std::span<Scalar> states);

template <class Scalar>
struct RnnGradients {
  std::vector<Scalar> wx, weights, bias, first;
};

/// Gradients of sum(dh * h) over all steps; `states` from rnn_forward_reference, `dh`: [steps, batch, heads,
/// dim].
template <class Scalar>
RnnGradients<Scalar> rnn_backward_reference(const RnnShape& shape, std::span<const Scalar> wx,
                                            std::span<const Scalar> weights, std::span<const Scalar> bias,
                                            std::span<const Scalar> states, std::span<const Scalar> dh);

}  // namespace remeasure::kernels
