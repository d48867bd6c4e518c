// SPDX-License-Identifier: Apache-2.0
//
// Many draws of the paths, filled by every variant: the timed part of c4's network model.
#pragma once

#include "baselines/systems/sparse_filling.h"
#include "experiments/systems/c4_problem.h"
#include "kernels/systems/ecmp_trials.h"

namespace remeasure::experiments::c4_problem {

struct FillingCase {
  ClusterChoice cluster = {};
  int qps = 8, trials = 32;
  bool kernel_only = false;  ///< more trials than the others can take
  bool simt = true;
};

struct FillingProblem {
  Traffic traffic;
  std::uint32_t seed = 0;
};

inline std::vector<Accept> accept_busbw() {
  return {{.output = "even",
           .metric = ErrorMetric::mismatches,
           .limit = 0,
           .reason = "integers: every order of freezing gives the same"},
          {.output = "weighted",
           .metric = ErrorMetric::mismatches,
           .limit = 0,
           .reason = "integers: every order of freezing gives the same"}};
}

/// The traffic once, two minima of each job of each trial. No floating-point operation.
inline double filling_bytes(const Traffic& t, int trials) {
  return 4.0 * t.shape.nodes + 12.0 * t.shape.pairs + 4.0 * t.shape.links() + 8.0 * trials * t.shape.jobs;
}

/// Oracle of the first trials: at least 1000 results, or all.
inline void declare_filling_oracles(Trial& t, const FillingProblem& p, int trials) {
  const int compared = std::min(trials, (1000 + p.traffic.shape.jobs - 1) / p.traffic.shape.jobs);
  for (const bool even : {true, false}) {
    t.oracle(even ? "even" : "weighted", 1, [&p, compared, trials, even] {
      OracleOutput output;
      for (int trial = 0; trial < compared; ++trial) {
        const auto paths =
            kernels::trial_paths(p.traffic, Routing::hashed, {}, p.seed, static_cast<std::uint32_t>(trial));
        const auto filling = kernels::fill_rates<std::int64_t>(p.traffic, paths);
        const auto jobs = kernels::busbw<std::int64_t>(p.traffic, filling.rates);
        const auto& of = even ? jobs.even : jobs.weighted;
        output.values.insert(output.values.end(), of.begin(), of.end());
      }
      for (std::size_t i = 0; compared < trials && i < output.values.size(); ++i) output.indices.push_back(i);
      return output;
    });
  }
}

inline void declare_kernel(Trial& t, const bench::InputSets<FillingProblem>& in, const FillingCase& c,
                           const std::string& name, kernels::RailTeam team) {
  const kernels::ClosShape& s = in[0].traffic.shape;
  VariantInfo info{
      .name = name,
      .what = fmt::format("{}, {} bytes of shared memory a block, paths hashed in it",
                          team == kernels::RailTeam::block ? "a block for one rail after the other"
                                                           : "a warp or the block for a rail, by size",
                          kernels::ecmp_shared_bytes(s, team)),
      .dtype = "u32",
      .accept = accept_busbw(),
      .work = {.bytes = filling_bytes(in[0].traffic, c.trials)}};
  info.formula_bytes = info.work.bytes;
  info.simt = c.simt;
  if (!c.simt) info.simt_left_out = "too many trials for the SIMT engine; checked at smoke size";
  info.explain_speedup =
      "the library goes to memory three times a round for each link and flow; here a rail stays in shared "
      "memory for all rounds";
  t.kernel(std::move(info), [&in, &c, team]<class Target>(DeviceBench<Target>& bench) -> Run {
    const FillingProblem& p = in[bench.set()];
    const kernels::DeviceTraffic<Target> traffic{
        p.traffic.shape,           bench.input(p.traffic.group), bench.input(p.traffic.from),
        bench.input(p.traffic.to), bench.input(p.traffic.job),   bench.input(p.traffic.capacity)};
    const std::size_t results = at(c.trials) * at(p.traffic.shape.jobs);
    const auto even = bench.template output<std::uint32_t>("even", results),
               weighted = bench.template output<std::uint32_t>("weighted", results);
    auto& stream = bench.stream();
    return [=, &stream, seed = p.seed, trials = c.trials] {
      kernels::ecmp_trials<Target>(stream, traffic, Routing::hashed, {}, seed, trials, even, weighted, {},
                                   team);
    };
  });
}

inline void declare_filling_host(Trial& t, const bench::InputSets<FillingProblem>& in, const FillingCase& c) {
  const auto declare = [&](const char* name, const char* what, auto fill) {
    VariantInfo info{.name = name,
                     .what = what,
                     .dtype = "u32",
                     .accept = accept_busbw(),
                     .work = {.bytes = filling_bytes(in[0].traffic, c.trials)}};
    t.host(std::move(info), [&in, &c, fill](HostBench& bench) -> Run {
      const FillingProblem& p = in[bench.set()];
      bench.input(p.traffic.capacity);
      const std::size_t results = at(c.trials) * at(p.traffic.shape.jobs);
      const auto even = bench.output<std::uint32_t>("even", results),
                 weighted = bench.output<std::uint32_t>("weighted", results);
      return [=, &p, &c] { fill(p, c.trials, even, weighted); };
    });
  };
  using Results = std::span<std::uint32_t>;
  declare("method", "progressive filling rail by rail in integers, lists of active flows, all cores",
          [](const FillingProblem& p, int trials, Results even, Results weighted) {
            kernels::ecmp_trials_reference(p.traffic, Routing::hashed, {}, p.seed, trials, even, weighted);
          });
  declare("eigen",
          "Eigen::SparseMatrix<double, RowMajor>: A active, A^T full, A step a round; trials dealt out to "
          "the cores",
          [](const FillingProblem& p, int trials, Results even, Results weighted) {
            baselines::eigen_filling(p.traffic, Routing::hashed, {}, p.seed, trials, even, weighted);
          });
}

inline void declare_filling_vendor(Trial& t, const bench::InputSets<FillingProblem>& in,
                                   const FillingCase& c) {
  VariantInfo info{.name = "vendor",
                   .what =
                       "cusparseSpMV, three a round on the block-diagonal matrix of all trials, which is "
                       "made in advance (in its favour)",
                   .dtype = "f64",
                   .accept = accept_busbw()};
  t.vendor(std::move(info), [&in, &c]<class Target>(DeviceBench<Target>& bench) -> Run {
    const FillingProblem& p = in[bench.set()];
    std::vector<std::uint16_t> paths;
    for (int trial = 0; trial < c.trials; ++trial) {
      const auto one =
          kernels::trial_paths(p.traffic, Routing::hashed, {}, p.seed, static_cast<std::uint32_t>(trial));
      paths.insert(paths.end(), one.begin(), one.end());
    }
    const std::size_t results = at(c.trials) * at(p.traffic.shape.jobs);
    const auto even = bench.template output<std::uint32_t>("even", results),
               weighted = bench.template output<std::uint32_t>("weighted", results);
    auto& filling =
        bench.template own<baselines::CusparseFilling>(bench.stream(), p.traffic, paths, c.trials);
    filling(even, weighted);  // chooses the algorithm, counts the rounds
    bench.setting(filling.setting());
    return [&filling, even, weighted] { filling(even, weighted); };
  });
}

inline void measure_filling(Trial& t, const FillingCase& c) {
  const auto in = t.inputs([&](std::uint64_t seed) {
    return FillingProblem{load(t, c.cluster, c.qps, seed), static_cast<std::uint32_t>(seed)};
  });
  declare_filling_oracles(t, in[0], c.trials);
  declare_kernel(t, in, c, "kernel", kernels::RailTeam::automatic);
  if (!c.kernel_only) {
    declare_kernel(t, in, c, "kernel/block", kernels::RailTeam::block);
    declare_filling_host(t, in, c);
    declare_filling_vendor(t, in, c);
  }
  t.measure();
  if (!c.kernel_only) {
    t.speedup("kernel", "vendor");
    t.speedup("kernel", "kernel/block");
    t.speedup("method", "eigen");
  }
  const kernels::ClosShape& s = in[0].traffic.shape;
  reports::Table rates{
      .name = "throughput", .title = "Trials a second", .columns = {"variant", "trials/s"}, .rows = {}};
  for (const char* variant : {"kernel", "kernel/block", "vendor", "eigen", "method"}) {
    if (c.kernel_only && std::string(variant) != "kernel") continue;
    const Measured time = t.time(variant);
    if (time.value) rates.rows.push_back({variant, fmt::format("{:.4g}", c.trials / time.value->median)});
  }
  if (!rates.rows.empty()) t.table(std::move(rates));
  t.table({.name = "state",
           .title = "Shared memory of a trial, bytes",
           .columns = {"flows", "links", "a warp a rail", "a rail after the other", "16 a flow and a link"},
           .rows = {{std::to_string(s.flows()), std::to_string(s.links()),
                     std::to_string(kernels::ecmp_shared_bytes(s, kernels::RailTeam::warp)),
                     std::to_string(kernels::ecmp_shared_bytes(s, kernels::RailTeam::block)),
                     std::to_string(16 * (s.flows() + s.links()))}}});
  const auto paths = kernels::trial_paths(in[0].traffic, Routing::hashed, {}, in[0].seed, 0);
  const auto whole = kernels::fill_rates<std::int64_t>(in[0].traffic, paths);
  const auto faults = kernels::fairness_faults(in[0].traffic, paths, whole.rates);
  t.check("rates are max-min fair", faults.overfull == 0 && faults.without_bottleneck == 0,
          fmt::format("{} links overfull, {} flows without a full link", faults.overfull,
                      faults.without_bottleneck));
  t.metric(metric("rounds of filling, all rails at once", whole.rounds, "rounds"));
}

}  // namespace remeasure::experiments::c4_problem
