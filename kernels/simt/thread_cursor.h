// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "kernels/simt/thread.h"

namespace remeasure::simt {

/// Hands out the threads of a block, one after another, to whichever fiber asks. A block in which nobody waits is
/// thus one loop on one fiber, compiled together with the kernel.
class ThreadCursor {
 public:
  /// Makes the current fiber's thread state that of the next thread; false when all have been started.
  bool advance() {
    ThreadState& state = this_thread();
    if (state.has_leftovers) detail::finish_thread(state);
    const unsigned position = next_;
    if (position == count_) return false;
    next_ = position + 1;
    if (order_ == nullptr) {
      state.linear_thread = position;
      state.thread_index = index_;
      if (++index_.x == dim_.x) wrap();
    } else {
      set_permuted(state, position);
    }
    return true;
  }

  bool exhausted() const { return next_ == count_; }
  unsigned started() const { return next_; }
  const std::uint16_t* order() const { return order_; }
  /// `order` is null for ascending, else a permutation of the thread numbers.
  void restart(Dim3 dim, const std::uint16_t* order) {
    next_ = 0;
    count_ = static_cast<unsigned>(dim.count());
    dim_ = dim;
    index_ = {0, 0, 0};
    order_ = order;
  }

 private:
  void wrap() {
    index_.x = 0;
    if (++index_.y == dim_.y) {
      index_.y = 0;
      ++index_.z;
    }
  }
  void set_permuted(ThreadState& state, unsigned position) const {
    state.linear_thread = order_[position];
    state.thread_index = index_of(order_[position], dim_);
  }

  unsigned next_ = 0;
  unsigned count_ = 0;
  Dim3 index_{0, 0, 0};
  Dim3 dim_;
  const std::uint16_t* order_ = nullptr;
};

/// A kernel with its arguments bound, without its type: runs threads until the cursor has no more.
struct Program {
  void (*run)(const void* body, ThreadCursor& cursor);
  const void* body;
};

}  // namespace remeasure::simt
