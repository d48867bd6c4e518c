// SPDX-License-Identifier: Apache-2.0
//
// Devices, streams and events of both targets. Host side only: no CUDA header, no Eigen. Kernel sources
// include kernels/device/kernel.h instead, which includes this.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/device/device_error.h"
#include "kernels/device/memory.h"

namespace remeasure {

/// What a Device is. Fields that a target doesn't have are zero or empty.
struct DeviceProperties {
  std::string name;            ///< "NVIDIA H200"; on Simt the CPU's model name
  std::string driver;          ///< driver version; engine build ("fast", "checked") on Simt
  int compute_capability = 0;  ///< 90 for sm_90; on Simt the capability it imitates (90)
  int multiprocessors = 0;     ///< worker threads on Simt
  std::size_t memory_bytes = 0;
  std::size_t l2_bytes = 0;
  std::size_t shared_bytes_per_block = 0;  ///< with opt-in
  std::string pci_bus_id;                  ///< "00000000:65:00.0": what NVML calls the device; empty on Simt
};

/// One opened device: allocator, ledger and properties. Not copyable; buffers and streams refer to it.
/// `Device<Simt>` takes EngineOptions (kernels/simt/options.h) through the constructor declared there.
template <>
class Device<Cuda> {
 public:
  static int count();            ///< 0 without a driver or a device; never throws
  static std::string why_not();  ///< why count() is 0 ("no NVIDIA driver", ...), else empty
  explicit Device(int ordinal = 0);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceProperties& properties() const;
  MemoryLedger& ledger();
  void* allocate(std::size_t bytes, MemoryUse use, std::string_view name = {});
  void release(void* pointer, std::size_t bytes, MemoryUse use) noexcept;
  /// Bytes of the device that are taken, by whomever: what the driver says, libraries' own allocations
  /// included.
  std::optional<std::size_t> bytes_in_use();
  void synchronize();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

namespace simt {
struct EngineOptions;
class Engine;
}  // namespace simt

template <>
class Device<Simt> {
 public:
  static int count() { return 1; }
  static std::string why_not() { return {}; }
  Device();
  explicit Device(const simt::EngineOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceProperties& properties() const;
  MemoryLedger& ledger();
  /// Memory is surrounded by red zones and registered with the engine under `name`.
  void* allocate(std::size_t bytes, MemoryUse use, std::string_view name = {});
  void release(void* pointer, std::size_t bytes, MemoryUse use) noexcept;
  std::optional<std::size_t> bytes_in_use() { return std::nullopt; }  ///< host memory: nobody counts it
  void synchronize();
  simt::Engine& engine();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// An ordered queue of work on a device. On Simt work is done when the call returns.
/// `native()` is the cudaStream_t (as void*) for vendor libraries; null on Simt.
template <class Target>
class Stream {
 public:
  explicit Stream(Device<Target>& device);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Device<Target>& device() const { return *device_; }
  void* native() const { return native_; }
  void synchronize();

  template <class T>
  void upload(std::span<const T> host, DeviceSpan<Target, T> device) {
    copy_bytes(device.data(), host.data(), check_sizes(host.size_bytes(), device.size_bytes()),
               Copy::to_device);
  }
  template <class T>
  void download(DeviceSpan<Target, const T> device, std::span<T> host) {
    copy_bytes(host.data(), device.data(), check_sizes(device.size_bytes(), host.size_bytes()),
               Copy::to_host);
  }
  template <class T>
  void copy(DeviceSpan<Target, const T> from, DeviceSpan<Target, T> to) {
    copy_bytes(to.data(), from.data(), check_sizes(from.size_bytes(), to.size_bytes()), Copy::on_device);
  }
  /// Sets every byte; asynchronous.
  template <class T>
  void fill_bytes(DeviceSpan<Target, T> span, std::uint8_t value) {
    set_bytes(span.data(), value, span.size_bytes());
  }

 private:
  enum class Copy { to_device, to_host, on_device };
  static std::size_t check_sizes(std::size_t from, std::size_t to);  // throws std::invalid_argument
  void copy_bytes(void* to, const void* from, std::size_t bytes, Copy direction);  // to_host waits
  void set_bytes(void* to, std::uint8_t value, std::size_t bytes);

  Device<Target>* device_;
  void* native_ = nullptr;
};

/// A point in a stream's work. `seconds_since` waits for both; GPU clock on Cuda, steady clock on Simt.
template <class Target>
class Event {
 public:
  explicit Event(Device<Target>& device);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(Stream<Target>& stream);
  double seconds_since(Event& earlier);

 private:
  void* native_ = nullptr;
  double host_seconds_ = 0;
};

}  // namespace remeasure
