// SPDX-License-Identifier: Apache-2.0
//
// What writing and reading check alike: names and extents of an array, and its values block by block.
// Internal.
#pragma once

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <type_traits>

#include "datasets/hdf5_handle.h"
#include "datasets/sha256.h"

namespace remeasure::datasets {

inline constexpr const char* kMakeAgain = "make it again with `remeasure data make`";

inline const ArraySchema* find_schema(const Definition& definition, const std::string& path) {
  for (const ArraySchema& schema : definition.arrays) {
    if (schema.path == path) return &schema;
  }
  return nullptr;
}

/// Rank and extents against the schema. A named axis that `extents` lacks must have one length in all arrays:
/// the first array that is seen fixes it.
inline void check_shape(const ArraySchema& schema, const Shape& shape,
                        std::map<std::string, std::uint64_t>& extents, const hdf5::Where& where) {
  if (shape.size() != schema.axes.size()) {
    hdf5::fail(where, fmt::format("shape {} has rank {}, expected rank {} ({})", to_string(shape),
                                  shape.size(), schema.axes.size(), fmt::join(schema.axes, ", ")));
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const auto [expected, is_new] = extents.emplace(schema.axes[i], shape[i]);
    if (shape[i] != expected->second) {
      hdf5::fail(where, fmt::format("shape {}: axis {} ({}) has length {}, expected {}", to_string(shape), i,
                                    schema.axes[i], shape[i], expected->second));
    }
  }
}

/// Range and NaN of consecutive blocks of one array, its SHA-256 and its statistics.
class ValueCheck {
 public:
  ValueCheck(const ArraySchema* schema, const hdf5::Where& where) : schema_(schema), where_(where) {}

  template <class T>
  void add(std::span<const T> block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      const double value = static_cast<double>(block[i]);
      if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(value)) {
          if (schema_ != nullptr && !schema_->nan_allowed) {
            hdf5::fail(where_, fmt::format("NaN at element {}; the schema allows none", seen_ + i));
          }
          ++nan_;
          continue;
        }
      }
      if (schema_ != nullptr && ((schema_->minimum && value < *schema_->minimum) ||
                                 (schema_->maximum && value > *schema_->maximum))) {
        hdf5::fail(where_, fmt::format("{} at element {}; the schema allows {} to {}", value, seen_ + i,
                                       schema_->minimum ? fmt::format("{}", *schema_->minimum) : "any",
                                       schema_->maximum ? fmt::format("{}", *schema_->maximum) : "any"));
      }
      smallest_ = std::min(smallest_, value);
      largest_ = std::max(largest_, value);
      sum_ += value;
    }
    seen_ += block.size();
    static_assert(std::endian::native == std::endian::little, "the content hash is of little-endian bytes");
    sha256_.update(std::as_bytes(block));
  }

  std::string sha256() { return sha256_.finish(); }
  std::uint64_t nan() const { return nan_; }
  double smallest() const { return smallest_; }
  double largest() const { return largest_; }
  double mean() const { return sum_ / static_cast<double>(seen_ - nan_); }

 private:
  const ArraySchema* schema_;
  const hdf5::Where& where_;
  Sha256 sha256_;
  std::uint64_t seen_ = 0, nan_ = 0;
  double smallest_ = std::numeric_limits<double>::infinity(),
         largest_ = -std::numeric_limits<double>::infinity();
  double sum_ = 0;
};

}  // namespace remeasure::datasets
