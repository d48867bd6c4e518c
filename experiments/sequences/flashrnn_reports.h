// SPDX-License-Identifier: Apache-2.0
//
// What flashrnn reports beside the time of layers: the largest layers, traffic of R, state tracking, and how
// time grows with the head's dim.
#pragma once

#include "bench/scaling.h"
#include "bench/verdict.h"
#include "experiments/sequences/flashrnn_tracking.h"
#include "experiments/sequences/flashrnn_variants.h"
#include "kernels/sequences/rnn_tiling.h"

namespace remeasure::experiments::flashrnn_layer {

inline constexpr int kHeadDims[] = {16, 32, 64, 128, 256, 768};

/// Traffic of R, which is what fusing saves: elements read in all steps.
inline void report_traffic(Trial& t) {
  reports::Table table{.name = "traffic",
                       .title = "Elements of R read, B = 8, T = 1024, LSTM of 768 units",
                       .columns = {"dim", "fused", "alternating"},
                       .rows = {}};
  for (const int dim : kHeadDims) {
    const RnnShape shape{Cell::lstm, 8, 1024, 768 / dim, dim};
    const double once = static_cast<double>(shape.weights_size());
    table.rows.push_back(
        {std::to_string(dim), fmt::format("{:.0f}", once), fmt::format("{:.0f}", once * shape.steps)});
  }
  t.table(table);
}

/// The largest layers: by the authors' resource model, and by the plans of the kernel here.
inline void measure_sizes(Trial& t) {
  struct Device {
    const char* name;
    int multiprocessors, shared_bytes;
  };
  reports::Table table{.name = "largest",
                       .title = "Largest hidden size, 8 batch entries, bf16",
                       .columns = {"cell", "device", "one block", "all blocks", "ratio"},
                       .rows = {}};
  double ratio = 0;
  for (const auto& [cell, gates] :
       {std::pair{Cell::elman, 1}, std::pair{Cell::gru, 3}, std::pair{Cell::lstm, 4}}) {
    for (const Device& device :
         {Device{"A100, model", 108, 165000}, Device{"H200, model", 132, 227 * 1024}}) {
      const kernels::TilingModel model{.gates = gates,
                                       .batch = 8,
                                       .hidden = 0,
                                       .multiprocessors = device.multiprocessors,
                                       .shared_bytes = device.shared_bytes};
      const int one = kernels::largest_hidden(model, true), all = kernels::largest_hidden(model, false);
      table.rows.push_back({name_of(cell), device.name, std::to_string(one), std::to_string(all),
                            fmt::format("{:.1f}", static_cast<double>(all) / one)});
      if (cell == Cell::lstm) {
        t.metric({.name = fmt::format("largest LSTM in all blocks, {}", device.name),
                  .value = static_cast<double>(all),
                  .unit = "units",
                  .exact = true});
        ratio = static_cast<double>(all) / one;
      }
    }
    const int one = kernels::rnn_fused_largest_dim(cell, 2, true),
              all = kernels::rnn_fused_largest_dim(cell, 2, false);
    table.rows.push_back({name_of(cell), "H200, kernel here", std::to_string(one), std::to_string(all),
                          fmt::format("{:.1f}", static_cast<double>(all) / one)});
  }
  t.table(table);
  t.claim("x40-hidden", bench::Measured{.value = reports::Estimate{ratio, ratio, ratio},
                                        .on = std::string(bench::kModelPrefix) +
                                              " shared memory of one block and of all, H200",
                                        .missing = {}});
  const kernels::TilingModel theirs{
      .gates = 1, .batch = 8, .hidden = 2976, .multiprocessors = 108, .shared_bytes = 165000};
  t.check("the repository's 2976 units on an A100 have no tiling", kernels::tilings_of(theirs).empty(),
          "R needs 108 blocks of 165,000 bytes; 2976 units divide into 93, 96 or 124");
  report_traffic(t);
}

inline void measure_tracking(Trial& t, std::size_t steps, bool s5) {
  reports::Table table{.name = "state tracking",
                       .title = fmt::format("Accuracy over {} steps", steps),
                       .columns = {"group", "method", "accuracy", "chance"},
                       .rows = {}};
  for (const char* group : {"parity", "s3", "s5"}) {
    if (std::string(group) == "s5" && !s5) continue;
    const auto opened =
        t.open(datasets::state_tracking_definition, datasets::state_tracking(group, 8, steps, t.seed()));
    const datasets::StateTracking data = read_state_tracking(*opened.reader);
    const double chance = 1.0 / static_cast<double>(data.states);
    const auto row = [&](const char* method, double value) {
      table.rows.push_back(
          {group, method, fmt::format("{:.2f} %", 100 * value), fmt::format("{:.2f} %", 100 * chance)});
      t.metric({.name = fmt::format("accuracy, {}, {}", group, method),
                .value = 100 * value,
                .unit = "%",
                .tolerance = 0.05});
    };
    for (const auto& [cell, name] :
         {std::pair{Cell::elman, "Elman automaton"}, std::pair{Cell::lstm, "LSTM automaton"}}) {
      const double right = flashrnn_tracking::automaton_accuracy(cell, data);
      row(name, right);
      t.check(fmt::format("{} of {} never errs", name, group), right == 1,
              fmt::format("{:.4f} % of the steps", 100 * right));
    }
    const double linear = flashrnn_tracking::linear_accuracy(data, 12);
    row("linear recurrence, 12 real eigenvalues", linear);
    // Three quarters of the steps of four sequences: some of them may be right by chance.
    const double error = std::sqrt(chance * (1 - chance) / (3.0 * static_cast<double>(steps)));
    t.check(fmt::format("a linear recurrence guesses in {}", group), linear < chance + 6 * error + 0.02,
            fmt::format("{:.2f} %, chance is {:.2f} %", 100 * linear, 100 * chance));
  }
  t.table(table);
}

/// One head, 2 batch entries, 64 steps: R has dim^2 elements.
inline void measure_scaling(Trial& t, const std::vector<int>& dims) {
  std::vector<std::unique_ptr<InputSets<LayerInputs>>> sets;
  const bench::Scaling scaling{.title = "Time of an LSTM layer of one head against its dim, B = 2, T = 64",
                               .symbol = "D",
                               .sizes = dims,
                               .methods = {{"eigen"}, {"method"}, {"kernel", "fused, bf16"}},
                               .axis = "dim of the head"};
  for (const int dim : dims) {
    const RnnShape shape{Cell::lstm, 2, 64, 1, dim};
    sets.push_back(std::make_unique<InputSets<LayerInputs>>(
        t.inputs([&](std::uint64_t seed) { return load(t, shape, seed); })));
    const auto& in = *sets.back();
    const std::string output = fmt::format("states {}", dim);
    t.oracle(output, 1, [shape, &in] { return Sample(shape).oracle(exact_states(shape, in[0]), false); });
    const auto host = [&](const char* method, auto run) {
      t.host({.name = bench::scaling_variant(scaling, method, dim),
              .what = "one thread",
              .dtype = "f32",
              .accept = accept(output, single_limit(shape), kSingleReason),
              .threads = 1},
             [&in, shape, output, run](HostBench& b) -> Run {
               const LayerInputs& of = in[b.set()];
               const auto wx = b.input(of.wx), weights = b.input(of.weights), bias = b.input(of.bias),
                          first = b.input(of.first);
               const auto states = b.output<float>(output, shape.states_size());
               return [=] { run(shape, wx, weights, bias, first, states, 1); };
             });
    };
    host("eigen", [](const auto&... arguments) { baselines::rnn_steps_eigen(arguments...); });
    host("method", [](const auto&... arguments) { kernels::rnn_reference<float>(arguments...); });
    VariantInfo info =
        on_device({shape, in, false})(bench::scaling_variant(scaling, "kernel", dim), "one launch, R on chip",
                                      "bf16", accept(output, 2e-2, kHalfReason));
    info.simt_left_out = "checked in the cases of layers";
    t.kernel(std::move(info), [&in, shape, output]<class Target>(DeviceBench<Target>& b) -> Run {
      const DeviceInputs<Target, bfloat16> of(b, in[b.set()]);
      const auto states = b.template output<bfloat16>(output, shape.states_size());
      auto& stream = b.stream();
      const auto plan = kernels::rnn_fused_plan(shape, 2, limits_of(stream));
      return [=, &stream] {
        kernels::rnn_fused<Target, bfloat16>(stream, shape, plan, of.wx, of.weights, of.bias, of.first,
                                             states);
      };
    });
  }
  t.measure();
  report_scaling(t, scaling);
}

}  // namespace remeasure::experiments::flashrnn_layer
