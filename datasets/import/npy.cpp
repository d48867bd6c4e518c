// SPDX-License-Identifier: Apache-2.0
#include "datasets/import/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace remeasure::datasets {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaximumHeader = std::size_t{1} << 16;

[[noreturn]] void refuse(const fs::path& file, const std::string& what) {
  throw DatasetError(fmt::format("{}: {}", file.string(), what));
}

constexpr std::array<std::pair<std::string_view, ElementType>, 10> kTypes{{
    {"f4", ElementType::f32},
    {"f8", ElementType::f64},
    {"i1", ElementType::i8},
    {"u1", ElementType::u8},
    {"i2", ElementType::i16},
    {"u2", ElementType::u16},
    {"i4", ElementType::i32},
    {"u4", ElementType::u32},
    {"i8", ElementType::i64},
    {"u8", ElementType::u64},
}};

/// The header is the text of a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. This
/// reads that and nothing more of Python.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const fs::path& file) : rest_(text), file_(file) {}

  void parse(NpyArray& out) {
    bool have_descr = false, have_order = false, have_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !have_descr) {
        out.type = element_type(quoted());
        have_descr = true;
      } else if (key == "fortran_order" && !have_order) {
        if (take_word("True"))
          refuse(file_, "in Fortran order; expected C order (numpy.ascontiguousarray makes it)");
        if (!take_word("False")) unexpected("True or False");
        have_order = true;
      } else if (key == "shape" && !have_shape) {
        out.shape = tuple();
        have_shape = true;
      } else {
        refuse(file_, fmt::format("header key '{}' is unknown or occurs twice", key));
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) unexpected("the end of the header");
    if (!have_descr || !have_order || !have_shape)
      refuse(file_, "header without descr, fortran_order or shape");
  }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
  }
  [[noreturn]] void unexpected(std::string_view expected) {
    refuse(file_, fmt::format("header: expected {} at \"{}\"", expected, rest_.substr(0, 20)));
  }
  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) unexpected(std::string_view(&c, 1));
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::string quoted() {
    skip_space();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) unexpected("a quoted word");
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) unexpected("a closing quote");
    std::string word(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return word;
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!take(')')) {
      skip_space();
      std::uint64_t extent = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
      if (error != std::errc()) unexpected("an extent");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      shape.push_back(extent);
      if (shape.size() > 32) refuse(file_, "more than 32 axes");
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  ElementType element_type(const std::string& descr) {
    const bool one_byte = descr.ends_with('1');
    const bool little =
        descr.starts_with('<') || (one_byte && (descr.starts_with('|') || descr.starts_with('>')));
    for (const auto& [name, type] : kTypes) {
      if (little && std::string_view(descr).substr(1) == name) return type;
    }
    refuse(file_,
           fmt::format("element type '{}'; expected little-endian f4, f8, i1, u1, i2, u2, i4, u4, i8 or u8",
                       descr));
  }

  std::string_view rest_;
  const fs::path& file_;
};

template <class Stored, class T>
T convert(Stored stored, const fs::path& file) {
  if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_integral_v<Stored>) {
      if (std::in_range<T>(stored)) return static_cast<T>(stored);
      refuse(file, fmt::format("value {} doesn't fit {} bytes", stored, sizeof(T)));
    } else {
      refuse(file, "floating-point values; expected integers");
    }
  } else if constexpr (std::is_integral_v<Stored>) {
    constexpr double limit = std::is_same_v<T, float> ? 0x1p24 : 0x1p53;
    if (std::fabs(static_cast<double>(stored)) < limit) return static_cast<T>(stored);
    refuse(file, fmt::format("value {} would be rounded", stored));
  } else {
    return static_cast<T>(stored);
  }
}

template <class Stored, class T>
std::vector<T> values(const NpyArray& array) {
  std::vector<T> out(array.elements());
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, array.data.data() + i * sizeof stored, sizeof stored);
    out[i] = convert<Stored, T>(stored, array.file);
  }
  return out;
}

template <class T>
std::vector<T> values_as(const NpyArray& array) {
  switch (array.type) {
    case ElementType::f32:
      return values<float, T>(array);
    case ElementType::f64:
      return values<double, T>(array);
    case ElementType::u8:
      return values<std::uint8_t, T>(array);
    case ElementType::i8:
      return values<std::int8_t, T>(array);
    case ElementType::u16:
      return values<std::uint16_t, T>(array);
    case ElementType::i16:
      return values<std::int16_t, T>(array);
    case ElementType::i32:
      return values<std::int32_t, T>(array);
    case ElementType::u32:
      return values<std::uint32_t, T>(array);
    case ElementType::i64:
      return values<std::int64_t, T>(array);
    case ElementType::u64:
      return values<std::uint64_t, T>(array);
  }
  refuse(array.file, "an element type that doesn't exist");
}

/// The whole of a .npy file; `take(to, count)` gives the next bytes and says how many there were.
template <class Take>
NpyArray parse(const fs::path& file, std::uint64_t size, Take take) {
  const auto read = [&](void* to, std::size_t count, const char* what) {
    if (take(to, count) != count) refuse(file, fmt::format("truncated within its {}", what));
  };

  std::array<unsigned char, 8> start{};
  read(start.data(), start.size(), "first 8 bytes");
  if (std::memcmp(start.data(), "\x93NUMPY", 6) != 0)
    refuse(file, "no .npy file: it doesn't begin with \\x93NUMPY");
  const unsigned version = start[6];
  if (version != 1 && version != 2)
    refuse(file, fmt::format(".npy format {}.{}; expected 1.0 or 2.0", version, start[7]));
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::array<unsigned char, 4> length{};
  read(length.data(), length_bytes, "header's length");
  std::size_t header_size = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) header_size |= std::size_t{length[i]} << (8 * i);
  if (header_size > kMaximumHeader)
    refuse(file, fmt::format("a header of {} bytes; at most {} are read", header_size, kMaximumHeader));
  std::string header(header_size, '\0');
  read(header.data(), header.size(), "header");

  NpyArray array;
  array.file = file;
  HeaderParser(header, file).parse(array);
  const std::uint64_t stored = size - start.size() - length_bytes - header_size;
  std::uint64_t bytes = size_of(array.type);
  for (const std::uint64_t extent : array.shape) {
    if (extent != 0 && bytes > (std::uint64_t{1} << 62) / extent)
      refuse(file, fmt::format("shape {} overflows", to_string(array.shape)));
    bytes *= extent;
  }
  if (bytes != stored) {
    refuse(file, fmt::format("shape {} of {} needs {} bytes, the file has {} behind its header",
                             to_string(array.shape), to_string(array.type), bytes, stored));
  }
  array.data.resize(static_cast<std::size_t>(bytes));
  if (bytes > 0) read(array.data.data(), array.data.size(), "data");
  return array;
}

}  // namespace

std::vector<float> NpyArray::as_f32() const {
  return values_as<float>(*this);
}
std::vector<double> NpyArray::as_f64() const {
  return values_as<double>(*this);
}
std::vector<std::int32_t> NpyArray::as_i32() const {
  return values_as<std::int32_t>(*this);
}
std::vector<std::int64_t> NpyArray::as_i64() const {
  return values_as<std::int64_t>(*this);
}

NpyArray read_npy(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error))
    refuse(file, "no such file, or no regular file; expected a .npy file");
  const std::uint64_t size = fs::file_size(file);
  std::ifstream in(file, std::ios::binary);
  if (!in) refuse(file, "can't be opened for reading");
  return parse(file, size, [&](void* to, std::size_t count) {
    in.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
    return static_cast<std::size_t>(in.gcount());
  });
}

NpyArray npy_of_bytes(std::string_view bytes, const fs::path& name) {
  std::string_view rest = bytes;
  return parse(name, bytes.size(), [&](void* to, std::size_t count) {
    const std::size_t taken = std::min(count, rest.size());
    if (taken > 0) std::memcpy(to, rest.data(), taken);
    rest.remove_prefix(taken);
    return taken;
  });
}

}  // namespace remeasure::datasets
