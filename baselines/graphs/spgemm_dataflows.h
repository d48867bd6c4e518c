// SPDX-License-Identifier: Apache-2.0
//
// The three orders of the loops of C = A B, with what each reads and writes: the argument for rows (SMASH,
// chapter 2). Plain C++, one thread, in double: they are counted, not timed.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/graphs/hash_spgemm_reference.h"

namespace remeasure::baselines {

struct DataflowTraffic {
  std::int64_t index_reads = 0;     ///< column or row indices of A and B that are looked at
  std::int64_t b_reads = 0;         ///< entries of B that are multiplied
  std::int64_t partial_writes = 0;  ///< products written to be merged later
  std::int64_t partial_reads = 0;
  std::int64_t pairs = 0;  ///< rows of A times columns of B that are tried
};

/// c_ij = row i . column j: row i of A and column j of B are merged for each pair of nonempty ones. Of the
/// rows of A every `stride`-th is done, from row stride / 2 on; the others are empty in C.
kernels::SparseProduct<double> inner_product(const kernels::HostCsr& a, const kernels::HostCsr& b, int stride,
                                             DataflowTraffic& traffic);
/// Column k of A times row k of B is a matrix of products; all are written, then read and merged by rows.
kernels::SparseProduct<double> outer_product(const kernels::HostCsr& a, const kernels::HostCsr& b,
                                             DataflowTraffic& traffic);
/// Rows of B, scaled, merged as they come.
kernels::SparseProduct<double> row_wise_product(const kernels::HostCsr& a, const kernels::HostCsr& b,
                                                DataflowTraffic& traffic);

}  // namespace remeasure::baselines
