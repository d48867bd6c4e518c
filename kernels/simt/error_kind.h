// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace remeasure::simt {

/// The engine's verdicts. `name()` gives the hyphenated form that messages and tests use.
enum class ErrorKind {
  exited_while_waiting,  ///< some threads returned, others wait for them
  barrier_divergence,    ///< threads of a block wait at different block barriers
  warp_mask,             ///< a lane named in a mask is absent, exited or waits elsewhere
  race,                  ///< two accesses without an order, at least one a write
  uninitialised,         ///< a read of memory that nobody wrote
  out_of_bounds,
  misaligned,
  stack_overflow,
  cp_async,              ///< an asynchronous copy that is used or dropped before its wait
  launch_configuration,  ///< the launch would be refused by a GPU
  order_dependent,       ///< results differ between schedules and the kernel is not declared so
  device_assert,         ///< assert() or an exception in a kernel
  deadlock,              ///< nothing can go on, for a reason not named above
};

constexpr std::string_view name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::exited_while_waiting:
      return "exited-while-waiting";
    case ErrorKind::barrier_divergence:
      return "barrier-divergence";
    case ErrorKind::warp_mask:
      return "warp-mask";
    case ErrorKind::race:
      return "race";
    case ErrorKind::uninitialised:
      return "uninitialised";
    case ErrorKind::out_of_bounds:
      return "out-of-bounds";
    case ErrorKind::misaligned:
      return "misaligned";
    case ErrorKind::stack_overflow:
      return "stack-overflow";
    case ErrorKind::cp_async:
      return "cp-async";
    case ErrorKind::launch_configuration:
      return "launch-configuration";
    case ErrorKind::order_dependent:
      return "order-dependent";
    case ErrorKind::device_assert:
      return "device-assert";
    case ErrorKind::deadlock:
      return "deadlock";
  }
  return "unknown";
}

}  // namespace remeasure::simt
