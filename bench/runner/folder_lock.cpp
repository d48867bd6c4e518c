// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <system_error>

namespace remeasure::bench::runner {
namespace {

/// FNV-1a of the name, as an offset that fits every file system. Two names in one byte would only mean that
/// two runs can't share a folder.
off_t offset_of(std::string_view name) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return static_cast<off_t>(hash >> 34);
}

struct flock byte_lock(const std::string& name) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset_of(name);
  lock.l_len = 1;
  return lock;
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder, const std::vector<std::string>& experiments) {
  std::error_code failed;
  if (std::filesystem::exists(folder, failed) && !std::filesystem::is_directory(folder, failed)) {
    throw std::runtime_error(
        fmt::format("{} is a file, not a folder: choose another --out", folder.string()));
  }
  std::filesystem::create_directories(folder, failed);
  if (failed) {
    throw std::runtime_error(fmt::format("cannot create the results folder {}: {}; choose another --out",
                                         folder.string(), failed.message()));
  }
  const auto path = folder / ".lock";
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) {
    throw std::runtime_error(fmt::format("cannot write to the results folder {}: {}; choose another --out",
                                         folder.string(), std::strerror(errno)));
  }
  for (const auto& name : experiments) {
    struct flock lock = byte_lock(name);
    if (::fcntl(file_, F_SETLK, &lock) == 0) continue;
    if (errno != EACCES && errno != EAGAIN) continue;  // a file system without locks
    struct flock holder = byte_lock(name);
    ::fcntl(file_, F_GETLK, &holder);
    const std::string who = holder.l_type != F_UNLCK && holder.l_pid > 0
                                ? fmt::format(" (process {})", holder.l_pid)
                                : std::string();
    ::close(file_);
    throw FolderBusy(
        fmt::format("{} is being written by another run{}: wait for its end, or choose another --out",
                    (folder / (name + ".json")).string(), who));
  }
  remove_leftovers(folder, experiments);
}

void FolderLock::remove_leftovers(const std::filesystem::path& folder,
                                  const std::vector<std::string>& experiments) {
  std::error_code failed;
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".partial")) continue;
    for (const auto& experiment : experiments) {
      if (name.starts_with("." + experiment + ".json.")) leftovers.push_back(entry.path());
    }
  }
  for (const auto& path : leftovers) std::filesystem::remove(path, failed);
}

FolderLock::~FolderLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace remeasure::bench::runner
