// SPDX-License-Identifier: Apache-2.0
#include "reports/run_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "reports/text_file.h"

extern char** environ;

namespace remeasure::reports {
namespace {

/// posix_spawn's file actions.
class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  void open(int descriptor, const char* path, int flags) {
    ::posix_spawn_file_actions_addopen(&actions_, descriptor, path, flags, 0666);
  }
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

}  // namespace

ProgramResult run_program(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
                          double timeout_seconds) {
  using Clock = std::chrono::steady_clock;
  const std::string out = (folder / "stdout").string();
  const std::string err = (folder / "stderr").string();
  FileActions actions;
  actions.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  actions.open(STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC);
  actions.open(STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC);
  std::vector<std::string> copy = arguments;
  std::vector<char*> argv;
  for (std::string& argument : copy) argv.push_back(argument.data());
  argv.push_back(nullptr);

  ProgramResult result;
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, argv[0], actions.get(), nullptr, argv.data(), environ);
  if (error == ENOENT || error == EACCES || error == ENOTDIR) {
    result.found = false;
    return result;
  }
  if (error != 0) {
    throw std::runtime_error(fmt::format("can't start {}: {}", arguments[0], std::strerror(error)));
  }
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(timeout_seconds));
  int status = 0;
  for (auto pause = std::chrono::milliseconds(1);;
       pause = std::min(2 * pause, std::chrono::milliseconds(50))) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) {
      throw std::runtime_error(fmt::format("lost track of {}: {}", arguments[0], std::strerror(errno)));
    }
    if (Clock::now() >= end) {
      ::kill(child, SIGKILL);
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      result.timed_out = true;
      break;
    }
    std::this_thread::sleep_for(pause);
  }
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  result.errors = read_text_file(err).substr(0, 2000);
  return result;
}

}  // namespace remeasure::reports
