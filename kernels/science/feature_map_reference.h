// SPDX-License-Identifier: Apache-2.0
//
// The quantum feature map and its kernel matrix on a CPU, a template on the scalar: in `double` the oracle,
// in `float` the timed method. Phases are in double always. Everything throws std::invalid_argument for sizes
// that don't fit.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "kernels/science/feature_map.h"

namespace remeasure::kernels {

/// phase(z) of one sample, for all 2^n basis states: qubit after qubit, so that each pair's term is added to
/// half of the states at once, 2^n additions twice.
std::vector<double> feature_phases_reference(std::span<const double> x);

/// feature_map by in-place butterflies, a sample at a time per thread (0 = all cores).
template <class Scalar>
void feature_map_reference(const FeatureMapShape& shape, std::span<const double> x,
                           std::span<std::complex<Scalar>> states, int threads = 0);

/// |<b_c | a_r>|^2, no noise: blocks of rows by Eigen, of a symmetric matrix half.
template <class Scalar>
void gram_reference(const GramShape& shape, std::span<const std::complex<Scalar>> a,
                    std::span<const std::complex<Scalar>> b, std::span<Scalar> gram, int threads = 0);

/// One entry as a plain sum in double.
template <class Scalar>
double gram_entry(std::span<const std::complex<Scalar>> a, std::span<const std::complex<Scalar>> b);

/// What is measured instead of `gram`: gram_abs2's noise and its draws. Entries of a symmetric matrix are
/// drawn once for both sides, as there.
std::vector<double> measured_gram(const GramShape& shape, const Measurement& measurement,
                                  std::span<const double> gram);

}  // namespace remeasure::kernels
