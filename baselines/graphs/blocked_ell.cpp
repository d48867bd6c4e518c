// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <stdexcept>

#include "baselines/graphs/sparse_products.h"

namespace remeasure::baselines {
namespace {

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

/// Calls use(row of blocks, its block columns, ascending).
template <class Use>
void for_block_rows(const HostCsr& csr, std::int64_t block, Use use) {
  if (block < 1) throw std::invalid_argument("blocked_ell: blocks of less than one column");
  std::vector<std::int32_t> columns;
  for (std::int64_t r = 0; r * block < csr.rows; ++r) {
    const std::int64_t first = csr.row_pointers[at(r * block)],
                       last = csr.row_pointers[at(std::min(csr.rows, (r + 1) * block))];
    columns.clear();
    for (std::int64_t e = first; e < last; ++e)
      columns.push_back(static_cast<std::int32_t>(csr.column_indices[at(e)] / block));
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    use(r, columns);
  }
}

std::int64_t width_of(const HostCsr& csr, std::int64_t block) {
  std::int64_t width = 1;
  for_block_rows(csr, block, [&](std::int64_t, const std::vector<std::int32_t>& columns) {
    width = std::max(width, static_cast<std::int64_t>(columns.size()));
  });
  return width;
}

}  // namespace

std::int64_t BlockedEll::bytes(const HostCsr& csr, std::int64_t block) {
  return (csr.rows + block - 1) / block * width_of(csr, block) * (4 + 4 * block * block);
}

std::int64_t BlockedEll::bytes_without_padding(const HostCsr& csr, std::int64_t block) {
  std::int64_t blocks = 0;
  for_block_rows(csr, block, [&](std::int64_t, const std::vector<std::int32_t>& of_row) {
    blocks += static_cast<std::int64_t>(of_row.size());
  });
  return blocks * (4 + 4 * block * block);
}

BlockedEll blocked_ell(const HostCsr& csr, std::int64_t block) {
  BlockedEll ell{.block = block,
                 .block_rows = (csr.rows + block - 1) / block,
                 .block_columns = (csr.columns + block - 1) / block,
                 .width = width_of(csr, block)};
  ell.columns.assign(at(ell.block_rows * ell.width), -1);
  ell.values.assign(at(ell.block_rows * ell.width * block * block), 0.0f);
  for_block_rows(csr, block, [&](std::int64_t r, const std::vector<std::int32_t>& columns) {
    std::copy(columns.begin(), columns.end(),
              ell.columns.begin() + static_cast<std::ptrdiff_t>(r * ell.width));
    ell.stored_blocks += static_cast<std::int64_t>(columns.size());
    for (std::int64_t row = r * block; row < std::min(csr.rows, (r + 1) * block); ++row) {
      for (std::int64_t e = csr.row_pointers[at(row)]; e < csr.row_pointers[at(row) + 1]; ++e) {
        const std::int32_t column = csr.column_indices[at(e)];
        const auto place = std::lower_bound(columns.begin(), columns.end(), column / block) - columns.begin();
        ell.values[at(row * ell.width * block + place * block + column % block)] =
            csr.values.empty() ? 1.0f : csr.values[at(e)];
      }
    }
  });
  return ell;
}

}  // namespace remeasure::baselines
