// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/rnn.h"

#include <stdexcept>
#include <string>

namespace remeasure::kernels {

void check_rnn_shape(const RnnShape& shape, int dim_multiple) {
  const auto need = [](const char* what, int value, bool holds, const std::string& expected) {
    if (!holds)
      throw std::invalid_argument("rnn: " + std::string(what) + " is " + std::to_string(value) +
                                  "; it must be " + expected);
  };
  need("batch", shape.batch, shape.batch >= 1, "positive");
  need("steps", shape.steps, shape.steps >= 1, "positive");
  need("heads", shape.heads, shape.heads >= 1, "positive");
  need("dim", shape.dim, shape.dim >= 1 && shape.dim % dim_multiple == 0,
       "a positive multiple of " + std::to_string(dim_multiple));
}

void check_rnn_array(const char* name, std::size_t size, std::size_t expected) {
  if (size == expected) return;
  throw std::invalid_argument("rnn: " + std::string(name) + " has " + std::to_string(size) +
                              " elements; the shape needs " + std::to_string(expected));
}

}  // namespace remeasure::kernels
