// SPDX-License-Identifier: Apache-2.0
//
// For tests: a GPU whose clock moves only as it is told, that writes down what is done to it; and a place for
// it, on which kernels run for real on the SIMT engine but take the time that the test gives them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/gpu_place.h"
#include "kernels/device/device.h"

namespace remeasure::bench::testing {

/// The log has a letter per step: p poison (by the test), R persisting reset, F flush, B block, ( start, )
/// stop, U unblock, C clock, w wait, z sleep, G replay of a graph, and what work() is told.
class FakeDevice final : public TimedDevice {
 public:
  std::size_t l2_bytes() override { return l2; }
  void reset_persisting_l2() override { log += "R"; }
  void flush_cache() override {
    log += "F";
    clock_now += 1e-4;
    cached = false;
  }
  void block(double watchdog_seconds) override {
    log += "B";
    blocked = true;
    fired = false;
    watchdog = watchdog_seconds;
    if (fail_in_block) throw std::runtime_error("the launch of the blocking kernel failed");
  }
  void unblock() noexcept override {
    log += "U";
    blocked = false;
  }
  void start() override {
    log += "(";
    started = clock_now;
  }
  void stop() override {
    log += ")";
    stopped = clock_now;
  }
  Elapsed wait() override {
    log += "w";
    return {stopped - started, fired};
  }
  std::function<void()> capture(const std::function<void()>& launches) override {
    ++captures;
    capturing = true;
    graph_seconds = 0;
    recorded.clear();
    try {
      launches();
    } catch (...) {
      capturing = false;
      throw;
    }
    capturing = false;
    return [this, seconds = graph_seconds, work = recorded] {
      log += "G";
      for (const auto& one : work) one();
      clock_now += seconds;
    };
  }
  ClockReading clock() override {
    log += "C";
    return reading ? reading() : ClockReading{};
  }
  reports::GpuCondition condition() override {
    reports::GpuCondition condition;
    condition.sm_mhz = 1980;
    condition.limited_by = clock_limit;
    return condition;
  }
  double now() override { return clock_now; }
  void sleep(double seconds) override {
    log += "z";
    slept += seconds;
    clock_now += seconds;
  }

  /// A kernel: its data is in the cache after it, unless something flushes it.
  void work(const std::string& name, double seconds) {
    if (capturing) {
      graph_seconds += seconds;
      return;
    }
    log += name;
    clock_now += seconds;
    cached = true;
  }
  /// The host waits for the GPU, as a hidden synchronisation does: for ever, but for the watchdog.
  void synchronise() {
    if (capturing) throw std::runtime_error("operation not permitted when stream is capturing");
    if (!blocked) return;
    clock_now += watchdog;
    fired = true;
  }

  std::string log;
  std::size_t l2 = 1000;
  double clock_now = 0, started = 0, stopped = 0, watchdog = 0, slept = 0, graph_seconds = 0;
  bool blocked = false, fired = false, capturing = false, cached = false, fail_in_block = false;
  bool drop_next = false;  // the next captured launch does nothing when replayed
  int captures = 0;
  std::vector<std::function<void()>> recorded;  // what the captured launches do
  std::string clock_limit;
  std::function<ClockReading()> reading;
};

/// Seconds per variant's name; a variant without an entry throws.
class FakeGpu final : public GpuPlace {
 public:
  explicit FakeGpu(std::map<std::string, double> seconds) : seconds_(std::move(seconds)) {}
  std::string name() const override { return "Fake H200"; }
  std::string why_not() const override { return {}; }
  std::unique_ptr<Station> station(const VariantInfo& info, const DevicePrepare& prepare) override;
  TimedDevice& timer() override { return device; }
  void synchronize() override { stream_.synchronize(); }

  FakeDevice device;
  std::function<void(const std::string& variant)> on_launch;  ///< before each launch

 private:
  std::map<std::string, double> seconds_;
  Device<Simt> simt_;
  Stream<Simt> stream_{simt_};
};

/// A station whose launches take fake time.
class FakeGpuStation final : public Station {
 public:
  FakeGpuStation(FakeGpu& gpu, std::string name, double seconds, std::unique_ptr<Station> inner)
      : gpu_(gpu), name_(std::move(name)), seconds_(seconds), inner_(std::move(inner)) {}
  void prepare(std::size_t set) override { inner_->prepare(set); }
  void launch(std::size_t set) override {
    if (gpu_.on_launch) gpu_.on_launch(name_);
    if (gpu_.device.capturing) {
      if (!std::exchange(gpu_.device.drop_next, false)) {
        gpu_.device.recorded.push_back([this, set] { inner_->launch(set); });
      }
    } else {
      inner_->launch(set);
    }
    gpu_.device.work(name_, seconds_);
  }
  void finish() override { inner_->finish(); }
  void poison(std::size_t set) override { inner_->poison(set); }
  std::uint64_t input_hash(std::size_t set) override { return inner_->input_hash(set); }
  std::vector<OutputCopy> outputs(std::size_t set) override { return inner_->outputs(set); }
  reports::Memory run_metered(std::size_t set) override { return inner_->run_metered(set); }
  std::size_t footprint() const override { return inner_->footprint(); }
  std::string setting() const override { return inner_->setting(); }

 private:
  FakeGpu& gpu_;
  std::string name_;
  double seconds_;
  std::unique_ptr<Station> inner_;
};

inline std::unique_ptr<Station> FakeGpu::station(const VariantInfo& info, const DevicePrepare& prepare) {
  if (!prepare.simt) throw std::logic_error("variant '" + info.name + "' needs a real GPU");
  return std::make_unique<FakeGpuStation>(*this, info.name, seconds_.at(info.name),
                                          device_station<Simt>(simt_, stream_, prepare.simt));
}

}  // namespace remeasure::bench::testing
