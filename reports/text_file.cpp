// SPDX-License-Identifier: Apache-2.0
#include "reports/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace remeasure::reports {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& path, int error) {
  throw std::runtime_error(fmt::format("can't {} {}: {}", what, path.string(), std::strerror(error)));
}

/// An open file descriptor.
class File {
 public:
  File(const std::filesystem::path& path, int flags)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }
  /// Some systems report a full disk only here.
  int close() {
    const int result = ::close(descriptor_);
    descriptor_ = -1;
    return result;
  }

 private:
  int descriptor_;
};

int write_all(File& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0 && errno != EINVAL) return errno;  // EINVAL: not a file that can be synced
  return file.close() == 0 ? 0 : errno;
}

}  // namespace

void write_text_file(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const std::filesystem::path temporary =
      folder / fmt::format(".{}.{}.partial", path.filename().string(), static_cast<long>(::getpid()));
  int error = 0;
  {
    File file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.get() < 0) fail("write", path, errno);
    error = write_all(file, text);
  }
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail("write", path, error);
  }
  if (File directory(folder, O_RDONLY | O_DIRECTORY); directory.get() >= 0) {
    ::fsync(directory.get());  // the rename itself; a file system that can't do it is no reason to fail
  }
}

std::string read_text_file(const std::filesystem::path& path) {
  File file(path, O_RDONLY);
  if (file.get() < 0) fail("read", path, errno);
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t count = ::read(file.get(), buffer, sizeof buffer);
    if (count == 0) return text;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path, errno);
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace remeasure::reports
