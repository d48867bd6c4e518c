// SPDX-License-Identifier: Apache-2.0
//
// A support vector machine on a given kernel matrix, by sequential minimal optimisation (Platt 1998; the
// choice of pairs is that of Fan, Chen, Lin, "Working set selection using second order information", JMLR
// 2005).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace remeasure::kernels {

struct SupportVectorOptions {
  double penalty = 1e4;     ///< C: 0 <= alpha_i <= C
  double tolerance = 1e-6;  ///< of the Karush-Kuhn-Tucker conditions
  std::size_t most_steps = 2'000'000;
};

/// max_alpha sum alpha_i - 1/2 sum alpha_i alpha_j y_i y_j K_ij,  sum alpha_i y_i = 0.
struct SupportVectorMachine {
  std::vector<double> alpha;  ///< of each training point
  double bias = 0;
  std::size_t steps = 0;
  bool converged = false;
};

/// gram: [m, m], positive semidefinite; label: [m], +1 or -1, both at least once. Throws
/// std::invalid_argument else.
SupportVectorMachine train_support_vectors(std::span<const double> gram, std::span<const std::int8_t> label,
                                           const SupportVectorOptions& options = {});

/// sum_i alpha_i y_i K(x_i, s) + bias for each s.  cross: [points, m]
std::vector<double> decide(const SupportVectorMachine& machine, std::span<const double> cross,
                           std::span<const std::int8_t> label);

/// How far a machine is from the optimum, from the definitions alone.
struct Optimality {
  double violation = 0;  ///< of the KKT conditions: the largest slope between two points that may still move
  double primal = 0, dual = 0;  ///< objectives; primal - dual >= 0
};
Optimality optimality(const SupportVectorMachine& machine, std::span<const double> gram,
                      std::span<const std::int8_t> label, double penalty);

/// The nearest positive semidefinite matrix: negative eigenvalues become 0. gram: [m, m], symmetric.
std::vector<double> clip_to_semidefinite(std::span<const double> gram, std::size_t m);
double smallest_eigenvalue(std::span<const double> gram, std::size_t m);

/// exp(-gamma |x_r - x_c|^2).  a: [rows, dims], b: [columns, dims]
std::vector<double> radial_gram(std::span<const double> a, std::span<const double> b, std::size_t dims,
                                double gamma);

}  // namespace remeasure::kernels
