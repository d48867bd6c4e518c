// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/constrint.h"

#include <algorithm>
#include <stdexcept>

#include "kernels/sequences/constrint_arithmetic.h"

namespace remeasure::kernels::constrint {
namespace {

constexpr std::int64_t kMostValues = 1 << 20;  // tried one by one

bool holds(const Constraint& constraint, const Assignment& values) {
  const auto value_of = [&](int variable) { return Wide{values[static_cast<std::size_t>(variable)]}; };
  const Wide left = evaluate(constraint.left, value_of), right = evaluate(constraint.right, value_of);
  switch (constraint.relation) {
    case Relation::equal:
      return left == right;
    case Relation::at_most:
      return left <= right;
    case Relation::divisible:
      return right != 0 && left % right == 0;
  }
  return false;
}

void search(const Problem& problem, std::vector<Domain> domains, std::size_t limit, Solutions& solutions) {
  ++solutions.nodes;
  if (!propagate(problem, domains)) return;
  int chosen = -1;
  for (std::size_t i = 0; i < domains.size(); ++i) {
    if (domains[i].fixed()) continue;
    if (chosen < 0 || domains[i].size() < domains[static_cast<std::size_t>(chosen)].size())
      chosen = static_cast<int>(i);
  }
  if (chosen < 0) {
    Assignment values;
    for (const Domain& x : domains) values.push_back(x.lower);
    if (holds(problem, values)) solutions.found.push_back(std::move(values));
    return;
  }
  const Domain from = domains[static_cast<std::size_t>(chosen)];
  if (from.size() > kMostValues) {
    throw std::runtime_error("constrint: " + problem.names[static_cast<std::size_t>(chosen)] + " may have " +
                             std::to_string(from.size()) + " values; bound it by another constraint");
  }
  std::vector<std::int64_t> values;
  if (from.values) {
    values = *from.values;
  } else {
    for (std::int64_t v = from.lower; v <= from.upper; v += from.factor) values.push_back(v);
  }
  for (const std::int64_t value : values) {
    if (solutions.found.size() >= limit) {
      solutions.complete = false;
      return;
    }
    Domain& x = domains[static_cast<std::size_t>(chosen)];
    x = Domain{.lower = value, .upper = value};
    search(problem, domains, limit, solutions);
  }
}

}  // namespace

std::int64_t Domain::size() const {
  return values ? static_cast<std::int64_t>(values->size()) : (upper - lower) / factor + 1;
}

bool holds(const Problem& problem, const Assignment& values) {
  return std::all_of(problem.constraints.begin(), problem.constraints.end(), [&](const AnyOf& any) {
    return std::any_of(any.begin(), any.end(), [&](const Constraint& c) { return holds(c, values); });
  });
}

Solutions solve(const Problem& problem, std::size_t limit) {
  Solutions solutions;
  search(problem, std::vector<Domain>(problem.names.size()), limit, solutions);
  return solutions;
}

std::vector<std::int64_t> prime_factors(std::int64_t number) {
  std::vector<std::int64_t> factors;
  for (std::int64_t p = 2; p * p <= number; ++p) {
    if (number % p != 0) continue;
    factors.push_back(p);
    while (number % p == 0) number /= p;
  }
  if (number > 1) factors.push_back(number);
  return factors;
}

}  // namespace remeasure::kernels::constrint
