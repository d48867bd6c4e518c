// SPDX-License-Identifier: Apache-2.0
#include "kernels/learning/perp_adamw.h"

#include <testing/catch.h>
#include <cmath>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/relative_error.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/learning/layers.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using Catch::Matchers::ContainsSubstring;
using remeasure::kernels::testing::normal_values;
using remeasure::kernels::testing::relative_error;
using remeasure::testing::TestBench;

namespace {

struct Problem {
  TensorList tensors;
  std::vector<float> gradient, weights, mean, square;

  explicit Problem(const std::vector<int>& sizes) : tensors(sizes) {
    const auto total = static_cast<std::size_t>(tensors.total());
    gradient = normal_values(total, 1, 1e-3);
    weights = normal_values(total, 2, 0.1);
    mean = normal_values(total, 3, 1e-3);
    square = normal_values(total, 4, 1e-3);
    for (float& v : square) v *= v;
  }
};

struct Updated {
  std::vector<float> weights, mean, square;
  bool operator==(const Updated&) const = default;
};

template <class Target>
Updated update(TestBench<Target>& bench, const Problem& p, const PerpAdamW& settings, int step) {
  const auto total = static_cast<std::size_t>(p.tensors.total());
  const auto gradient = bench.upload(p.gradient), w = bench.upload(p.weights), m = bench.upload(p.mean),
             v = bench.upload(p.square);
  auto new_w = bench.template output<float>(total), new_m = bench.template output<float>(total),
       new_v = bench.template output<float>(total);
  auto partials = bench.template output<double>(perp_partials(p.tensors));
  const AdamWState<Target> state{w.span(), m.span(), v.span(), new_w.span(), new_m.span(), new_v.span()};
  perp_adamw<Target>(bench.stream(), p.tensors, settings, step, gradient.span(), state, partials);
  return {bench.download(new_w), bench.download(new_m), bench.download(new_v)};
}

/// The same in double.
struct Exact {
  std::vector<double> weights, mean, square, gradient;
};
Exact exactly(const Problem& p, const PerpAdamW& s, int step) {
  const auto wide = [](const std::vector<float>& x) { return std::vector<double>(x.begin(), x.end()); };
  Exact e{wide(p.weights), wide(p.mean), wide(p.square), wide(p.gradient)};
  for (int t = 0; t < p.tensors.count; ++t) {
    const auto first = static_cast<std::size_t>(p.tensors.begin[t]),
               size = static_cast<std::size_t>(p.tensors.size(t));
    const auto of = [&](std::vector<double>& x) { return std::span<double>(x).subspan(first, size); };
    if (s.project) project_gradient<double>(of(e.weights), of(e.gradient));
    layers::adamw_update<double>({.learning_rate = s.learning_rate,
                                  .beta1 = s.beta1,
                                  .beta2 = s.beta2,
                                  .epsilon = s.epsilon,
                                  .weight_decay = s.weight_decay},
                                 step, of(e.gradient), of(e.mean), of(e.square), of(e.weights));
  }
  return e;
}

}  // namespace

TEST_CASE("perp_adamw is the projection and the update in double, for tensors of odd sizes", "[simt]") {
  TestBench<Simt> bench;
  for (const std::vector<int>& sizes :
       {std::vector<int>{1}, {7, 1024, 1025}, {5000, 33, 256, 1}, {10'000, 3, 70}}) {
    const Problem p(sizes);
    for (const bool project : {true, false}) {
      const PerpAdamW settings{.beta2 = 0.99, .weight_decay = 0.3, .project = project};
      if (project && sizes.size() == 1) continue;  // one weight has nothing orthogonal to it
      const Updated updated = update(bench, p, settings, 3);
      const Exact exact = exactly(p, settings, 3);
      // Of a tensor of one weight what is left of the gradient is rounding, blown up: not compared.
      const std::size_t compared =
          project && sizes.back() == 1 ? updated.weights.size() - 1 : updated.weights.size();
      const auto head = [&](auto values) {
        values.resize(compared);
        return values;
      };
      CHECK(relative_error(head(updated.weights), head(exact.weights)) < 1e-6);
      CHECK(relative_error(head(updated.mean), head(exact.mean)) < 1e-6);
      CHECK(relative_error(head(updated.square), head(exact.square)) < 1e-6);
    }
  }
}

TEST_CASE("the projected gradient is orthogonal to the weights and as long as before", "[simt]") {
  TestBench<Simt> bench;
  Problem p({3000, 500});
  for (const double parallel : {0.0, 0.1, 10.0, 1000.0}) {  // g = noise - parallel w: up to cos 0.99999995
    p.gradient = normal_values(3500, 1);
    for (std::size_t i = 0; i < 3500; ++i) p.gradient[i] -= static_cast<float>(parallel) * p.weights[i] * 10;
    std::fill(p.mean.begin(), p.mean.end(), 0.0f);
    const std::vector<float> g = update(bench, p, {.beta1 = 0}, 1).mean;  // the gradient that Adam saw
    for (int t = 0; t < 2; ++t) {
      const auto first = static_cast<std::size_t>(p.tensors.begin[t]),
                 size = static_cast<std::size_t>(p.tensors.size(t));
      double dot = 0, weights = 0, before = 0, after = 0;
      for (std::size_t i = first; i < first + size; ++i) {
        const auto w = static_cast<double>(p.weights[i]), x = static_cast<double>(g[i]),
                   old = static_cast<double>(p.gradient[i]);
        dot += w * x;
        weights += w * w;
        before += old * old;
        after += x * x;
      }
      INFO("g = noise - " << 10 * parallel << " w");
      // g - along w in float loses as many digits as |g| / |g'| has.
      const double lost = 1e-5 * std::max(1.0, parallel / 10);
      CHECK(std::abs(dot) < lost * std::sqrt(weights * after));
      CHECK(std::abs(std::sqrt(after / before) - 1) < lost);
    }
    std::vector<double> wide(p.gradient.begin(), p.gradient.end()), w(p.weights.begin(), p.weights.end());
    project_gradient<double>(w, wide);
    CHECK(std::abs(alignment<double>(w, wide)) < 1e-9);
  }
}

TEST_CASE("plain AdamW leaves the component along the weights in", "[simt]") {
  TestBench<Simt> bench;
  Problem p({2000});
  for (std::size_t i = 0; i < 2000; ++i) p.gradient[i] = -p.weights[i];
  std::fill(p.mean.begin(), p.mean.end(), 0.0f);
  const std::vector<float> g = update(bench, p, {.beta1 = 0, .project = false}, 1).mean;
  CHECK(g == p.gradient);
  CHECK(std::abs(alignment<float>(p.weights, g) - 1) < 1e-6);
}

TEST_CASE("perp_adamw has the same bits in every schedule and in place", "[simt]") {
  TestBench<Simt> bench;
  const Problem p({5000, 300});
  const Updated first = update(bench, p, {}, 2);
  for (const std::uint64_t seed : {1, 2, 3}) {
    bench.device().engine().set_schedule(seed);
    CHECK(update(bench, p, {}, 2) == first);
  }
  auto w = bench.upload(p.weights), m = bench.upload(p.mean), v = bench.upload(p.square);
  const auto gradient = bench.upload(p.gradient);
  auto partials = bench.output<double>(perp_partials(p.tensors));
  const AdamWState<Simt> state{std::as_const(w).span(),
                               std::as_const(m).span(),
                               std::as_const(v).span(),
                               w.span(),
                               m.span(),
                               v.span()};
  perp_adamw<Simt>(bench.stream(), p.tensors, {}, 2, gradient.span(), state, partials);
  CHECK(Updated{bench.download(w), bench.download(m), bench.download(v)} == first);
}

TEST_CASE("perp_adamw refuses sizes that don't fit", "[simt]") {
  TestBench<Simt> bench;
  Problem p({10, 20});
  CHECK_THROWS_WITH(update(bench, p, {}, 0), ContainsSubstring("step 0"));
  p.gradient.pop_back();
  CHECK_THROWS_WITH(update(bench, p, {}, 1), ContainsSubstring("29 values; the tensors have 30"));
  CHECK_THROWS_WITH(TensorList(std::vector<int>{3, 0}), ContainsSubstring("tensor 1"));
  CHECK_THROWS_WITH(TensorList(std::vector<int>{}), ContainsSubstring("0 tensors"));
}
