// SPDX-License-Identifier: Apache-2.0
//
// How the time of a layer grows with the number of steps, on a CPU: the loop with reset, the recurrence
// without, the transforms.
#pragma once

#include "bench/scaling.h"
#include "experiments/spiking/spsn_variants.h"

namespace remeasure::experiments::spsn_layer {

struct TimedMethod {
  const char* name;
  const char* what;
  std::function<void(const SpikingShape&, std::span<const float>, std::span<float>)> run;
};

inline const std::vector<TimedMethod>& scaling_methods() {
  static const std::vector<TimedMethod> methods = {
      {"loop", "LIF",
       [](const SpikingShape& shape, std::span<const float> x, std::span<float> m) {
         kernels::lif_reference<float>(shape, kDecay, static_cast<double>(kThreshold), x, m, 1);
       }},
      {"recurrence", "SPSN",
       [](const SpikingShape& shape, std::span<const float> x, std::span<float> m) {
         kernels::spsn_membrane_reference<float>(shape, kDecay, x, m, 1);
       }},
      {"transforms", "SPSN by FFT",
       [](const SpikingShape& shape, std::span<const float> x, std::span<float> m) {
         kernels::spsn_membrane_fourier<float>(shape, kDecay, x, m, 1);
       }},
  };
  return methods;
}

/// One thread, a batch entry of 32 neurons; exponents of T.
inline void measure_scaling(Trial& t, const std::vector<int>& steps) {
  struct Length {
    SpikingShape shape;
    std::unique_ptr<InputSets<LayerInputs>> in;
    LayerOracles exact;
  };
  bench::Scaling scaling{
      .title = "Time of a layer against the number of steps", .symbol = "T", .sizes = steps, .methods = {}};
  for (const TimedMethod& method : scaling_methods()) scaling.methods.push_back({method.name, method.what});
  std::vector<Length> lengths;
  for (const int each : steps) {
    const SpikingShape shape{1, each, 32};
    auto in = std::make_unique<InputSets<LayerInputs>>(
        t.inputs([&](std::uint64_t seed) { return load(t, shape, 70, seed); }));
    LayerOracles exact = oracles(Columns(shape), (*in)[0]);
    lengths.push_back({shape, std::move(in), std::move(exact)});
  }
  for (const Length& length : lengths) {
    const std::string suffix = fmt::format(" {}", length.shape.steps);
    t.oracle("membrane" + suffix, 1,
             [&length] { return Columns(length.shape).oracle(length.exact.membrane); });
    t.oracle("lif" + suffix, 1, [&length] { return Columns(length.shape).oracle(length.exact.lif); });
    for (const TimedMethod& method : scaling_methods()) {
      const bool resets = std::string(method.name) == "loop";
      std::vector<Accept> accept =
          resets ? accept_lif(firm_steps(length.shape, Columns(length.shape), length.exact.lif))
                 : accept_membrane();
      accept[0].output += suffix;
      t.host({.name = bench::scaling_variant(scaling, method.name, length.shape.steps),
              .what = fmt::format("{}, one thread", method.what),
              .dtype = "f32",
              .accept = accept,
              .threads = 1},
             [&length, &method, output = accept[0].output](HostBench& b) -> Run {
               const auto x = b.input((*length.in)[b.set()].current);
               const auto m = b.output<float>(output, x.size());
               return [=, &length, &method] { method.run(length.shape, x, m); };
             });
    }
  }
  t.measure();

  bench::report_scaling(t, scaling);
}

}  // namespace remeasure::experiments::spsn_layer
