// SPDX-License-Identifier: Apache-2.0
//
// ln I_v(x) and ln K_v(x) in 113-bit arithmetic, by two formulas that the method under test doesn't use in
// this form and that hold for every v >= 0 and x > 0: slow, and right to more digits than a double has.
//   I: the power series (DLMF 10.25.2), summed both ways from its largest term.
//   K: K_v(x) = int_0^inf exp(-x cosh t) cosh(vt) dt (DLMF 10.32.9) by the trapezoid rule, which converges
//   exponentially.
#pragma once

namespace remeasure::kernels {

/// Rounded to double once, at the end. Throws std::domain_error unless v >= 0, x > 0, both finite.
double log_iv_oracle(double v, double x);
double log_kv_oracle(double v, double x);

/// The trapezoid with `refinement` times as many nodes: must not change the result (test), and what the step
/// rule is for.
double log_kv_oracle(double v, double x, double refinement);

}  // namespace remeasure::kernels
