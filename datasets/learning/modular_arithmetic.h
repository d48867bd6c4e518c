// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// "modular_arithmetic": all pairs (x, y) of numbers below a prime with the label x + y or x y modulo it, a
/// random order of them, and initial weights of the network 2p -> H -> H -> p. Parameters modulus, hidden,
/// operation (add, multiply).
extern const Definition modular_arithmetic_definition;

/// "sparse_parity": rows of random bits whose label is the parity of the first three, and initial weights of
/// the network bits -> H -> H -> 2. Parameters rows, bits, hidden.
extern const Definition sparse_parity_definition;

Parameters modular_arithmetic(int modulus, int hidden, const std::string& operation, std::uint64_t seed);
Parameters sparse_parity(int rows, int bits, int hidden, std::uint64_t seed);

/// Rows in a random order, so that a training set of any fraction is a prefix.
struct GrokkingTask {
  int inputs = 0, classes = 0, hidden = 0;
  std::vector<std::uint16_t> pairs;   ///< [row, 2]; empty for bits
  std::vector<std::uint8_t> bits;     ///< [row, inputs]; empty for pairs
  std::vector<std::uint16_t> labels;  ///< [row]
  /// [inputs, hidden], [hidden, hidden] and [classes, hidden]: uniform within 1 / sqrt(inputs of a neuron).
  std::vector<float> first, second, third;
  std::size_t rows() const { return labels.size(); }
};
GrokkingTask read_modular_arithmetic(Reader& reader);
GrokkingTask read_sparse_parity(Reader& reader);

/// What both generators share: /order, a permutation of the rows, and /first, /second, /third.
void write_order_and_weights(std::uint64_t seed, std::size_t rows, std::uint64_t inputs, std::uint64_t hidden,
                             std::uint64_t classes, Writer& out);
std::vector<ArraySchema> order_and_weights_schema();
/// The order, checked to be one.
std::vector<std::uint32_t> read_order_and_weights(Reader& reader, GrokkingTask& task);

}  // namespace remeasure::datasets
