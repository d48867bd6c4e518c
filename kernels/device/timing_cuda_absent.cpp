// SPDX-License-Identifier: Apache-2.0
//
// timing.h of a program that was built without the CUDA toolkit: there is no Device<Cuda> to call it with.
#include "kernels/device/timing.h"

namespace remeasure {

namespace {

[[noreturn]] void refuse() {
  throw DeviceError("no CUDA device: " + Device<Cuda>::why_not());
}

}  // namespace

struct StreamGate::State {};
StreamGate::StreamGate(Device<Cuda>&) {
  refuse();
}
StreamGate::~StreamGate() = default;
void StreamGate::close(Stream<Cuda>&, double) {
  refuse();
}
void StreamGate::open() noexcept {}
bool StreamGate::timed_out() const {
  return false;
}

void reset_persisting_l2(Device<Cuda>&) {
  refuse();
}

}  // namespace remeasure
