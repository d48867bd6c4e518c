// SPDX-License-Identifier: Apache-2.0
//
// ConstrINT (FlashRNN: Poeppel, Beck, Hochreiter, ICLR 2025, section 5): constraints over positive integers,
// as tilings of kernels have them. Domains know bounds, a factor that every value has, the primes that may
// divide a value, and the values themselves where they are few; constraints narrow them until nothing
// changes, then what is left is enumerated.
//
//   HID % 16 == 0;  BLOCKS == A * B;  2 * HID ^ 2 + 4 * A <= 165000 * BLOCKS;  A == 1 | B == 1;  C == [1, 2,
//   4];   # comment
//
// Sums of products of powers, no brackets but around a right side of %, `|` between alternatives, `;` between
// constraints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remeasure::kernels::constrint {

inline constexpr std::int64_t kLargest = std::int64_t{1} << 30;

struct Power {
  int variable;
  int exponent;
};
struct Product {
  std::int64_t coefficient = 1;
  std::vector<Power> powers = {};  ///< each variable once
};
using Sum = std::vector<Product>;

/// left == right, left <= right, left % right == 0
enum class Relation { equal, at_most, divisible };

struct Constraint {
  Sum left, right;
  Relation relation;
};
using AnyOf = std::vector<Constraint>;

struct Domain {
  std::int64_t lower = 1, upper = kLargest;
  std::int64_t factor = 1;
  std::optional<std::vector<std::int64_t>> values = {};  ///< ascending
  std::optional<std::vector<std::int64_t>> primes = {};  ///< the only ones that may divide a value, ascending

  bool empty() const { return lower > upper || (values && values->empty()); }
  bool fixed() const { return lower == upper; }
  /// How many values there are, at most.
  std::int64_t size() const;
};

struct Problem {
  std::vector<std::string> names = {};
  std::vector<AnyOf> constraints = {};

  /// Throws std::invalid_argument that quotes the statement that can't be read.
  static Problem parse(std::string_view text);
  int find(std::string_view name) const;  ///< -1 if there is none
};

/// A value for each variable.
using Assignment = std::vector<std::int64_t>;

/// Whether all constraints hold, by their own arithmetic in 128 bits: nothing of the solver's.
bool holds(const Problem& problem, const Assignment& values);

/// Narrows the domains until nothing changes; false when one is empty. Never removes a value that some
/// solution has.
bool propagate(const Problem& problem, std::vector<Domain>& domains);

struct Solutions {
  std::vector<Assignment> found = {};
  bool complete = true;   ///< there are no others
  std::size_t nodes = 0;  ///< of the search
};

/// Solutions in no particular order, `limit` at most. Throws std::runtime_error that names a variable with so
/// many values that they can't be tried.
Solutions solve(const Problem& problem, std::size_t limit = 1'000'000);

/// Prime factors by trial division, ascending, each once. (91 is 7 * 13; the reference counts it among the
/// primes.)
std::vector<std::int64_t> prime_factors(std::int64_t number);

}  // namespace remeasure::kernels::constrint
