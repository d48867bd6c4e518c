// SPDX-License-Identifier: Apache-2.0
//
// How a block ends with an error: from engine code (fail), or from a signal wherever a kernel stands. Either
// way its fibers are left as they are, and run_blocks() goes on.
#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/watchdog.h"

namespace remeasure::simt {

void BlockRunner::jump_home() {
  Carrier& self = current();
  Fiber::change(self.thread.fiber, home_);
  std::abort();  // an abandoned fiber is never continued
}

void BlockRunner::fail(Finding finding) {
  // Nothing of this frame is destroyed after the jump: what it owns goes now.
  {
    Finding owned = std::move(finding);
    if (!finding_) finding_ = std::move(owned);
  }
  jump_home();
}

void BlockRunner::fail_here(ErrorKind kind, std::string message, std::vector<Site> sites) {
  Finding found = finding(kind);
  found.message = std::move(message);
  found.threads = {current().thread.thread_index};
  found.sites = std::move(sites);
  fail(std::move(found));
}

// ---- signals
// ------------------------------------------------------------------------------------------------

void BlockRunner::on_fault(const void* address) {
  // Outside a kernel the fault is not the engine's; the handler passes it on.
  if (detail::current_thread == nullptr) return;
  fault_address_ = address;
  fault_guard_ = stacks_.guard_of(address);
  siglongjmp(after_fault_, 1);
}

void BlockRunner::on_tick() {
  const ThreadState* const fiber = detail::current_thread;
  if (fiber == nullptr) return;
  const Progress now{.block = block_serial_,
                     .barriers = counters_[static_cast<std::size_t>(Counter::barriers)],
                     .warp_operations = counters_[static_cast<std::size_t>(Counter::warp_operations)],
                     .started = cursor_.started(),
                     .thread = fiber->linear_thread,
                     .fiber = fiber};
  ticks_ = now == seen_ ? ticks_ + 1 : 0;
  seen_ = now;
  if (ticks_ >= Watchdog::kTicks) siglongjmp(after_fault_, 1);
}

Finding BlockRunner::after_fault() {
  const bool overflow = fault_guard_ >= 0;
  const Carrier& carrier = overflow ? *carriers_[static_cast<std::size_t>(fault_guard_)] : current();
  const bool spins = ticks_ >= Watchdog::kTicks;
  Finding found = finding(overflow ? ErrorKind::stack_overflow
                          : spins  ? ErrorKind::deadlock
                                   : ErrorKind::out_of_bounds);
  found.threads = {carrier.thread.thread_index};
  if (overflow) {
    found.message = fmt::format(
        "the stack of a CUDA thread ({} KiB) is used up; raise EngineOptions::stack_bytes, or "
        "make local arrays or recursion smaller",
        options_.stack_bytes / 1024);
  } else if (spins) {
    found.message = fmt::format(
        "has computed for {} s in which no thread of its block began, waited or returned: it "
        "spins on memory that another thread would have to write, or needs a larger "
        "EngineOptions::spin_limit_seconds",
        options_.spin_limit_seconds);
  } else {
    found.message = fmt::format("access to unmapped memory at address {}", fault_address_);
  }
  ticks_ = 0;
  fault_guard_ = -1;
  return found;
}

}  // namespace remeasure::simt
