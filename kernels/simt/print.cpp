// SPDX-License-Identifier: Apache-2.0
//
// Device printf.
#include <cstdio>
#include <string>

#include "kernels/simt/block_runner.h"

namespace remeasure::simt {

void write_printed(std::string* output, std::string_view text) {
  if (output != nullptr) {
    output->append(text);
  } else {
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
}

void BlockRunner::print(std::string_view text) {
  if (launch_->one_worker) return write_printed(launch_->output, text);
  if (printed_.empty() || printed_.back().block != block_) printed_.push_back({block_, {}});
  printed_.back().text += text;
}

int print(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const int length = print(format, arguments);
  va_end(arguments);
  return length;
}

int print(const char* format, std::va_list arguments) {
  std::va_list again;
  va_copy(again, arguments);
  char text[1024];
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  if (length >= static_cast<int>(sizeof text)) {
    std::string longer(static_cast<std::size_t>(length), '\0');
    std::vsnprintf(longer.data(), longer.size() + 1, format, again);
    this_thread().block->print(longer);
  } else if (length > 0) {
    this_thread().block->print({text, static_cast<std::size_t>(length)});
  }
  va_end(again);
  return length;
}

}  // namespace remeasure::simt
