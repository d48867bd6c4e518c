// SPDX-License-Identifier: Apache-2.0
//
// Sparse products on a CPU: by dense rows, which is the oracle in double; and by the paper's windows and
// tables, which is its method, with what the tables say of themselves.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/graphs/product_windows.h"
#include "kernels/graphs/slot_hash.h"

namespace remeasure::kernels {

/// C = A B, columns of a row ascending; with the natural scale of each entry.
template <class Scalar>
struct SparseProduct {
  std::vector<std::int32_t> row_pointers = {}, column = {};
  std::vector<Scalar> value = {};
  std::vector<Scalar> magnitude = {};    ///< (|A| |B|)_ij
  std::vector<std::int32_t> terms = {};  ///< products that fall on the entry
};

/// A dense row of sums at a time, then its touched columns in order. `threads`: 0 = all.
/// Throws std::invalid_argument for matrices that don't match.
template <class Scalar>
SparseProduct<Scalar> spgemm_reference(const HostCsr& a, const HostCsr& b, int threads = 0);

/// Fragments of the windows, as the kernel has them.
template <class Scalar>
struct HashFragments {
  std::span<std::int32_t> column = {};          ///< [products]
  std::span<Scalar> value = {};                 ///< [products]
  std::span<std::int32_t> window_entries = {};  ///< [windows]
};

template <class Scalar>
struct CsrResult {
  std::span<std::int32_t> row_pointers = {};  ///< [rows + 1]
  std::span<std::int32_t> column = {};        ///< at least as many as C has entries
  std::span<Scalar> value = {};
};

/// The paper's method: a table per window, windows dealt out to `threads` (0 = all). Bitwise the same for any
/// number of them.
template <class Scalar>
void hash_spgemm_reference(const HostCsr& a, const HostCsr& b, const WindowPlan& plan, SlotHash hash,
                           const HashFragments<Scalar>& fragments, const CsrResult<Scalar>& c,
                           int threads = 0);

/// What the tables of a product go through, products inserted in the order of rows, entries of A, entries of
/// B.
struct HashStatistics {
  std::int64_t products = 0;   ///< insertions into tables that held
  std::int64_t entries = 0;    ///< of C
  std::int64_t probes = 0;     ///< slots looked at by these insertions
  std::int64_t longest = 0;    ///< of one insertion
  std::int64_t fillings = 0;   ///< tables that held
  std::int64_t overflows = 0;  ///< tables that didn't, and were filled again with less

  double probes_per_product() const { return static_cast<double>(probes) / static_cast<double>(products); }
  HashStatistics& operator+=(const HashStatistics& other);
};

HashStatistics hash_statistics(const HostCsr& a, const HostCsr& b, const WindowPlan& plan, SlotHash hash,
                               int threads = 0);

/// The largest share of the products that a thread gets over the mean share.
/// Static: row i belongs to thread i % threads.
double row_imbalance(std::span<const std::int64_t> products, int threads);
/// Tokens of `entries` entries of A in their order, each taken by the thread that is done first.
double token_imbalance(const HostCsr& a, const HostCsr& b, int entries, int threads);

}  // namespace remeasure::kernels
