// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/candidate_scores.h"

#include <fmt/format.h>

#include <stdexcept>

namespace remeasure::kernels {

void check_shape(const ScoreShape& s, std::size_t candidates) {
  if (s.matrices < 1 || s.rows < 1 || s.columns < 1 || s.inner < 1 || s.inner % 16 != 0 ||
      s.matrices > 65'535 || candidates < 1) {
    throw std::invalid_argument(fmt::format(
        "scores of {} candidates on {} products of {} x {} x {}: all must be positive, the inner length a "
        "multiple of 16 (pad with zeros), the products at most 65535",
        candidates, s.matrices, s.rows, s.columns, s.inner));
  }
  if (static_cast<double>(s.stride()) * (s.transposed ? s.columns : s.rows) >= 2147483648.0) {
    throw std::invalid_argument("scores: a matrix's target has 2^31 values or more");
  }
  const bool planes = s.varied_planes >= 1 && s.fixed_planes >= 1 && s.varied_planes * s.fixed_planes <= 2;
  if (!planes || s.stride() < (s.transposed ? s.rows : s.columns) ||
      (s.matrices > 1 && s.target_stride > 0)) {
    throw std::invalid_argument(
        fmt::format("scores: {} x {} planes (at most one operand is twin), target stride {} for {} products",
                    s.varied_planes, s.fixed_planes, s.stride(), s.matrices));
  }
}

ScoreTiling score_tiling(const ScoreShape& s) {
  ScoreTiling t;
  t.columns = s.columns <= 64 ? 64 : 128;
  t.at_once = 256 / t.columns / (s.varied_planes * s.fixed_planes);
  t.row_tiles = (s.rows + 127) / 128;
  t.column_tiles = (s.columns + t.columns - 1) / t.columns;
  t.inner_tiles = (s.inner + 63) / 64;
  t.partials = static_cast<std::size_t>(t.row_tiles) * static_cast<std::size_t>(t.column_tiles) *
               static_cast<std::size_t>(s.matrices) * 8;
  return t;
}

}  // namespace remeasure::kernels
