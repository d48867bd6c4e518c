// SPDX-License-Identifier: Apache-2.0
#include "bench/places.h"

#include "kernels/simt/engine.h"

namespace remeasure::bench {

Device<Simt>& TrialImpl::Places::simt() {
  if (!simt_) simt_ = std::make_unique<Device<Simt>>();
  return *simt_;
}

Stream<Simt>& TrialImpl::Places::simt_stream() {
  if (!simt_stream_) simt_stream_ = std::make_unique<Stream<Simt>>(simt());
  return *simt_stream_;
}

void TrialImpl::Places::simt_schedule_default() {
  simt().engine().set_schedule(0);
  simt().engine().set_copy_timing(simt::CopyTiming::late);
}

GpuPlace& TrialImpl::Places::gpu() {
  if (injected_ != nullptr) return *injected_;
  if (!cuda_) cuda_ = cuda_place();
  return *cuda_;
}

void TrialImpl::Places::synchronize(reports::Where where) {
  if (where == reports::Where::simt && simt_) simt_->synchronize();
  if (where != reports::Where::gpu) return;
  if (injected_ != nullptr)
    injected_->synchronize();
  else if (cuda_)
    cuda_->synchronize();
}

}  // namespace remeasure::bench
