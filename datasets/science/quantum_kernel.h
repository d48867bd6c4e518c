// SPDX-License-Identifier: Apache-2.0
//
// Points of two classes that a quantum feature map separates and a random unitary names: the artificial data
// of Havlicek et al., "Supervised learning with quantum-enhanced feature spaces", Nature 567 (2019), arXiv
// 1804.11326.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// One set: 2 * train training points come first, then 2 * test test points; both parts have as many +1 as
/// -1.
struct QuantumSet {
  std::vector<double> x;       ///< [points, qubits], in (0, 2 pi)
  std::vector<std::int8_t> y;  ///< +1 or -1
  std::vector<double> e;       ///< the expectation whose sign is the label; NaN where it isn't known
  std::vector<double>
      unitary;       ///< V: [2^qubits, 2^qubits, real and imaginary part]; empty where it isn't known
  double draws = 0;  ///< points drawn until there were enough outside the gap
};

struct QuantumSets {
  int qubits = 0;
  double gap = 0;
  std::size_t train = 0, test = 0;  ///< per label
  std::vector<QuantumSet> sets;
};

inline constexpr int kQuantumSets = 3;  ///< as in the paper; imported files may have fewer

/// "quantum_kernel": parameters qubits (1 to 10), gap, train, test (points per label).
/// Phi(x) = U(x) H U(x) H |0>, U(x) = exp(i sum_j x_j Z_j + i sum_{j<k} (pi - x_j)(pi - x_k) Z_j Z_k); e =
/// <Phi| V^+ f V |Phi> with f the parity of all bits and V from the Haar measure; points with |e| <= gap are
/// thrown away.
extern const Definition quantum_kernel_definition;

Parameters quantum_kernel(int qubits, double gap, std::size_t train, std::size_t test, std::uint64_t seed);
QuantumSets read_quantum_kernel(Reader& reader);

/// Set number `set` of a file, without a file. Throws DatasetError where the gap is met too rarely.
QuantumSet make_quantum_set(int qubits, double gap, std::size_t train, std::size_t test, std::uint64_t seed,
                            int set);
/// A matrix of the Haar measure on U(2^qubits), row-major, real and imaginary parts next to each other:
/// Gram-Schmidt on rows of complex Gaussians, which is the QR factorisation whose R has a positive diagonal
/// (Mezzadri 2007).
std::vector<double> haar_unitary(int qubits, std::uint64_t seed, std::uint64_t stream);

}  // namespace remeasure::datasets
