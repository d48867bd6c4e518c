// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace remeasure::simt {

class BlockRunner;

/// While it lives, a clock of this CPU thread's own time calls BlockRunner::on_tick() from a signal
/// (SIGVTALRM), four times in every `limit_seconds` that the thread has computed. Time in which the thread
/// sleeps, or others have the CPU, does not count. No clock where the limit is 0 or the system has no timers
/// left.
class Watchdog {
 public:
  Watchdog(BlockRunner& runner, double limit_seconds);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  static constexpr int kTicks = 4;  ///< in the limit

 private:
  bool armed_ = false;
};

}  // namespace remeasure::simt
