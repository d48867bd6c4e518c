// SPDX-License-Identifier: Apache-2.0
//
// Every way of tc-gnn to aggregate over a graph.
#pragma once

#include "baselines/graphs/sparse_products.h"
#include "baselines/matmul/matmul.h"
#include "experiments/graphs/tc_gnn_oracles.h"
#include "experiments/graphs/tc_gnn_work.h"
#include "experiments/vocabulary.h"
#include "kernels/graphs/agnn.h"
#include "kernels/graphs/sgt_translate.h"

namespace remeasure::experiments::tc_gnn_graphs {

using Run = std::function<void()>;

struct Features {
  std::vector<float> x;  ///< [nodes, dim], N(0, 1)
};

inline constexpr std::int64_t kDenseNodes = 4096;
inline constexpr std::int64_t kMostEllBytes = std::int64_t{1} << 30;

/// Why a graph isn't multiplied as Blocked-ELL: what its blocks take in the ways a user could have them,
/// beside all that a product on CSR can move (edges and, for each, a row of x; y). Nothing helps: a block of
/// 256 values holds one or two edges of such a graph. Rows of blocks streamed from the host would move the
/// same bytes over a slower bus.
inline std::string ell_left_out(const HostCsr& csr, int dim) {
  const std::int64_t bytes = baselines::BlockedEll::bytes(csr, 16);
  if (bytes <= kMostEllBytes) return "";
  const double edges = static_cast<double>(csr.column_indices.size()), rows = static_cast<double>(csr.rows);
  const auto gigabytes = [](double x) { return x * 1e-9; };
  const double all = gigabytes(static_cast<double>(bytes)),
               packed = gigabytes(static_cast<double>(baselines::BlockedEll::bytes_without_padding(csr, 16)));
  return fmt::format(
      "{:.1f} GB of blocks, {:.1f} in bf16 and {:.1f} without padding to the fullest row of blocks, where a "
      "product on CSR moves {:.2f} at most: a user takes CSR, the row 'vendor'",
      all, all / 2, packed, gigabytes(edges * (8.0 + 4.0 * dim) + 4 * rows * (1.0 + dim)));
}

struct GraphCase {
  std::shared_ptr<const Translated> graph;
  WindowSums sums;
  int dim;
  const InputSets<Features>& in;
  bool simt;
};

inline std::size_t values_of(const GraphCase& c) {
  return static_cast<std::size_t>(c.graph->csr.rows) * static_cast<std::size_t>(c.dim);
}

/// The graph on a device, as one variant needs it.
template <class Target>
struct OnDevice {
  OnDevice(DeviceBench<Target>& b, const Translated& g) : bench(b), graph(g) {}

  kernels::CsrView<Target> csr() const {
    return {graph.csr.rows,
            graph.csr.columns,
            bench.input(graph.csr.row_pointers),
            bench.input(graph.csr.column_indices),
            {}};
  }
  kernels::RowWindowsView<Target> windows() const {
    const RowWindows& w = graph.windows;
    return {w.rows,
            w.columns,
            bench.input(w.tile_pointers),
            bench.input(w.column_map),
            bench.input(w.edge_pointers),
            bench.input(w.places),
            bench.input(w.edge_order)};
  }

  kernels::WindowPartsView<Target> parts(const kernels::WindowParts& of, int dim) const {
    const std::size_t scratch =
        static_cast<std::size_t>(of.slots) * kernels::kWindowRows * static_cast<std::size_t>(dim);
    kernels::WindowPartsView<Target> view{.parts = bench.input(of.parts), .slots = of.slots};
    if (of.slots == 0) return view;
    view.splits = bench.input(of.splits);
    view.scratch = bench.template workspace<float>(scratch);
    return view;
  }

  DeviceBench<Target>& bench;
  const Translated& graph;
};

inline VariantsOnDevice on_device(const GraphCase& c) {
  return {c.simt, "tiles"};
}

inline void declare_spmm_on_host(Trial& t, const GraphCase& c) {
  const double useful = 2 * c.sums.edges * c.dim;
  t.host(
      {.name = "eigen",
       .what = "SparseMatrix<float, RowMajor> times a row-major matrix",
       .dtype = "f32",
       .accept = accept_f32(),
       .work = {.flops = useful, .bytes = dense_bytes(c.sums, c.dim) + 8 * c.sums.edges + 4 * c.sums.nodes}},
      [c](HostBench& b) -> Run {
        const auto x = b.input(c.in[b.set()].x);
        b.input(c.graph->csr.column_indices);
        const auto y = b.output<float>("y", values_of(c));
        auto& product = b.own<baselines::EigenSpmm>(c.graph->host_csr());
        return [=, &product] { product(c.dim, x, y); };
      });
  t.host({.name = "method",
          .what = "the translated form's tiles in plain loops",
          .dtype = "f32",
          .accept = accept_f32(),
          .work = {.flops = 2.0 * 16 * 8 * c.dim * c.sums.tiles,
                   .bytes = tc_spmm_work(c.sums, c.dim, false).bytes}},
         [c](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].x);
           b.input(c.graph->windows.column_map);
           const auto y = b.output<float>("y", values_of(c));
           return [=] { kernels::translated_spmm<float>(c.graph->windows, c.dim, {}, x, y); };
         });
}

inline void declare_spmm_kernels(Trial& t, const GraphCase& c) {
  t.kernel(on_device(c)("kernel", "edges sorted by tile, double-buffered gather", "tf32", accept_tf32(),
                        tc_spmm_work(c.sums, c.dim, false)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const OnDevice<Target> graph(b, *c.graph);
             const auto windows = graph.windows();
             const auto parts = graph.parts(c.graph->parts, c.dim);
             const auto y = b.template output<float>("y", values_of(c));
             auto& stream = b.stream();
             return [=, &stream] { kernels::tc_spmm<Target>(stream, windows, parts, c.dim, {}, x, y); };
           });
  t.kernel(on_device(c)("tcgnn-orig", "every tile looks through its window's edges, as the public kernel",
                        "tf32", accept_tf32(), rescan_work(c.sums, c.dim)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const OnDevice<Target> graph(b, *c.graph);
             const auto windows = graph.windows();
             const auto csr = graph.csr();
             const auto condensed = b.input(c.graph->windows.condensed),
                        rows = b.input(kernels::rows_in_window(c.graph->host_csr()));
             const auto y = b.template output<float>("y", values_of(c));
             auto& stream = b.stream();
             return [=, &stream] {
               kernels::tc_spmm_rescan<Target>(stream, windows, csr, condensed, rows, c.dim, x, y);
             };
           });
  t.kernel(on_device(c)("cuda-cores", "CSR, a warp per row, no tensor cores", "f32", accept_f32(),
                        csr_spmm_work(c.sums, c.dim)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const auto csr = OnDevice<Target>(b, *c.graph).csr();
             const auto y = b.template output<float>("y", values_of(c));
             auto& stream = b.stream();
             return [=, &stream] { kernels::csr_spmm<Target>(stream, csr, c.dim, x, y); };
           });
  std::vector<Accept> of_hybrid = accept_tf32();
  of_hybrid[0].at_least.reset();  // all windows may be on CUDA cores
  t.kernel(
      on_device(c)("hybrid", fmt::format("windows under {} edges per tile on CUDA cores", kLeastEdgesPerTile),
                   "tf32", of_hybrid, hybrid_work(c.sums, c.dim)),
      [c]<class Target>(DeviceBench<Target>& b) -> Run {
        const auto x = b.input(c.in[b.set()].x);
        const OnDevice<Target> graph(b, *c.graph);
        const auto windows = graph.windows();
        const auto parts = graph.parts(c.graph->hybrid_parts, c.dim);
        const auto csr = graph.csr();
        const auto y = b.template output<float>("y", values_of(c));
        auto& stream = b.stream();
        return [=, &stream] { kernels::hybrid_spmm<Target>(stream, windows, parts, csr, c.dim, x, y); };
      });
}

inline void declare_spmm_vendor(Trial& t, const GraphCase& c) {
  t.vendor(on_device(c)("vendor", "cusparseSpMM on CSR, fastest algorithm, preprocessed", "f32", accept_f32(),
                        {.flops = 2 * c.sums.edges * c.dim}),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const auto csr = OnDevice<Target>(b, *c.graph).csr();
             const auto y = b.template output<float>("y", values_of(c));
             auto& product = b.template own<baselines::CusparseSpmm>(b.stream(), csr, c.dim);
             product(x, y);  // tries the algorithms
             b.setting(product.setting());
             return [=, &product] { product(x, y); };
           });
  VariantInfo ell = on_device(c)("ell", "cusparseSpMM on Blocked-ELL, blocks of 16, TF32", "tf32",
                                 accept_tf32("y", 2 * kTf32));
  ell.accept[0].at_least.reset();  // whether it rounds is the library's business
  ell.not_supported = ell_left_out(c.graph->host_csr(), c.dim);
  ell.explain_speedup = "Blocked-ELL multiplies padding: every row of blocks is as wide as the fullest";
  t.vendor(std::move(ell), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const auto x = b.input(c.in[b.set()].x);
    const auto y = b.template output<float>("y", values_of(c));
    auto& product = b.template own<baselines::CusparseBlockedSpmm>(b.stream(), c.graph->host_csr(), c.dim);
    product.load(x);
    return [=, &product] { product(y); };
  });
  VariantInfo dense =
      on_device(c)("dense", "cuBLAS on the dense adjacency, TF32: an upper bound", "tf32",
                   accept_tf32("y", 2 * kTf32), {.flops = 2 * c.sums.nodes * c.sums.nodes * c.dim});
  dense.accept[0].at_least.reset();  // as above
  dense.explain_speedup = "the dense product multiplies the zeros too";
  if (c.graph->csr.rows > kDenseNodes)
    dense.not_supported = fmt::format("dense adjacency up to {} nodes only", kDenseNodes);
  t.vendor(std::move(dense), [c]<class Target>(DeviceBench<Target>& b) -> Run {
    const Csr& csr = c.graph->csr;
    const auto n = static_cast<std::size_t>(csr.rows);
    std::vector<float> adjacency(n * n, 0.0f);
    for (std::int64_t row = 0; row < csr.rows; ++row) {
      for (const std::int32_t column : csr.row(row))
        adjacency[static_cast<std::size_t>(row) * n + static_cast<std::size_t>(column)] = 1;
    }
    const auto x = b.input(c.in[b.set()].x), a = b.input(adjacency);
    const auto y = b.template output<float>("y", values_of(c));
    // Column-major: Y^T [dim, n] = X^T [dim, n] A^T [n, n].
    auto& library = b.template own<baselines::MatmulLibrary>(b.stream());
    auto& product = b.template own<baselines::Matmul>(
        library, baselines::MatmulProblem{.type = baselines::MatmulType::tf32,
                                          .rows = c.dim,
                                          .columns = static_cast<int>(n),
                                          .inner = static_cast<int>(n)});
    product(x.data(), a.data(), y.data());  // tries the algorithms
    b.setting(product.setting());
    return [=, &product] { product(x.data(), a.data(), y.data()); };
  });
}

/// The translation itself, on a CPU and on a device: a cost that every product shares.
inline void declare_translation(Trial& t, const GraphCase& c) {
  const auto all = [](const char* output) {
    return Accept{.output = output, .metric = ErrorMetric::mismatches, .limit = 0, .reason = "integers"};
  };
  const RowWindows& w = c.graph->windows;
  const auto declare = [&](const char* name, const auto& values) {
    t.oracle(name, 1,
             [&values] { return OracleOutput{.values = std::vector<double>(values.begin(), values.end())}; });
  };
  declare("column map", w.column_map);
  declare("places", w.places);
  t.host({.name = "translate/host",
          .what = "translation in plain loops, one thread",
          .dtype = "i32",
          .accept = {all("column map"), all("places")},
          .threads = 1},
         [c](HostBench& b) -> Run {
           b.input(c.graph->csr.column_indices);
           const auto map = b.output<std::int32_t>("column map", c.graph->windows.column_map.size());
           const auto places = b.output<std::uint8_t>("places", c.graph->windows.places.size());
           return [=] {
             const RowWindows made = kernels::translate_rows(c.graph->host_csr());
             std::copy(made.column_map.begin(), made.column_map.end(), map.begin());
             std::copy(made.places.begin(), made.places.end(), places.begin());
           };
         });
  t.kernel(on_device(c)("translate", "translation: sort, rank, place", "i32",
                        {all("column map"), all("places")}, translate_work(c.sums)),
           [c]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto csr = OnDevice<Target>(b, *c.graph).csr();
             const RowWindows& of = c.graph->windows;
             const std::size_t edges = of.places.size();
             const kernels::TranslationArrays<Target> out{
                 b.template output<std::int32_t>("tile pointers", of.tile_pointers.size()),
                 b.template output<std::int32_t>("column map", of.column_map.size()),
                 b.template output<std::int32_t>("edge pointers", of.edge_pointers.size()),
                 b.template output<std::uint8_t>("places", edges),
                 b.template output<std::int32_t>("edge order", edges),
                 b.template output<std::int32_t>("condensed", edges)};
             const auto sorted = b.template workspace<std::uint64_t>(edges);
             auto& stream = b.stream();
             return [=, &stream] { kernels::sgt_translate<Target>(stream, csr, sorted, out); };
           });
}

}  // namespace remeasure::experiments::tc_gnn_graphs
