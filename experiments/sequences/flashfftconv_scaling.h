// SPDX-License-Identifier: Apache-2.0
//
// How the time of a convolution grows with its length on a CPU, where the methods cross, and which order of
// factorisation is best.
#pragma once

#include "bench/scaling.h"
#include "experiments/sequences/flashfftconv_variants.h"

namespace remeasure::experiments::flashfftconv_problem {

struct Length {
  ConvolutionShape shape;
  std::unique_ptr<InputSets<Inputs>> in;
};

inline Length make_length(Trial& t, int length) {
  const ConvolutionShape shape{1, 2, length, length, 0, Signal::real};
  auto in = std::make_unique<InputSets<Inputs>>(
      t.inputs([&](std::uint64_t seed) { return load(t, shape, false, seed); }));
  const std::string output = fmt::format("y {}", length);
  const auto exact = oracle_of(shape, (*in)[0]);
  t.oracle(output, 1, [exact] { return exact; });
  return {shape, std::move(in)};
}

inline void declare_method(Trial& t, const Length& at, const MonarchFactors& factors,
                           const std::string& name) {
  t.host({.name = name,
          .what = fmt::format("Monarch transforms in Eigen, {} factors, one thread", factors.order()),
          .dtype = "f32",
          .accept = accept_f32(fmt::format("y {}", at.shape.length)),
          .threads = 1},
         [&at, factors](HostBench& b) -> Run {
           const auto& in = (*at.in)[b.set()];
           auto& k = b.own<std::vector<std::complex<float>>>(
               kernels::monarch_filters<float>(at.shape, factors, in.filter));
           const auto u = b.input(in.u);
           const auto y = b.output<float>(fmt::format("y {}", at.shape.length), u.size());
           return [=, &at, &k] {
             kernels::monarch_convolution_reference<float>(at.shape, factors, u, {},
                                                           std::span<const std::complex<float>>(k), {}, y, 1);
           };
         });
}

inline void declare_standard(Trial& t, const Length& at) {
  const std::string output = fmt::format("y {}", at.shape.length);
  t.host({.name = fmt::format("fft/N={}", at.shape.length),
          .what = "Eigen's FFT, one thread",
          .dtype = "f32",
          .accept = accept_f32(output),
          .threads = 1},
         [&at, output](HostBench& b) -> Run {
           const auto& in = (*at.in)[b.set()];
           auto& k = b.own<std::vector<float>>(baselines::fourier_filters_eigen(at.shape, in.filter));
           const auto u = b.input(in.u);
           const auto y = b.output<float>(output, u.size());
           return [=, &at, &k] { baselines::fourier_convolution_eigen(at.shape, u, {}, k, {}, y, 1); };
         });
  t.host({.name = fmt::format("direct/N={}", at.shape.length),
          .what = "the sum over all pairs, one thread",
          .dtype = "f32",
          .accept = accept_f32(output),
          .threads = 1},
         [&at, output](HostBench& b) -> Run {
           const auto& in = (*at.in)[b.set()];
           const auto u = b.input(in.u), k = b.input(in.filter);
           const auto y = b.output<float>(output, u.size());
           return [=, &at] { baselines::direct_convolution_eigen(at.shape, u, k, y, 1); };
         });
}

/// Exponents of N, and the first length at which transforms are faster than the sum over pairs.
inline void measure_scaling(Trial& t, const std::vector<int>& sizes) {
  std::vector<Length> lengths;
  for (const int each : sizes) lengths.push_back(make_length(t, each));
  for (const Length& at : lengths) {
    declare_standard(t, at);
    declare_method(t, at, kernels::monarch_factors(static_cast<std::size_t>(at.shape.length)),
                   fmt::format("monarch/N={}", at.shape.length));
  }
  t.measure();
  report_scaling(t, {.title = "Time of a convolution against its length",
                     .symbol = "N",
                     .sizes = sizes,
                     .methods = {{"direct"}, {"fft"}, {"monarch"}},
                     .beats = "direct",
                     .unit = "samples"});
}

/// The order of factorisation that is fastest here, beside the one that the cost model chooses for an H100.
inline void measure_orders(Trial& t, const std::vector<int>& sizes) {
  std::vector<Length> lengths;
  for (const int each : sizes) lengths.push_back(make_length(t, each));
  for (const Length& at : lengths) {
    for (const int order : {2, 3, 4}) {
      declare_method(t, at, balanced_factors(static_cast<std::size_t>(at.shape.length), order),
                     fmt::format("p={}/N={}", order, at.shape.length));
    }
  }
  t.measure();
  reports::Table table{.name = "orders",
                       .title = "Best order p of the factorisation",
                       .columns = {"N", "model, H100", "measured, CPU", "p=2", "p=3", "p=4"},
                       .rows = {}};
  for (const int size : sizes) {
    std::vector<std::string> row = {std::to_string(size),
                                    std::to_string(modelled_best_order(static_cast<std::size_t>(size))), ""};
    double best = 0;
    for (const int order : {2, 3, 4}) {
      const Measured time = t.time(fmt::format("p={}/N={}", order, size));
      row.push_back(time.value ? fmt::format("{:.3g} ms", 1e3 * time.value->median) : "");
      if (!time.value || (best > 0 && time.value->median >= best)) continue;
      best = time.value->median;
      row[2] = std::to_string(order);
    }
    table.rows.push_back(row);
  }
  t.table(table);
}

}  // namespace remeasure::experiments::flashfftconv_problem
