// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <cstddef>
#include <memory>

namespace remeasure::simt {

class BlockRunner;

/// While it lives, a fault (SIGSEGV, SIGBUS) of a kernel on this CPU thread ends the block with an error
/// instead of the process. Faults outside kernels go to whoever handled them before.
class FaultHandler {
 public:
  explicit FaultHandler(BlockRunner& runner);
  ~FaultHandler();
  FaultHandler(const FaultHandler&) = delete;
  FaultHandler& operator=(const FaultHandler&) = delete;

 private:
  bool own_stack_ = false;  ///< this thread had no alternate signal stack
};

}  // namespace remeasure::simt
