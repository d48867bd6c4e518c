// SPDX-License-Identifier: Apache-2.0
//
// The timed part of quantum-kernel: feature maps as states and kernel matrices of states, by explicit
// matrices, butterflies, cuBLAS and the kernels.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <memory>
#include <vector>

#include "baselines/science/quantum_states.h"
#include "bench/scaling.h"
#include "bench/trial.h"
#include "datasets/random.h"
#include "datasets/science/feature_angles.h"
#include "experiments/science/quantum_kernel_learning.h"
#include "kernels/science/binomial_draw.h"

namespace remeasure::experiments::feature_space {

using bench::Accept;
using bench::DeviceBench;
using bench::ErrorMetric;
using bench::HostBench;
using bench::InputSets;
using bench::OracleOutput;
using bench::Trial;
using bench::VariantInfo;
using bench::Work;
using Run = std::function<void()>;
using Single = std::complex<float>;

inline constexpr Measurement kShots{.shots = 50'000, .depolarising = 0.05, .seed = 21};

struct StateInputs {
  std::vector<double> x;      ///< [samples, qubits]
  std::vector<float> states;  ///< pairs, by the float reference: what kernel matrices are made of
};

inline std::span<const Single> as_complex(std::span<const float> pairs) {
  return {reinterpret_cast<const Single*>(pairs.data()), pairs.size() / 2};
}
inline std::span<Single> as_complex(std::span<float> pairs) {
  return {reinterpret_cast<Single*>(pairs.data()), pairs.size() / 2};
}

inline StateInputs load_states(Trial& t, const FeatureMapShape& shape, std::uint64_t seed) {
  const datasets::Opened opened =
      t.open(datasets::feature_angles_definition,
             datasets::feature_angles(static_cast<std::size_t>(shape.samples), shape.qubits, seed));
  StateInputs in{datasets::read_feature_angles(*opened.reader), std::vector<float>(shape.values())};
  kernels::feature_map_reference<float>(shape, in.x, as_complex(std::span(in.states)));
  return in;
}

/// The first and the last samples, whole, and others as far as they are few: in double.
inline OracleOutput states_oracle(const FeatureMapShape& shape, std::span<const double> x) {
  const std::size_t all = static_cast<std::size_t>(shape.samples), n = static_cast<std::size_t>(shape.qubits);
  const std::size_t count =
      std::min(all, std::max<std::size_t>(3, (std::size_t{1} << 16) / shape.amplitudes()));
  OracleOutput oracle;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t sample = count == all ? i : i * (all - 1) / (count - 1);
    std::vector<Complex> state(shape.amplitudes());
    kernels::feature_map_reference<double>({1, shape.qubits}, x.subspan(sample * n, n), state, 1);
    for (std::size_t z = 0; z < state.size(); ++z) {
      for (const std::size_t part : {0, 1}) {
        oracle.values.push_back(part == 0 ? state[z].real() : state[z].imag());
        oracle.indices.push_back(2 * (sample * shape.amplitudes() + z) + part);
      }
    }
  }
  return oracle;
}

/// Which entries of a kernel matrix are compared: all, or the corners and edges of tiles, the diagonal and
/// random ones.
inline std::vector<std::size_t> checked_entries(std::size_t m) {
  std::vector<std::size_t> entries;
  if (m <= 80) {
    for (std::size_t i = 0; i < m * m; ++i) entries.push_back(i);
    return entries;
  }
  const std::vector<std::size_t> edges{0, 1, 31, 32, 63, 64, 65, m / 64 * 64 - 1, m - 2, m - 1};
  for (const std::size_t r : edges) {
    for (const std::size_t c : edges) entries.push_back(r * m + c);
  }
  const datasets::Philox random(5);
  for (std::size_t i = 0; i < 1500; ++i) entries.push_back(random.integer(i, m * m));
  for (std::size_t i = 0; i < 200; ++i) entries.push_back(random.integer(10'000 + i, m) * (m + 1));
  std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  return entries;
}

inline OracleOutput gram_oracle(const FeatureMapShape& shape, std::span<const float> states) {
  const std::size_t m = static_cast<std::size_t>(shape.samples), size = shape.amplitudes();
  const std::span<const Single> all = as_complex(states);
  OracleOutput oracle{.values = {}, .scale = {}, .indices = checked_entries(m)};
  for (const std::size_t entry : oracle.indices) {
    const double k =
        kernels::gram_entry(all.subspan(entry / m * size, size), all.subspan(entry % m * size, size));
    oracle.values.push_back(k);
    oracle.scale.push_back(std::sqrt(k) +
                           1e-4);  // |g + d|^2 errs by 2 |g| |d|; the rest keeps zeros from infinite weight
  }
  if (oracle.indices.size() == m * m) oracle.indices.clear();
  return oracle;
}

struct StatesCase {
  FeatureMapShape shape;
  const InputSets<StateInputs>& in;
  bool simt = true;
  std::string left_out = {};  ///< why the CPU's rows aren't run
};

inline GramShape gram_of(const FeatureMapShape& shape) {
  return {shape.samples, shape.samples, shape.qubits, true};
}

inline std::vector<Accept> accept_states() {
  return {
      {.output = "states",
       .metric = ErrorMetric::relative_l2,
       .limit = 2e-6,
       .reason = "f32: phases rounded to 2^-23 of pi, then n levels of additions (explicit: sums of 2^n)"}};
}
inline std::vector<Accept> accept_gram(double limit, std::string reason) {
  return {{.output = "gram", .metric = ErrorMetric::max_scaled, .limit = limit, .reason = std::move(reason)}};
}
inline std::vector<Accept> accept_gram(const FeatureMapShape& shape) {
  // Up to 12 qubits what rounding leaves is below 5e-6; of more amplitudes the sums walk at random.
  return accept_gram(5e-6 * std::exp2(0.5 * std::max(0, shape.qubits - 12)),
                     "f32 sums over 2^n amplitudes of a norm of 1");
}

/// Without padding and with phases by pairs kept in Gray code: 2 n + 18 an amplitude.
inline Work map_work(const FeatureMapShape& shape) {
  return {.flops = (2.0 * shape.qubits + 18) * static_cast<double>(shape.values()) / 2,
          .bytes = 4.0 * static_cast<double>(shape.values()) + 8.0 * static_cast<double>(shape.points())};
}
inline Work explicit_work(const FeatureMapShape& shape) {
  Work work = map_work(shape);
  work.flops = 8 * static_cast<double>(shape.amplitudes()) * static_cast<double>(shape.values()) / 2;
  return work;
}
/// 8 m^2 2^n, of which a symmetric matrix needs half.
inline Work product_work(const FeatureMapShape& shape, double share) {
  const double m = shape.samples;
  return {.flops = share * 8 * m * m * static_cast<double>(shape.amplitudes()),
          .bytes = 4.0 * static_cast<double>(shape.values()) + 4 * m * m};
}

inline void declare_host(Trial& t, const StatesCase& c) {
  const FeatureMapShape shape = c.shape;
  const std::string too_large =
      shape.qubits > baselines::kMostExplicitQubits ? "explicit matrices of more than 12 qubits" : c.left_out;
  t.host({.name = "eigen",
          .what = "explicit matrices: Kronecker power of H, Eigen's product",
          .dtype = "f32",
          .accept = accept_states(),
          .work = explicit_work(shape),
          .formula_bytes = 8 * static_cast<double>(shape.amplitudes() * shape.amplitudes()) +
                           8.0 * static_cast<double>(shape.values()),
          .not_supported = too_large},
         [c, shape](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].x);
           const auto states = b.output<float>("states", shape.values());
           return [=] { baselines::feature_map_eigen(shape, x, as_complex(states)); };
         });
  t.host({.name = "method",
          .what = "butterflies in place",
          .dtype = "f32",
          .accept = accept_states(),
          .work = map_work(shape),
          .formula_bytes = 4.0 * static_cast<double>(shape.values()),
          .not_supported = c.left_out},
         [c, shape](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].x);
           const auto states = b.output<float>("states", shape.values());
           return [=] { kernels::feature_map_reference<float>(shape, x, as_complex(states)); };
         });
  t.host({.name = "eigen/gram",
          .what = "S^+ S by Eigen, then |.|^2",
          .dtype = "f32",
          .accept = accept_gram(shape),
          .work = product_work(shape, 1),
          .not_supported = c.left_out},
         [c, shape](HostBench& b) -> Run {
           const auto states = as_complex(b.input(c.in[b.set()].states));
           const auto gram = b.output<float>("gram", gram_of(shape).entries());
           return [=] { baselines::gram_eigen(gram_of(shape), states, states, gram); };
         });
  t.host({.name = "method/gram",
          .what = "blocks of rows, half of the matrix",
          .dtype = "f32",
          .accept = accept_gram(shape),
          .work = product_work(shape, 0.5),
          .not_supported = c.left_out},
         [c, shape](HostBench& b) -> Run {
           const auto states = as_complex(b.input(c.in[b.set()].states));
           const auto gram = b.output<float>("gram", gram_of(shape).entries());
           return [=] { kernels::gram_reference<float>(gram_of(shape), states, states, gram); };
         });
}

inline VariantInfo on_device(const StatesCase& c, std::string name, std::string what,
                             std::vector<Accept> accept, Work work) {
  return {.name = std::move(name),
          .what = std::move(what),
          .dtype = "f32",
          .accept = std::move(accept),
          .work = std::move(work),
          .simt = c.simt,
          .simt_left_out = "too many amplitudes for the SIMT engine; checked at the smaller sizes",
          .explain_speedup = "explicit matrices cost 2^n operations an amplitude, butterflies 2 n"};
}

inline void declare_device(Trial& t, const StatesCase& c) {
  const FeatureMapShape shape = c.shape;
  const GramShape gram = gram_of(shape);
  const kernels::FeatureMapWork map = feature_map_work(shape);
  const kernels::GramWork product = gram_abs2_work(gram);
  t.kernel(on_device(c, "kernel", "a block per sample, 16 amplitudes a thread", accept_states(),
                     {.flops = map.flops, .bytes = map.bytes, .special = map.special}),
           [c, shape]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const auto states = b.template output<float>("states", shape.values());
             auto& stream = b.stream();
             return [=, &stream] { kernels::feature_map<Target>(stream, shape, x, states); };
           });
  const auto gram_kernel = [&](VariantInfo info, const char* output, Measurement measurement) {
    t.kernel(std::move(info), [c, gram, output, measurement]<class Target>(DeviceBench<Target>& b) -> Run {
      const auto states = b.input(c.in[b.set()].states);
      const auto to = b.template output<float>(output, gram.entries());
      auto& stream = b.stream();
      return [=, &stream] { kernels::gram_abs2<Target>(stream, gram, measurement, states, states, to); };
    });
  };
  gram_kernel(
      on_device(c, "kernel/gram", "three TF32 products, half of the tiles, |.|^2 in the epilogue",
                accept_gram(shape), {.flops = product.flops, .bytes = product.bytes, .rate = "gemm-tf32"}),
      "gram", {});
  // Entries of float and double probabilities may lie a shot apart; statistics of the shots are a check of
  // the case.
  gram_kernel(
      on_device(c, "kernel/gram/shots",
                "the same, with depolarising noise and 50000 shots an entry drawn in the epilogue",
                {{.output = "measured",
                  .metric = ErrorMetric::relative_l2,
                  .limit = 2e-3,
                  .reason = "draws from probabilities in f32: a shot or a rejection apart here and there"}},
                {.flops = product.flops,
                 .bytes = product.bytes,
                 .rate = "gemm-tf32",
                 .uncounted = "attempts and logarithms of the draws depend on the data"}),
      "measured", kShots);

  VariantInfo vendor = on_device(c, "vendor", "feature_phases, cublasCgemm with the matrix of H",
                                 accept_states(), explicit_work(shape));
  if (shape.qubits > baselines::kMostVendorQubits) vendor.not_supported = "the matrix of H beyond 10 qubits";
  t.vendor(std::move(vendor), [c, shape]<class Target>(DeviceBench<Target>& b) -> Run {
    const auto x = b.input(c.in[b.set()].x);
    const auto states = b.template output<float>("states", shape.values());
    auto& map_of = b.template own<baselines::CublasFeatureMap>(b.stream(), shape);
    return [=, &map_of] { map_of(x, states); };
  });
  const auto vendor_gram = [&](const char* name, const char* what, bool tf32, std::vector<Accept> accept) {
    t.vendor(on_device(c, name, what, std::move(accept), product_work(shape, 0.5)),
             [c, gram, tf32]<class Target>(DeviceBench<Target>& b) -> Run {
               const auto states = b.input(c.in[b.set()].states);
               const auto to = b.template output<float>("gram", gram.entries());
               auto& library = b.template own<baselines::CublasGram>(b.stream(), gram, tf32);
               return [=, &library] { library(states, states, to); };
             });
  };
  vendor_gram("vendor/gram", "cublasCherk in f32, then |.|^2", false, accept_gram(shape));
  vendor_gram("vendor/gram/tf32", "cublasCherk allowed TF32, then |.|^2: 11 bits", true,
              accept_gram(4e-3, "TF32: 2^-11 of each product"));
}

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
  declare_host(t, c);
  declare_device(t, c);
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
