// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>
#include <string>

#include "kernels/learning/pair_embedding.h"

namespace remeasure::kernels {

PairSegments pair_segments(int modulus, std::span<const std::uint16_t> pairs) {
  PairSegments segments{std::vector<std::int32_t>(2 * static_cast<std::size_t>(modulus) + 1, 0),
                        std::vector<std::int32_t>(pairs.size())};
  const auto input_of = [&](std::size_t i) {
    if (pairs[i] >= modulus) {
      throw std::invalid_argument("pair_segments: " + std::to_string(pairs[i]) + " in pair " +
                                  std::to_string(i / 2) + "; numbers must be below " +
                                  std::to_string(modulus));
    }
    return pairs[i] + (i % 2 == 0 ? std::size_t{0} : static_cast<std::size_t>(modulus));
  };
  for (std::size_t i = 0; i < pairs.size(); ++i) ++segments.begin[input_of(i) + 1];
  for (std::size_t s = 1; s < segments.begin.size(); ++s) segments.begin[s] += segments.begin[s - 1];
  std::vector<std::int32_t> next(segments.begin.begin(), segments.begin.end() - 1);
  for (std::size_t i = 0; i < pairs.size(); ++i)
    segments.rows[static_cast<std::size_t>(next[input_of(i)]++)] = static_cast<std::int32_t>(i / 2);
  return segments;
}

}  // namespace remeasure::kernels
