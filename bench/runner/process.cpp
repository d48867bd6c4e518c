// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <system_error>

extern char** environ;

namespace remeasure::bench::runner {
namespace {

/// Kills for lack of memory since boot, on the whole machine; 0 where the kernel doesn't say. A control
/// group's own counter would be exact, but its file isn't visible from every container.
std::uint64_t memory_kills() {
  std::ifstream file("/proc/vmstat");
  std::string name;
  std::uint64_t value = 0;
  while (file >> name >> value) {
    if (name == "oom_kill") return value;
  }
  return 0;
}

void close_if_open(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    read_end = ends[0];
    write_end = ends[1];
    ::fcntl(read_end, F_SETFL, O_NONBLOCK);
  }
  ~Pipe() {
    close_if_open(read_end);
    close_if_open(write_end);
  }
};

const char* meaning(int signal) {
  switch (signal) {
    case SIGSEGV:
      return "invalid memory access";
    case SIGABRT:
      return "abort: a failed assertion or an exception that nothing caught";
    case SIGFPE:
      return "arithmetic error, such as an integer division by zero";
    case SIGILL:
      return "illegal instruction: was the program built for another CPU?";
    case SIGBUS:
      return "bus error: misaligned access, or a mapped file that shrank";
    case SIGKILL:
      return "from outside, perhaps for lack of memory";
    case SIGXCPU:
      return "CPU time limit";
    case SIGTERM:
      return "asked to stop";
    default:
      return "";
  }
}

/// Of a program's output only what a table can show.
std::string printable(std::string_view line) {
  std::string out;
  for (const char c : line.substr(0, 200)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte >= 0x20 && byte < 0x7f ? c : ' ';
  }
  const auto first = out.find_first_not_of(' ');
  const auto last = out.find_last_not_of(' ');
  return first == std::string::npos ? "" : out.substr(first, last - first + 1);
}

}  // namespace

std::string describe(const Ending& ending) {
  std::string text;
  if (ending.signal != 0) {
    const char* name = ::sigabbrev_np(ending.signal);
    text = fmt::format("killed by SIG{}", name != nullptr ? name : std::to_string(ending.signal));
    const std::string why = ending.out_of_memory && ending.signal == SIGKILL
                                ? "the machine ran out of memory"
                                : std::string(meaning(ending.signal));
    if (!why.empty()) text += fmt::format(" ({})", why);
  } else {
    text = fmt::format("exited with status {}", ending.exit_code);
  }
  if (!ending.last_words.empty()) text += fmt::format("; last output: {}", ending.last_words);
  return text;
}

Process::Process(const ProcessSpec& spec) : log_limit_(spec.log_limit), memory_kills_before_(memory_kills()) {
  log_ = ::open(spec.log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (spec.append ? O_APPEND : O_TRUNC), 0666);
  if (log_ < 0) throw std::system_error(errno, std::generic_category(), spec.log.string());
  if (!spec.log_header.empty()) {
    const std::string header = spec.log_header + "\n";
    [[maybe_unused]] const auto written = ::write(log_, header.data(), header.size());
  }
  try {
    Pipe messages, output;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // The ends to be duplicated lie above the numbers that they get, or one dup2 would destroy the other's
    // source.
    int message_end = ::fcntl(messages.write_end, F_DUPFD_CLOEXEC, 10);
    int output_end = ::fcntl(output.write_end, F_DUPFD_CLOEXEC, 10);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output_end, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output_end, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, message_end, kMessageDescriptor);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<std::string> words = spec.command;
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int failed =
        ::posix_spawn(&pid_, spec.program.c_str(), &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close_if_open(message_end);
    close_if_open(output_end);
    if (failed != 0) {
      pid_ = -1;
      throw std::system_error(failed, std::generic_category(), "cannot start " + spec.program.string());
    }
    std::swap(messages_, messages.read_end);
    std::swap(output_, output.read_end);
  } catch (...) {
    close_if_open(log_);
    throw;
  }
}

Process::~Process() {
  if (pid_ > 0 && !ending_) {
    kill();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  close_if_open(messages_);
  close_if_open(output_);
  close_if_open(log_);
}

void Process::terminate() {
  if (pid_ > 0 && !ending_) ::kill(-pid_, SIGTERM);
}

void Process::kill() {
  if (pid_ > 0 && !ending_) ::kill(-pid_, SIGKILL);
}

bool Process::pump(std::chrono::milliseconds wait, std::string& messages) {
  if (ending_) return false;
  std::array<pollfd, 2> watched = {pollfd{messages_, POLLIN, 0}, pollfd{output_, POLLIN, 0}};
  if (messages_ < 0 && output_ < 0) {
    // Both closed by the worker, which still lives: nothing to wait for but its end.
    ::poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(wait.count(), 20)));
  } else {
    ::poll(watched.data(), watched.size(), static_cast<int>(wait.count()));
  }
  const bool ended = reap();
  std::array<char, 16384> buffer;
  while (messages_ >= 0) {
    const auto count = ::read(messages_, buffer.data(), buffer.size());
    if (count > 0)
      messages.append(buffer.data(), static_cast<std::size_t>(count));
    else if (count == 0)
      close_if_open(messages_);
    else if (errno != EINTR)
      break;
  }
  read_output(ended);
  if (ended) ending_->last_words = printable(last_line_);
  return !ended;
}

bool Process::reap() {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid != pid_) {
    return false;
  }
  ::kill(-pid_, SIGKILL);  // whatever the worker itself has started; its number isn't free before the waitpid
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  Ending ending;
  if (WIFSIGNALED(status))
    ending.signal = WTERMSIG(status);
  else
    ending.exit_code = WEXITSTATUS(status);
  ending.out_of_memory = memory_kills() > memory_kills_before_;
  ending_ = ending;
  return true;
}

void Process::read_output(bool last) {
  std::array<char, 65536> buffer;
  // A worker that prints without end must not keep the parent from looking at the clock.
  for (int round = 0; output_ >= 0 && (round < 64 || last); ++round) {
    const auto count = ::read(output_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    if (count == 0) {
      close_if_open(output_);
      break;
    }
    const std::string_view text(buffer.data(), static_cast<std::size_t>(count));
    const std::size_t room = std::min(text.size(), log_limit_ - std::min(log_limit_, logged_));
    if (room > 0) {
      const auto written = ::write(log_, text.data(), room);
      logged_ += written > 0 ? static_cast<std::size_t>(written) : room;
    }
    dropped_ += text.size() - room;
    for (const char c : text) {
      if (c != '\n') {
        if (line_.size() < 400) line_ += c;
      } else {
        if (line_.find_first_not_of(" \t\r") != std::string::npos) last_line_ = line_;
        line_.clear();
      }
    }
    if (last && round > 4096) break;  // a grandchild that escaped its group keeps on printing
  }
  if (!last) return;
  if (line_.find_first_not_of(" \t\r") != std::string::npos) last_line_ = line_;
  if (dropped_ > 0) {
    const std::string notice = fmt::format("\n[{} more bytes of output were dropped]\n", dropped_);
    [[maybe_unused]] const auto written = ::write(log_, notice.data(), notice.size());
    dropped_ = 0;
  }
}

std::filesystem::path own_program() {
  std::error_code failed;
  auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) throw std::runtime_error("cannot find this program's own file: /proc is not mounted");
  return path;
}

void die_with_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
}

}  // namespace remeasure::bench::runner
