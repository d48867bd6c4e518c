// SPDX-License-Identifier: Apache-2.0
//
// The program of bench/testing, run as a user runs it, and what the tests of the runner ask about it.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <testing/beside_program.h>

namespace remeasure::testing {

namespace fs = std::filesystem;

inline std::string text_of(const fs::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "remeasure-run-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Where it is, in a build folder or a bundle.
inline std::string fake_program() {
  return beside_program("remeasure_fake", REMEASURE_FAKE_PROGRAM).string();
}

struct Finished {
  int code = -1;  // exit status, or 128 + signal
  std::string out, err;
};

struct Surroundings {
  const char* out = "out";              ///< file that standard output goes to
  std::string faults = {};              ///< REMEASURE_FAULTS
  rlim_t largest_file = RLIM_INFINITY;  ///< bytes; a longer write fails as on a full disk
  int ignored_signal = 0;               ///< what nohup does to SIGHUP
};

/// `remeasure_fake <arguments>` in `folder`. The data folder is shared: the ceilings of the machine are in
/// it.
class Program {
 public:
  Program(const Folder& folder, const std::vector<std::string>& arguments, const Surroundings& around = {})
      : folder_(folder) {
    std::vector<std::string> words = {fake_program()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    const std::string data =
        (fs::temp_directory_path() / ("remeasure-fake-data-" + std::to_string(::getuid()))).string();
    pid_ = ::fork();
    if (pid_ != 0) return;
    bool ready = ::chdir(folder.path().c_str()) == 0 && ::setenv("REMEASURE_DATA", data.c_str(), 1) == 0;
    ready = ready && ::setenv("REMEASURE_FAULTS", around.faults.c_str(), 1) == 0;
    if (around.largest_file != RLIM_INFINITY) {
      const rlimit limit{around.largest_file, around.largest_file};
      ready = ready && ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
    }
    if (around.ignored_signal != 0) ready = ready && ::signal(around.ignored_signal, SIG_IGN) != SIG_ERR;
    const int out_file = ::open(around.out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int err_file = ::open("err", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ready = ready && ::dup2(out_file, 1) == 1 && ::dup2(err_file, 2) == 2;
    if (ready) ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  ~Program() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Finished wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(folder_ / "out"),
            text_of(folder_ / "err")};
  }
  pid_t pid() const { return pid_; }
  /// The worker, or 0.
  pid_t worker() const {
    std::ifstream children("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children");
    pid_t pid = 0;
    children >> pid;
    return pid;
  }

 private:
  const Folder& folder_;
  pid_t pid_ = -1;
};

inline Finished run(const Folder& folder, const std::vector<std::string>& arguments,
                    const Surroundings& around = {}) {
  return Program(folder, arguments, around).wait();
}

inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 400; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

inline bool alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return static_cast<bool>(file >> number >> name >> state) && state != "Z";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace remeasure::testing
