// SPDX-License-Identifier: Apache-2.0
#include "kernels/science/feature_map_reference.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "kernels/parallel_tasks.h"
#include "kernels/science/binomial_draw.h"
#include "kernels/science/state_vector.h"

namespace remeasure::kernels {
namespace {

void check(bool fits, const char* what) {
  if (!fits) throw std::invalid_argument(std::string(what) + ": arrays don't fit the shape");
}

/// One thread where starting others takes longer than the work.
int threads_for(int asked, double operations) {
  return asked == 0 && operations < 1e6 ? 1 : asked;
}

}  // namespace

std::vector<double> feature_phases_reference(std::span<const double> x) {
  check(!x.empty() && x.size() <= kMostQubits, "feature_phases_reference");
  std::vector<double> phase(std::size_t{1} << x.size()),
      field(phase.size());  // field: sum (pi - x_j) Z_j of the qubits so far
  for (std::size_t k = 0; k < x.size(); ++k) {
    const std::size_t size = std::size_t{1} << k;
    const double distance = std::numbers::pi - x[k];
    for (std::size_t z = 0; z < size; ++z) {
      const double term = x[k] + distance * field[z];  // of Z_k = +1: alone, and with every earlier qubit
      phase[z + size] = phase[z] - term;
      phase[z] += term;
      field[z + size] = field[z] - distance;
      field[z] += distance;
    }
  }
  return phase;
}

template <class Scalar>
void feature_map_reference(const FeatureMapShape& shape, std::span<const double> x,
                           std::span<std::complex<Scalar>> states, int threads) {
  check(x.size() == shape.points() && 2 * states.size() == shape.values(), "feature_map_reference");
  const std::size_t size = shape.amplitudes(), n = static_cast<std::size_t>(shape.qubits);
  const int workers = threads_for(threads, 20 * static_cast<double>(shape.values()));
  for_each_row_block(shape.samples, 1, workers, [&](int sample, int, int) {
    const auto at = static_cast<std::size_t>(sample);
    const std::vector<double> phase = feature_phases_reference(x.subspan(at * n, n));
    const std::span<std::complex<Scalar>> state = states.subspan(at * size, size);
    std::vector<std::complex<Scalar>> factor(size);
    const auto scale = static_cast<Scalar>(std::exp2(-0.5 * shape.qubits));
    for (std::size_t z = 0; z < size; ++z) {
      const auto reduced = static_cast<Scalar>(std::remainder(phase[z], 2 * std::numbers::pi));
      factor[z] = {std::cos(reduced), std::sin(reduced)};
      state[z] = scale * factor[z];
    }
    hadamard_all(state);
    for (std::size_t z = 0; z < size; ++z) {
      const std::complex<Scalar> a = state[z], f = factor[z];
      state[z] = {a.real() * f.real() - a.imag() * f.imag(), a.real() * f.imag() + a.imag() * f.real()};
    }
  });
}

template <class Scalar>
void gram_reference(const GramShape& shape, std::span<const std::complex<Scalar>> a,
                    std::span<const std::complex<Scalar>> b, std::span<Scalar> gram, int threads) {
  using States = Eigen::Matrix<std::complex<Scalar>, Eigen::Dynamic, Eigen::Dynamic>;  // a column per state
  const auto size = static_cast<Eigen::Index>(shape.amplitudes());
  check(a.size() == static_cast<std::size_t>(shape.rows) * shape.amplitudes() &&
            gram.size() == shape.entries() &&
            b.size() == static_cast<std::size_t>(shape.columns) * shape.amplitudes(),
        "gram_reference");
  const Eigen::Map<const States> left(a.data(), size, shape.rows), right(b.data(), size, shape.columns);
  constexpr int kBlock = 64;
  const double products = 4 * static_cast<double>(shape.entries()) * static_cast<double>(shape.amplitudes());
  for_each_row_block(
      (shape.rows + kBlock - 1) / kBlock, 1, threads_for(threads, products), [&](int block, int, int) {
        const int first = block * kBlock, rows = std::min(kBlock, shape.rows - first);
        const int from = shape.symmetric ? first : 0;
        const States product = left.middleCols(first, rows).adjoint() * right.rightCols(shape.columns - from);
        for (int r = 0; r < rows; ++r) {
          for (int c = from; c < shape.columns; ++c) {
            if (shape.symmetric && c < first + r) continue;
            const Scalar value = std::norm(product(r, c - from));
            const auto entry = [&](int row, int column) {
              return static_cast<std::size_t>(row) * static_cast<std::size_t>(shape.columns) +
                     static_cast<std::size_t>(column);
            };
            gram[entry(first + r, c)] = value;
            if (shape.symmetric) gram[entry(c, first + r)] = value;
          }
        }
      });
}

template <class Scalar>
double gram_entry(std::span<const std::complex<Scalar>> a, std::span<const std::complex<Scalar>> b) {
  check(a.size() == b.size(), "gram_entry");
  double re = 0, im = 0;
  for (std::size_t z = 0; z < a.size(); ++z) {
    const double ar = static_cast<double>(a[z].real()), ai = static_cast<double>(a[z].imag());
    const double br = static_cast<double>(b[z].real()), bi = static_cast<double>(b[z].imag());
    re += ar * br + ai * bi;
    im += ai * br - ar * bi;
  }
  return re * re + im * im;
}

std::vector<double> measured_gram(const GramShape& shape, const Measurement& measurement,
                                  std::span<const double> gram) {
  check(gram.size() == shape.entries(), "measured_gram");
  std::vector<double> result(gram.begin(), gram.end());
  const auto columns = static_cast<std::size_t>(shape.columns);
  for (std::size_t entry = 0; entry < result.size(); ++entry) {
    const std::size_t row = entry / columns, column = entry % columns;
    const std::uint64_t drawn = shape.symmetric && row > column ? column * columns + row : entry;
    result[entry] = measurement.keep() * result[entry] + measurement.noise_floor(shape.qubits);
    if (measurement.shots > 0) {
      result[entry] = binomial_draw(measurement.shots, result[entry], measurement.seed, drawn) /
                      static_cast<double>(measurement.shots);
    }
  }
  return result;
}

template void feature_map_reference(const FeatureMapShape&, std::span<const double>,
                                    std::span<std::complex<float>>, int);
template void feature_map_reference(const FeatureMapShape&, std::span<const double>,
                                    std::span<std::complex<double>>, int);
template void gram_reference(const GramShape&, std::span<const std::complex<float>>,
                             std::span<const std::complex<float>>, std::span<float>, int);
template void gram_reference(const GramShape&, std::span<const std::complex<double>>,
                             std::span<const std::complex<double>>, std::span<double>, int);
template double gram_entry(std::span<const std::complex<float>>, std::span<const std::complex<float>>);
template double gram_entry(std::span<const std::complex<double>>, std::span<const std::complex<double>>);

}  // namespace remeasure::kernels
