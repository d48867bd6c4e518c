// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "kernels/attention/nm_pattern.h"
#include "kernels/device/mma_layout.h"

namespace remeasure::kernels {
namespace {

TEST_CASE("a nibble is the two kept positions, ascending", "[cpu]") {
  CHECK(nibble_of({0, 1}) == 4);
  CHECK(nibble_of({0, 2}) == 8);
  CHECK(nibble_of({0, 3}) == 12);
  CHECK(nibble_of({1, 2}) == 9);
  CHECK(nibble_of({1, 3}) == 13);
  CHECK(nibble_of({2, 3}) == 14);
  for (unsigned value = 0; value < 32; ++value) {
    const bool listed = std::find(kNibbles.begin(), kNibbles.end(), value) != kNibbles.end();
    CHECK(is_nibble(value) == listed);
    if (listed) CHECK(nibble_of(kept_by(value)) == value);
  }
}

TEST_CASE("a word holds group 0 in its lowest bits", "[cpu]") {
  const std::uint16_t word = pack_word({4, 8, 13, 14});
  CHECK(word == 0xed84);
  CHECK(nibble_at(word, 0) == 4);
  CHECK(nibble_at(word, 3) == 14);
}

TEST_CASE("kept keys of a word, in 16-bit elements and in TF32", "[cpu]") {
  const std::vector<std::uint16_t> words = {pack_word({4, 8, 13, 14}), pack_word({14, 4, 4, 14})};
  CHECK(kept_keys(words, 16) == std::vector<int>{0, 1, 4, 6, 9, 11, 14, 15, 18, 19, 20, 21, 24, 25, 30, 31});
  CHECK(kept_keys(std::span(words).subspan(1), 8) == std::vector<int>{1, 2, 4, 7});
}

TEST_CASE("expanding puts each nonzero where its nibble says", "[cpu]") {
  const std::vector<float> nonzeros = {1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::uint16_t> words = {pack_word({12, 9, 4, 14})};
  const std::vector<float> dense =
      expand(std::span<const float>(nonzeros), std::span<const std::uint16_t>(words), 1, 16);
  CHECK(dense == std::vector<float>{1, 0, 0, 2, 0, 3, 4, 0, 5, 6, 0, 0, 0, 0, 7, 8});
}

TEST_CASE("the hardware order is the one of the instruction, word for word", "[cpu]") {
  const std::size_t rows = 96, words = 6;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t word = 0; word < words; ++word) {
      // Two words make the K of one mma.sp; selector is the m16 tile in the block of 32 rows.
      const auto tile = static_cast<int>(row % 32 / 16), in_tile = static_cast<int>(row % 16);
      const auto lane =
          static_cast<std::size_t>(MmaMetadata::lane(in_tile, static_cast<int>(word % 2), tile));
      const auto upper = static_cast<std::size_t>(MmaMetadata::shift(in_tile, 0) / 16);
      REQUIRE(hardware_index(row, word, rows) == (word / 2 * rows + row / 32 * 32 + lane) * 2 + upper);
    }
  }
}

TEST_CASE("reordering loses nothing", "[cpu]") {
  std::mt19937 random(1);
  for (const std::size_t rows : {32u, 64u, 160u}) {
    std::vector<std::uint16_t> plain(rows * rows / 16);
    std::iota(plain.begin(), plain.end(), std::uint16_t{0});
    std::shuffle(plain.begin(), plain.end(), random);
    const std::vector<std::uint16_t> hardware = hardware_metadata(plain, rows);
    CHECK(hardware != plain);
    CHECK(plain_metadata(hardware, rows) == plain);
  }
}

}  // namespace
}  // namespace remeasure::kernels
