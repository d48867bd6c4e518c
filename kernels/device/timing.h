// SPDX-License-Identifier: Apache-2.0
//
// What timing needs of a GPU beyond streams and events; on Simt there is nothing to time. Host side only: no
// CUDA header.
#pragma once

#include <memory>

#include "kernels/device/device.h"

namespace remeasure {

/// Holds a stream back: close() enqueues a kernel of one thread that spins on a flag in mapped host memory;
/// what is enqueued behind it starts at open(), without the launch latency that the host spent meanwhile.
class StreamGate {
 public:
  explicit StreamGate(Device<Cuda>& device);
  ~StreamGate();  ///< opens
  StreamGate(const StreamGate&) = delete;
  StreamGate& operator=(const StreamGate&) = delete;

  /// The kernel ends by itself after `seconds` of the GPU's clock, so that a host that waits for the GPU
  /// isn't waited for.
  void close(Stream<Cuda>& stream, double seconds);
  void open() noexcept;
  /// Whether the last kernel ended by itself. Meaningful once the stream is idle.
  bool timed_out() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Lines that an earlier kernel asked L2 to keep are ordinary again.
void reset_persisting_l2(Device<Cuda>& device);

}  // namespace remeasure
