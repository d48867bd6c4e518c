// SPDX-License-Identifier: Apache-2.0
//
// The four recurrent cells of FlashRNN (Poeppel, Beck, Hochreiter, ICLR 2025, section 3), one unit of one
// head: what a step does after the recurrent product, and its derivative. The same functions in kernels and
// references, a template on the scalar; `Math` supplies exp, log and tanh.
#pragma once

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

enum class Cell { elman, lstm, gru, slstm };

struct CellSizes {
  int inputs;     ///< gates that the input drives (Wx)
  int recurrent;  ///< gates that the hidden state drives (R)
  int biases;
  int states;  ///< the first is h
};

RM_HOST_DEVICE constexpr CellSizes sizes_of(Cell cell) {
  return cell == Cell::elman  ? CellSizes{1, 1, 1, 1}
         : cell == Cell::lstm ? CellSizes{4, 4, 4, 2}
         : cell == Cell::gru  ? CellSizes{3, 3, 4, 1}
                              : CellSizes{4, 4, 4, 4};
}

/// The first state that a step reads: h itself only in GRU, elsewhere it comes through the recurrent products
/// alone.
RM_HOST_DEVICE constexpr int first_carried(Cell cell) {
  return cell == Cell::gru ? 0 : 1;
}

constexpr const char* name_of(Cell cell) {
  return cell == Cell::elman ? "elman" : cell == Cell::lstm ? "lstm" : cell == Cell::gru ? "gru" : "slstm";
}

inline constexpr int kMostGates = 4;
inline constexpr int kMostStates = 4;

/// 1 / (1 + e^-x) and tanh by the one exponential that Math has.
template <class Math, class Scalar>
RM_HOST_DEVICE Scalar sigmoid(Scalar x) {
  return Math::divide(Scalar(1), Scalar(1) + Math::exp(-x));
}
template <class Math, class Scalar>
RM_HOST_DEVICE Scalar log_sigmoid(Scalar x) {
  return (x < Scalar(0) ? x : Scalar(0)) - Math::log(Scalar(1) + Math::exp(x < Scalar(0) ? x : -x));
}

template <Cell kCell>
struct CellStep;

/// h = tanh(g)
template <>
struct CellStep<Cell::elman> {
  /// `x`: inputs; `r`: recurrent products R h; `b`: biases; `s`: states, replaced by the next ones.
  template <class Math, class Scalar>
  RM_HOST_DEVICE static void forward(const Scalar* x, const Scalar* r, const Scalar* b, Scalar* s) {
    s[0] = Math::tanh(x[0] + r[0] + b[0]);
  }
  /// `before`, `after`: states around the step; `ds`: gradient of the states after it, replaced by that of
  /// those before it, less what comes through r; `dx`, `dr`: gradients of inputs and recurrent products.
  template <class Math, class Scalar>
  RM_HOST_DEVICE static void backward(const Scalar*, const Scalar*, const Scalar*, const Scalar*,
                                      const Scalar* after, Scalar* ds, Scalar* dx, Scalar* dr) {
    dx[0] = dr[0] = ds[0] * (Scalar(1) - after[0] * after[0]);
    ds[0] = Scalar(0);
  }
};

/// Gates i, f, z, o:  c = sig(f) c + sig(i) tanh(z);  h = sig(o) tanh(c)
template <>
struct CellStep<Cell::lstm> {
  template <class Math, class Scalar>
  RM_HOST_DEVICE static void forward(const Scalar* x, const Scalar* r, const Scalar* b, Scalar* s) {
    const Scalar i = sigmoid<Math>(x[0] + r[0] + b[0]), f = sigmoid<Math>(x[1] + r[1] + b[1]);
    const Scalar z = Math::tanh(x[2] + r[2] + b[2]), o = sigmoid<Math>(x[3] + r[3] + b[3]);
    s[1] = f * s[1] + i * z;
    s[0] = o * Math::tanh(s[1]);
  }
  template <class Math, class Scalar>
  RM_HOST_DEVICE static void backward(const Scalar* x, const Scalar* r, const Scalar* b, const Scalar* before,
                                      const Scalar* after, Scalar* ds, Scalar* dx, Scalar* dr) {
    const Scalar i = sigmoid<Math>(x[0] + r[0] + b[0]), f = sigmoid<Math>(x[1] + r[1] + b[1]);
    const Scalar z = Math::tanh(x[2] + r[2] + b[2]), o = sigmoid<Math>(x[3] + r[3] + b[3]);
    const Scalar tanh_c = Math::tanh(after[1]);
    const Scalar dc = ds[1] + ds[0] * o * (Scalar(1) - tanh_c * tanh_c);
    dx[0] = dr[0] = dc * z * i * (Scalar(1) - i);
    dx[1] = dr[1] = dc * before[1] * f * (Scalar(1) - f);
    dx[2] = dr[2] = dc * i * (Scalar(1) - z * z);
    dx[3] = dr[3] = ds[0] * tanh_c * o * (Scalar(1) - o);
    ds[0] = Scalar(0);
    ds[1] = dc * f;
  }
};

/// Recurrent gates g, r, u, input gates r, u, n, biases of g, r, u, n:
/// r = sig(Wx0 + R1 h + b1);  u = sig(Wx1 + R2 h + b2);  h = u h + (1 - u) tanh(Wx2 + b3 + r (R0 h + b0))
template <>
struct CellStep<Cell::gru> {
  template <class Math, class Scalar>
  RM_HOST_DEVICE static void forward(const Scalar* x, const Scalar* r, const Scalar* b, Scalar* s) {
    const Scalar reset = sigmoid<Math>(x[0] + r[1] + b[1]), update = sigmoid<Math>(x[1] + r[2] + b[2]);
    const Scalar next = Math::tanh(x[2] + b[3] + reset * (r[0] + b[0]));
    s[0] = update * s[0] + (Scalar(1) - update) * next;
  }
  template <class Math, class Scalar>
  RM_HOST_DEVICE static void backward(const Scalar* x, const Scalar* r, const Scalar* b, const Scalar* before,
                                      const Scalar*, Scalar* ds, Scalar* dx, Scalar* dr) {
    const Scalar reset = sigmoid<Math>(x[0] + r[1] + b[1]), update = sigmoid<Math>(x[1] + r[2] + b[2]);
    const Scalar recurrent = r[0] + b[0];
    const Scalar next = Math::tanh(x[2] + b[3] + reset * recurrent);
    const Scalar dn = ds[0] * (Scalar(1) - update) * (Scalar(1) - next * next);
    dx[0] = dr[1] = dn * recurrent * reset * (Scalar(1) - reset);
    dx[1] = dr[2] = ds[0] * (before[0] - next) * update * (Scalar(1) - update);
    dx[2] = dn;
    dr[0] = dn * reset;
    ds[0] = ds[0] * update;
  }
};

/// Gates i, f, z, o, states h, c, n, m; all exponents are relative to m:
///   l = log sig(f) + m;  m' = (n == 0) ? i : max(i, l);  c = e^(l - m') c + e^(i - m') tanh(z)
///   n = max(e^(l - m') n + e^(i - m'), 1);  h = sig(o) c / n
/// The authors ask whether n is 0 in the whole tensor; here each element is asked, so that entries don't
/// depend on each other.
template <>
struct CellStep<Cell::slstm> {
  template <class Math, class Scalar>
  RM_HOST_DEVICE static void forward(const Scalar* x, const Scalar* r, const Scalar* b, Scalar* s) {
    const Scalar i = x[0] + r[0] + b[0];
    const Scalar z = Math::tanh(x[2] + r[2] + b[2]), o = sigmoid<Math>(x[3] + r[3] + b[3]);
    const Scalar l = log_sigmoid<Math>(x[1] + r[1] + b[1]) + s[3];
    s[3] = s[2] == Scalar(0) || i > l ? i : l;
    const Scalar gain = Math::exp(i - s[3]), keep = Math::exp(l - s[3]);
    s[1] = keep * s[1] + gain * z;
    const Scalar n = keep * s[2] + gain;
    s[2] = n > Scalar(1) ? n : Scalar(1);
    s[0] = Math::divide(o * s[1], s[2]);
  }
  template <class Math, class Scalar>
  RM_HOST_DEVICE static void backward(const Scalar* x, const Scalar* r, const Scalar* b, const Scalar* before,
                                      const Scalar* after, Scalar* ds, Scalar* dx, Scalar* dr) {
    const Scalar i = x[0] + r[0] + b[0], f = x[1] + r[1] + b[1];
    const Scalar z = Math::tanh(x[2] + r[2] + b[2]), o = sigmoid<Math>(x[3] + r[3] + b[3]);
    const Scalar l = log_sigmoid<Math>(f) + before[3];
    const bool from_input = before[2] == Scalar(0) || i > l;
    // Not the stored m, whose 16 bits would put an n of exactly 1 above its limit.
    const Scalar m = from_input ? i : l;
    const Scalar gain = Math::exp(i - m), keep = Math::exp(l - m);
    const Scalar ratio = Math::divide(after[1], after[2]);
    const Scalar dratio = ds[0] * o;
    const Scalar dc = ds[1] + Math::divide(dratio, after[2]);
    const Scalar dn_out = ds[2] - Math::divide(dratio * ratio, after[2]);
    const Scalar dn = keep * before[2] + gain > Scalar(1) ? dn_out : Scalar(0);
    const Scalar dgain = (dn + dc * z) * gain, dkeep = (dn * before[2] + dc * before[1]) * keep;
    const Scalar dm = ds[3] - dgain - dkeep;
    const Scalar dl = dkeep + (from_input ? Scalar(0) : dm);
    dx[0] = dr[0] = dgain + (from_input ? dm : Scalar(0));
    dx[1] = dr[1] = dl * sigmoid<Math>(-f);
    dx[2] = dr[2] = dc * gain * (Scalar(1) - z * z);
    dx[3] = dr[3] = ds[0] * ratio * o * (Scalar(1) - o);
    ds[0] = Scalar(0);
    ds[1] = dc * keep;
    ds[2] = dn * keep;
    ds[3] = dl;
  }
};

}  // namespace remeasure::kernels
