// SPDX-License-Identifier: Apache-2.0
#include "datasets/seal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/sha256.h"

namespace remeasure::datasets {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);
constexpr std::string_view kMagic = "remeasure-seal 1 ";

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

std::string reason(int error) {
  return std::error_code(error, std::generic_category()).message();
}

[[noreturn]] void refuse(const fs::path& file, const std::string& what) {
  throw DatasetError(fmt::format("{}: {}", file.string(), what));
}

void write_all(int descriptor, std::string_view bytes, const fs::path& file) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      refuse(file,
             fmt::format(
                 "can't write the dataset ({}): {} bytes still to write; free some space or choose another "
                 "data folder",
                 reason(written < 0 ? errno : ENOSPC), bytes.size()));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string seal_of(std::uint64_t bytes, const std::string& sha256) {
  std::string seal = fmt::format("{}bytes={:020} sha256={}", kMagic, bytes, sha256);
  seal.resize(kSealBytes - 1, ' ');
  return seal + '\n';
}

/// Where HDF5's superblock (versions 2 and 3) says that the file ends; 0 if it isn't one.
std::uint64_t end_by_superblock(std::string_view head) {
  if (head.size() < 48 || head.substr(0, 8) != kSignature || (head[8] != 2 && head[8] != 3) || head[9] != 8)
    return 0;
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < 8; ++i)
    end |= std::uint64_t{static_cast<unsigned char>(head[28 + i])} << (8 * i);
  return end;
}

[[noreturn]] void refuse_unsealed(const fs::path& file, std::string_view head, std::uint64_t size) {
  if (size == 0)
    refuse(file, "the file is empty; expected an HDF5 dataset of remeasure; delete it to have it made again");
  if (head.substr(0, 8) != kSignature) {
    const bool text = std::all_of(head.begin(), head.end(), [](char c) {
      return static_cast<unsigned char>(c) >= 32 || c == '\n' || c == '\r' || c == '\t';
    });
    refuse(file, fmt::format("not an HDF5 file but {}, {} bytes; expected an HDF5 dataset of remeasure",
                             text ? "text" : "something else", size));
  }
  const std::uint64_t end = end_by_superblock(head);
  if (end == 0 || size < end + kSealBytes) {
    refuse(file, fmt::format("truncated or damaged: {} bytes, expected {}; delete it to have it made again",
                             size, end == 0 ? "a sealed file" : std::to_string(end + kSealBytes)));
  }
  refuse(file,
         "an HDF5 file without remeasure's seal at its end: changed by another program, or not a dataset of "
         "remeasure; bring it in with `remeasure data import`");
}

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0) ::fsync(descriptor.get());  // some file systems have no fsync for folders
}

std::string temporary_prefix(const fs::path& file) {
  return "." + file.filename().string() + ".part-";
}

}  // namespace

void write_sealed(const fs::path& file, std::span<const std::byte> image, bool remove_stale) {
  static std::atomic<unsigned> counter{0};  // two threads of a process must not share a temporary name
  const fs::path folder = file.parent_path();
  const std::string prefix = temporary_prefix(file);
  if (remove_stale) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().filename().string().starts_with(prefix)) fs::remove(entry.path(), ignored);
    }
  }
  const fs::path temporary = folder / fmt::format("{}{}-{}", prefix, ::getpid(), counter++);
  const Descriptor descriptor(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (descriptor.get() < 0) {
    refuse(temporary,
           fmt::format("can't create the file ({}); make the folder writable or choose another data folder",
                       reason(errno)));
  }
  try {
    const std::string sha256 = Sha256().update(image).finish();
    write_all(descriptor.get(), {reinterpret_cast<const char*>(image.data()), image.size()}, temporary);
    write_all(descriptor.get(), seal_of(image.size(), sha256), temporary);
    if (::fsync(descriptor.get()) != 0) refuse(temporary, fmt::format("can't be synced ({})", reason(errno)));
    std::error_code error;
    fs::rename(temporary, file, error);
    if (error) refuse(file, fmt::format("can't be replaced by {} ({})", temporary.string(), error.message()));
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  sync_folder(folder);
}

std::uint64_t hdf5_end(std::span<const std::byte> image, const fs::path& file) {
  const std::uint64_t end = end_by_superblock({reinterpret_cast<const char*>(image.data()), image.size()});
  if (end == 0 || end > image.size()) refuse(file, "HDF5 left an incomplete file in memory");
  return end;
}

void check_seal(const fs::path& file) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.get() < 0) {
    refuse(file, fmt::format("can't be opened for reading ({}){}", reason(errno),
                             errno == EACCES ? "; give read permission to the file and its folders" : ""));
  }
  struct stat status;
  if (::fstat(descriptor.get(), &status) != 0) refuse(file, reason(errno));
  if (S_ISDIR(status.st_mode)) refuse(file, "is a folder; expected an HDF5 file");
  if (!S_ISREG(status.st_mode)) refuse(file, "is no regular file; expected an HDF5 file");

  const auto size = static_cast<std::uint64_t>(status.st_size);
  Sha256 sha256;
  std::uint64_t done = 0;
  std::string head, tail;  // the first bytes for diagnosis; the bytes that may be the seal
  std::vector<char> buffer(std::size_t{1} << 20);
  while (true) {
    const ssize_t count = ::read(descriptor.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse(file, fmt::format("can't be read ({})", reason(errno)));
    if (count == 0) break;
    const std::string_view block(buffer.data(), static_cast<std::size_t>(count));
    if (head.empty()) head = block.substr(0, 512);
    tail += block;
    if (tail.size() > kSealBytes) {
      sha256.update(std::string_view(tail).substr(0, tail.size() - kSealBytes));
      done += tail.size() - kSealBytes;
      tail.erase(0, tail.size() - kSealBytes);
    }
  }
  if (tail.size() < kSealBytes || !tail.starts_with(kMagic)) refuse_unsealed(file, head, size);
  const std::string found = sha256.finish();
  if (tail != seal_of(done, found)) {
    refuse(file,
           fmt::format(
               "damaged: its bytes changed after it was written (SHA-256 is {}, sealed as \"{}\"); delete it "
               "to have it made again",
               found, tail.substr(0, tail.find_last_not_of(" \n") + 1)));
  }
}

FileLock::FileLock(const fs::path& file) {
  const fs::path lock = file.parent_path() / ("." + file.filename().string() + ".lock");
  descriptor_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) return;  // a read-only folder: writing will fail with its own message
  int result = 0;
  do {
    result = ::flock(descriptor_, LOCK_EX);
  } while (result != 0 && errno == EINTR);
  held_ = result == 0;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace remeasure::datasets
