// SPDX-License-Identifier: Apache-2.0
//
// Spiking layers in plain Eigen, a template on the scalar: in `double` the oracle, in `float` the timed CPU
// method. Shapes as in membrane.h.  Everything throws std::invalid_argument for sizes that don't fit.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/spiking/membrane.h"

namespace remeasure::kernels {

/// Response of a membrane to one current of 1: h_t = (1 - beta) (alpha^{t+1} - beta^{t+1}) / (alpha - beta),
/// and its limit (1 - beta) (t + 1) alpha^t for alpha = beta.
std::vector<double> membrane_response(const Decay& decay, std::size_t steps);

/// The recurrence of spsn_membrane, a batch entry at a time per thread (0 = all cores), vectorised over the
/// neurons.
template <class Scalar>
void spsn_membrane_reference(const SpikingShape& shape, const Decay& decay, std::span<const float> current,
                             std::span<Scalar> membrane, int threads = 0);

/// The paper's way: convolution with membrane_response by Fourier transforms of length 2 * steps or more (the
/// next power of two), a sequence per transform.
template <class Scalar>
void spsn_membrane_fourier(const SpikingShape& shape, const Decay& decay, std::span<const float> current,
                           std::span<Scalar> membrane, int threads = 0);

/// The adjoint of the membrane: sum_{u >= t} h_{u-t} gradient_u, by the recurrence from the last step to the
/// first.
template <class Scalar>
void spsn_membrane_adjoint(const SpikingShape& shape, const Decay& decay,
                           std::span<const Scalar> membrane_gradient, std::span<Scalar> current_gradient,
                           int threads = 0);

/// Leaky integrate-and-fire with hard reset: `membrane` is m before the reset.
template <class Scalar>
void lif_reference(const SpikingShape& shape, const Decay& decay, double threshold,
                   std::span<const float> current, std::span<Scalar> membrane, int threads = 0);

/// Its surrogate gradient (membrane.h, lif_fused_backward).
template <class Scalar>
void lif_gradient_reference(const SpikingShape& shape, const Decay& decay, double threshold,
                            std::span<const Scalar> membrane, std::span<const float> spike_gradient,
                            std::span<Scalar> current_gradient, int threads = 0);

/// dm of spsn_membrane_backward in double: spike_gradient * dz/dm, with the draws of `noise`.
std::vector<double> spike_gradient_reference(const SpikingShape& shape, Spiking spiking,
                                             const SpikeNoise& noise, std::span<const double> membrane,
                                             std::span<const float> spike_gradient);

/// Probability of a spike.
double spike_probability(Spiking spiking, double membrane);

}  // namespace remeasure::kernels
