// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace remeasure::bench::runner {

/// Another run writes results of the same experiments into the same folder.
struct FolderBusy : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Creates the folder and keeps other runs from writing the same experiments' results into it. Runs of
/// different experiments (the parts of --shard) may share a folder: the lock is one byte per experiment in
/// `<folder>/.lock`, a POSIX record lock, which ends with its process and works on network file systems. One
/// per process and folder.
class FolderLock {
 public:
  /// Throws FolderBusy, naming the experiment and the other process, or std::runtime_error if the folder
  /// can't be made or written.
  FolderLock(const std::filesystem::path& folder, const std::vector<std::string>& experiments);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  /// Temporary files of a run that was killed while it wrote. Only under the lock: nobody else writes them
  /// then.
  static void remove_leftovers(const std::filesystem::path& folder,
                               const std::vector<std::string>& experiments);
  int file_ = -1;
};

}  // namespace remeasure::bench::runner
