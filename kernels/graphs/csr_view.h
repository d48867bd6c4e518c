// SPDX-License-Identifier: Apache-2.0
//
// Sparse matrices by rows, as kernels and baselines take them: row i has columns
// column_indices[row_pointers[i] .. row_pointers[i + 1]), ascending. Empty values = all 1.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/device/device.h"

namespace remeasure::kernels {

/// On the host.
struct HostCsr {
  std::int64_t rows = 0, columns = 0;
  std::span<const std::int32_t> row_pointers = {};    ///< [rows + 1]
  std::span<const std::int32_t> column_indices = {};  ///< [edges]
  std::span<const float> values = {};                 ///< [edges] or none

  std::int64_t edges() const { return static_cast<std::int64_t>(column_indices.size()); }
};

/// On a device.
template <class Target>
struct CsrView {
  std::int64_t rows = 0, columns = 0;
  DeviceSpan<Target, const std::int32_t> row_pointers = {};
  DeviceSpan<Target, const std::int32_t> column_indices = {};
  DeviceSpan<Target, const float> values = {};

  std::int64_t edges() const { return static_cast<std::int64_t>(column_indices.size()); }
};

/// Throws std::invalid_argument, beginning with `what`, where sizes contradict one another or exceed 31 bits.
void check_csr_sizes(const char* what, std::int64_t rows, std::int64_t columns, std::size_t row_pointers,
                     std::size_t edges, std::size_t values);

template <class Target>
void check_csr(const char* what, const CsrView<Target>& csr) {
  check_csr_sizes(what, csr.rows, csr.columns, csr.row_pointers.size(), csr.column_indices.size(),
                  csr.values.size());
}

}  // namespace remeasure::kernels
