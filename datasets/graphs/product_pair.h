// SPDX-License-Identifier: Apache-2.0
//
// Two sparse matrices to be multiplied, as SMASH multiplies them.
#pragma once

#include <cstdint>
#include <string>

#include "datasets/dataset.h"
#include "datasets/graphs/csr.h"

namespace remeasure::datasets {

/// "product_pair": parameters kind, n, draws. A and B are n x n, of the same law and independent; draws that
/// fall on the same cell are one entry. Values are uniform on (0, 1). Kinds:
///   rmat40    R-MAT (.40, .20, .20, .20)
///   rmat45    R-MAT (.45, .22, .22, .11)
///   uniform   every cell equally likely (Erdos-Renyi)
///   blocks    60 % of the entries in 32 x 32 blocks on the diagonal, the others anywhere
///   ragged    uniform, but every third row is empty and row n / 2 has every column
extern const Definition product_pair_definition;

Parameters product_pair(const std::string& kind, std::int64_t n, std::int64_t draws, std::uint64_t seed);

struct ProductPair {
  Csr a = {}, b = {};
  double products = 0;  ///< a_ik b_kj with both stored
  double entries = 0;   ///< of C = A B
};

/// Checked: both square, of one size, with as many products as the file says.
ProductPair read_product_pair(Reader& reader);

/// Products and entries of A B, by marking.
void count_product(ProductPair& pair);

}  // namespace remeasure::datasets
