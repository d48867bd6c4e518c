// SPDX-License-Identifier: Apache-2.0
//
// Device<Cuda>, Stream<Cuda>, Event<Cuda> on the CUDA runtime. Host C++: compiled by the host compiler, only
// where the toolkit is. Whether there is a driver and a device is found out at run time.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <stdexcept>

#include "kernels/device/cuda_check.h"
#include "kernels/device/device.h"
#include "kernels/device/faults.h"
#include "kernels/device/graph.h"

namespace remeasure {

namespace {

struct Presence {
  int count = 0;
  std::string why_not;
};

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Presence find_devices() noexcept {
  Presence presence;
  int driver = 0;
  int runtime = 0;
  (void)cudaDriverGetVersion(&driver);  // the highest CUDA version that the driver knows; 0 without a driver
  (void)cudaRuntimeGetVersion(&runtime);
  const cudaError_t status = cudaGetDeviceCount(&presence.count);
  (void)cudaGetLastError();
  if (status == cudaSuccess && presence.count > 0) return presence;
  presence.count = 0;
  if (driver == 0) {
    presence.why_not = "no NVIDIA driver";
  } else if (status == cudaErrorInsufficientDriver) {
    presence.why_not = "the NVIDIA driver is too old: it knows CUDA " + version_text(driver) +
                       ", built with " + version_text(runtime);
  } else if (status == cudaSuccess || status == cudaErrorNoDevice) {
    presence.why_not = "no CUDA device";
  } else {
    presence.why_not = std::string("CUDA can't be used: ") + cudaGetErrorString(status);
  }
  return presence;
}

const Presence& presence() {
  static const Presence found = find_devices();
  return found;
}

/// Device calls act on the thread's current device; this sets it for a scope, so that two devices can be open
/// at once.
class Current {
 public:
  explicit Current(int ordinal) {
    RM_CUDA_CHECK(cudaGetDevice(&before_));
    if (before_ != ordinal) RM_CUDA_CHECK(cudaSetDevice(ordinal));
  }
  ~Current() { (void)cudaSetDevice(before_); }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  int before_ = 0;
};

}  // namespace

struct Device<Cuda>::State {
  int ordinal = 0;
  DeviceProperties properties;
  MemoryLedger ledger;
};

int Device<Cuda>::count() {
  return faults::device_lost() ? 0 : presence().count;
}
std::string Device<Cuda>::why_not() {
  return faults::device_lost() ? "the device was lost" : presence().why_not;
}

Device<Cuda>::Device(int ordinal) : state_(std::make_unique<State>()) {
  faults::at(faults::Call::open, "CUDA device");
  if (count() == 0) throw DeviceError("no CUDA device to open: " + why_not(), ErrorReach::device);
  if (ordinal < 0 || ordinal >= count()) {
    throw std::invalid_argument("CUDA device " + std::to_string(ordinal) +
                                " doesn't exist: this machine has devices 0 to " +
                                std::to_string(count() - 1));
  }
  state_->ordinal = ordinal;
  RM_CUDA_CHECK(cudaSetDevice(ordinal));
  cudaDeviceProp found{};
  RM_CUDA_CHECK(cudaGetDeviceProperties(&found, ordinal));
  int driver = 0;
  RM_CUDA_CHECK(cudaDriverGetVersion(&driver));
  char bus_id[32] = {};
  RM_CUDA_CHECK(cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, ordinal));
  state_->properties = {.name = found.name,
                        .driver = "CUDA " + version_text(driver),
                        .compute_capability = found.major * 10 + found.minor,
                        .multiprocessors = found.multiProcessorCount,
                        .memory_bytes = found.totalGlobalMem,
                        .l2_bytes = static_cast<std::size_t>(std::max(found.l2CacheSize, 0)),
                        .shared_bytes_per_block = found.sharedMemPerBlockOptin,
                        .pci_bus_id = bus_id};
}

Device<Cuda>::~Device() = default;

const DeviceProperties& Device<Cuda>::properties() const {
  return state_->properties;
}
MemoryLedger& Device<Cuda>::ledger() {
  return state_->ledger;
}

void* Device<Cuda>::allocate(std::size_t bytes, MemoryUse use, std::string_view name) {
  if (bytes == 0) return nullptr;
  const Current current(state_->ordinal);
  void* pointer = nullptr;
  const bool refused = faults::at(faults::Call::allocate, name);
  const cudaError_t status = refused ? cudaErrorMemoryAllocation : cudaMalloc(&pointer, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    RM_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
    throw OutOfDeviceMemory("no room on " + state_->properties.name + " for " + std::to_string(bytes) +
                            " bytes" + (name.empty() ? "" : " of " + std::string(name)) +
                            ": this program holds " + std::to_string(state_->ledger.current()) + " bytes, " +
                            std::to_string(free_bytes) + " of " + std::to_string(total_bytes) +
                            " bytes are free; use a smaller size or free the device");
  }
  RM_CUDA_CHECK(status);
  state_->ledger.allocated(use, bytes);
  return pointer;
}

void Device<Cuda>::release(void* pointer, std::size_t bytes, MemoryUse use) noexcept {
  if (pointer == nullptr) return;
  (void)cudaFree(pointer);  // a failure here is an earlier kernel's error, which its own check reports
  state_->ledger.released(use, bytes);
}

std::optional<std::size_t> Device<Cuda>::bytes_in_use() {
  const Current current(state_->ordinal);
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  RM_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
  return total_bytes - free_bytes;
}

void Device<Cuda>::synchronize() {
  faults::at(faults::Call::synchronize, "device");
  const Current current(state_->ordinal);
  RM_CUDA_CHECK(cudaDeviceSynchronize());
}

template <>
Stream<Cuda>::Stream(Device<Cuda>& device) : device_(&device) {
  cudaStream_t stream = nullptr;
  RM_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  native_ = stream;
}

template <>
Stream<Cuda>::~Stream() {
  (void)cudaStreamDestroy(static_cast<cudaStream_t>(native_));
}

template <>
void Stream<Cuda>::synchronize() {
  faults::at(faults::Call::synchronize, "stream");
  RM_CUDA_CHECK(cudaStreamSynchronize(static_cast<cudaStream_t>(native_)));
}

template <>
std::size_t Stream<Cuda>::check_sizes(std::size_t from, std::size_t to) {
  if (from == to) return from;
  throw std::invalid_argument("copy of " + std::to_string(from) + " bytes to a place of " +
                              std::to_string(to) + " bytes: the sizes must be equal");
}

template <>
void Stream<Cuda>::copy_bytes(void* to, const void* from, std::size_t bytes, Copy direction) {
  if (bytes == 0) return;
  faults::at(faults::Call::copy, "bytes");
  const cudaMemcpyKind kind = direction == Copy::to_device ? cudaMemcpyHostToDevice
                              : direction == Copy::to_host ? cudaMemcpyDeviceToHost
                                                           : cudaMemcpyDeviceToDevice;
  RM_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, kind, static_cast<cudaStream_t>(native_)));
  if (direction == Copy::to_host) synchronize();
}

template <>
void Stream<Cuda>::set_bytes(void* to, std::uint8_t value, std::size_t bytes) {
  if (bytes == 0) return;
  faults::at(faults::Call::copy, "a byte");
  RM_CUDA_CHECK(cudaMemsetAsync(to, value, bytes, static_cast<cudaStream_t>(native_)));
}

template <>
Event<Cuda>::Event(Device<Cuda>&) {
  cudaEvent_t event = nullptr;
  RM_CUDA_CHECK(cudaEventCreate(&event));
  native_ = event;
}

template <>
Event<Cuda>::~Event() {
  (void)cudaEventDestroy(static_cast<cudaEvent_t>(native_));
}

template <>
void Event<Cuda>::record(Stream<Cuda>& stream) {
  RM_CUDA_CHECK(
      cudaEventRecord(static_cast<cudaEvent_t>(native_), static_cast<cudaStream_t>(stream.native())));
}

template <>
double Event<Cuda>::seconds_since(Event& earlier) {
  RM_CUDA_CHECK(cudaEventSynchronize(static_cast<cudaEvent_t>(native_)));
  float milliseconds = 0;
  RM_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(earlier.native_),
                                     static_cast<cudaEvent_t>(native_)));
  return static_cast<double>(milliseconds) * 1e-3;
}

template <>
Graph<Cuda>::Graph(Stream<Cuda>& stream, std::function<void()> enqueue) : enqueue_(std::move(enqueue)) {
  const auto native = static_cast<cudaStream_t>(stream.native());
  RM_CUDA_CHECK(cudaStreamBeginCapture(native, cudaStreamCaptureModeThreadLocal));
  cudaGraph_t recorded = nullptr;
  try {
    enqueue_();
  } catch (...) {
    (void)cudaStreamEndCapture(native, &recorded);  // else the stream stays unusable
    if (recorded != nullptr) (void)cudaGraphDestroy(recorded);
    throw;
  }
  RM_CUDA_CHECK(cudaStreamEndCapture(native, &recorded));
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiateWithFlags(&executable, recorded, 0);
  (void)cudaGraphDestroy(recorded);
  RM_CUDA_CHECK(status);
  native_ = executable;
}

template <>
Graph<Cuda>::~Graph() {
  (void)cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(native_));
}

template <>
void Graph<Cuda>::launch(Stream<Cuda>& stream) {
  RM_CUDA_CHECK(
      cudaGraphLaunch(static_cast<cudaGraphExec_t>(native_), static_cast<cudaStream_t>(stream.native())));
}

}  // namespace remeasure
