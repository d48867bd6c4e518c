// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu_place.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "bench/system.h"
#include "kernels/device/device.h"
#include "kernels/device/graph.h"
#include "kernels/device/nvml.h"
#include "kernels/device/timing.h"

namespace remeasure::bench {
namespace {

/// Every step is one call; what can be decided is decided in device_timer.cpp.
class CudaTimer final : public TimedDevice {
 public:
  CudaTimer(Device<Cuda>& device, Stream<Cuda>& stream)
      : device_(device),
        stream_(stream),
        flush_(device, flush_bytes(device), MemoryUse::workspace, "L2 flush"),
        gate_(device),
        start_(device),
        stop_(device),
        nvml_(device.properties().pci_bus_id) {}

  std::size_t l2_bytes() override { return device_.properties().l2_bytes; }
  void reset_persisting_l2() override { remeasure::reset_persisting_l2(device_); }
  void flush_cache() override { stream_.fill_bytes(flush_.span(), ++pattern_); }
  void block(double watchdog_seconds) override { gate_.close(stream_, watchdog_seconds); }
  void unblock() noexcept override { gate_.open(); }
  void start() override {
    start_.record(stream_);
    timing_ = true;
  }
  void stop() override { stop_.record(stream_); }
  Elapsed wait() override {
    device_.synchronize();  // all streams: work that a variant put on another one is waited for too
    Elapsed elapsed{.watchdog_fired = gate_.timed_out()};
    if (std::exchange(timing_, false)) elapsed.seconds = stop_.seconds_since(start_);
    return elapsed;
  }
  std::function<void()> capture(const std::function<void()>& launches) override {
    return [this, graph = std::make_shared<Graph<Cuda>>(stream_, launches)] { graph->launch(stream_); };
  }
  ClockReading clock() override { return {nvml_.sm_mhz(), nvml_.limited_by()}; }
  reports::GpuCondition condition() override {
    return {.sm_mhz = nvml_.sm_mhz(),
            .memory_mhz = nvml_.memory_mhz(),
            .celsius = nvml_.celsius(),
            .watts = nvml_.watts(),
            .limited_by = nvml_.limited_by(),
            .missing = nvml_.missing()};
  }
  double now() override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  void sleep(double seconds) override { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

 private:
  /// Twice L2, since its replacement isn't strictly least recently used.
  static std::size_t flush_bytes(const Device<Cuda>& device) {
    return std::max<std::size_t>(2 * device.properties().l2_bytes, std::size_t{1} << 20);
  }

  Device<Cuda>& device_;
  Stream<Cuda>& stream_;
  DeviceBuffer<Cuda, std::uint8_t> flush_;
  StreamGate gate_;
  Event<Cuda> start_, stop_;
  Nvml nvml_;
  std::uint8_t pattern_ = 0;
  bool timing_ = false;  // start() was called since the last wait()
};

class CudaPlace final : public GpuPlace {
 public:
  std::string name() const override { return gpu_name(); }
  std::string why_not() const override { return why_no_gpu(); }
  std::unique_ptr<Station> station(const VariantInfo&, const DevicePrepare& prepare) override {
    open();
    return device_station<Cuda>(*device_, *stream_, prepare.cuda);
  }
  void synchronize() override {
    if (device_) device_->synchronize();
  }
  TimedDevice& timer() override {
    open();
    if (!timer_) timer_ = std::make_unique<CudaTimer>(*device_, *stream_);
    return *timer_;
  }

 private:
  void open() {
    if (!device_) device_ = std::make_unique<Device<Cuda>>();
    if (!stream_) stream_ = std::make_unique<Stream<Cuda>>(*device_);
  }

  // In the order of construction: stream and timer go before their device.
  std::unique_ptr<Device<Cuda>> device_;
  std::unique_ptr<Stream<Cuda>> stream_;
  std::unique_ptr<TimedDevice> timer_;
};

}  // namespace

std::unique_ptr<GpuPlace> cuda_place() {
  return std::make_unique<CudaPlace>();
}

}  // namespace remeasure::bench
