// SPDX-License-Identifier: Apache-2.0
//
// Device<Cuda> of a program that was built without the CUDA toolkit: there is none, and it says why. CMake
// compiles either this file or device_cuda.cpp.
#include "kernels/device/device.h"
#include "kernels/device/graph.h"

namespace remeasure {

namespace {

constexpr const char* kWhyNot = "built without the CUDA toolkit";

[[noreturn]] void refuse() {
  throw DeviceError(std::string("no CUDA device: ") + kWhyNot + "; install CUDA 12 or newer and build again");
}

}  // namespace

struct Device<Cuda>::State {};

int Device<Cuda>::count() {
  return 0;
}
std::string Device<Cuda>::why_not() {
  return kWhyNot;
}
Device<Cuda>::Device(int) {
  refuse();
}
Device<Cuda>::~Device() = default;
const DeviceProperties& Device<Cuda>::properties() const {
  refuse();
}
MemoryLedger& Device<Cuda>::ledger() {
  refuse();
}
void* Device<Cuda>::allocate(std::size_t, MemoryUse, std::string_view) {
  refuse();
}
void Device<Cuda>::release(void*, std::size_t, MemoryUse) noexcept {}
std::optional<std::size_t> Device<Cuda>::bytes_in_use() {
  refuse();
}
void Device<Cuda>::synchronize() {
  refuse();
}

template <>
Stream<Cuda>::Stream(Device<Cuda>& device) : device_(&device) {
  refuse();
}
template <>
Stream<Cuda>::~Stream() {}
template <>
void Stream<Cuda>::synchronize() {
  refuse();
}
template <>
std::size_t Stream<Cuda>::check_sizes(std::size_t, std::size_t) {
  refuse();
}
template <>
void Stream<Cuda>::copy_bytes(void*, const void*, std::size_t, Copy) {
  refuse();
}
template <>
void Stream<Cuda>::set_bytes(void*, std::uint8_t, std::size_t) {
  refuse();
}

template <>
Event<Cuda>::Event(Device<Cuda>&) {
  refuse();
}
template <>
Event<Cuda>::~Event() {}
template <>
void Event<Cuda>::record(Stream<Cuda>&) {
  refuse();
}
template <>
double Event<Cuda>::seconds_since(Event&) {
  refuse();
}

template <>  // NOLINTNEXTLINE(performance-unnecessary-value-param): as declared
Graph<Cuda>::Graph(Stream<Cuda>&, std::function<void()>) {
  refuse();
}
template <>
Graph<Cuda>::~Graph() {}
template <>
void Graph<Cuda>::launch(Stream<Cuda>&) {
  refuse();
}

}  // namespace remeasure
