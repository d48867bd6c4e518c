// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace remeasure::bench {

/// How an output is compared with the oracle. All are relative to a scale, so that an output of zeros fails;
/// NaN or Inf where the oracle is finite gives an infinite error.
enum class ErrorMetric {
  relative_l2,    ///< |out - ref|_2 / |ref|_2
  max_scaled,     ///< max_i |out_i - ref_i| / scale_i
  median_scaled,  ///< median of the same
  mismatches,     ///< fraction of elements that differ at all (masks, indices, integers)
};

struct ErrorValue {
  double value = 0;
  std::int64_t worst_index = -1;
};

/// `scale` is empty (then max |ref| is used) or has one positive entry per element.
/// Throws std::invalid_argument for differing sizes, an empty or all-zero reference without scale.
ErrorValue error_of(ErrorMetric metric, std::span<const double> out, std::span<const double> reference,
                    std::span<const double> scale = {});

const char* to_string(ErrorMetric metric);

}  // namespace remeasure::bench
