// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/simt/thread.h"

namespace remeasure::simt {

/// Hands out the threads of a block, one after another, to whichever fiber asks. A block in which nobody waits is
/// thus one loop on one fiber. The loop is compiled together with the kernel and shaped so that the compiler may
/// vectorise it: the inner one runs over threads with consecutive x, and all it changes are plain numbers.
class ThreadCursor {
 public:
  template <class Body>
  void run(const Body& body) {
    while (begin_row()) {
      do {
        ThreadState& state = this_thread();
        const unsigned position = next_++;
        state.linear_thread = position;
        state.thread_index.x = position - row_begin_;
        body();
        if (this_thread().has_leftovers) [[unlikely]] detail::finish_thread(this_thread());
      } while (next_ < row_end_);
    }
    while (next_permuted()) {
      body();
      if (this_thread().has_leftovers) detail::finish_thread(this_thread());
    }
  }

  bool exhausted() const { return next_ == count_; }
  unsigned started() const { return next_; }
  const std::uint16_t* order() const { return order_; }
  /// `order` is null for ascending, else a permutation of the thread numbers.
  void restart(Dim3 dim, const std::uint16_t* order) {
    next_ = 0;
    count_ = static_cast<unsigned>(dim.count());
    row_begin_ = 0;
    row_end_ = order == nullptr ? dim.x : 0;
    y_ = 0;
    z_ = 0;
    dim_ = dim;
    order_ = order;
  }

 private:
  /// False when no threads are left, or when they come in permuted order.
  bool begin_row() {
    if (next_ == count_ || order_ != nullptr) return false;
    if (next_ == row_end_) {
      row_begin_ = row_end_;
      row_end_ += dim_.x;
      if (++y_ == dim_.y) {
        y_ = 0;
        ++z_;
      }
    }
    this_thread().thread_index.y = y_;
    this_thread().thread_index.z = z_;
    return true;
  }

  bool next_permuted() {
    if (next_ == count_) return false;
    const unsigned thread = order_[next_++];
    this_thread().linear_thread = thread;
    this_thread().thread_index = index_of(thread, dim_);
    return true;
  }

  unsigned next_ = 0;
  unsigned count_ = 0;
  unsigned row_begin_ = 0;
  unsigned row_end_ = 0;
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
