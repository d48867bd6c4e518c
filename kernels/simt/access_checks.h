// SPDX-License-Identifier: Apache-2.0
//
// The checks of the checked build: every load and store of a kernel comes here (access_hooks.cpp). One set
// per process, since the hooks know no engine; Engine lets only one launch run at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/simt/async_copy.h"
#include "kernels/simt/error_kind.h"
#include "kernels/simt/happens_before.h"
#include "kernels/simt/shadow.h"
#include "kernels/simt/thread.h"

namespace remeasure::simt {

enum class Access : std::uint8_t { read, write, atomic_read, atomic_write, atomic_update };

class AccessChecks {
 public:
  static AccessChecks& instance();

  void register_memory(const void* address, std::size_t bytes, std::string_view name, bool initialised,
                       std::size_t red_zone_bytes);
  void unregister_memory(const void* address);
  void mark_initialised(const void* address, std::size_t bytes);
  bool is_initialised(const void* address, std::size_t bytes);

  void begin_launch(BlockRunner& runner, bool cooperative);
  void end_launch() {
    runner_ = nullptr;
    aside_.clear();
  }
  void begin_block(BlockRunner& runner);
  /// Cooperative launches: this runner's block has its turn again.
  void continue_block(BlockRunner& runner);
  HappensBefore& order() { return order_; }

  /// The current thread does this. `place` is the return address of the hook. Does not return on an error.
  void access(Access kind, const void* address, std::size_t bytes, std::size_t alignment, const void* place) {
    if (detail::current_thread == nullptr || busy_) return;
    const auto a = reinterpret_cast<std::uintptr_t>(address);
    // Most accesses are to the thread's own stack.
    if (a - stack_of_current() < stack_bytes_) return;
    check(kind, a, bytes, alignment, place, nullptr);
  }
  /// The same for engine code that acts for a kernel and knows its source line.
  void access(Access kind, const void* address, std::size_t bytes, std::size_t alignment, const Site& site) {
    if (detail::current_thread == nullptr || busy_) return;
    check(kind, reinterpret_cast<std::uintptr_t>(address), bytes, alignment, nullptr, &site);
  }
  void copy_issued(const AsyncCopy& copy);
  void copy_completed(const AsyncCopy& copy);

 private:
  struct Array {
    std::uintptr_t begin;
    std::size_t bytes;
    std::size_t red_zone;
    std::string name;
    bool shared;
    std::unique_ptr<Shadow> shadow;
  };
  struct Request {
    Access kind;
    std::uintptr_t address;
    std::size_t bytes;
    const void* place;  ///< one of the two is set
    const Site* site;
    std::uint32_t code;  ///< place, compressed; 0 for a site
  };

  /// What a block of a cooperative launch keeps while another has its turn.
  struct Aside {
    std::uint32_t serial = 0;
    std::vector<Array> shared;
  };
  void put_aside();

  static std::uintptr_t stack_of_current();
  Array* find(std::uintptr_t address);
  Array* find_shared(std::uintptr_t address);
  void check(Access kind, std::uintptr_t address, std::size_t bytes, std::size_t alignment, const void* place,
             const Site* site);
  void count(const Array& array, Access kind, std::size_t bytes);
  void enter_scope(ShadowCell& cell, bool shared) const;
  void check_read(const Array& array, ShadowCell& cell, const Request& request);
  void check_write(const Array& array, ShadowCell& cell, const Request& request);
  void remember_reader(ShadowCell& cell, const Request& request);
  void remember_writer(ShadowCell& cell, const Request& request);
  /// A reader of the cell whose read isn't ordered before a write by `me`; false when there is none.
  bool find_unordered_reader(const ShadowCell& cell, unsigned me, std::uint32_t& block,
                             unsigned& thread) const;
  bool write_is_ordered(const ShadowCell& cell, unsigned me) const;

  /// `what` is moved from: nothing of a caller's frame is destroyed after the jump that this ends with.
  [[noreturn]] void report(ErrorKind kind, const Array& array, const Request& request, std::string&& what,
                           std::uint32_t earlier_code = 0);
  [[noreturn]] void report_race(const Array& array, const Request& request, const char* earlier,
                                std::uint32_t block, unsigned thread, std::uint32_t code);
  [[noreturn]] void report_out_of_bounds(const Array& array, const Request& request);

  std::map<std::uintptr_t, Array> global_;  ///< by the first byte of the lower red zone
  std::vector<Array> shared_;               ///< of this launch, as SharedArena::arrays()
  Array* latest_ = nullptr;
  BlockRunner* runner_ = nullptr;
  HappensBefore order_;
  std::uint32_t launch_ = 0;
  std::uint32_t block_serial_ = 0;
  std::uint32_t latest_serial_ = 0;
  bool cooperative_ = false;
  std::map<const BlockRunner*, Aside> aside_;
  std::size_t stack_bytes_ = 0;
  bool busy_ = false;
};

}  // namespace remeasure::simt
