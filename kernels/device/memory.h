// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/device/qualifiers.h"
#include "kernels/device/target.h"

namespace remeasure {

/// What an allocation is for. The memory table has a column for each.
enum class MemoryUse { input, output, workspace };
inline constexpr std::size_t kMemoryUses = 3;

/// Counts every byte that a Device hands out: exact, not sampled. One per Device; not thread safe.
class MemoryLedger {
 public:
  void allocated(MemoryUse use, std::size_t bytes);
  void released(MemoryUse use, std::size_t bytes);

  std::size_t current() const;                ///< bytes now held, all uses
  std::size_t current(MemoryUse use) const;   ///< bytes now held for one use
  std::size_t peak() const { return peak_; }  ///< high-water mark of current() since reset_peak()
  std::size_t peak(MemoryUse use) const;
  std::size_t allocations() const { return allocations_; }  ///< how many are now held
  void reset_peak();                                        ///< the mark restarts at what is held now

 private:
  std::array<std::size_t, kMemoryUses> current_{};
  std::array<std::size_t, kMemoryUses> peak_of_use_{};
  std::size_t peak_ = 0;
  std::size_t allocations_ = 0;
};

/// Thrown when a Device has no room: says how much was asked for, held, and available.
struct OutOfDeviceMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class Target>
class Device;
template <class Target>
class Stream;

/// A view of memory of one target. Trivially copyable: kernels take `span.data()` or the span itself.
/// A span of one target converts to no other, so a GPU buffer can't be handed to the CPU.
template <class Target, class T>
class DeviceSpan {
 public:
  using value_type = std::remove_const_t<T>;

  constexpr DeviceSpan() = default;
  constexpr DeviceSpan(T* data, std::size_t size) : data_(data), size_(size) {}
  template <class U>
  requires(std::is_same_v<const U, T>) constexpr DeviceSpan(DeviceSpan<Target, U> other)
      : data_(other.data()), size_(other.size()) {}

  RM_HOST_DEVICE constexpr T* data() const { return data_; }
  RM_HOST_DEVICE constexpr std::size_t size() const { return size_; }
  RM_HOST_DEVICE constexpr std::size_t size_bytes() const { return size_ * sizeof(T); }
  RM_HOST_DEVICE constexpr bool empty() const { return size_ == 0; }
  /// Elements [first, first + count); throws std::out_of_range beyond the end.
  constexpr DeviceSpan subspan(std::size_t first, std::size_t count) const {
    if (first > size_ || count > size_ - first) throw std::out_of_range("DeviceSpan::subspan");
    return {data_ + first, count};
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Memory of a Device, counted in its ledger and released on destruction. Movable. Not initialised
/// (on Simt it is poisoned, and the checking build reports a read before a write).
template <class Target, class T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  DeviceBuffer() = default;
  DeviceBuffer(Device<Target>& device, std::size_t size, MemoryUse use = MemoryUse::workspace,
               std::string_view name = {})
      : device_(&device), size_(size), use_(use) {
    data_ = static_cast<T*>(device.allocate(size * sizeof(T), use, name));
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    DeviceBuffer(std::move(other)).swap(*this);
    return *this;
  }
  ~DeviceBuffer() {
    if (data_ != nullptr) device_->release(data_, size_ * sizeof(T), use_);
  }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t size_bytes() const { return size_ * sizeof(T); }
  DeviceSpan<Target, T> span() { return {data_, size_}; }
  DeviceSpan<Target, const T> span() const { return {data_, size_}; }
  operator DeviceSpan<Target, T>() { return span(); }
  operator DeviceSpan<Target, const T>() const { return span(); }

  void swap(DeviceBuffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(use_, other.use_);
  }

 private:
  Device<Target>* device_ = nullptr;
  T* data_ = nullptr;
  std::size_t size_ = 0;
  MemoryUse use_ = MemoryUse::workspace;
};

}  // namespace remeasure
