// SPDX-License-Identifier: Apache-2.0
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12's own AVX-512 header, inside Eigen
#endif
#include <Eigen/Dense>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "baselines/science/quantum_states.h"

namespace remeasure::baselines {
namespace {

using States = Eigen::MatrixXcf;  // a column per sample

/// H on every qubit: the Kronecker power of [[1, 1], [1, -1]] / sqrt(2).
Eigen::MatrixXcf hadamard_matrix(int qubits) {
  Eigen::MatrixXf matrix = Eigen::MatrixXf::Ones(1, 1);
  for (int i = 0; i < qubits; ++i) {
    Eigen::MatrixXf larger(2 * matrix.rows(), 2 * matrix.cols());
    larger << matrix, matrix, matrix, -matrix;
    matrix = larger / std::numbers::sqrt2_v<float>;
  }
  return matrix.cast<std::complex<float>>();
}

}  // namespace

void feature_map_eigen(const FeatureMapShape& shape, std::span<const double> x,
                       std::span<std::complex<float>> states) {
  if (shape.qubits < 1 || shape.qubits > kMostExplicitQubits || x.size() != shape.points() ||
      2 * states.size() != shape.values()) {
    throw std::invalid_argument("feature_map_eigen: arrays don't fit the shape, or too many qubits");
  }
  const auto size = static_cast<Eigen::Index>(shape.amplitudes());
  const Eigen::MatrixXcf hadamard = hadamard_matrix(shape.qubits);
  States diagonal(size, shape.samples);
  for (int s = 0; s < shape.samples; ++s) {
    const double* angle = x.data() + static_cast<std::ptrdiff_t>(s) * shape.qubits;
    for (Eigen::Index z = 0; z < size; ++z) {
      const auto sign = [z](int i) { return (z >> i & 1) != 0 ? -1.0 : 1.0; };
      double phase = 0;
      for (int i = 0; i < shape.qubits; ++i) {
        phase += angle[i] * sign(i);
        for (int j = i + 1; j < shape.qubits; ++j) {
          phase += (std::numbers::pi - angle[i]) * (std::numbers::pi - angle[j]) * sign(i) * sign(j);
        }
      }
      diagonal(z, s) = std::complex<float>(std::polar(1.0, phase));
    }
  }
  Eigen::Map<States> result(states.data(), size, shape.samples);
  const float uniform = std::exp2(-0.5f * static_cast<float>(shape.qubits));  // H |0>
  result.noalias() = hadamard * (diagonal * uniform);
  result = result.cwiseProduct(diagonal);
}

double explicit_unitary_bytes(int qubits) {
  return 16 * std::exp2(2.0 * qubits);
}

void gram_eigen(const GramShape& shape, std::span<const std::complex<float>> a,
                std::span<const std::complex<float>> b, std::span<float> gram) {
  if (a.size() != static_cast<std::size_t>(shape.rows) * shape.amplitudes() ||
      gram.size() != shape.entries() ||
      b.size() != static_cast<std::size_t>(shape.columns) * shape.amplitudes()) {
    throw std::invalid_argument("gram_eigen: arrays don't fit the shape");
  }
  const auto size = static_cast<Eigen::Index>(shape.amplitudes());
  const Eigen::Map<const States> left(a.data(), size, shape.rows), right(b.data(), size, shape.columns);
  // Column-major [columns, rows] is row-major [rows, columns].
  Eigen::Map<Eigen::MatrixXf>(gram.data(), shape.columns, shape.rows) = (right.adjoint() * left).cwiseAbs2();
}

}  // namespace remeasure::baselines
