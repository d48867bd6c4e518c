// SPDX-License-Identifier: Apache-2.0
//
// Runs CUDA grids on CPU threads: a block at a time on each, every CUDA thread a fiber that is started only
// when needed. See kernels/simt/README.md for how, and for what a clean run proves and what it does not.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/simt/counts.h"
#include "kernels/simt/dim3.h"
#include "kernels/simt/error.h"
#include "kernels/simt/options.h"
#include "kernels/simt/thread_cursor.h"

namespace remeasure::simt {

struct LaunchInfo {
  std::string_view name;  ///< of the kernel, for messages and counts
  Dim3 grid;
  Dim3 block;
  std::size_t shared_bytes = 0;  ///< dynamic shared memory
  /// The kernel's bits may depend on the order of blocks and threads (floating-point atomics).
  bool order_dependent = false;
  /// See EngineOptions; permission for this launch alone.
  bool exited_threads_count_as_arrived = false;
  const void* function = nullptr;  ///< the kernel's address, for shapes(); null: not listed there
};

/// What a kernel was launched with: from this and the compiler's figures follows its occupancy on a GPU.
struct LaunchShape {
  const void* function = nullptr;
  unsigned block_threads = 0;
  std::size_t shared_bytes = 0;  ///< dynamic

  auto operator<=>(const LaunchShape&) const = default;
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Runs `body()` once for every thread of the grid; inside it simt::this_thread() says which one. Returns
  /// when all are done. Throws EngineError; what the kernel wrote before the error stays written. An
  /// exception that leaves `body` is reported as device-assert. One launch at a time per engine.
  template <class Body>
  void launch(const LaunchInfo& info, const Body& body) {
    run(info, {&run_threads<Body>, &body});
  }

  /// Global memory that kernels may use. `red_zone_bytes` on either side must belong to the caller's
  /// allocation: an access there is out-of-bounds. Not initialised: a read before a write is an error. The
  /// fast build keeps only the list.
  void register_memory(const void* address, std::size_t bytes, std::string_view name, bool initialised,
                       std::size_t red_zone_bytes = 0);
  void unregister_memory(const void* address);
  /// The host wrote (copied, filled) these bytes: kernels may read them.
  void mark_initialised(const void* address, std::size_t bytes);
  /// Whether all these bytes of registered memory have been written; true for other memory and in the fast
  /// build.
  bool is_initialised(const void* address, std::size_t bytes) const;

  /// Counts per kernel name since construction or reset_counts().
  const std::map<std::string, LaunchCounts, std::less<>>& counts() const;
  /// Of one name; zeros when it never ran.
  LaunchCounts counts(std::string_view kernel) const;
  /// Of the latest launch alone.
  const LaunchCounts& last_launch() const;
  const std::string& last_kernel() const;
  /// How many launches so far were declared order_dependent.
  std::uint64_t order_dependent_launches() const;
  void reset_counts();
  /// The different shapes of all launches that ended without an error.
  const std::set<LaunchShape>& shapes() const;

  const EngineOptions& options() const;
  /// For the launches that follow. With a seed other than 0 they run on one worker.
  void set_schedule(std::uint64_t seed);
  void set_copy_timing(CopyTiming timing);

  /// Device printf of the launches that follow is appended to this text, in place of stdout when null.
  void capture_prints(std::string* text);

  int workers() const;
  /// Whether this is the checked build: kernels report their accesses.
  static bool checked();

 private:
  template <class Body>
  static void run_threads(const void* body, ThreadCursor& cursor) {
    cursor.run(*static_cast<const Body*>(body));
  }
  void run(const LaunchInfo& info, const Program& program);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace remeasure::simt
