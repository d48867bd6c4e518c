// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/fault_handler.h"

#include <mutex>
#include <vector>

#include "kernels/simt/block_runner.h"

namespace remeasure::simt {
namespace {

// The handlers are the process's, so the first of several workers installs them and the last one restores.
std::mutex mutex;
int users = 0;
struct sigaction previous_segv;
struct sigaction previous_bus;
thread_local BlockRunner* running = nullptr;

void handle(int signal, siginfo_t* info, void*) {
  if (running != nullptr) running->on_fault(info->si_addr);
  // Not ours: with the old handler in place the instruction faults again.
  sigaction(SIGSEGV, &previous_segv, nullptr);
  sigaction(SIGBUS, &previous_bus, nullptr);
  static_cast<void>(signal);
}

}  // namespace

FaultHandler::FaultHandler(BlockRunner& runner) {
  running = &runner;
  stack_t current{};
  sigaltstack(nullptr, &current);
  if ((current.ss_flags & SS_DISABLE) != 0) {
    // The handler must not need the stack that has just run out.
    thread_local const auto memory = std::make_unique<std::byte[]>(std::size_t{64} * 1024);
    stack_t alternate{};
    alternate.ss_sp = memory.get();
    alternate.ss_size = std::size_t{64} * 1024;
    own_stack_ = sigaltstack(&alternate, nullptr) == 0;
  }
  const std::lock_guard lock(mutex);
  if (users++ != 0) return;
  struct sigaction action {};
  action.sa_sigaction = handle;
  // SA_NODEFER: the handler leaves by a jump, which restores no signal mask.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &previous_segv);
  sigaction(SIGBUS, &action, &previous_bus);
}

FaultHandler::~FaultHandler() {
  {
    const std::lock_guard lock(mutex);
    if (--users == 0) {
      sigaction(SIGSEGV, &previous_segv, nullptr);
      sigaction(SIGBUS, &previous_bus, nullptr);
    }
  }
  if (own_stack_) {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  running = nullptr;
}

}  // namespace remeasure::simt
