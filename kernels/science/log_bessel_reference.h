// SPDX-License-Identifier: Apache-2.0
//
// The paper's method on a CPU, a template on the scalar (`float`, `double`): every expression as the paper
// writes it, in plain loops. This is the variant `method`; the independent oracle is log_bessel_oracle.h.
#pragma once

#include <span>

#include "kernels/science/log_bessel_branches.h"

namespace remeasure::kernels {

struct LogBesselTable {
  BranchTable table = BranchTable::full;
  MuGuard guard = MuGuard::paper;
};

/// ln I_v(x) and ln K_v(x). v >= 0, x >= 0; anything else, and NaN, gives NaN. ln I_0(0) = 0, ln I_v(0) =
/// -inf, ln K_v(0) = +inf.
template <class Scalar>
Scalar log_iv_reference(Scalar v, Scalar x, LogBesselTable table = {});
template <class Scalar>
Scalar log_kv_reference(Scalar v, Scalar x, LogBesselTable table = {});

/// Many points, on `threads` threads (>= 1). Throws std::invalid_argument where the sizes differ.
template <class Scalar>
void log_iv_reference(std::span<const Scalar> v, std::span<const Scalar> x, std::span<Scalar> out,
                      LogBesselTable table = {}, int threads = 1);
template <class Scalar>
void log_kv_reference(std::span<const Scalar> v, std::span<const Scalar> x, std::span<Scalar> out,
                      LogBesselTable table = {}, int threads = 1);

/// One expression, whatever the table says of (v, x): for tests and negative controls. v, x > 0, finite.
/// `terms` replaces the number of terms (mu, fallback I), polynomials (u) or Simpson intervals (fallback K);
/// 0 keeps it.
template <class Scalar>
Scalar log_iv_branch(BesselBranch branch, Scalar v, Scalar x, int terms = 0);
template <class Scalar>
Scalar log_kv_branch(BesselBranch branch, Scalar v, Scalar x, int terms = 0);

}  // namespace remeasure::kernels
