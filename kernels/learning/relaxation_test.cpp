// SPDX-License-Identifier: Apache-2.0
//
// Every line against its function on dense grids: on the right side, and no further from it than it must be.
#include "kernels/learning/relaxation.h"

#include <testing/catch.h>
#include <vector>

#include "kernels/learning/linear_bounds.h"

using namespace remeasure::kernels;

namespace {

constexpr int kGrid = 400;

struct Ends {
  double l, u;
};

/// Wide, narrow, as narrow as rounding and of no width at all; both signs and mixed ones.
std::vector<Ends> intervals(bool positive, double farthest) {
  std::vector<Ends> list;
  for (const double from : {-6.0, -2.0, -1.0, -0.3, -1e-3, 0.0, 1e-3, 0.2, 1.0, 3.0, 8.0}) {
    for (const double width : {0.0, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 1.5, 4.0, 11.0}) {
      const double l = positive ? std::fabs(from) + 1e-2 : from;
      if (l + width <= farthest) list.push_back({l, l + width});
    }
  }
  return list;
}

/// Largest violation of both lines on the grid, and largest distance of each line from the function at the
/// point where it is nearest, both relative to the function's size and the interval's width.
struct Enclosure {
  double violation = 0, lower_gap = 0, upper_gap = 0;
};

template <class Lines, class T>
Enclosure enclosure(const std::vector<Ends>& list) {
  Enclosure worst;
  for (const Ends& ends : list) {
    const T l = static_cast<T>(ends.l), u = static_cast<T>(ends.u);
    const Line<T> below = Lines::lower(l, u), above = Lines::upper(l, u);
    double nearest_below = INFINITY, nearest_above = INFINITY;
    const double scale =
        std::fmax(1, std::fmax(std::fabs(Lines::value(ends.l)), std::fabs(Lines::value(ends.u))));
    for (int i = 0; i <= kGrid; ++i) {
      const double z = static_cast<double>(l) + (static_cast<double>(u) - static_cast<double>(l)) * i / kGrid;
      const double f = Lines::value(z);
      const double under = f - (static_cast<double>(below.slope) * z + static_cast<double>(below.intercept));
      const double over = static_cast<double>(above.slope) * z + static_cast<double>(above.intercept) - f;
      worst.violation = std::fmax(worst.violation, std::fmax(-under, -over) / scale);
      nearest_below = std::fmin(nearest_below, under);
      nearest_above = std::fmin(nearest_above, over);
    }
    worst.lower_gap = std::fmax(worst.lower_gap, nearest_below / scale);
    worst.upper_gap = std::fmax(worst.upper_gap, nearest_above / scale);
  }
  return worst;
}

template <class Lines>
void check_lines(const char* name, bool positive, double farthest) {
  INFO(name);
  const std::vector<Ends> list = intervals(positive, farthest);
  const Enclosure exact = enclosure<Lines, double>(list), single = enclosure<Lines, float>(list);
  CHECK(exact.violation < 1e-12);
  CHECK(single.violation < 3e-6);  // intercepts and slopes rounded to 24 bits, values up to the scale
  CHECK(exact.lower_gap < 1e-3);   // tangents and chords touch: between two points of the grid at worst
  CHECK(exact.upper_gap < 1e-3);
}

}  // namespace

TEST_CASE("each line encloses its function on a dense grid and touches it", "[cpu]") {
  check_lines<ReluLines>("relu", false, 20);
  check_lines<TanhLines>("tanh", false, 20);
  check_lines<ExponentialLines>("exponential", false, 20);  // across 12, where it becomes a line
  check_lines<ReciprocalLines>("reciprocal", true, 20);
  check_lines<SquareRootLines>("square root", true, 20);
  check_lines<SquareLines>("square", false, 20);
}

TEST_CASE("an interval of no width has the tangent on both sides", "[cpu]") {
  const auto tangent = [](auto lines, double x, double slope) {
    using Lines = decltype(lines);
    for (const Line<double>& line : {Lines::lower(x, x), Lines::upper(x, x)}) {
      CHECK(line.slope == Approx(slope).epsilon(1e-9));
      CHECK(line.slope * x + line.intercept == Approx(Lines::value(x)).epsilon(1e-12));
    }
  };
  tangent(ReluLines{}, 0.7, 1);
  tangent(ReluLines{}, -0.7, 0);
  tangent(TanhLines{}, 0.7, 1 - std::pow(std::tanh(0.7), 2));
  tangent(TanhLines{}, -0.7, 1 - std::pow(std::tanh(0.7), 2));
  tangent(ExponentialLines{}, 0.7, std::exp(0.7));
  tangent(ExponentialLines{}, 13, std::exp(12.0));
  tangent(ReciprocalLines{}, 0.7, -1 / 0.49);
  tangent(SquareRootLines{}, 0.7, 0.5 / std::sqrt(0.7));
  tangent(SquareLines{}, 0.7, 1.4);
}

TEST_CASE("a chord over rounding's width is no steeper than its function", "[cpu]") {
  for (int i = 1; i < 2000; ++i) {
    const float l = -0.001f * static_cast<float>(i), u = l + 1e-6f;
    REQUIRE(static_cast<double>(TanhLines::upper(l, u).slope) <
            1 - std::pow(std::tanh(static_cast<double>(u)), 2) + 1e-6);
    REQUIRE(static_cast<double>(ExponentialLines::upper(l, u).slope) <
            std::exp(static_cast<double>(u)) * (1 + 1e-6));
    REQUIRE(static_cast<double>(ExponentialLines::upper(l, u).slope) >
            std::exp(static_cast<double>(l)) * (1 - 1e-6));
  }
}

TEST_CASE("lower lines of exponential and reciprocal stay positive, so that a softmax has a sum to divide by",
          "[cpu]") {
  for (const double l : {-20.0, -3.0, 0.0, 5.0}) {
    for (const double width : {0.0, 0.5, 2.0, 8.0, 30.0}) {
      const Line<double> below = ExponentialLines::lower(l, l + width);
      CHECK(below.slope * l + below.intercept > 0);
    }
  }
  for (const double l : {1e-3, 1.0, 50.0}) {
    for (const double width : {0.0, 1.0, 100.0}) {
      const Line<double> below = ReciprocalLines::lower(l, l + width);
      CHECK(below.slope * (l + width) + below.intercept > 0);
    }
  }
}

TEST_CASE("a mixed tanh takes the tangent that passes just above the far end", "[cpu]") {
  for (const auto& [l, u] : {Ends{-1, 2}, Ends{-0.2, 3}, Ends{-3, 4}}) {
    const Line<double> above = TanhLines::upper(l, u);
    const double gap = above.slope * l + above.intercept - std::tanh(l);
    CHECK(gap >= 0);
    CHECK(gap <
          2 * u /
              1024);  // ten bisections of (0, u]; the line's height at l changes by less than twice the step
    const Line<double> below = TanhLines::lower(-u, -l);
    CHECK(below.slope == above.slope);
    CHECK(below.intercept == -above.intercept);
  }
}

TEST_CASE("the planes of a product enclose it on its rectangle, whatever the signs", "[cpu]") {
  for (const double xl : {-2.0, -0.5, 0.3}) {
    for (const double yl : {-1.5, -0.1, 0.8}) {
      for (const double width : {0.0, 0.4, 3.0}) {
        const Plane<double> below = product_lower(xl, yl), above = product_upper(xl, yl + width);
        for (int i = 0; i <= 40; ++i) {
          for (int j = 0; j <= 40; ++j) {
            const double x = xl + width * i / 40, y = yl + width * j / 40;
            REQUIRE(below.of_x * x + below.of_y * y + below.intercept <= x * y + 1e-12);
            REQUIRE(above.of_x * x + above.of_y * y + above.intercept >= x * y - 1e-12);
          }
        }
      }
    }
  }
}
