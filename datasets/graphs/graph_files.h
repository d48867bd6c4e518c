// SPDX-License-Identifier: Apache-2.0
//
// Graphs and sparse matrices as others publish them.
#pragma once

#include <cstdint>
#include <filesystem>

#include "datasets/graphs/csr.h"

namespace remeasure::datasets {

/// MatrixMarket coordinate files (.mtx; Boisvert, Pozo, Remington, NISTIR 5935): real, integer or pattern;
/// general or symmetric (mirrored here). Duplicates are added up, as the format has it. Others (array,
/// complex, skew-symmetric) are refused.
Csr read_matrix_market(const std::filesystem::path& file);

/// One edge per line, "source destination" and anything behind it, which is ignored; lines that begin with #
/// or % are comments (SNAP, network repositories). Nodes count from 0, or from 1 where 0 never occurs and
/// `nodes` does. nodes = 0: one more than the largest. Row = destination.
Csr read_edge_list(const std::filesystem::path& file, std::int64_t nodes = 0);

/// The .npz of TC-GNN's artifact: src_li, dst_li, num_nodes. Row = destination, as its tile counts have it.
Csr read_graph_npz(const std::filesystem::path& file);

/// By the name's end: .mtx, .npz, else an edge list.
Csr read_graph_file(const std::filesystem::path& file, std::int64_t nodes = 0);

}  // namespace remeasure::datasets
