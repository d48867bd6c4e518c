// SPDX-License-Identifier: Apache-2.0
//
// The quantum feature map and its kernel matrix as a user without a simulator writes them: explicit matrices
// of 2^n x 2^n, and the products of a library. (cuStateVec isn't part of the CUDA toolkit.)
#pragma once

#include <complex>
#include <memory>
#include <span>
#include <string>

#include "kernels/science/feature_map.h"

namespace remeasure::baselines {

using kernels::FeatureMapShape;
using kernels::GramShape;

inline constexpr int kMostExplicitQubits = 12;  ///< the Hadamard matrix is then 128 MiB
inline constexpr int kMostVendorQubits = 10;    ///< 8 MiB

/// H as a Kronecker power, times all states at once, twice; phases pair by pair. Up to kMostExplicitQubits.
///   x: [samples, qubits];  states: [samples, 2^qubits]
void feature_map_eigen(const FeatureMapShape& shape, std::span<const double> x,
                       std::span<std::complex<float>> states);

/// Bytes of the matrices that a sample's whole unitary would take: 16 4^n (double precision), against 8 2^n
/// for its state.
double explicit_unitary_bytes(int qubits);

/// |S^+ S|^2 entry by entry: Eigen's product of all with all, in one matrix.
void gram_eigen(const GramShape& shape, std::span<const std::complex<float>> a,
                std::span<const std::complex<float>> b, std::span<float> gram);

/// The same by cuBLAS: phases by feature_phases, Hadamard transforms by cublasCgemm with the matrix of H. Up
/// to kMostVendorQubits. Only in builds with the CUDA toolkit.
class CublasFeatureMap {
 public:
  CublasFeatureMap(Stream<Cuda>& stream, const FeatureMapShape& shape);
  ~CublasFeatureMap();
  CublasFeatureMap(const CublasFeatureMap&) = delete;
  CublasFeatureMap& operator=(const CublasFeatureMap&) = delete;

  void operator()(DeviceSpan<Cuda, const double> x, DeviceSpan<Cuda, float> states);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// cublasCherk (symmetric) or cublasCgemm, then |.|^2 by a kernel. `tf32` lets cuBLAS round to TF32: faster,
/// errors of 1e-4.
class CublasGram {
 public:
  CublasGram(Stream<Cuda>& stream, const GramShape& shape, bool tf32 = false);
  ~CublasGram();
  CublasGram(const CublasGram&) = delete;
  CublasGram& operator=(const CublasGram&) = delete;

  void operator()(DeviceSpan<Cuda, const float> a, DeviceSpan<Cuda, const float> b,
                  DeviceSpan<Cuda, float> gram);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::baselines
