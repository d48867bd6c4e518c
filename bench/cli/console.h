// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace remeasure::bench::cli {

/// Where a command writes what it was asked for: stdout. Progress, notes and errors go to stderr.
class Console {
 public:
  Console();
  void print(std::string_view text);
  bool is_terminal() const { return terminal_; }
  bool colour() const { return colour_; }       ///< a terminal, and NO_COLOR isn't set
  std::size_t width() const { return width_; }  ///< at most 100, so that a line can be read

  /// The exit code after everything is written: `code`, or kUsageOrToolError with a message if stdout
  /// couldn't take it. A reader that has seen enough (`| head -1`) is no error.
  int finish(int code);

 private:
  void remember_error();
  bool terminal_ = false, colour_ = false;
  std::size_t width_ = 100;
  int error_ = 0;
};

/// To be called before anything is opened. A closed stdin, stdout or stderr is replaced, or the first file
/// opened would take its number and get what is printed; a write to a closed pipe becomes an error instead of
/// the end.
void prepare_standard_streams();

}  // namespace remeasure::bench::cli
