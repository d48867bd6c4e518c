// SPDX-License-Identifier: Apache-2.0
//
// What smash says of a product beside its times: traffic of the dataflows, probes, balance, the accelerator's
// cycles, memory.
#pragma once

#include "baselines/graphs/spgemm_dataflows.h"
#include "experiments/graphs/smash_accelerator.h"
#include "experiments/graphs/smash_problem.h"

namespace remeasure::experiments::smash_problem {

using kernels::HashStatistics;
using kernels::SlotHash;

inline constexpr double kReportedV1 = 986.7, kReportedV2 = 432.5, kReportedV3 = 105.4;  // ms on the simulator

/// Everything about a pair that doesn't depend on a machine.
struct Behaviour {
  HashStatistics high, low, mixed;
  double imbalance_rows = 0, imbalance_tokens = 0;

  const HashStatistics& of(SlotHash hash) const {
    return hash == SlotHash::high ? high : hash == SlotHash::low ? low : mixed;
  }
};

/// Tokens of the balance: entries of A. Fewer where a large token would be a visible part of a thread's
/// share.
inline int token_entries(const Problem& p) {
  return static_cast<int>(std::clamp<std::int64_t>(p.pair.a.edges() / (64 * 100), 1, 32));
}

inline Behaviour behaviour_of(const Problem& p) {
  const auto statistics = [&](SlotHash hash) { return hash_statistics(p.a(), p.b(), p.plan, hash); };
  const smash_accelerator::Accelerator block;
  return {statistics(SlotHash::high), statistics(SlotHash::low), statistics(SlotHash::mixed),
          kernels::row_imbalance(p.products_of_row, block.threads),
          kernels::token_imbalance(p.a(), p.b(), token_entries(p), block.threads)};
}

inline smash_accelerator::Counts counts_of(const Problem& p, const Behaviour& b) {
  return {.products = p.pair.products,
          .entries = p.pair.entries,
          .entries_of_a = static_cast<double>(p.pair.a.edges()),
          .entries_per_table = static_cast<double>(b.low.entries) / static_cast<double>(b.low.fillings),
          .probes_high = b.high.probes_per_product(),
          .probes_low = b.low.probes_per_product(),
          .imbalance_rows = b.imbalance_rows,
          .imbalance_tokens = b.imbalance_tokens};
}

inline reports::Metric exact_metric(std::string name, double value, std::string unit,
                                    std::optional<Interval> reported = {}) {
  return {
      .name = std::move(name), .value = value, .unit = std::move(unit), .reported = reported, .exact = true};
}

inline void report_hashing(Trial& t, const Problem& p, const Behaviour& b) {
  reports::Table table{
      .name = "hashing",
      .title =
          fmt::format("Probes of tables with {} slots at load {}", p.plan.table.slots, p.plan.table.load),
      .columns = {"hash", "version", "probes per product", "longest", "fillings", "overflows"},
      .rows = {}};
  const std::tuple<SlotHash, const char*, const char*> rows[] = {
      {SlotHash::high, "high-order bits", "V1"},
      {SlotHash::low, "low-order bits", "V2, V3"},
      {SlotHash::mixed, "multiplicative", "kernel"}};
  for (const auto& [hash, name, version] : rows) {
    const HashStatistics& s = b.of(hash);
    table.rows.push_back({name, version, fmt::format("{:.2f}", s.probes_per_product()),
                          std::to_string(s.longest), std::to_string(s.fillings),
                          std::to_string(s.overflows)});
    t.metric(exact_metric(fmt::format("probes per product, {}", name), s.probes_per_product(), "probes"));
  }
  t.table(std::move(table));
}

inline void report_balance(Trial& t, const Problem& p, const Behaviour& b) {
  t.table({.name = "balance",
           .title = "Products of the busiest of 64 threads over the mean",
           .columns = {"rows dealt out (V1)",
                       fmt::format("tokens of {} entries of A (V2, V3)", token_entries(p))},
           .rows = {{fmt::format("{:.2f}", b.imbalance_rows), fmt::format("{:.3f}", b.imbalance_tokens)}}});
  t.metric(exact_metric("imbalance of rows", b.imbalance_rows, "x"));
  t.metric(exact_metric("imbalance of tokens", b.imbalance_tokens, "x"));
}

inline void report_accelerator(Trial& t, const smash_accelerator::Cycles& cycles) {
  reports::Table table{.name = "accelerator",
                       .title = "Model of a block with 64 threads (assumed costs)",
                       .columns = {"version", "Mcycles", "V1 over it", "reported, ms", "reported V1 over it"},
                       .rows = {}};
  const std::tuple<const char*, double, double> rows[] = {
      {"V1", cycles.v1, kReportedV1}, {"V2", cycles.v2, kReportedV2}, {"V3", cycles.v3, kReportedV3}};
  for (const auto& [name, value, reported] : rows) {
    table.rows.push_back({name, fmt::format("{:.3f}", value / 1e6), fmt::format("{:.2f}", cycles.v1 / value),
                          fmt::format("{:.1f}", reported), fmt::format("{:.2f}", kReportedV1 / reported)});
  }
  t.table(std::move(table));
  t.metric(exact_metric("modelled V1 over V2", cycles.v1 / cycles.v2, "x",
                        Interval{kReportedV1 / kReportedV2, kReportedV1 / kReportedV2}));
  t.metric(exact_metric("modelled V1 over V3", cycles.v1 / cycles.v3, "x",
                        Interval{kReportedV1 / kReportedV3, kReportedV1 / kReportedV3}));
}

/// The assumption that the model's verdict rests on most: how much the copy engine moves.
inline void plot_engine(Trial& t, const smash_accelerator::Counts& counts) {
  reports::Curve modelled{.label = "model"}, reported{.label = "reported", .reference = true};
  for (const double bytes : {4.0, 8.0, 16.0, 32.0, 64.0, 128.0}) {
    smash_accelerator::Accelerator block;
    block.engine_bytes = bytes;
    const smash_accelerator::Cycles cycles = cycles_of(block, counts);
    modelled.x.push_back(bytes);
    modelled.y.push_back(cycles.v1 / cycles.v3);
    reported.x.push_back(bytes);
    reported.y.push_back(kReportedV1 / kReportedV3);
  }
  t.plot({.name = "engine",
          .title = "Modelled V1 over V3 against the copy engine",
          .x_label = "bytes a cycle",
          .y_label = "V1 over V3",
          .log_x = true,
          .log_y = true,
          .curves = {modelled, reported}});
}

/// What a product's intermediate results take. `blocks`: as many as a GPU of 132 multiprocessors holds.
inline void report_memory(Trial& t, const Problem& p) {
  constexpr int kBlocks = 6 * 132;
  const double table = static_cast<double>(table_bytes(p.plan.table)), partials = 12 * p.pair.products;
  const auto mib = [](double bytes) { return fmt::format("{:.2f}", bytes / 1048576); };
  t.table(
      {.name = "scratch",
       .title = "Scratch for partial sums, MiB",
       .columns = {"table of a block", fmt::format("tables of {} blocks", kBlocks),
                   "fragments of C in memory, 8 bytes a product",
                   "partial matrices of an outer product, 12 bytes a product", "outer product over tables"},
       .rows = {{mib(table), mib(kBlocks * table), mib(8 * p.pair.products), mib(partials),
                 fmt::format("{:.3g}", partials / (kBlocks * table))}}});
}

/// Inner products of every `stride`-th row of A, scaled to all; an odd stride, since R-MAT's rows aren't
/// alike modulo powers of two.
inline void report_dataflows(Trial& t, const Problem& p, const Exact& exact, int stride) {
  baselines::DataflowTraffic inner, outer, rows;
  const auto by_inner = baselines::inner_product(p.a(), p.b(), stride, inner);
  const auto by_outer = baselines::outer_product(p.a(), p.b(), outer);
  const auto by_rows = baselines::row_wise_product(p.a(), p.b(), rows);
  const auto products = static_cast<std::int64_t>(p.pair.products);
  const int first = stride / 2;  // then every stride-th row
  const double rows_done = std::ceil((static_cast<double>(p.rows()) - first) / stride),
               whole = static_cast<double>(p.rows()) / rows_done;
  const double inner_reads = whole * static_cast<double>(inner.index_reads),
               row_reads = static_cast<double>(rows.index_reads);
  const auto count = [](std::int64_t value, double factor = 1) {
    return fmt::format("{:.4g}", factor * static_cast<double>(value));
  };
  t.table(
      {.name = "dataflows",
       .title = stride == 1
                    ? "What each order of the loops moves"
                    : fmt::format("What each order of the loops moves; inner from every {}th row", stride),
       .columns = {"order", "index reads", "reads of B", "partials written", "partials read", "pairs tried"},
       .rows = {{"inner", count(inner.index_reads, whole), count(stride == 1 ? inner.b_reads : products), "0",
                 "0", count(inner.pairs, whole)},
                {"outer", count(outer.index_reads), count(outer.b_reads), count(outer.partial_writes),
                 count(outer.partial_reads), "0"},
                {"row-wise", count(rows.index_reads), count(rows.b_reads), "0", "0", "0"}}});
  t.metric(exact_metric("index reads, inner over row-wise", inner_reads / row_reads, "x"));
  t.check("row-wise reads an entry of B per product", rows.b_reads == products,
          fmt::format("{} reads, {} products", rows.b_reads, products));
  t.check("an outer product writes and reads each product",
          outer.partial_writes + outer.partial_reads == 2 * products,
          fmt::format("{} + {}, {} products", outer.partial_writes, outer.partial_reads, products));
  t.check("an inner product reads 5 times the indices", inner_reads >= 5 * row_reads,
          fmt::format("{:.4g} against {:.4g}", inner_reads, row_reads));
  const auto same = [&](const kernels::SparseProduct<double>& c) {
    if (c.row_pointers != exact.c.row_pointers || c.column != exact.c.column) return false;
    for (std::size_t e = 0; e < c.value.size(); ++e) {
      if (!(std::abs(c.value[e] - exact.c.value[e]) <= 1e-14 * exact.c.magnitude[e])) return false;
    }
    return true;
  };
  t.check("the dataflows give one product", same(by_outer) && same(by_rows) && (stride > 1 || same(by_inner)),
          "structure exactly, values within 1e-14 of (|A||B|)_ij");
}

}  // namespace remeasure::experiments::smash_problem
