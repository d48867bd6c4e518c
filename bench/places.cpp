// SPDX-License-Identifier: Apache-2.0
#include "bench/places.h"

#include <algorithm>
#include <chrono>

#include "kernels/simt/engine.h"

namespace remeasure::bench {
namespace {

/// TimedDevice on a stream and two events.
template <class Target>
class EventTimer final : public TimedDevice {
 public:
  EventTimer(Device<Target>& device, Stream<Target>& stream)
      : stream_(stream), flush_(device, flush_bytes(device), MemoryUse::workspace, "L2 flush"), start_(device),
        stop_(device) {}
  void flush_cache() override { stream_.fill_bytes(flush_.span(), ++pattern_); }
  void start() override { start_.record(stream_); }
  double stop() override {
    stop_.record(stream_);
    return stop_.seconds_since(start_);
  }
  double now() override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

 private:
  /// Twice L2, since its replacement isn't strictly least recently used.
  static std::size_t flush_bytes(const Device<Target>& device) {
    return std::max<std::size_t>(2 * device.properties().l2_bytes, std::size_t{1} << 20);
  }

  Stream<Target>& stream_;
  DeviceBuffer<Target, std::uint8_t> flush_;
  Event<Target> start_, stop_;
  std::uint8_t pattern_ = 0;
};

}  // namespace

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

Device<Cuda>& TrialImpl::Places::gpu() {
  if (!gpu_) gpu_ = std::make_unique<Device<Cuda>>();
  return *gpu_;
}

Stream<Cuda>& TrialImpl::Places::gpu_stream() {
  if (!gpu_stream_) gpu_stream_ = std::make_unique<Stream<Cuda>>(gpu());
  return *gpu_stream_;
}

TimedDevice& TrialImpl::Places::gpu_timer() {
  if (!gpu_timer_) gpu_timer_ = std::make_unique<EventTimer<Cuda>>(gpu(), gpu_stream());
  return *gpu_timer_;
}

}  // namespace remeasure::bench
