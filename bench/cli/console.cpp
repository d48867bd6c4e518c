// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/console.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/cli/exit_codes.h"
#include "bench/runner/progress.h"

namespace remeasure::bench::cli {

Console::Console() {
  terminal_ = ::isatty(STDOUT_FILENO) == 1;
  const char* no_colour = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  colour_ = terminal_ && (no_colour == nullptr || *no_colour == '\0') &&
            (kind == nullptr || std::string_view(kind) != "dumb");
  if (terminal_) width_ = std::clamp<std::size_t>(runner::terminal_width(stdout), 60, 100);
}

void Console::print(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) remember_error();
}

void Console::remember_error() {
  if (error_ == 0) error_ = errno != 0 ? errno : EIO;
}

int Console::finish(int code) {
  errno = 0;
  if (std::fflush(stdout) != 0) remember_error();
  if (error_ == 0 || error_ == EPIPE) return code;
  std::fprintf(stderr, "remeasure: can't write to standard output: %s\n", std::strerror(error_));
  return code == kIncorrect ? kIncorrect : kUsageOrToolError;
}

void prepare_standard_streams() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is taken, which is this one. Opened the wrong way round, so that a read or a
    // write fails.
    [[maybe_unused]] const int taken = ::open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
  }
  ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace remeasure::bench::cli
