// SPDX-License-Identifier: Apache-2.0
//
// The timed cases of quantum-kernel: states and kernel matrices of one size, time against size, memory.
#pragma once

#include <memory>

#include "bench/scaling.h"
#include "experiments/science/quantum_kernel_gram.h"
#include "kernels/science/binomial_draw.h"

namespace remeasure::experiments::feature_space {

inline void report_throughput(Trial& t, const FeatureMapShape& shape) {
  reports::Table table{.name = "throughput",
                       .title = fmt::format("{} qubits, {} samples", shape.qubits, shape.samples),
                       .columns = {"variant", "samples/s", "Gram GFLOP/s (8 m^2 2^n counted)"},
                       .rows = {}};
  const double m = shape.samples;
  for (const char* name : {"eigen", "method", "vendor", "kernel"}) {
    const bench::Measured map = t.time(name), gram = t.time(std::string(name) + "/gram");
    if (!map.value && !gram.value) continue;
    table.rows.push_back(
        {name, map.value ? fmt::format("{:.3g}", m / map.value->median) : "",
         gram.value ? fmt::format("{:.3g}",
                                  8e-9 * m * m * static_cast<double>(shape.amplitudes()) / gram.value->median)
                    : ""});
  }
  if (!table.rows.empty()) t.table(std::move(table));
}

inline void measure_states(Trial& t, const FeatureMapShape& shape, bool simt,
                           const std::string& left_out = "") {
  const auto in = t.inputs([&](std::uint64_t seed) { return load_states(t, shape, seed); });
  t.oracle("states", 1, [&] { return states_oracle(shape, in[0].x); });
  t.oracle("gram", 1, [&] { return gram_oracle(shape, in[0].states); });
  const std::size_t m = static_cast<std::size_t>(shape.samples);
  t.oracle("measured", 1, [&] {
    OracleOutput exact = gram_oracle(shape, in[0].states);
    exact.scale.clear();
    for (std::size_t i = 0; i < exact.values.size();
         ++i) {  // entry by entry, with the number that the kernel draws with
      const std::size_t entry = exact.indices.empty() ? i : exact.indices[i];
      const std::size_t drawn = entry / m > entry % m ? entry % m * m + entry / m : entry;
      const double k = kShots.keep() * exact.values[i] + kShots.noise_floor(shape.qubits);
      exact.values[i] =
          kernels::binomial_draw(kShots.shots, k, kShots.seed, drawn) / static_cast<double>(kShots.shots);
    }
    return exact;
  });
  const StatesCase c{shape, in, simt, left_out};
  declare_map_on_host(t, c);
  declare_gram_on_host(t, c);
  declare_map_on_device(t, c);
  declare_gram_on_device(t, c);
  t.measure();

  t.speedup("method", "eigen");
  t.speedup("method/gram", "eigen/gram");
  t.speedup("kernel", "vendor");
  t.speedup("kernel/gram", "vendor/gram");
  report_throughput(t, shape);
  if (t.passed("kernel/gram") && t.passed("kernel/gram/shots") && m >= 40) {
    std::vector<double> noisy = t.output("kernel/gram", "gram");
    for (double& k : noisy) k = kShots.keep() * k + kShots.noise_floor(shape.qubits);
    const double ratio = shot_noise_ratio(m, noisy, t.output("kernel/gram/shots", "measured"), kShots.shots);
    t.check("shots have the variance K (1 - K) / R", std::abs(ratio - 1) < 0.1,
            fmt::format("RMS over the formula's: {:.4f}", ratio));
  }
  const double n = shape.qubits;
  t.metric({.name = "explicit unitary over all states, bytes",
            .value = std::exp2(n + 1) / shape.samples,
            .unit = "x",
            .exact = true});
}

/// Explicit matrices against butterflies, by the number of amplitudes.
inline void measure_scaling(Trial& t, const std::vector<int>& amplitudes) {
  bench::Scaling scaling{.title = "Time of 8 feature maps against the number of amplitudes",
                         .symbol = "N",
                         .sizes = amplitudes,
                         .methods = {{"explicit", "explicit matrices"}, {"butterflies", "butterflies"}},
                         .axis = "amplitudes, 2^n"};
  std::vector<std::unique_ptr<InputSets<StateInputs>>> sets;
  for (const int size : amplitudes) {
    const FeatureMapShape shape{8, static_cast<int>(std::lround(std::log2(size)))};
    sets.push_back(std::make_unique<InputSets<StateInputs>>(
        t.inputs([&](std::uint64_t seed) { return load_states(t, shape, seed); })));
    const auto& in = *sets.back();
    const std::string output = fmt::format("states {}", size);
    t.oracle(output, 1, [shape, &in] { return states_oracle(shape, in[0].x); });
    std::vector<Accept> accept = accept_states();
    accept[0].output = output;
    const auto add = [&](const char* name, int threads,
                         void (*run)(const FeatureMapShape&, std::span<const double>, std::span<Single>)) {
      t.host({.name = bench::scaling_variant(scaling, name, size),
              .what = fmt::format("{} threads", threads == 0 ? "all" : "1"),
              .dtype = "f32",
              .accept = accept,
              .threads = threads},
             [=, &in](HostBench& b) -> Run {
               const auto x = b.input(in[b.set()].x);
               const auto states = b.output<float>(output, shape.values());
               return [=] { run(shape, x, as_complex(states)); };
             });
    };
    add("explicit", 0, baselines::feature_map_eigen);
    add("butterflies", 1, [](const FeatureMapShape& of, std::span<const double> x, std::span<Single> states) {
      kernels::feature_map_reference<float>(of, x, states, 1);
    });
  }
  t.measure();
  bench::report_scaling(t, scaling);
}

inline void report_memory(Trial& t, std::size_t samples) {
  reports::Table table{
      .name = "memory",
      .title = fmt::format("States of {} samples against one explicit unitary", samples),
      .columns = {"qubits", "states, 8 m 2^n bytes", "unitary, 16 4^n bytes", "ratio 2^(n+1) / m"},
      .rows = {}};
  for (int n = 2; n <= 20; n += n < 4 ? 1 : 2) {
    const double states = 8 * static_cast<double>(samples) * std::exp2(n),
                 unitary = baselines::explicit_unitary_bytes(n);
    table.rows.push_back({fmt::format("{}", n), fmt::format("{:.4g}", states), fmt::format("{:.4g}", unitary),
                          fmt::format("{:.4g}", unitary / states)});
  }
  t.table(std::move(table));
}

}  // namespace remeasure::experiments::feature_space
