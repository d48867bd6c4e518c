// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/state_vector.h"

#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>

namespace remeasure::kernels {
namespace {

std::size_t bit_of(std::size_t amplitudes, int qubit) {
  const int qubits = qubits_of(amplitudes);
  if (qubit < 0 || qubit >= qubits) {
    throw std::invalid_argument("state vector: qubit " + std::to_string(qubit) + " of " +
                                std::to_string(qubits));
  }
  return std::size_t{1} << qubit;
}

}  // namespace

QubitGate phase_rotation(double angle) {
  return {std::polar(1.0, angle / 2), 0, 0, std::polar(1.0, -angle / 2)};
}

QubitGate plane_rotation(double angle) {
  const double c = std::cos(angle / 2), s = std::sin(angle / 2);  // i Y is [[0, 1], [-1, 0]]
  return {c, s, -s, c};
}

QubitGate after(const QubitGate& second, const QubitGate& first) {
  return {second[0] * first[0] + second[1] * first[2], second[0] * first[1] + second[1] * first[3],
          second[2] * first[0] + second[3] * first[2], second[2] * first[1] + second[3] * first[3]};
}

int qubits_of(std::size_t amplitudes) {
  if (!std::has_single_bit(amplitudes)) {
    throw std::invalid_argument("state vector: " + std::to_string(amplitudes) +
                                " amplitudes are no power of two");
  }
  return std::countr_zero(amplitudes);
}

template <class Scalar>
std::vector<std::complex<Scalar>> basis_state(int qubits, std::size_t state) {
  if (qubits < 0 || qubits > 30 || state >> qubits != 0) {
    throw std::invalid_argument("state vector: basis state " + std::to_string(state) + " of " +
                                std::to_string(qubits) + " qubits; there may be 0 to 30");
  }
  std::vector<std::complex<Scalar>> result(std::size_t{1} << qubits);
  result[state] = 1;
  return result;
}

template <class Scalar>
void hadamard_all(std::span<std::complex<Scalar>> state) {
  const int qubits = qubits_of(state.size());
  for (std::size_t half = 1; half < state.size(); half *= 2) {
    for (std::size_t first = 0; first < state.size(); first += 2 * half) {
      std::complex<Scalar>* const low = state.data() + first;
      std::complex<Scalar>* const high = low + half;
      for (std::size_t z = 0; z < half; ++z) {
        const std::complex<Scalar> a = low[z], b = high[z];
        low[z] = a + b;
        high[z] = a - b;
      }
    }
  }
  const auto scale = static_cast<Scalar>(std::exp2(-0.5 * qubits));
  for (std::complex<Scalar>& amplitude : state) amplitude *= scale;
}

template <class Scalar>
void apply_gate(std::span<std::complex<Scalar>> state, int qubit, const QubitGate& gate) {
  const std::size_t bit = bit_of(state.size(), qubit);
  std::array<Scalar, 4> re, im;
  for (std::size_t i = 0; i < 4; ++i) {
    re[i] = static_cast<Scalar>(gate[i].real());
    im[i] = static_cast<Scalar>(gate[i].imag());
  }
  for (std::size_t first = 0; first < state.size(); first += 2 * bit) {
    for (std::size_t z = first; z < first + bit; ++z) {
      const std::complex<Scalar> a = state[z], b = state[z + bit];
      state[z] = {re[0] * a.real() - im[0] * a.imag() + re[1] * b.real() - im[1] * b.imag(),
                  re[0] * a.imag() + im[0] * a.real() + re[1] * b.imag() + im[1] * b.real()};
      state[z + bit] = {re[2] * a.real() - im[2] * a.imag() + re[3] * b.real() - im[3] * b.imag(),
                        re[2] * a.imag() + im[2] * a.real() + re[3] * b.imag() + im[3] * b.real()};
    }
  }
}

template <class Scalar>
void apply_controlled_z(std::span<std::complex<Scalar>> state, int qubit, int other) {
  const std::size_t both = bit_of(state.size(), qubit) | bit_of(state.size(), other);
  if (qubit == other) throw std::invalid_argument("state vector: a controlled Z needs two different qubits");
  for (std::size_t z = 0; z < state.size(); ++z) {
    if ((z & both) == both) state[z] = -state[z];
  }
}

template <class Scalar>
double parity_expectation(std::span<const std::complex<Scalar>> state) {
  qubits_of(state.size());
  double sum = 0;
  for (std::size_t z = 0; z < state.size(); ++z) {
    const double re = static_cast<double>(state[z].real()), im = static_cast<double>(state[z].imag());
    sum += std::popcount(z) % 2 == 0 ? re * re + im * im : -(re * re + im * im);
  }
  return sum;
}

template std::vector<std::complex<float>> basis_state<float>(int, std::size_t);
template std::vector<std::complex<double>> basis_state<double>(int, std::size_t);
template void hadamard_all(std::span<std::complex<float>>);
template void hadamard_all(std::span<std::complex<double>>);
template void apply_gate(std::span<std::complex<float>>, int, const QubitGate&);
template void apply_gate(std::span<std::complex<double>>, int, const QubitGate&);
template void apply_controlled_z(std::span<std::complex<float>>, int, int);
template void apply_controlled_z(std::span<std::complex<double>>, int, int);
template double parity_expectation(std::span<const std::complex<float>>);
template double parity_expectation(std::span<const std::complex<double>>);

}  // namespace remeasure::kernels
