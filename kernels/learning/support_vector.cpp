// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/support_vector.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace remeasure::kernels {
namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void check_training(std::span<const double> gram, std::span<const std::int8_t> label) {
  const std::size_t m = label.size();
  bool labels = true, plus = false, minus = false;
  for (const std::int8_t y : label) {
    labels = labels && (y == 1 || y == -1);
    plus = plus || y == 1;
    minus = minus || y == -1;
  }
  if (gram.size() != m * m || !labels || !plus || !minus) {
    throw std::invalid_argument("support vectors: " + std::to_string(gram.size()) +
                                " entries of the kernel matrix for " + std::to_string(m) +
                                " labels; they must be +1 and -1, both of them");
  }
}

/// Whether alpha_i may still go the way that raises y_i times its decision (`up`) or lowers it.
bool may_move(double alpha, std::int8_t y, double penalty, bool up) {
  return (y > 0) == up ? alpha < penalty : alpha > 0;
}

Eigen::SelfAdjointEigenSolver<RowMatrix> eigen_of(std::span<const double> gram, std::size_t m, int what) {
  if (gram.size() != m * m || m == 0)
    throw std::invalid_argument("kernel matrix: " + std::to_string(gram.size()) + " entries, side " +
                                std::to_string(m));
  const auto side = static_cast<Eigen::Index>(m);
  return Eigen::SelfAdjointEigenSolver<RowMatrix>(Eigen::Map<const RowMatrix>(gram.data(), side, side), what);
}

}  // namespace

SupportVectorMachine train_support_vectors(std::span<const double> gram, std::span<const std::int8_t> label,
                                           const SupportVectorOptions& options) {
  check_training(gram, label);
  const std::size_t m = label.size();
  const auto k = [&](std::size_t i, std::size_t j) { return gram[i * m + j]; };
  const double penalty = options.penalty;
  SupportVectorMachine machine;
  machine.alpha.assign(m, 0.0);
  std::vector<double>& alpha = machine.alpha;
  std::vector<double> slope(m);  // y_i (1 - y_i sum_j alpha_j y_j K_ij) = y_i - decision without bias
  for (std::size_t i = 0; i < m; ++i) slope[i] = label[i];
  double highest = 0, lowest = 0;
  for (; machine.steps < options.most_steps; ++machine.steps) {
    std::size_t up = m;
    highest = -std::numeric_limits<double>::infinity();
    lowest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < m; ++i) {
      if (may_move(alpha[i], label[i], penalty, true) && slope[i] > highest) highest = slope[i], up = i;
    }
    // The partner that gains most by the exact step of the pair.
    std::size_t down = m;
    double gain = -1;
    for (std::size_t j = 0; j < m; ++j) {
      if (!may_move(alpha[j], label[j], penalty, false)) continue;
      lowest = std::min(lowest, slope[j]);
      const double difference = highest - slope[j];
      if (difference <= 0) continue;
      const double curvature = std::max(k(up, up) + k(j, j) - 2 * k(up, j), 1e-12);
      if (difference * difference / curvature > gain) gain = difference * difference / curvature, down = j;
    }
    if (highest - lowest < options.tolerance || down == m) {
      machine.converged = true;
      break;
    }
    const double curvature = std::max(k(up, up) + k(down, down) - 2 * k(up, down), 1e-12);
    const double room_up = label[up] > 0 ? penalty - alpha[up] : alpha[up];
    const double room_down = label[down] > 0 ? alpha[down] : penalty - alpha[down];
    const double step = std::min({(slope[up] - slope[down]) / curvature, room_up, room_down});
    const auto move = [&](std::size_t i, double by,
                          double room) {  // exactly to a bound where the step ends there
      const bool rises = label[i] * by > 0;
      alpha[i] = std::abs(by) >= room ? (rises ? penalty : 0) : alpha[i] + label[i] * by;
    };
    move(up, step, room_up);
    move(down, -step, room_down);
    for (std::size_t i = 0; i < m; ++i) slope[i] -= step * (k(i, up) - k(i, down));
  }
  // Free support vectors have y_i - decision = bias; without any it lies between the ends.
  double sum = 0;
  std::size_t free = 0;
  for (std::size_t i = 0; i < m; ++i) {
    if (alpha[i] > 0 && alpha[i] < penalty) sum += slope[i], ++free;
  }
  machine.bias = free > 0 ? sum / static_cast<double>(free) : (highest + lowest) / 2;
  return machine;
}

std::vector<double> decide(const SupportVectorMachine& machine, std::span<const double> cross,
                           std::span<const std::int8_t> label) {
  const std::size_t m = label.size();
  if (machine.alpha.size() != m || m == 0 || cross.size() % m != 0) {
    throw std::invalid_argument("support vectors: " + std::to_string(cross.size()) + " kernel values of " +
                                std::to_string(m) + " training points");
  }
  std::vector<double> result(cross.size() / m, machine.bias);
  for (std::size_t s = 0; s < result.size(); ++s) {
    for (std::size_t i = 0; i < m; ++i) result[s] += machine.alpha[i] * label[i] * cross[s * m + i];
  }
  return result;
}

Optimality optimality(const SupportVectorMachine& machine, std::span<const double> gram,
                      std::span<const std::int8_t> label, double penalty) {
  check_training(gram, label);
  const std::vector<double> decision = decide(machine, gram, label);
  Optimality result;
  double highest = -std::numeric_limits<double>::infinity(), lowest = -highest, quadratic = 0, sum = 0,
         losses = 0;
  for (std::size_t i = 0; i < label.size(); ++i) {
    const double y = label[i], plain = decision[i] - machine.bias, alpha = machine.alpha[i];
    if (may_move(alpha, label[i], penalty, true)) highest = std::max(highest, y - plain);
    if (may_move(alpha, label[i], penalty, false)) lowest = std::min(lowest, y - plain);
    quadratic += alpha * y * plain;
    sum += alpha;
    losses += std::max(0.0, 1 - y * decision[i]);
  }
  result.violation = std::max(0.0, highest - lowest);
  result.primal = quadratic / 2 + penalty * losses;
  result.dual = sum - quadratic / 2;
  return result;
}

std::vector<double> clip_to_semidefinite(std::span<const double> gram, std::size_t m) {
  const auto eigen = eigen_of(gram, m, Eigen::ComputeEigenvectors);
  const RowMatrix vectors = eigen.eigenvectors();
  const RowMatrix clipped = vectors * eigen.eigenvalues().cwiseMax(0).asDiagonal() * vectors.transpose();
  std::vector<double> result(m * m);
  const auto side = static_cast<Eigen::Index>(m);
  Eigen::Map<RowMatrix>(result.data(), side, side) = (clipped + clipped.transpose()) / 2;
  return result;
}

double smallest_eigenvalue(std::span<const double> gram, std::size_t m) {
  return eigen_of(gram, m, Eigen::EigenvaluesOnly).eigenvalues()(0);
}

std::vector<double> radial_gram(std::span<const double> a, std::span<const double> b, std::size_t dims,
                                double gamma) {
  if (dims == 0 || a.size() % dims != 0 || b.size() % dims != 0) {
    throw std::invalid_argument("radial_gram: " + std::to_string(a.size()) + " and " +
                                std::to_string(b.size()) + " values of " + std::to_string(dims) +
                                " dimensions");
  }
  const std::size_t rows = a.size() / dims, columns = b.size() / dims;
  std::vector<double> gram(rows * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      double squares = 0;
      for (std::size_t d = 0; d < dims; ++d)
        squares += (a[r * dims + d] - b[c * dims + d]) * (a[r * dims + d] - b[c * dims + d]);
      gram[r * columns + c] = std::exp(-gamma * squares);
    }
  }
  return gram;
}

}  // namespace remeasure::kernels
