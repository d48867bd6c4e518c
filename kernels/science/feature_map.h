// SPDX-License-Identifier: Apache-2.0
//
// The quantum feature map of Havlicek et al., Nature 567 (2019), arXiv 1804.11326, as state vectors, and the
// kernel matrix of states. Complex numbers lie as pairs of floats, real part first: std::complex<float>,
// cuComplex and float2 alike.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/device.h"

namespace remeasure::kernels {

inline constexpr int kMostQubits = 24;

struct FeatureMapShape {
  int samples = 0, qubits = 0;
  std::size_t amplitudes() const { return std::size_t{1} << qubits; }
  std::size_t points() const { return static_cast<std::size_t>(samples) * static_cast<std::size_t>(qubits); }
  std::size_t values() const { return 2 * static_cast<std::size_t>(samples) * amplitudes(); }
};

/// states[s, :] = U(x_s) H U(x_s) H |0>, U(x) = exp(i sum_j x_j Z_j + i sum_{j<k} (pi - x_j)(pi - x_k) Z_j
/// Z_k).
///   x: [samples, qubits] in double;  states: [samples, 2^qubits] complex
/// Throws std::invalid_argument for sizes that don't fit and for more than kMostQubits.
template <class Target>
void feature_map(Stream<Target>& stream, const FeatureMapShape& shape, DeviceSpan<Target, const double> x,
                 DeviceSpan<Target, float> states);

/// The diagonal part of it alone, for a library's Hadamard transform: states *= U(x), or, first, states =
/// U(x) 2^-n, which has the factors of both transforms.
template <class Target>
void feature_phases(Stream<Target>& stream, const FeatureMapShape& shape, bool first,
                    DeviceSpan<Target, const double> x, DeviceSpan<Target, float> states);

/// What feature_map executes: operations, calls of sincos, and bytes of its launches.
struct FeatureMapWork {
  double flops = 0, special = 0, bytes = 0;
};
FeatureMapWork feature_map_work(const FeatureMapShape& shape);

struct GramShape {
  int rows = 0, columns = 0, qubits = 0;
  bool symmetric =
      false;  ///< the states of rows and columns are the same: half is computed, half is mirrored
  std::size_t amplitudes() const { return std::size_t{1} << qubits; }
  std::size_t entries() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }
};

/// How an entry of the kernel matrix is read off a machine: the frequency of the all-zero outcome in `shots`
/// runs of a circuit that is replaced by noise with probability 1 - (1 - depolarising)^2.
struct Measurement {
  int shots = 0;            ///< 0: the probability itself
  double depolarising = 0;  ///< for each of the two feature maps of the circuit
  std::uint64_t seed = 0;
  /// K' = keep K + noise_floor
  double keep() const { return (1 - depolarising) * (1 - depolarising); }
  double noise_floor(int qubits) const {
    return (1 - keep()) / static_cast<double>(std::size_t{1} << qubits);
  }
};

/// gram[r, c] = |sum_z a[r, z] conj(b[c, z])|^2, then measured.
///   a: [rows, 2^qubits] complex;  b: [columns, 2^qubits] complex (a again if symmetric);  gram: [rows,
///   columns]
template <class Target>
void gram_abs2(Stream<Target>& stream, const GramShape& shape, const Measurement& measurement,
               DeviceSpan<Target, const float> a, DeviceSpan<Target, const float> b,
               DeviceSpan<Target, float> gram);

struct GramWork {
  double flops = 0, bytes = 0;
};
GramWork gram_abs2_work(const GramShape& shape);

/// gram[r, c] = |product|^2 of a library's complex product: of all entries, or mirrored from those with r <=
/// c.
///   products: [rows, columns] complex
template <class Target>
void abs2_of_products(Stream<Target>& stream, const GramShape& shape,
                      DeviceSpan<Target, const float> products, DeviceSpan<Target, float> gram);

}  // namespace remeasure::kernels
