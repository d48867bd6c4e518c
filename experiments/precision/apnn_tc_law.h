// SPDX-License-Identifier: Apache-2.0
//
// The work law of apnn-tc: a product of p-bit and q-bit codes costs p * q one-bit products. On a CPU, one
// thread.
#pragma once

#include "bench/statistics.h"
#include "experiments/precision/apnn_tc_layer.h"

namespace remeasure::experiments::apnn {

inline std::vector<LowBitShape> law_shapes(int rows, int outputs, int inner) {
  std::vector<LowBitShape> shapes;
  for (const auto& [p, q] : {std::pair{1, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 2}, {1, 8}, {2, 8}, {4, 4}}) {
    shapes.push_back(kernels::low_bit_product(rows, outputs, inner, p, q, Encoding::unsigned_codes));
  }
  return shapes;
}

/// Times over p q, divided by their geometric mean: 1 where the law holds.
inline std::vector<double> law_deviation(const std::vector<double>& pairs,
                                         const std::vector<double>& seconds) {
  double logs = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i)
    logs += std::log(seconds[i] / pairs[i]) / static_cast<double>(pairs.size());
  std::vector<double> result;
  for (std::size_t i = 0; i < pairs.size(); ++i) result.push_back(seconds[i] / pairs[i] / std::exp(logs));
  return result;
}
inline constexpr double kLawTolerance = 0.3;

inline void measure_law(Trial& t, int rows, int outputs, int inner) {
  const std::vector<LowBitShape> shapes = law_shapes(rows, outputs, inner);
  std::vector<std::unique_ptr<InputSets<LayerInputs>>> sets;
  for (const LowBitShape& shape : shapes) {
    sets.push_back(std::make_unique<InputSets<LayerInputs>>(
        t.inputs([&](std::uint64_t seed) { return load(t, shape, seed); })));
    const auto& in = *sets.back();
    const std::string name = bits_name(shape), output = "sums " + name;
    t.oracle(output, 1, [shape, &in] {
      return OracleOutput{
          .values = kernels::low_bit_sums<double>(shape, in[0].codes()), .scale = {}, .indices = {}};
    });
    t.host({.name = "method/" + name,
            .what = "popcounts, one thread",
            .dtype = "b1",
            .accept = exact(output),
            .threads = 1},
           [shape, &in, output](HostBench& b) -> Run {
             const auto activations = b.input(in[b.set()].activations),
                        weights = b.input(in[b.set()].weights);
             const auto sums = b.output<std::int32_t>(output, shape.sums());
             return [=] { kernels::low_bit_popcount(shape, activations, weights, sums, 1); };
           });
  }
  t.measure();
  // Where other programs take turns, long times grow more than short ones: a time whose interval is wide is
  // shown, not judged.
  reports::Curve curve{.label = "popcount product"};
  std::vector<double> pairs, seconds;
  std::vector<std::string> names;
  for (const LowBitShape& shape : shapes) {
    const bench::Measured time = t.time("method/" + bits_name(shape));
    if (!time.value) return;
    const auto& [median, low, high] = *time.value;
    curve.x.push_back(shape.weight_bits * shape.activation_bits);
    curve.y.push_back(median);
    curve.error.push_back((high - low) / 4);
    if (high - low > 0.2 * median) continue;
    pairs.push_back(curve.x.back());
    seconds.push_back(median);
    names.push_back(bits_name(shape));
  }
  t.plot({.name = "work-law",
          .title = "Time of a popcount product against p q",
          .x_label = "p q",
          .y_label = "seconds",
          .log_x = true,
          .log_y = true,
          .curves = {curve}});
  if (names.size() < 4) return;  // too few to tell a law
  const bench::PowerLaw law = bench::fit_power_law(pairs, seconds);
  t.metric({.name = "exponent of p q",
            .value = law.exponent,
            .unit = "",
            .reported = Interval{1, 1},
            .error = law.error});
  const std::vector<double> deviation = law_deviation(pairs, seconds);
  const auto [least, most] = std::minmax_element(deviation.begin(), deviation.end());
  t.check("time over p q is constant within 30 %", *most <= 1 + kLawTolerance && *least >= 1 - kLawTolerance,
          fmt::format("{:.2f} ({}) to {:.2f} ({}) of the mean of {}", *least,
                      names[static_cast<std::size_t>(least - deviation.begin())], *most,
                      names[static_cast<std::size_t>(most - deviation.begin())], names.size()));
}

}  // namespace remeasure::experiments::apnn
