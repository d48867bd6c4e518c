// SPDX-License-Identifier: Apache-2.0
#include "datasets/import/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

#include "datasets/dataset.h"

namespace remeasure::datasets {
namespace {

static_assert(std::endian::native == std::endian::little, "read_npy_f32 copies little-endian bytes");

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what) {
  throw DatasetError(fmt::format("{}: {}; expected a NumPy .npy file of little-endian float32 in C order (numpy.save of "
                                 "array.astype('<f4'))",
                                 file.string(), what));
}

/// What follows `'key':` in the header's dictionary, up to the end of that value.
std::string_view value_of(std::string_view header, std::string_view key, const std::filesystem::path& file) {
  const std::size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) fail(file, fmt::format("the header has no '{}'", key));
  std::string_view rest = header.substr(at + key.size() + 3);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const char closing = rest.starts_with('(') ? ')' : ',';
  const std::size_t end = rest.find(closing);
  if (end == std::string_view::npos) fail(file, fmt::format("the header's '{}' has no end", key));
  return rest.substr(0, closing == ')' ? end + 1 : end);
}

std::vector<std::size_t> shape_of(std::string_view text, const std::filesystem::path& file) {
  std::vector<std::size_t> shape;
  for (const char* at = text.data(); at != text.data() + text.size();) {
    if (*at < '0' || *at > '9') {
      ++at;
      continue;
    }
    std::size_t extent = 0;
    const auto [next, error] = std::from_chars(at, text.data() + text.size(), extent);
    if (error != std::errc()) fail(file, fmt::format("the shape is {}", text));
    shape.push_back(extent);
    at = next;
  }
  return shape;
}

}  // namespace

NpyArray<float> read_npy_f32(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file)) fail(file, "can't be opened as a file");
  std::array<unsigned char, 12> start{};
  in.read(reinterpret_cast<char*>(start.data()), 10);
  constexpr std::array<unsigned char, 6> kMagic = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (!in || !std::equal(kMagic.begin(), kMagic.end(), start.begin())) fail(file, "it doesn't begin with NumPy's mark");
  const int version = start[6];
  std::uint32_t length = start[8] | static_cast<std::uint32_t>(start[9]) << 8;
  if (version >= 2) {
    in.read(reinterpret_cast<char*>(start.data()) + 10, 2);
    length |= static_cast<std::uint32_t>(start[10]) << 16 | static_cast<std::uint32_t>(start[11]) << 24;
  }
  constexpr std::uint32_t kLongestHeader = 1 << 20;
  if (!in || version < 1 || version > 3 || length > kLongestHeader) {
    fail(file, fmt::format("its format version is {} and its header {} bytes long", version, length));
  }
  std::string header(length, ' ');
  in.read(header.data(), static_cast<std::streamsize>(length));
  if (!in) fail(file, "its header is cut off");
  const std::string_view type = value_of(header, "descr", file), order = value_of(header, "fortran_order", file);
  if (type != "'<f4'") fail(file, fmt::format("its element type is {}", type));
  if (order != "False") fail(file, "it is in Fortran order");
  NpyArray<float> array{.shape = shape_of(value_of(header, "shape", file), file), .values = {}};

  const auto data_start = static_cast<std::uintmax_t>(in.tellg());
  const std::uintmax_t available = (std::filesystem::file_size(file) - data_start) / sizeof(float);
  std::uintmax_t elements = 1;
  for (const std::size_t extent : array.shape) {
    if (extent != 0 && elements > available / extent) {
      fail(file, fmt::format("it holds {} elements, fewer than its shape {} says", available, value_of(header, "shape", file)));
    }
    elements *= extent;
  }
  array.values.resize(static_cast<std::size_t>(elements));
  in.read(reinterpret_cast<char*>(array.values.data()), static_cast<std::streamsize>(elements * sizeof(float)));
  if (!in) fail(file, "reading its elements failed");
  return array;
}

}  // namespace remeasure::datasets
