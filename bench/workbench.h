// SPDX-License-Identifier: Apache-2.0
//
// What a variant works on. The bench owns inputs, outputs and scratch of a variant, so that the frame can
// poison outputs, hash inputs before and after, rotate sets and count every byte. HostBench and
// DeviceBench<Target> look the same to a variant, but for the span type they give.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"

namespace remeasure::bench {

/// Element types that outputs may have; all are read back as double.
enum class OutputType { f64, f32, f16, bf16, i32, u32, i64, u16, u8, i8 };
template <class T>
constexpr OutputType output_type_of();

/// A registered piece of memory: bytes and, for outputs, type and name.
struct Region {
  std::string name;
  OutputType type = OutputType::u8;
  std::size_t size = 0;  // elements
  void* data = nullptr;  // host address, or device address
  std::size_t bytes = 0;
};

/// What benches have in common.
class Bench {
 public:
  std::size_t set() const { return set_; }  ///< which input set to use
  /// What a library chose for this problem (algorithm, tile, workspace): goes into the record.
  void setting(std::string text) { setting_ = std::move(text); }
  const std::string& setting() const { return setting_; }
  /// Keeps an object (a plan, a factorisation) alive until the variant is done.
  template <class T, class... Arguments>
  T& own(Arguments&&... arguments) {
    auto owned = std::make_shared<T>(std::forward<Arguments>(arguments)...);
    T& reference = *owned;
    owned_.push_back(std::move(owned));
    return reference;
  }

  const std::vector<Region>& inputs() const { return inputs_; }
  const std::vector<Region>& outputs() const { return outputs_; }

 protected:
  explicit Bench(std::size_t set) : set_(set) {}

  std::vector<Region> inputs_, outputs_;
  std::vector<std::shared_ptr<void>> owned_;

 private:
  std::size_t set_;
  std::string setting_;
};

/// For CPU variants. Spans stay valid as long as the bench.
class HostBench : public Bench {
 public:
  explicit HostBench(std::size_t set) : Bench(set) {}

  /// Registers an input for hashing and the memory table; gives it back unchanged.
  template <class T>
  std::span<const T> input(std::span<const T> data) {
    add_input(data.data(), data.size_bytes());
    return data;
  }
  template <class T>
  std::span<const T> input(const std::vector<T>& data) {
    return input(std::span<const T>(data));
  }
  template <class T>
  std::span<T> output(const std::string& name, std::size_t size) {
    return {static_cast<T*>(add_output(name, output_type_of<T>(), size, sizeof(T))), size};
  }
  template <class T>
  std::span<T> workspace(std::size_t size) {
    return {static_cast<T*>(add_workspace(size * sizeof(T))), size};
  }
  std::size_t workspace_bytes() const { return workspace_bytes_; }

 private:
  void add_input(const void* data, std::size_t bytes);
  void* add_output(const std::string& name, OutputType type, std::size_t size, std::size_t element);
  void* add_workspace(std::size_t bytes);

  std::size_t workspace_bytes_ = 0;
};

/// For GPU variants and the SIMT check.
template <class Target>
class DeviceBench : public Bench {
 public:
  DeviceBench(Stream<Target>& stream, std::size_t set) : Bench(set), stream_(stream) {}
  Stream<Target>& stream() { return stream_; }

  /// Allocates on the device, uploads, registers for hashing.
  template <class T>
  DeviceSpan<Target, const T> input(std::span<const T> host) {
    auto& buffer = own<DeviceBuffer<Target, T>>(stream_.device(), host.size(), MemoryUse::input, "input");
    stream_.upload(host, buffer.span());
    inputs_.push_back({"input", OutputType::u8, host.size(), buffer.data(), host.size_bytes()});
    return std::as_const(buffer).span();
  }
  template <class T>
  DeviceSpan<Target, const T> input(const std::vector<T>& host) {
    return input(std::span<const T>(host));
  }
  template <class T>
  DeviceSpan<Target, T> output(const std::string& name, std::size_t size) {
    auto& buffer = own<DeviceBuffer<Target, T>>(stream_.device(), size, MemoryUse::output, name);
    outputs_.push_back({name, output_type_of<T>(), size, buffer.data(), size * sizeof(T)});
    return buffer.span();
  }
  template <class T>
  DeviceSpan<Target, T> workspace(std::size_t size) {
    return own<DeviceBuffer<Target, T>>(stream_.device(), size, MemoryUse::workspace, "workspace").span();
  }

 private:
  Stream<Target>& stream_;
};

template <class T>
constexpr OutputType output_type_of() {
  if constexpr (std::is_same_v<T, double>)
    return OutputType::f64;
  else if constexpr (std::is_same_v<T, float>)
    return OutputType::f32;
  else if constexpr (std::is_same_v<T, half>)
    return OutputType::f16;
  else if constexpr (std::is_same_v<T, bfloat16>)
    return OutputType::bf16;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return OutputType::i32;
  else if constexpr (std::is_same_v<T, std::uint32_t>)
    return OutputType::u32;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return OutputType::i64;
  else if constexpr (std::is_same_v<T, std::uint16_t>)
    return OutputType::u16;
  else if constexpr (std::is_same_v<T, std::uint8_t>)
    return OutputType::u8;
  else {
    static_assert(std::is_same_v<T, std::int8_t>, "an output has one of the types of OutputType");
    return OutputType::i8;
  }
}

}  // namespace remeasure::bench
