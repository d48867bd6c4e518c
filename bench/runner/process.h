// SPDX-License-Identifier: Apache-2.0
//
// A worker process: started from our own program, in a process group of its own, with a pipe for messages and
// its output in a log file of limited size. Knows nothing of experiments.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace remeasure::bench::runner {

/// The descriptor on which a worker writes its messages.
inline constexpr int kMessageDescriptor = 3;

struct ProcessSpec {
  /// By default the very file that is running, even if a build has replaced it meanwhile.
  std::filesystem::path program = "/proc/self/exe";
  std::vector<std::string> command;  ///< name and arguments
  std::filesystem::path log;         ///< gets stdout and stderr
  std::string log_header;            ///< first line of the log
  bool append = false;               ///< to an existing log
  std::size_t log_limit = 8u << 20;  ///< bytes; what comes after is counted and dropped
};

/// How a process ended.
struct Ending {
  int exit_code = -1;  ///< -1 if it was killed
  int signal = 0;
  bool out_of_memory = false;  ///< the kernel killed a process for memory while this one ran
  std::string last_words;      ///< last line that it printed, empty if none

  bool clean() const { return exit_code == 0; }
};

/// "killed by SIGSEGV (invalid memory access)", "exited with status 3", with the last words.
std::string describe(const Ending& ending);

class Process {
 public:
  /// Throws std::system_error if the log can't be opened or the process not started.
  explicit Process(const ProcessSpec& spec);
  ~Process();  ///< kills what still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Waits for messages, output or the end, at most so long; appends to `messages`. False once the process
  /// has ended and everything it wrote has been read. Returns early when a signal arrives.
  bool pump(std::chrono::milliseconds wait, std::string& messages);

  void terminate();  ///< SIGTERM to the process group
  void kill();       ///< SIGKILL to the process group
  bool running() const { return !ending_; }
  pid_t pid() const { return pid_; }
  /// Only after pump() returned false.
  const Ending& ending() const { return *ending_; }

 private:
  void read_output(bool last);
  bool reap();

  pid_t pid_ = -1;
  int messages_ = -1;
  int output_ = -1;
  int log_ = -1;
  std::size_t log_limit_;
  std::size_t logged_ = 0;
  std::uint64_t dropped_ = 0;
  std::string line_;  // the output's unfinished line, then its last non-empty one
  std::string last_line_;
  std::uint64_t memory_kills_before_;
  std::optional<Ending> ending_;
};

/// Absolute path of the running program, for starting it again.
std::filesystem::path own_program();

/// To be called first in a worker: it dies when `parent` does.
void die_with_parent(pid_t parent);

}  // namespace remeasure::bench::runner
