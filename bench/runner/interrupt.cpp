// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/interrupt.h"

#include <csignal>
#include <cstddef>
#include <iterator>

namespace remeasure::bench::runner {
namespace {

volatile std::sig_atomic_t interrupt_count = 0;
struct sigaction previous_actions[3];
constexpr int kInterrupts[] = {SIGINT, SIGTERM, SIGHUP};

void on_interrupt(int) {
  interrupt_count = interrupt_count + 1;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  interrupt_count = 0;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < std::size(kInterrupts); ++i) {
    ::sigaction(kInterrupts[i], &action, &previous_actions[i]);
    // `nohup`, or a shell script's job in the background: whoever started us doesn't want this signal to stop
    // us.
    if (previous_actions[i].sa_handler == SIG_IGN) ::sigaction(kInterrupts[i], &previous_actions[i], nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < std::size(kInterrupts); ++i)
    ::sigaction(kInterrupts[i], &previous_actions[i], nullptr);
}

int InterruptGuard::count() {
  return interrupt_count;
}

}  // namespace remeasure::bench::runner
