// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace remeasure {

/// How far an error of a device reaches: what has to be started anew before the device can be used again.
enum class ErrorReach {
  call,     ///< this call alone: the next one may succeed (a launch with an impossible shape)
  process,  ///< "sticky": every later call of this process fails too, a fresh process may use the device
  device    ///< the device itself is gone: a fresh process won't find it either
};

/// Thrown by every failed call of the CUDA runtime: call text, error name, file and line.
struct DeviceError : std::runtime_error {
  explicit DeviceError(const std::string& text, ErrorReach how_far = ErrorReach::call)
      : std::runtime_error(text), reach(how_far) {}
  bool sticky() const { return reach != ErrorReach::call; }

  ErrorReach reach;
};

}  // namespace remeasure
