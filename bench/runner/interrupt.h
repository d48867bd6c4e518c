// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace remeasure::bench::runner {

/// SIGINT, SIGTERM and SIGHUP while it exists are counted instead of ending the program. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static int count();
};

}  // namespace remeasure::bench::runner
