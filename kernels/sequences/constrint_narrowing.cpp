// SPDX-License-Identifier: Apache-2.0
//
// Propagation: constraints narrow domains until nothing changes.
#include <iterator>
#include <numeric>
#include <tuple>

#include "kernels/sequences/constrint_arithmetic.h"

namespace remeasure::kernels::constrint {
namespace {

constexpr std::int64_t kFewValues = 2048;  // listed rather than bounded

bool uses(const Sum& sum, int variable) {
  for (const Product& product : sum) {
    for (const Power& power : product.powers) {
      if (power.variable == variable) return true;
    }
  }
  return false;
}

/// The least r with number | r^exponent.
std::int64_t root_multiple(std::int64_t number, int exponent) {
  std::int64_t result = 1;
  for (const std::int64_t prime : prime_factors(number)) {
    int times_in = 0;
    for (; number % prime == 0; number /= prime) ++times_in;
    for (int i = 0; i < (times_in + exponent - 1) / exponent; ++i) result *= prime;
  }
  return result;
}

/// Domains on their way to a fixed point.
class Narrowing {
 public:
  Narrowing(const Problem& problem, std::vector<Domain>& domains) : problem_(problem), domains_(domains) {}

  bool run() {
    for (std::size_t i = 0; i < domains_.size(); ++i) settle(static_cast<int>(i));
    do {
      changed_ = false;
      for (const AnyOf& any : problem_.constraints) {
        apply(any);
        if (failed_) return false;
      }
    } while (changed_);
    return !failed_;
  }

 private:
  Domain& at(int variable) { return domains_[static_cast<std::size_t>(variable)]; }
  Wide least(const Sum& sum) {
    return evaluate(sum, [&](int v) { return Wide{at(v).lower}; });
  }
  Wide most(const Sum& sum) {
    return evaluate(sum, [&](int v) { return Wide{at(v).upper}; });
  }
  bool fixed(const Sum& sum) { return least(sum) == most(sum); }

  /// False only where no values of the domains satisfy it.
  bool possible(const Constraint& c) {
    const Wide left_least = least(c.left), left_most = most(c.left), right_least = least(c.right),
               right_most = most(c.right);
    switch (c.relation) {
      case Relation::equal:
        return left_least <= right_most && right_least <= left_most;
      case Relation::at_most:
        return left_least <= right_most;
      case Relation::divisible:
        if (left_most < right_least) return false;
        return left_least != left_most || right_least != right_most ||
               (right_least != 0 && left_least % right_least == 0);
    }
    return true;
  }

  void apply(const AnyOf& any) {
    const Constraint* only = nullptr;
    int alternatives = 0;
    for (const Constraint& c : any) {
      if (!possible(c)) continue;
      only = &c;
      ++alternatives;
    }
    if (alternatives == 0) return fail();
    if (alternatives == 1) return apply(*only);
    // NAME == one of several: the union of what they allow.
    std::vector<std::int64_t> values;
    int variable = -1;
    for (const Constraint& c : any) {
      const bool plain = c.relation == Relation::equal && c.left.size() == 1 && c.left[0].coefficient == 1 &&
                         c.left[0].powers.size() == 1 && c.left[0].powers[0].exponent == 1 &&
                         c.right.size() == 1 && c.right[0].powers.empty();
      if (!plain || (variable >= 0 && c.left[0].powers[0].variable != variable)) return;
      variable = c.left[0].powers[0].variable;
      values.push_back(c.right[0].coefficient);
    }
    keep_values(variable, std::move(values));
  }

  void apply(const Constraint& c) {
    std::vector<int> variables;
    for (const Sum* side : {&c.left, &c.right}) {
      for (const Product& product : *side) {
        for (const Power& power : product.powers) variables.push_back(power.variable);
      }
    }
    std::sort(variables.begin(), variables.end());
    variables.erase(std::unique(variables.begin(), variables.end()), variables.end());
    if (c.relation != Relation::divisible) bound(c.left, c.right);  // left <= right
    if (c.relation != Relation::at_most) bound(c.right, c.left);    // right <= left
    if (c.relation == Relation::divisible) divide(c.left, c.right);
    if (c.relation == Relation::equal) {
      divide(c.left, c.right);
      divide(c.right, c.left);
    }
    for (const int variable : variables) filter(c, variable);
  }

  /// small <= large: variables of one side alone have a bound that bisection finds.
  void bound(const Sum& small, const Sum& large) {
    const Wide limit = most(large), need = least(small);
    if (need > limit) return fail();
    for (const auto& [side, other, above] :
         {std::tuple{&small, &large, true}, std::tuple{&large, &small, false}}) {
      const bool upper = above;  // C++20's lambdas capture no structured binding in clang 14
      for (const Product& product : *side) {
        for (const Power& power : product.powers) {
          const int x = power.variable;
          if (uses(*other, x) || at(x).fixed()) continue;
          const Domain kept = at(x);
          const auto fits = [&](std::int64_t value) {
            at(x).lower = at(x).upper = value;
            const bool result = upper ? least(small) <= limit : most(large) >= need;
            at(x) = kept;
            return result;
          };
          std::int64_t in = upper ? kept.lower : kept.upper, out = upper ? kept.upper : kept.lower;
          if (fits(out)) continue;
          if (!fits(in)) return fail();
          while (std::abs(in - out) > 1) {
            const std::int64_t middle = (in + out) / 2;
            (fits(middle) ? in : out) = middle;
          }
          narrow(x, upper ? kept.lower : in, upper ? in : kept.upper);
          if (failed_) return;
        }
      }
    }
  }

  /// whole is a multiple of part.
  void divide(const Sum& whole, const Sum& part) {
    if (part.size() != 1) return;
    const auto factor_of = [&](const Product& product) {  // known to divide it
      return evaluate(product, [&](int v) { return Wide{at(v).fixed() ? at(v).lower : at(v).factor}; });
    };
    const Wide known = factor_of(part[0]);
    if (whole.size() == 1 && known > 1 && known <= kLargest)
      multiple(whole[0], static_cast<std::int64_t>(known));
    if (failed_) return;
    if (fixed(whole) && least(whole) <= Wide{1} << 40) {
      const auto number = static_cast<std::int64_t>(least(whole));
      for (const Power& power : part[0].powers) divisor_of(power.variable, number);
    } else if (whole.size() == 1) {
      support(whole[0], part[0]);
    }
  }

  /// coefficient * x^e * (what is fixed) is a multiple of number: then x has a factor, if it is the only one
  /// unfixed.
  void multiple(const Product& product, std::int64_t number) {
    const Power* open = nullptr;
    Wide rest = product.coefficient;
    for (const Power& power : product.powers) {
      if (at(power.variable).fixed()) {
        for (int i = 0; i < power.exponent; ++i) rest = times(rest, at(power.variable).lower);
      } else if (open != nullptr) {
        return;
      } else {
        open = &power;
      }
    }
    if (rest >= kInfinite) return;
    const std::int64_t missing =
        number / std::gcd(number, static_cast<std::int64_t>(rest % number == 0 ? number : rest % number));
    if (open == nullptr) {
      if (missing != 1) fail();
      return;
    }
    const std::int64_t factor = root_multiple(missing, open->exponent);
    Domain& x = at(open->variable);
    if (x.factor % factor == 0) return;
    const Wide common = Wide{x.factor} / std::gcd(x.factor, factor) * factor;
    if (common > kLargest) return fail();
    x.factor = static_cast<std::int64_t>(common);
    changed_ = true;
    settle(open->variable);
  }

  void divisor_of(int variable, std::int64_t number) {
    const Domain& x = at(variable);
    if (x.fixed() || x.values) return;  // filter() tries listed values
    std::vector<std::int64_t> divisors;
    for (std::int64_t d = 1; d * d <= number; ++d) {
      if (number % d != 0) continue;
      divisors.push_back(d);
      if (d != number / d) divisors.push_back(number / d);
    }
    keep_values(variable, std::move(divisors));
  }

  /// Primes of a divisor are among those of the whole.
  void support(const Product& whole, const Product& part) {
    std::vector<std::int64_t> primes = prime_factors(whole.coefficient);
    for (const Power& power : whole.powers) {
      const Domain& x = at(power.variable);
      if (!x.fixed() && !x.primes) return;
      const auto own = x.fixed() ? prime_factors(x.lower) : *x.primes;
      primes.insert(primes.end(), own.begin(), own.end());
    }
    std::sort(primes.begin(), primes.end());
    primes.erase(std::unique(primes.begin(), primes.end()), primes.end());
    for (const Power& power : part.powers) {
      Domain& x = at(power.variable);
      if (x.fixed()) continue;
      std::vector<std::int64_t> both;
      if (x.primes) {
        std::set_intersection(x.primes->begin(), x.primes->end(), primes.begin(), primes.end(),
                              std::back_inserter(both));
        if (both.size() == x.primes->size()) continue;
      } else {
        both = primes;
      }
      x.primes = std::move(both);
      changed_ = true;
      settle(power.variable);
      if (failed_) return;
    }
  }

  /// Listed values that the constraint makes impossible.
  void filter(const Constraint& c, int variable) {
    if (failed_ || !at(variable).values || at(variable).fixed()) return;
    const Domain kept = at(variable);
    std::vector<std::int64_t> values;
    for (const std::int64_t value : *kept.values) {
      at(variable).lower = at(variable).upper = value;
      if (possible(c)) values.push_back(value);
    }
    at(variable) = kept;
    if (values.size() != kept.values->size()) keep_values(variable, std::move(values));
  }

  void keep_values(int variable, std::vector<std::int64_t> values) {
    Domain& x = at(variable);
    std::sort(values.begin(), values.end());
    std::erase_if(values, [&](std::int64_t v) {
      return v < x.lower || v > x.upper || v % x.factor != 0 ||
             (x.values && !std::binary_search(x.values->begin(), x.values->end(), v));
    });
    if (x.values && x.values->size() == values.size()) return;
    x.values = std::move(values);
    changed_ = true;
    settle(variable);
  }

  void narrow(int variable, std::int64_t lower, std::int64_t upper) {
    Domain& x = at(variable);
    if (lower <= x.lower && upper >= x.upper) return;
    x.lower = std::max(x.lower, lower);
    x.upper = std::min(x.upper, upper);
    changed_ = true;
    settle(variable);
  }

  /// Makes the parts of a domain agree: bounds are multiples of the factor, few values are listed, listed
  /// values obey all.
  void settle(int variable) {
    Domain& x = at(variable);
    x.lower = (x.lower + x.factor - 1) / x.factor * x.factor;
    x.upper = x.upper / x.factor * x.factor;
    if (x.lower > x.upper) return fail();
    if (!x.values && (x.upper - x.lower) / x.factor < kFewValues) {
      x.values.emplace();
      for (std::int64_t v = x.lower; v <= x.upper; v += x.factor) x.values->push_back(v);
    }
    if (!x.values) return;
    std::erase_if(*x.values, [&](std::int64_t v) {
      if (v < x.lower || v > x.upper || v % x.factor != 0) return true;
      if (!x.primes) return false;
      for (const std::int64_t prime : *x.primes) {
        while (v % prime == 0) v /= prime;
      }
      return v != 1;
    });
    if (x.values->empty()) return fail();
    x.lower = x.values->front();
    x.upper = x.values->back();
  }

  void fail() { failed_ = true; }

  const Problem& problem_;
  std::vector<Domain>& domains_;
  bool changed_ = false;
  bool failed_ = false;
};

}  // namespace

bool propagate(const Problem& problem, std::vector<Domain>& domains) {
  return Narrowing(problem, domains).run();
}

}  // namespace remeasure::kernels::constrint
