// SPDX-License-Identifier: Apache-2.0
//
// Device<Simt>, Stream<Simt>, Event<Simt>: host memory between red zones, registered with the SIMT engine.
#include <chrono>
#include <cstring>
#include <fstream>
#include <new>

#include "kernels/device/device.h"
#include "kernels/device/faults.h"
#include "kernels/device/graph.h"
#include "kernels/simt/engine.h"

#include <unistd.h>

namespace remeasure {

namespace {

/// On both sides of a buffer; a kernel's access there is an out-of-bounds error in the checked build. A
/// multiple of the alignment that cudaMalloc gives.
constexpr std::size_t kRedZone = 256;
constexpr std::align_val_t kAlignment{256};
constexpr int kPoison = 0xCD;

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

std::size_t physical_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes)
                                     : 0;
}

std::size_t last_level_cache() {
  const long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

struct Device<Simt>::State {
  explicit State(const simt::EngineOptions& options) : engine(options) {}

  simt::Engine engine;
  DeviceProperties properties;
  MemoryLedger ledger;
};

Device<Simt>::Device() : Device(simt::EngineOptions{}) {}

Device<Simt>::Device(const simt::EngineOptions& options) : state_(std::make_unique<State>(options)) {
  faults::at(faults::Call::open, "SIMT device");
  state_->properties = {.name = cpu_name(),
                        .driver = simt::Engine::checked() ? "checked" : "fast",
                        .compute_capability = 90,
                        .multiprocessors = state_->engine.workers(),
                        .memory_bytes = physical_memory(),
                        .l2_bytes = last_level_cache(),
                        .shared_bytes_per_block = options.shared_limit_bytes,
                        .pci_bus_id = {}};
}

Device<Simt>::~Device() = default;

const DeviceProperties& Device<Simt>::properties() const {
  return state_->properties;
}
MemoryLedger& Device<Simt>::ledger() {
  return state_->ledger;
}
simt::Engine& Device<Simt>::engine() {
  return state_->engine;
}
void Device<Simt>::synchronize() {
  faults::at(faults::Call::synchronize, "device");
}

void* Device<Simt>::allocate(std::size_t bytes, MemoryUse use, std::string_view name) {
  if (bytes == 0) return nullptr;
  const std::size_t limit = state_->properties.memory_bytes;
  void* block = nullptr;
  const bool refused = faults::at(faults::Call::allocate, name);
  if (bytes <= limit && !refused) block = ::operator new(bytes + 2 * kRedZone, kAlignment, std::nothrow);
  if (block == nullptr) {
    throw OutOfDeviceMemory("no room on the host for " + std::to_string(bytes) + " bytes" +
                            (name.empty() ? "" : " of " + std::string(name)) + ": this program holds " +
                            std::to_string(state_->ledger.current()) + " bytes on Simt, the machine has " +
                            std::to_string(limit) + "; use a smaller size");
  }
  std::memset(block, kPoison, bytes + 2 * kRedZone);
  std::byte* const data = static_cast<std::byte*>(block) + kRedZone;
  state_->engine.register_memory(data, bytes, name.empty() ? "buffer" : name, false, kRedZone);
  state_->ledger.allocated(use, bytes);
  return data;
}

void Device<Simt>::release(void* pointer, std::size_t bytes, MemoryUse use) noexcept {
  if (pointer == nullptr) return;
  state_->engine.unregister_memory(pointer);
  ::operator delete(static_cast<std::byte*>(pointer) - kRedZone, kAlignment);
  state_->ledger.released(use, bytes);
}

template <>
Stream<Simt>::Stream(Device<Simt>& device) : device_(&device) {}
template <>
Stream<Simt>::~Stream() {}
template <>
void Stream<Simt>::synchronize() {
  faults::at(faults::Call::synchronize, "stream");
}

template <>
std::size_t Stream<Simt>::check_sizes(std::size_t from, std::size_t to) {
  if (from == to) return from;
  throw std::invalid_argument("copy of " + std::to_string(from) + " bytes to a place of " +
                              std::to_string(to) + " bytes: the sizes must be equal");
}

template <>
void Stream<Simt>::copy_bytes(void* to, const void* from, std::size_t bytes, Copy direction) {
  if (bytes == 0) return;
  faults::at(faults::Call::copy, "bytes");
  // A buffer may be copied back before a kernel has written all of it (padding); only a kernel's read is an
  // error.
  std::memmove(to, from, bytes);
  simt::Engine& engine = device_->engine();
  const bool known =
      direction == Copy::to_device || (direction == Copy::on_device && engine.is_initialised(from, bytes));
  if (known) engine.mark_initialised(to, bytes);
}

template <>
void Stream<Simt>::set_bytes(void* to, std::uint8_t value, std::size_t bytes) {
  if (bytes == 0) return;
  faults::at(faults::Call::copy, "a byte");
  std::memset(to, value, bytes);
  device_->engine().mark_initialised(to, bytes);
}

template <>
Event<Simt>::Event(Device<Simt>&) {}
template <>
Event<Simt>::~Event() {}
template <>
void Event<Simt>::record(Stream<Simt>&) {
  host_seconds_ = steady_seconds();
}
template <>
double Event<Simt>::seconds_since(Event& earlier) {
  return host_seconds_ - earlier.host_seconds_;
}

template <>
Graph<Simt>::Graph(Stream<Simt>&, std::function<void()> enqueue) : enqueue_(std::move(enqueue)) {}
template <>
Graph<Simt>::~Graph() {}
template <>
void Graph<Simt>::launch(Stream<Simt>&) {
  enqueue_();
}

}  // namespace remeasure
