// SPDX-License-Identifier: Apache-2.0
//
// Dropped frequencies: what the block-skipping kernel gains, and what the result loses.
#pragma once

#include "experiments/sequences/flashfftconv_variants.h"

namespace remeasure::experiments::flashfftconv_problem {

using kernels::MonarchKept;

/// Complex signals: the kept block k_i < kept[i] has no conjugate mirror.
inline OracleOutput sparse_oracle(const ConvolutionShape& shape, const MonarchFactors& factors,
                                  const MonarchKept& kept, const Inputs& in) {
  const auto length = static_cast<std::size_t>(shape.length),
             channels = static_cast<std::size_t>(shape.channels);
  std::vector<double> mask(length, 0.0);
  for (std::size_t position = 0; position < length; ++position) {
    bool keep = true;
    for (int i = 0; i < factors.order(); ++i) {
      const std::size_t digit = position / factors.inner(i) % static_cast<std::size_t>(factors.factor(i));
      keep = keep && digit < static_cast<std::size_t>(kept[static_cast<std::size_t>(i)]);
    }
    if (keep) mask[factors.frequency(position)] = 1;
  }
  const std::size_t rows = static_cast<std::size_t>(shape.batch) * channels,
                    count = std::min<std::size_t>(rows, 4);
  OracleOutput output;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t row = count < 2 ? 0 : i * (rows - 1) / (count - 1);
    const auto y = kernels::convolution_oracle(
        length, std::span(in.u).subspan(2 * row * length, 2 * length), {},
        std::span(in.filter).subspan(row % channels * length, length), {}, mask, true);
    output.values.insert(output.values.end(), y.begin(), y.end());
    for (std::size_t n = 0; n < 2 * length; ++n) output.indices.push_back(2 * row * length + n);
  }
  return output;
}

struct SparseCase {
  ConvolutionShape shape;
  MonarchFactors factors;
  std::vector<MonarchKept> kept;  ///< the first keeps all
  bool simt = true;
};

inline std::string sparse_name(const SparseCase& c, const MonarchKept& kept) {
  return fmt::format("kernel/S={:.3g}", kernels::sparsity(c.factors, kept));
}

inline void declare_sparse(Trial& t, const SparseCase& c, const InputSets<Inputs>& in) {
  for (const MonarchKept& kept : c.kept) {
    const std::string output = fmt::format("y {:.3g}", kernels::sparsity(c.factors, kept));
    t.oracle(output, 1, [&c, &in, kept] { return sparse_oracle(c.shape, c.factors, kept, in[0]); });
    const kernels::MonarchCost cost = kernels::monarch_cost<half>(c.shape, c.factors, kept, false);
    std::vector<Accept> accept = accept_f16(output);
    t.kernel({.name = sparse_name(c, kept),
              .what = "complex signals, dropped blocks skipped",
              .dtype = "f16",
              .accept = std::move(accept),
              .work = {.flops = cost.flops, .bytes = cost.bytes, .rate = {}},
              .simt = c.simt,
              .simt_left_out = "longer than the SIMT engine checks in seconds; checked at smoke size"},
             [&c, &in, kept, output]<class Target>(DeviceBench<Target>& b) -> Run {
               auto& plan = b.template own<kernels::MonarchPlan<Target, half>>(b.stream(), c.factors);
               const auto k =
                   b.input(kernels::monarch_device_filters<half>(c.shape, c.factors, in[b.set()].filter));
               const auto u = b.input(rounded<half>(in[b.set()].u));
               const auto y = b.template output<half>(output, c.shape.values());
               return [=, &c, &plan, &stream = b.stream()] {
                 kernels::monarch_convolution<Target, half>(stream, c.shape, plan, kept, u, {}, k, {}, y);
               };
             });
  }
}

/// Relative change of y for white u, real signals, the top of the half spectrum dropped.
inline void report_change(Trial& t, std::size_t length, const std::vector<float>& lowpass) {
  const std::vector<float> u = white(length, t.seed()), noise = white(8 * length, t.seed() + 1);
  std::vector<float> smooth_noise;
  for (std::size_t h = 0; h < 8; ++h) {
    const std::vector<float> smooth =
        datasets::gaussian_lowpass(std::span(noise).subspan(h * length, length), 0.1);
    smooth_noise.insert(smooth_noise.end(), smooth.begin(), smooth.end());
  }
  reports::Table table{
      .name = "sparse",
      .title = "Change of y when the top S of a filter's half spectrum is dropped, white u",
      .columns = {"S", "white filter", "white, fc 0.1", "Hyena-like, fc 0.05", "fc 0.1", "fc 0.2"},
      .rows = {}};
  const std::size_t each = lowpass.size() / 3;
  for (const double s : {0.25, 0.5, 0.75, 0.875}) {
    std::vector<std::string> row = {fmt::format("{:g}", s),
                                    fmt::format("{:.2e}", sparse_change(u, noise, length, s)),
                                    fmt::format("{:.2e}", sparse_change(u, smooth_noise, length, s))};
    for (std::size_t i = 0; i < 3; ++i) {
      row.push_back(
          fmt::format("{:.2e}", sparse_change(u, std::span(lowpass).subspan(i * each, each), length, s)));
    }
    table.rows.push_back(row);
  }
  t.table(table);
  const double smooth = sparse_change(u, smooth_noise, length, 0.75),
               rough = sparse_change(u, noise, length, 0.75);
  t.metric({.name = "change of y at S = 0.75, white filter behind a low-pass of 0.1",
            .value = smooth,
            .unit = "",
            .tolerance = 0.2});
  t.check("three quarters of a smooth filter's spectrum can go, of a white one's not",
          smooth <= 3e-2 && std::abs(rough - std::sqrt(0.75)) < 0.05,
          fmt::format("{:.3g} (at most 0.03; erfc predicts 0.020), white {:.3g} (sqrt(0.75) = 0.866)", smooth,
                      rough));
}

inline void measure_sparse(Trial& t, const SparseCase& c) {
  const ConvolutionShape real{2 * c.shape.batch, c.shape.channels, c.shape.length, c.shape.length, 0,
                              Signal::real};  // planes are rows
  const auto in = t.inputs([&](std::uint64_t seed) { return load(t, real, false, seed); });
  declare_sparse(t, c, in);
  t.measure();
  reports::Table table{.name = "skipped",
                       .title = "Blocks skipped in the kernel",
                       .columns = {"S", "kept", "FLOP ratio", "time ratio"},
                       .rows = {}};
  const double dense = kernels::monarch_matmul_flops(c.factors);
  for (const MonarchKept& kept : c.kept) {
    const double ratio = dense / kernels::monarch_matmul_flops(c.factors, kept),
                 s = kernels::sparsity(c.factors, kept);
    const Measured speedup =
        s > 0 ? t.speedup(sparse_name(c, kept), sparse_name(c, c.kept.front())) : Measured{};
    table.rows.push_back({fmt::format("{:.3g}", s), fmt::format("{}", fmt::join(kept, " ")),
                          fmt::format("{:.2f}", ratio),
                          speedup.value ? fmt::format("{:.2f}", speedup.value->median) : "no GPU"});
    t.metric({.name = fmt::format("FLOP of dense over S = {:.3g}", s),
              .value = ratio,
              .unit = "x",
              .exact = true});
    if (kept == c.kept.back()) t.claim("freq-sparse", speedup);
  }
  t.table(table);
  report_change(t, static_cast<std::size_t>(c.shape.length), in[0].lowpass);
}

}  // namespace remeasure::experiments::flashfftconv_problem
