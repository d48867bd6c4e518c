// SPDX-License-Identifier: Apache-2.0
//
// Device, stream and buffers of one test on one target, and the check that a GPU gives what Simt gives.
#pragma once

#include <string>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/simt/options.h"

namespace remeasure::testing {

template <class Target>
class TestBench {
 public:
  TestBench() : stream_(device_) {}
  explicit TestBench(const simt::EngineOptions& options) : device_(options), stream_(device_) {}

  Device<Target>& device() { return device_; }
  Stream<Target>& stream() { return stream_; }

  template <class T>
  DeviceBuffer<Target, T> upload(const std::vector<T>& values, std::string_view name = "input") {
    DeviceBuffer<Target, T> buffer(device_, values.size(), MemoryUse::input, name);
    stream_.upload(std::span<const T>(values), buffer.span());
    return buffer;
  }
  template <class T>
  DeviceBuffer<Target, T> output(std::size_t size, std::string_view name = "output") {
    return DeviceBuffer<Target, T>(device_, size, MemoryUse::output, name);
  }
  template <class T>
  std::vector<T> download(const DeviceBuffer<Target, T>& buffer) {
    std::vector<T> values(buffer.size());
    stream_.download(buffer.span(), std::span<T>(values));
    return values;
  }

 private:
  Device<Target> device_;
  Stream<Target> stream_;
};

/// Calls `run(bench)` with a GPU's bench. `run` is a generic lambda: a build without the toolkit never
/// instantiates it for Cuda. To be called only where Device<Cuda>::count() > 0.
template <class Run>
void on_gpu(Run run) {
  if constexpr (kBuiltWithCuda) {
    TestBench<Cuda> gpu;
    run(gpu);
  }
}

/// The bits of what `run(bench)` returns (a vector) on a GPU and on Simt are equal; as on_gpu.
template <class Run>
bool same_on_gpu(Run run) {
  if constexpr (kBuiltWithCuda) {
    TestBench<Cuda> gpu;
    TestBench<Simt> cpu;
    return run(gpu) == run(cpu);
  } else {
    return false;
  }
}

}  // namespace remeasure::testing
