// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/simt/thread.h"

namespace remeasure::simt {

/// The shared memory of the block that a worker runs. One allocation: static arrays, each followed by a red
/// zone, then dynamic memory between red zones. Every block finds it filled with 0xff (NaN, -1).
class SharedArena {
 public:
  static constexpr std::size_t kRedZone = 256;
  static constexpr std::size_t kStaticLimit = 48 * 1024;  ///< as ptxas: more needs dynamic shared memory

  struct Array {
    std::byte* begin;
    std::size_t bytes;
    const char* name;
  };

  explicit SharedArena(std::size_t dynamic_limit);
  ~SharedArena();
  SharedArena(const SharedArena&) = delete;
  SharedArena& operator=(const SharedArena&) = delete;

  void begin_launch(std::size_t dynamic_bytes);
  /// `block` is a serial number that no earlier block of this arena had.
  void begin_block(std::uint64_t block);
  /// The place of an array in this block; assigns it on a launch's first use. Null when static memory is used
  /// up.
  std::byte* place(SharedSite& site);

  /// What this launch has declared so far, dynamic memory included; for messages and for the checks.
  const std::vector<Array>& arrays() const { return arrays_; }
  std::size_t static_bytes() const { return static_bytes_; }
  const std::byte* begin() const { return memory_; }
  const std::byte* end() const { return memory_ + bytes_; }
  const detail::SharedView& view() const { return view_; }

 private:
  struct Assigned {
    std::uint64_t launch = 0;
    std::byte* address = nullptr;
  };

  std::byte* memory_;
  std::size_t bytes_;
  std::byte* static_end_;  ///< of the static part
  std::byte* dynamic_;
  std::byte* next_ = nullptr;
  std::size_t static_bytes_ = 0;
  std::uint64_t launch_ = 0;
  std::vector<Assigned> assigned_;           ///< by site id, valid for one launch
  std::vector<detail::StaticPlace> places_;  ///< by site id, valid for one block
  std::vector<Array> arrays_;
  detail::SharedView view_;
};

}  // namespace remeasure::simt
