// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "kernels/device/device.h"

namespace remeasure {

/// Work of a stream, recorded once and replayed by one launch: a CUDA graph, in which a kernel's launch costs
/// less than from the host. `enqueue` may launch kernels and copies on the device, not allocate, download or
/// synchronise; its arguments are those of the recording. On Simt `enqueue` is called at every launch
/// instead.
template <class Target>
class Graph {
 public:
  /// Records what `enqueue` puts on `stream`, running none of it.
  Graph(Stream<Target>& stream, std::function<void()> enqueue);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(Stream<Target>& stream);

 private:
  std::function<void()> enqueue_;
  void* native_ = nullptr;
};

}  // namespace remeasure
