// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/timing.h"

#include <new>

#include "kernels/device/cuda_check.h"
#include "kernels/device/gate_kernel.h"

namespace remeasure {

struct StreamGate::State {
  GateFlags* host = nullptr;
  GateFlags* device = nullptr;
  cudaStream_t stream = nullptr;  // of the last close()
};

StreamGate::StreamGate(Device<Cuda>&) : state_(std::make_unique<State>()) {
  void* memory = nullptr;
  RM_CUDA_CHECK(cudaHostAlloc(&memory, sizeof(GateFlags), cudaHostAllocMapped));
  state_->host = new (memory) GateFlags;
  void* mapped = nullptr;
  RM_CUDA_CHECK(cudaHostGetDevicePointer(&mapped, memory, 0));
  state_->device = static_cast<GateFlags*>(mapped);
}

StreamGate::~StreamGate() {
  open();
  if (state_->stream != nullptr) (void)cudaStreamSynchronize(state_->stream);  // the kernel reads the flag
  (void)cudaFreeHost(state_->host);
}

void StreamGate::close(Stream<Cuda>& stream, double seconds) {
  state_->stream = static_cast<cudaStream_t>(stream.native());
  RM_CUDA_CHECK(cudaStreamSynchronize(state_->stream));  // an earlier kernel must not miss its open()
  state_->host->timed_out = 0;
  state_->host->open = 0;
  const auto nanoseconds = static_cast<unsigned long long>(seconds * 1e9);
  RM_CUDA_CHECK(static_cast<cudaError_t>(launch_gate_kernel(state_->device, nanoseconds, stream.native())));
}

void StreamGate::open() noexcept {
  state_->host->open = 1;
}

bool StreamGate::timed_out() const {
  return state_->host->timed_out != 0;
}

void reset_persisting_l2(Device<Cuda>&) {
  RM_CUDA_CHECK(cudaCtxResetPersistingL2Cache());
}

}  // namespace remeasure
