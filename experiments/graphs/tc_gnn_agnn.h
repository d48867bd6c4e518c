// SPDX-License-Identifier: Apache-2.0
//
// AGNN's scores and its layer, by the kernels and by libraries.
#pragma once

#include "experiments/graphs/tc_gnn_variants.h"

namespace remeasure::experiments::tc_gnn_graphs {

inline void declare_scores(Trial& t, const GraphCase& c) {
  const std::size_t edges = c.graph->csr.column_indices.size();
  const double useful = 2 * c.sums.edges * c.dim;
  t.host({.name = "sddmm/eigen",
          .what = "a dot product per edge",
          .dtype = "f32",
          .accept = accept_f32("scores"),
          .work = {.flops = useful}},
         [c, edges](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].x);
           const auto scores = b.output<float>("scores", edges);
           return [=] { baselines::sddmm_eigen(c.graph->host_csr(), c.dim, x, x, scores); };
         });
  t.kernel(on_device(c)("sddmm", "16 x 16 tiles of scores", "tf32", accept_tf32("scores", 2 * kTf32),
                        sddmm_work(c.sums, c.dim)),
           [c, edges]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const OnDevice<Target> graph(b, *c.graph);
             const auto windows = graph.windows();
             const auto parts = graph.parts(c.graph->parts, c.dim);
             const auto scores = b.template output<float>("scores", edges);
             auto& stream = b.stream();
             return [=, &stream] { kernels::tc_sddmm<Target>(stream, windows, parts, c.dim, x, x, scores); };
           });
  t.vendor(on_device(c)("sddmm/vendor", "cusparseSDDMM", "f32", accept_f32("scores"), {.flops = useful}),
           [c, edges]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const auto csr = OnDevice<Target>(b, *c.graph).csr();
             const auto scores = b.template output<float>("scores", edges);
             auto& product = b.template own<baselines::CusparseSddmm>(b.stream(), csr, c.dim);
             product(x, x, scores);  // allocates its scratch
             return [=, &product] { product(x, x, scores); };
           });
}

inline void declare_layer(Trial& t, const GraphCase& c) {
  const std::size_t edges = c.graph->csr.column_indices.size(),
                    nodes = static_cast<std::size_t>(c.graph->csr.rows);
  t.host({.name = "eigen",
          .what = "norms, dot products, softmax, sparse product",
          .dtype = "f32",
          .accept = accept_layer(1e-5),
          .work = {.flops = (4 * c.sums.edges + 3 * c.sums.nodes) * c.dim + 5 * c.sums.edges}},
         [c, edges, nodes](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].x);
           const auto y = b.output<float>("y", values_of(c));
           const auto unit = b.workspace<float>(values_of(c)), scores = b.workspace<float>(edges);
           HostCsr weighted = c.graph->host_csr();
           weighted.values = scores;
           auto& product = b.own<baselines::EigenSpmm>(weighted);
           return [=, &product] {
             const auto width = static_cast<std::size_t>(c.dim);
             for (std::size_t row = 0; row < nodes; ++row) {
               float squares = 0;
               for (std::size_t d = 0; d < width; ++d) squares += x[row * width + d] * x[row * width + d];
               const float scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
               for (std::size_t d = 0; d < width; ++d) unit[row * width + d] = x[row * width + d] * scale;
             }
             baselines::sddmm_eigen(weighted, c.dim, unit, unit, scores);
             for (std::size_t row = 0; row < nodes; ++row) {
               const auto first = static_cast<std::size_t>(weighted.row_pointers[row]),
                          last = static_cast<std::size_t>(weighted.row_pointers[row + 1]);
               float sum = 0;
               for (std::size_t e = first; e < last; ++e)
                 sum += scores[e] = std::exp(kBeta * scores[e]);  // cosines: no overflow
               for (std::size_t e = first; e < last; ++e) scores[e] /= sum;
             }
             product(c.dim, x, y);
           };
         });
  t.host({.name = "method",
          .what = "the layer's equations in plain loops",
          .dtype = "f32",
          .accept = accept_layer(1e-5),
          .threads = 1},
         [c](HostBench& b) -> Run {
           const auto x = b.input(c.in[b.set()].x);
           const auto y = b.output<float>("y", values_of(c));
           return [=] { kernels::agnn_reference<float>(c.graph->host_csr(), kBeta, c.dim, x, y); };
         });
  t.kernel(on_device(c)("kernel", "norms, scores, softmax, weighted sum: four launches", "tf32",
                        accept_layer(1.5e-3), agnn_work(c.sums, c.dim)),
           [c, edges]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const OnDevice<Target> graph(b, *c.graph);
             const auto windows = graph.windows();
             const auto parts = graph.parts(c.graph->parts, c.dim);
             const auto csr = graph.csr();
             const auto y = b.template output<float>("y", values_of(c));
             const auto unit = b.template workspace<float>(values_of(c)),
                        scores = b.template workspace<float>(edges);
             auto& stream = b.stream();
             return [=, &stream] {
               kernels::agnn_layer<Target>(stream, windows, parts, csr, kBeta, c.dim, x, unit, scores, y);
             };
           });
  t.vendor(on_device(c)("vendor", "cusparseSDDMM and cusparseSpMM with our norms and softmax between", "f32",
                        accept_layer(1e-5)),
           [c, edges]<class Target>(DeviceBench<Target>& b) -> Run {
             const auto x = b.input(c.in[b.set()].x);
             const auto csr = OnDevice<Target>(b, *c.graph).csr();
             const auto y = b.template output<float>("y", values_of(c));
             const auto unit = b.template workspace<float>(values_of(c)),
                        scores = b.template workspace<float>(edges);
             auto weighted = csr;
             weighted.values = scores;
             auto& stream = b.stream();
             auto& sampled = b.template own<baselines::CusparseSddmm>(stream, csr, c.dim);
             auto& product = b.template own<baselines::CusparseSpmm>(stream, weighted, c.dim);
             const Run layer = [=, &stream, &sampled, &product] {
               kernels::normalise_rows<Target>(stream, c.dim, x, unit);
               sampled(unit, unit, scores);
               kernels::edge_softmax<Target>(stream, csr, kBeta, scores);
               product(x, y);
             };
             layer();  // tries the algorithms
             b.setting(product.setting());
             return layer;
           });
}

}  // namespace remeasure::experiments::tc_gnn_graphs
