// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

namespace remeasure::simt {

/// A place in a kernel's source. std::source_location where all supported compilers had it (clang 14 has
/// not). Used as a default argument: `void barrier(const Site& site = Site::here())` names the caller.
struct Site {
  const char* file = "";
  const char* function = "";
  std::uint32_t line = 0;
  std::uint32_t column = 0;  ///< 0 where the compiler can't tell (g++)

#if defined(__clang__)
  static constexpr Site here(const char* file = __builtin_FILE(), const char* function = __builtin_FUNCTION(),
                             std::uint32_t line = static_cast<std::uint32_t>(__builtin_LINE()),
                             std::uint32_t column = static_cast<std::uint32_t>(__builtin_COLUMN())) {
    return {file, function, line, column};
  }
#else
  static constexpr Site here(const char* file = __builtin_FILE(), const char* function = __builtin_FUNCTION(),
                             std::uint32_t line = static_cast<std::uint32_t>(__builtin_LINE())) {
    return {file, function, line, 0};
  }
#endif

  bool operator==(const Site& other) const {
    return line == other.line && column == other.column &&
           (file == other.file || std::strcmp(file, other.file) == 0);
  }
};

}  // namespace remeasure::simt
