// SPDX-License-Identifier: Apache-2.0
//
// Kernel matrices of states: what is compared, and every way to compute them.
#pragma once

#include "datasets/random.h"
#include "experiments/science/quantum_kernel_map.h"

namespace remeasure::experiments::feature_space {

inline constexpr Measurement kShots{.shots = 50'000, .depolarising = 0.05, .seed = 21};

inline GramShape gram_of(const FeatureMapShape& shape) {
  return {shape.samples, shape.samples, shape.qubits, true};
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

inline std::vector<Accept> accept_gram(double limit, std::string reason) {
  return {{.output = "gram", .metric = ErrorMetric::max_scaled, .limit = limit, .reason = std::move(reason)}};
}
inline std::vector<Accept> accept_gram(const FeatureMapShape& shape) {
  // Up to 12 qubits what rounding leaves is below 5e-6; of more amplitudes the sums walk at random.
  return accept_gram(5e-6 * std::exp2(0.5 * std::max(0, shape.qubits - 12)),
                     "f32 sums over 2^n amplitudes of a norm of 1");
}

/// 8 m^2 2^n, of which a symmetric matrix needs half.
inline Work product_work(const FeatureMapShape& shape, double share) {
  const double m = shape.samples;
  return {.flops = share * 8 * m * m * static_cast<double>(shape.amplitudes()),
          .bytes = 4.0 * static_cast<double>(shape.values()) + 4 * m * m};
}

inline void declare_gram_on_host(Trial& t, const StatesCase& c) {
  const FeatureMapShape shape = c.shape;
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

inline void declare_gram_on_device(Trial& t, const StatesCase& c) {
  const FeatureMapShape shape = c.shape;
  const GramShape gram = gram_of(shape);
  const kernels::GramWork product = gram_abs2_work(gram);
  const auto gram_kernel = [&](VariantInfo info, const char* output, Measurement measurement) {
    t.kernel(std::move(info), [c, gram, output, measurement]<class Target>(DeviceBench<Target>& b) -> Run {
      const auto states = b.input(c.in[b.set()].states);
      const auto to = b.template output<float>(output, gram.entries());
      auto& stream = b.stream();
      return [=, &stream] { kernels::gram_abs2<Target>(stream, gram, measurement, states, states, to); };
    });
  };
  gram_kernel(
      on_device(c)("kernel/gram", "three TF32 products, half of the tiles, |.|^2 in the epilogue", "f32",
                   accept_gram(shape), {.flops = product.flops, .bytes = product.bytes, .rate = "gemm-tf32"}),
      "gram", {});
  // Entries of float and double probabilities may lie a shot apart; statistics of the shots are a check of
  // the case.
  gram_kernel(on_device(c)(
                  "kernel/gram/shots",
                  "the same, with depolarising noise and 50000 shots an entry drawn in the epilogue", "f32",
                  {{.output = "measured",
                    .metric = ErrorMetric::relative_l2,
                    .limit = 2e-3,
                    .reason = "draws from probabilities in f32: a shot or a rejection apart here and there"}},
                  {.flops = product.flops,
                   .bytes = product.bytes,
                   .rate = "gemm-tf32",
                   .uncounted = "attempts and logarithms of the draws depend on the data"}),
              "measured", kShots);

  const auto vendor_gram = [&](const char* name, const char* what, bool tf32, std::vector<Accept> accept) {
    t.vendor(on_device(c)(name, what, "f32", std::move(accept), product_work(shape, 0.5)),
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

}  // namespace remeasure::experiments::feature_space
