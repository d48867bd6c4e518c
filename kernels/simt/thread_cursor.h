// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "kernels/simt/checked.h"
#include "kernels/simt/thread.h"

namespace remeasure::simt {

/// Hands out the threads of a block, one after another, to whichever fiber asks. A block in which nobody
/// waits is thus one loop on one fiber. The loop is compiled together with the kernel: it takes a row of
/// threads (consecutive x) at a time, and whoever has to wait gives the rest of its row back, so that between
/// two threads nothing of the cursor is touched.
class ThreadCursor {
 public:
  template <class Body>
  void run(const Body& shared_body) {
    // A copy of what the kernel captured: its address is nobody's, so the compiler may keep it in registers.
    using Own = std::conditional_t<std::is_trivially_copyable_v<Body>, const Body, const Body&>;
    Own body = shared_body;
    while (claim_row(this_thread())) {
      do {
        tell_hooks();
        body();
      } while (next_of_row(this_thread()));
      if (this_thread().has_leftovers) detail::finish_thread(this_thread());
    }
    while (next_permuted(this_thread())) {
      tell_hooks();
      body();
      if (this_thread().has_leftovers) detail::finish_thread(this_thread());
    }
  }

  /// These two know nothing of a row that is claimed: give_back() first.
  bool exhausted() const { return next_ == count_; }
  unsigned started() const { return next_; }
  const std::uint16_t* order() const { return order_; }

  /// The fiber of this thread is about to be left, or has to look after the thread when it returns: what it
  /// has not begun of its row is free to be claimed again.
  void give_back(ThreadState& state) {
    const unsigned begun = state.thread_index.x + 1;
    if (begun >= state.row_end) return;
    next_ -= state.row_end - begun;
    state.row_end = begun;
  }

  /// `order` is null for ascending, else a permutation of the thread numbers.
  void restart(Dim3 dim, const std::uint16_t* order) {
    next_ = 0;
    count_ = static_cast<unsigned>(dim.count());
    row_begin_ = 0;
    y_ = 0;
    z_ = 0;
    dim_ = dim;
    order_ = order;
  }

 private:
  /// The hooks ask whose access it is, but clang inserts them when all else is done: without a fence it would
  /// have kept the thread's number in a register, for the whole loop.
  static void tell_hooks() {
    if constexpr (kChecked) std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  /// False when no threads are left, or when they come in permuted order.
  bool claim_row(ThreadState& state) {
    if (next_ == count_ || order_ != nullptr) return false;
    if (next_ == row_begin_ + dim_.x) {
      row_begin_ = next_;
      if (++y_ == dim_.y) {
        y_ = 0;
        ++z_;
      }
    }
    state.thread_index = {next_ - row_begin_, y_, z_};
    state.linear_thread = next_;
    state.row_end = dim_.x;
    next_ = row_begin_ + dim_.x;
    return true;
  }

  static bool next_of_row(ThreadState& state) {
    ++state.linear_thread;
    return ++state.thread_index.x < state.row_end;
  }

  bool next_permuted(ThreadState& state) {
    if (next_ == count_) return false;
    state.linear_thread = order_[next_++];
    state.thread_index = index_of(state.linear_thread, dim_);
    state.row_end = 0;
    return true;
  }

  unsigned next_ = 0;
  unsigned count_ = 0;
  unsigned row_begin_ = 0;
  unsigned y_ = 0;
  unsigned z_ = 0;
  Dim3 dim_;
  const std::uint16_t* order_ = nullptr;
};

/// A kernel with its arguments bound, without its type: runs threads until the cursor has no more.
struct Program {
  void (*run)(const void* body, ThreadCursor& cursor);
  const void* body;
};

}  // namespace remeasure::simt
