// SPDX-License-Identifier: Apache-2.0
//
// N:M patterns and how they are written down. A group is four 16-bit values; two of them are kept, and their
// positions make a nibble: first | second << 2, first < second. Sixteen-bit words hold four nibbles, group 0
// in the lowest bits.
//   2:4 in bf16   the two largest of four keys:             nibbles 4 8 12 9 13 14;    16 keys per word
//   1:2 in bf16   the larger of each of two pairs of keys:  nibbles 8 9 12 13;         16 keys per word
//   1:2 in TF32   a key is two 16-bit values, which stay together:  nibbles 4 14;       8 keys per word
// Source: the paper's implementation (github.com/apuaaChen/DFSS, src/cuda/epilogue/sddmm_epilogue.h) and the
// PTX ISA, "Matrix multiply-accumulate operation using mma.sp instruction".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace remeasure::kernels {

enum class NmPattern { one_of_two, two_of_four };

constexpr const char* to_string(NmPattern pattern) {
  return pattern == NmPattern::one_of_two ? "1:2" : "2:4";
}

/// Keys that one 16-bit word of metadata describes.
template <class Element>
inline constexpr int kKeysPerWord = 32 / static_cast<int>(sizeof(Element));

/// Rows and words per block of the tensor core's metadata order; token counts are multiples of it.
inline constexpr int kHardwareRows = 32;

/// The positions that a nibble keeps.
struct KeptPair {
  int first = 0;
  int second = 1;
  bool operator==(const KeptPair&) const = default;
};
constexpr KeptPair kept_by(unsigned nibble) {
  return {static_cast<int>(nibble & 3u), static_cast<int>(nibble >> 2 & 3u)};
}
constexpr std::uint8_t nibble_of(KeptPair pair) {
  return static_cast<std::uint8_t>(pair.first | pair.second << 2);
}

/// In the order in which the paper's implementation tries the pairs: (0,1) (0,2) (0,3) (1,2) (1,3) (2,3).
inline constexpr std::array<std::uint8_t, 6> kNibbles = {4, 8, 12, 9, 13, 14};

constexpr bool is_nibble(unsigned value) {
  const KeptPair pair = kept_by(value);
  return value < 16 && pair.first < pair.second;
}

/// Four nibbles to a word, and back.
constexpr std::uint16_t pack_word(std::array<std::uint8_t, 4> nibbles) {
  return static_cast<std::uint16_t>(nibbles[0] | nibbles[1] << 4 | nibbles[2] << 8 | nibbles[3] << 12);
}
constexpr unsigned nibble_at(std::uint16_t word, int group) {
  return static_cast<unsigned>(word) >> 4 * group & 15u;
}

/// Where word `word` of row `row` lies in the order in which mma.sp reads metadata, for a matrix of `rows`
/// rows (a multiple of 32). Rows 8 apart become neighbours, so that the 32 rows x 2 words which a warp needs
/// for two m16 tiles are 128 consecutive bytes, one 32-bit register per lane: lane 4g + 2t + w holds word w
/// of rows 16t+g (low) and 16t+g+8 (high).
constexpr std::size_t hardware_index(std::size_t row, std::size_t word, std::size_t rows) {
  std::size_t to_row = row / 32 * 32 + row % 8 * 4 + row % 32 / 8;
  std::size_t to_word = word;
  if (to_row % 2 == 0 && to_word % 2 == 1) {  // the anti-diagonal of each 2x2 cell is swapped
    ++to_row;
    --to_word;
  } else if (to_row % 2 == 1 && to_word % 2 == 0) {
    --to_row;
    ++to_word;
  }
  return to_word / 2 * rows * 2 + to_row * 2 + to_word % 2;
}

/// Hardware order to plain row-major [rows, words], for one matrix.
inline std::vector<std::uint16_t> plain_metadata(std::span<const std::uint16_t> hardware, std::size_t rows) {
  const std::size_t words = hardware.size() / rows;
  std::vector<std::uint16_t> plain(hardware.size());
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t word = 0; word < words; ++word) {
      plain[row * words + word] = hardware[hardware_index(row, word, rows)];
    }
  }
  return plain;
}

/// And back.
inline std::vector<std::uint16_t> hardware_metadata(std::span<const std::uint16_t> plain, std::size_t rows) {
  const std::size_t words = plain.size() / rows;
  std::vector<std::uint16_t> hardware(plain.size());
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t word = 0; word < words; ++word) {
      hardware[hardware_index(row, word, rows)] = plain[row * words + word];
    }
  }
  return hardware;
}

/// Key positions of the nonzeros of one row, ascending, from its plain metadata. `keys_per_word` is 16, or 8
/// for TF32.
inline std::vector<int> kept_keys(std::span<const std::uint16_t> words, int keys_per_word) {
  std::vector<int> keys;
  keys.reserve(words.size() * static_cast<std::size_t>(keys_per_word) / 2);
  const int keys_per_group = keys_per_word / 4;
  for (std::size_t w = 0; w < words.size(); ++w) {
    for (int group = 0; group < 4; ++group) {
      const KeptPair pair = kept_by(nibble_at(words[w], group));
      const int base = static_cast<int>(w) * keys_per_word + group * keys_per_group;
      if (keys_per_group == 2) {
        keys.push_back(base + pair.first / 2);  // both halves of one 32-bit key
      } else {
        keys.push_back(base + pair.first);
        keys.push_back(base + pair.second);
      }
    }
  }
  return keys;
}

/// Compressed rows [rows, columns / 2] back to dense [rows, columns], with zeros where nothing was kept.
template <class Value>
std::vector<Value> expand(std::span<const Value> nonzeros, std::span<const std::uint16_t> plain,
                          std::size_t rows, int keys_per_word) {
  const std::size_t half = nonzeros.size() / rows;
  const std::size_t words = plain.size() / rows;
  std::vector<Value> dense(nonzeros.size() * 2, Value{});
  for (std::size_t row = 0; row < rows; ++row) {
    const std::vector<int> keys = kept_keys(plain.subspan(row * words, words), keys_per_word);
    for (std::size_t i = 0; i < half; ++i) {
      dense[row * half * 2 + static_cast<std::size_t>(keys[i])] = nonzeros[row * half + i];
    }
  }
  return dense;
}

}  // namespace remeasure::kernels
