// SPDX-License-Identifier: Apache-2.0
//
// What protects a dataset file as a whole, before HDF5 looks at it. libhdf5 isn't safe against damaged files,
// so ours end in a line of kSealBytes bytes behind the HDF5 data (HDF5 ignores it) that holds length and
// SHA-256 of all before it:
//   remeasure-seal 1 bytes=<20 digits> sha256=<64 digits>
// A truncated or flipped file is found here, and never reaches the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace remeasure::datasets {

inline constexpr std::size_t kSealBytes = 128;

/// Writes image and seal to a temporary name in the same folder, syncs, renames: `file` is the old or the
/// new, never half. Temporary files that a killed process left for the same file are removed if
/// `remove_stale` (hold a FileLock).
void write_sealed(const std::filesystem::path& file, std::span<const std::byte> image, bool remove_stale);

/// Where HDF5's superblock says that the file ends; throws DatasetError for anything but a whole HDF5 image.
std::uint64_t hdf5_end(std::span<const std::byte> image, const std::filesystem::path& file);

/// Throws DatasetError unless `file` is a readable regular file with an intact seal.
void check_seal(const std::filesystem::path& file);

/// Excludes other processes and threads from making the same file; released by the kernel when its holder
/// dies. On file systems without locks it excludes nobody, and the rename alone keeps files whole.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& file);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool held() const { return held_; }

 private:
  int descriptor_ = -1;
  bool held_ = false;
};

}  // namespace remeasure::datasets
