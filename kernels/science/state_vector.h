// SPDX-License-Identifier: Apache-2.0
//
// A quantum register of a few qubits as its 2^n amplitudes, on a CPU: gates in place, no matrices of 2^n x
// 2^n. A template on the scalar; amplitude z belongs to the basis state whose qubit i is bit i of z.
// Everything throws std::invalid_argument for qubits that aren't there.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <span>
#include <vector>

namespace remeasure::kernels {

/// A gate on one qubit, row-major: {<0|G|0>, <0|G|1>, <1|G|0>, <1|G|1>}.
using QubitGate = std::array<std::complex<double>, 4>;

/// exp(i angle Z / 2) and exp(i angle Y / 2), the sign as in Havlicek et al. (arXiv 1804.11326, section
/// "variational").
QubitGate phase_rotation(double angle);
QubitGate plane_rotation(double angle);
/// The gate that applies `first`, then `second`.
QubitGate after(const QubitGate& second, const QubitGate& first);

/// Qubits of a register of so many amplitudes; throws unless that is a power of two.
int qubits_of(std::size_t amplitudes);

template <class Scalar>
std::vector<std::complex<Scalar>> basis_state(int qubits, std::size_t state = 0);

/// A Hadamard gate on every qubit: in-place butterflies, n 2^n additions, then the factor 2^(-n/2).
template <class Scalar>
void hadamard_all(std::span<std::complex<Scalar>> state);

template <class Scalar>
void apply_gate(std::span<std::complex<Scalar>> state, int qubit, const QubitGate& gate);

/// -1 where both qubits are 1.
template <class Scalar>
void apply_controlled_z(std::span<std::complex<Scalar>> state, int qubit, int other);

/// <Z_0 Z_1 ... Z_{n-1}>: the sum of (-1)^(ones of z) |state_z|^2.
template <class Scalar>
double parity_expectation(std::span<const std::complex<Scalar>> state);

}  // namespace remeasure::kernels
