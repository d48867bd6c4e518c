// SPDX-License-Identifier: Apache-2.0
//
// The timed problem of quantum-kernel: feature maps as states, by explicit matrices, butterflies, cuBLAS and
// the kernel.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include "baselines/science/quantum_states.h"
#include "datasets/science/feature_angles.h"
#include "experiments/science/quantum_kernel_learning.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::feature_space {

using Run = std::function<void()>;
using Single = std::complex<float>;

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

struct StatesCase {
  FeatureMapShape shape;
  const InputSets<StateInputs>& in;
  bool simt = true;
  std::string left_out = {};  ///< why the CPU's rows aren't run
};

inline std::vector<Accept> accept_states() {
  return {
      {.output = "states",
       .metric = ErrorMetric::relative_l2,
       .limit = 2e-6,
       .reason = "f32: phases rounded to 2^-23 of pi, then n levels of additions (explicit: sums of 2^n)"}};
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
inline void declare_map_on_host(Trial& t, const StatesCase& c) {
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
}

inline VariantsOnDevice on_device(const StatesCase& c) {
  return {c.simt, "amplitudes", "explicit matrices cost 2^n operations an amplitude, butterflies 2 n"};
}

inline void declare_map_on_device(Trial& t, const StatesCase& c) {
  const FeatureMapShape shape = c.shape;
  const kernels::FeatureMapWork map = feature_map_work(shape);
  t.kernel(on_device(c)("kernel", "a block per sample, 16 amplitudes a thread", "f32", accept_states(),
                        {.flops = map.flops, .bytes = map.bytes, .special = map.special}),
           [c, shape]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const auto states = b.template output<float>("states", shape.values());
             auto& stream = b.stream();
             return [=, &stream] { kernels::feature_map<Target>(stream, shape, x, states); };
           });

  VariantInfo vendor = on_device(c)("vendor", "feature_phases, cublasCgemm with the matrix of H", "f32",
                                    accept_states(), explicit_work(shape));
  if (shape.qubits > baselines::kMostVendorQubits) vendor.not_supported = "the matrix of H beyond 10 qubits";
  t.vendor(std::move(vendor), [c, shape]<class Target>(DeviceBench<Target>& b) -> Run {
    const auto x = b.input(c.in[b.set()].x);
    const auto states = b.template output<float>("states", shape.values());
    auto& map_of = b.template own<baselines::CublasFeatureMap>(b.stream(), shape);
    return [=, &map_of] { map_of(x, states); };
  });
}

}  // namespace remeasure::experiments::feature_space
