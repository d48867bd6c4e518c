// SPDX-License-Identifier: Apache-2.0
//
// Lines that enclose a function on an interval (Shi et al., "Robustness Verification for Transformers", ICLR
// 2020, section 3.3, as Faith's kernels have them): lower(l, u) <= f <= upper(l, u) on [l, u]. One formula
// for kernels and references; relaxation_test.cpp holds each line against its function on dense grids.
// Slopes of chords are written without the difference of two nearly equal values, so that an interval of
// rounding's width has the tangent and not noise.
#pragma once

#include <cmath>

#include "kernels/device/qualifiers.h"

namespace remeasure::kernels {

/// y = slope z + intercept
template <class T>
struct Line {
  T slope, intercept;
};

template <class T>
RM_HOST_DEVICE inline Line<T> line_through(T slope, T x, T y) {
  return {slope, y - slope * x};
}

struct ReluLines {
  template <class T>
  RM_HOST_DEVICE static T value(T x) {
    return x > 0 ? x : T(0);
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> lower(T l, T u) {
    return {l >= 0 ? T(1) : u <= 0 ? T(0) : u > -l ? T(1) : T(0), T(0)};
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> upper(T l, T u) {
    if (u <= 0) return {T(0), T(0)};
    if (l >= 0) return {T(1), T(0)};
    const T slope = u / (u - l);
    return {slope, -slope * l};
  }
};

struct TanhLines {
  template <class T>
  RM_HOST_DEVICE static T value(T x) {
    return std::tanh(x);
  }

  /// Over an interval with both signs: the tangent at d in (0, u] that passes above (l, tanh l), d by ten
  /// bisections from u, of which the end on the safe side is kept; the chord where not even the tangent at u
  /// does. All of it is computed for every interval: the threads of a warp rarely agree on the case.
  template <class T>
  RM_HOST_DEVICE static Line<T> upper(T l, T u) {
    const T at_l = std::tanh(l), at_u = std::tanh(u), middle = (l + u) / 2, at_middle = std::tanh(middle);
    const bool reaches = at_u - (1 - at_u * at_u) * (u - l) >= at_l;
    T unsafe = 0, safe = u, at_safe = at_u;
    for (int step = 0; step < 10; ++step) {
      const T d = (unsafe + safe) / 2, at_d = std::tanh(d);
      const bool above = at_d - (1 - at_d * at_d) * (d - l) >= at_l;
      unsafe = above ? unsafe : d;
      safe = above ? d : safe;
      at_safe = above ? at_d : at_safe;
    }
    if (l >= 0) return line_through(1 - at_middle * at_middle, middle, at_middle);
    if (u > 0 && reaches) return line_through(1 - at_safe * at_safe, safe, at_safe);
    const T width = u - l;  // tanh u - tanh l = tanh(u - l) (1 - tanh u tanh l)
    return line_through((width > 0 ? std::tanh(width) / width : T(1)) * (1 - at_l * at_u), l, at_l);
  }
  /// tanh is odd.
  template <class T>
  RM_HOST_DEVICE static Line<T> lower(T l, T u) {
    const Line<T> mirrored = upper(-u, -l);
    return {mirrored.slope, -mirrored.intercept};
  }
};

/// Of the exponential below 12, and of its tangent there beyond: bounds of scores can be that wide where the
/// scores aren't.
struct ExponentialLines {
  template <class T>
  RM_HOST_DEVICE static T value(T x) {
    const T y = std::exp(x < T(12) ? x : T(12));
    return x < T(12) ? y : y * (x - T(11));
  }
  /// The tangent touches within 0.99 of l: there it is at least 1/100 of the value, so that sums stay
  /// positive.
  template <class T>
  RM_HOST_DEVICE static Line<T> lower(T l, T u) {
    const T half = (l + u) / 2, near = l + T(0.99), m = half < near ? half : near;
    const T slope = std::exp(m < T(12) ? m : T(12));
    return line_through(slope, m, m < T(12) ? slope : slope * (m - T(11)));
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> upper(T l, T u) {
    const T twelve = 12, low = l < twelve ? l : twelve, high = u < twelve ? u : twelve;
    const T at_low = std::exp(low), beyond = (u < twelve ? twelve : u) - (l < twelve ? twelve : l);
    const T rise = at_low * std::expm1(high - low) + T(162754.791419003921) * beyond;  // e^12 beyond 12
    return line_through(u > l ? rise / (u - l) : at_low, l, l < twelve ? at_low : at_low * (l - T(11)));
  }
};

/// For 0 < l.
struct ReciprocalLines {
  template <class T>
  RM_HOST_DEVICE static T value(T x) {
    return 1 / x;
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> lower(T l, T u) {
    const T at = 2 / (l + u);
    return {-at * at, 2 * at};
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> upper(T l, T u) {
    const T at_l = 1 / l, at_u = 1 / u;
    return {-at_l * at_u, at_l + at_u};
  }
};

/// For 0 <= u; what of the interval lies below 0 is rounding's.
struct SquareRootLines {
  template <class T>
  RM_HOST_DEVICE static T value(T x) {
    return std::sqrt(x > 0 ? x : T(0));
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> lower(T l, T u) {
    if (!(u > 0)) return {T(0), T(0)};
    const T from = l > 0 ? l : T(0), at_l = std::sqrt(from);
    return line_through(1 / (std::sqrt(u) + at_l), from, at_l);
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> upper(T l, T u) {
    if (!(u > 0)) return {T(0), T(0)};
    const T at = std::sqrt(((l > 0 ? l : T(0)) + u) / 2);
    return {T(0.5) / at, T(0.5) * at};
  }
};

struct SquareLines {
  template <class T>
  RM_HOST_DEVICE static T value(T x) {
    return x * x;
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> lower(T l, T u) {
    const T middle = (l + u) / 2;
    return {2 * middle, -middle * middle};
  }
  template <class T>
  RM_HOST_DEVICE static Line<T> upper(T l, T u) {
    return {l + u, -l * u};
  }
};

/// z -> x y over x in [x_l, x_u], y in [y_l, y_u] (McCormick): lower = y_l x + x_l y - x_l y_l, upper = y_u x
/// + x_l y - x_l y_u. `of_x` and `of_y` are the factors of x and y.
template <class T>
struct Plane {
  T of_x, of_y, intercept;
};
template <class T>
RM_HOST_DEVICE inline Plane<T> product_lower(T x_lower, T y_lower) {
  return {y_lower, x_lower, -x_lower * y_lower};
}
template <class T>
RM_HOST_DEVICE inline Plane<T> product_upper(T x_lower, T y_upper) {
  return {y_upper, x_lower, -x_lower * y_upper};
}

/// run.operator()<Lines>() with the lines of a relaxation.
template <class Enum, class Run>
auto with_lines(Enum relaxation, const Run& run) {
  switch (relaxation) {
    case Enum::relu:
      return run.template operator()<ReluLines>();
    case Enum::tanh:
      return run.template operator()<TanhLines>();
    case Enum::exponential:
      return run.template operator()<ExponentialLines>();
    case Enum::reciprocal:
      return run.template operator()<ReciprocalLines>();
    case Enum::square_root:
      return run.template operator()<SquareRootLines>();
    case Enum::square:
      break;
  }
  return run.template operator()<SquareLines>();
}

}  // namespace remeasure::kernels
