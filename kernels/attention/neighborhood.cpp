// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/neighborhood.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace remeasure::kernels {
namespace {

/// use(group, positions of that group) for every residue of an axis.
template <class Use>
void for_each_group(const NeighborhoodAxis& axis, Use use) {
  for (int group = 0; group < axis.dilation; ++group) use(axis.group_length(group));
}

/// Along one axis: (queries, keys) products of all tiles, summed over the groups. The box of keys is rounded
/// up to tiles.
double executed_along(const NeighborhoodAxis& axis, int extent) {
  double sum = 0;
  for_each_group(axis, [&](int length) {
    for (int first = 0; first < length; first += extent) {
      const int last = std::min(first + extent, length) - 1;
      const int halo = axis.last_key(last, length) - axis.first_key(first, length);
      sum += static_cast<double>(extent) * static_cast<double>((halo + extent - 1) / extent * extent);
    }
  });
  return sum;
}

double useful_along(const NeighborhoodAxis& axis) {
  double sum = 0;
  for_each_group(axis, [&](int length) {
    for (int p = 0; p < length; ++p) sum += axis.last_key(p, length) - axis.first_key(p, length);
  });
  return sum;
}

}  // namespace

void check_neighborhood(const char* what, const NeighborhoodShape& shape) {
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument(std::string(what) + ": " + why);
  };
  if (shape.batch < 1 || shape.heads < 1 || shape.dim < 1) refuse("batch, heads and dim must be positive");
  if (static_cast<long long>(shape.batch) * shape.heads > 65'535) refuse("batch * heads is more than 65535");
  for (std::size_t i = 0; i < 3; ++i) {
    const NeighborhoodAxis& axis = shape.axes[i];
    if (axis.length >= 1 && axis.window >= 1 && axis.dilation >= 1 &&
        static_cast<long long>(axis.window) * axis.dilation <= axis.length)
      continue;
    refuse("axis " + std::to_string(i) + " of length " + std::to_string(axis.length) + " has window " +
           std::to_string(axis.window) + " and dilation " + std::to_string(axis.dilation) +
           "; all must be positive and window * dilation at most the length");
  }
}

void check_neighborhood_sizes(const char* what, const NeighborhoodShape& shape,
                              std::initializer_list<std::size_t> elements, std::size_t other,
                              std::size_t expected) {
  for (const std::size_t size : elements) {
    if (size == shape.elements()) continue;
    throw std::invalid_argument(std::string(what) + ": an array of " + std::to_string(size) +
                                " elements; the shape has " + std::to_string(shape.elements()));
  }
  if (other != expected) {
    throw std::invalid_argument(std::string(what) + ": weights or sums of " + std::to_string(other) +
                                " elements; " + std::to_string(expected) + " follow from the shape");
  }
}

void refuse_dim(const char* what, int dim, const char* allowed) {
  throw std::invalid_argument(std::string(what) + ": dim is " + std::to_string(dim) + "; it must be " +
                              allowed + " (pad with zeros)");
}

NeighborhoodTiling neighborhood_tiling(const NeighborhoodShape& shape) {
  constexpr std::array<std::array<int, 3>, 3> kShifts = {{{6, 0, 0}, {3, 3, 0}, {2, 2, 2}}};
  NeighborhoodTiling tiling{
      .shift = kShifts[static_cast<std::size_t>(shape.rank() - 1)], .tiles = {}, .groups = 1};
  for (std::size_t i = 0; i < 3; ++i) {
    const int extent = 1 << tiling.shift[i];
    tiling.tiles[i] = (shape.axes[i].group_length(0) + extent - 1) / extent;
    tiling.groups *= shape.axes[i].dilation;
  }
  return tiling;
}

double executed_pairs(const NeighborhoodShape& shape) {
  const NeighborhoodTiling tiling = neighborhood_tiling(shape);
  double product = static_cast<double>(shape.batch) * shape.heads;
  for (std::size_t i = 0; i < 3; ++i) product *= executed_along(shape.axes[i], 1 << tiling.shift[i]);
  return product;
}

double useful_pairs(const NeighborhoodShape& shape) {
  double product = static_cast<double>(shape.batch) * shape.heads;
  for (const NeighborhoodAxis& axis : shape.axes) product *= useful_along(axis);
  return product;
}

}  // namespace remeasure::kernels
