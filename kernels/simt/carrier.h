// SPDX-License-Identifier: Apache-2.0
//
// What a block is run with: the fibers that carry its threads, where they queue, and where the lanes of a
// warp meet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/simt/async_copy.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/thread.h"

namespace remeasure::simt {

inline constexpr unsigned kMaxBlockThreads = 1024;
inline constexpr unsigned kMaxWarps = kMaxBlockThreads / kWarpSize;

struct Carrier;

/// A meeting of the lanes of one warp, and what they brought. It lives until the last lane that met has gone
/// on to its next meeting, so a lane may look at it as long as it likes.
struct Rendezvous {
  std::uint32_t mask;
  std::uint32_t arrived;
  unsigned holders;
  std::size_t bytes;
  const Site* site;
  const char* what;
  Rendezvous* next;  ///< in the warp's list of open ones, or in the list of free ones
  Carrier* lanes[kWarpSize];
  alignas(16) std::byte slots[kWarpSize * kMaxContribution];
};

struct Carrier {
  ThreadState thread;
  Site site;  ///< of the barrier where it waits, if thread.waits == at_barrier
  AsyncCopies copies;
  Stack stack;
};

/// First in, first out; a carrier is in it at most once.
class ReadyQueue {
 public:
  bool empty() const { return head_ == tail_; }
  unsigned size() const { return tail_ - head_; }
  void push(Carrier* carrier) { slots_[tail_++ % kMaxBlockThreads] = carrier; }
  Carrier* pop() { return slots_[head_++ % kMaxBlockThreads]; }
  Carrier*& operator[](unsigned i) { return slots_[(head_ + i) % kMaxBlockThreads]; }
  void clear() { head_ = tail_ = 0; }

 private:
  // The pointer stands between the two numbers on purpose: side by side the compiler loads both at once,
  // which has to wait for the store of either.
  unsigned head_ = 0;
  std::unique_ptr<Carrier*[]> slots_ = std::make_unique<Carrier*[]>(kMaxBlockThreads);
  unsigned tail_ = 0;
};

}  // namespace remeasure::simt
