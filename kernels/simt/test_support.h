// SPDX-License-Identifier: Apache-2.0
//
// For the tests of the engine: buffers that it knows, and launches that must fail.
#pragma once

#include <testing/catch.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/simt/engine.h"

namespace remeasure::simt::testing {

/// For tests of what only the checked build sees.
#define RM_NEEDS_ACCESS_HOOKS() \
  if (!::remeasure::simt::Engine::checked()) SKIP_TEST("the engine's fast build sees no accesses")

/// Registered memory with red zones of 256 bytes.
template <class T>
class Buffer {
 public:
  enum class Contents { none, zeros };

  Buffer(Engine& engine, std::size_t size, std::string_view name, Contents contents)
      : engine_(engine), size_(size), bytes_(size * sizeof(T) + 2 * kRedZone + kAlignment) {
    auto start = reinterpret_cast<std::uintptr_t>(bytes_.data());
    data_ = reinterpret_cast<T*>(bytes_.data() + (kAlignment - start % kAlignment) % kAlignment + kRedZone);
    engine_.register_memory(data_, size * sizeof(T), name, contents == Contents::zeros, kRedZone);
  }
  ~Buffer() { engine_.unregister_memory(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  T* data() { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  std::size_t size() const { return size_; }
  std::vector<std::byte> bytes() const {
    const auto* first = reinterpret_cast<const std::byte*>(data_);
    return {first, first + size_ * sizeof(T)};
  }

 private:
  static constexpr std::size_t kRedZone = 256;
  static constexpr std::size_t kAlignment = 256;
  Engine& engine_;
  std::size_t size_;
  std::vector<std::byte> bytes_;
  T* data_;
};

template <class T>
Buffer<T> zeros(Engine& engine, std::size_t size, std::string_view name) {
  return Buffer<T>(engine, size, name, Buffer<T>::Contents::zeros);
}
template <class T>
Buffer<T> unwritten(Engine& engine, std::size_t size, std::string_view name) {
  return Buffer<T>(engine, size, name, Buffer<T>::Contents::none);
}

/// The error that the launch must end with.
template <class Body>
Finding failing_launch(Engine& engine, const LaunchInfo& info, const Body& body) {
  try {
    engine.launch(info, body);
  } catch (const EngineError& error) {
    INFO(error.what());
    CHECK(std::string(error.what()).find(name(error.kind())) == 0);
    Finding finding = error.finding();
    finding.message = error.what();
    return finding;
  }
  FAIL("the launch of '" << info.name << "' did not fail");
  return {};
}

inline bool mentions(const Finding& finding, std::string_view text) {
  return finding.message.find(text) != std::string::npos;
}

/// A __shared__ array of a test kernel.
#define RM_TEST_SHARED(type, name, count)                                                                   \
  static constinit ::remeasure::simt::SharedSite name##_site{#name, sizeof(type) * (count), alignof(type)}; \
  type* const name = static_cast<type*>(::remeasure::simt::static_shared(name##_site))

/// "x_test.cpp:12", as messages name a line of the file that calls this.
inline std::string line_of_this_file(const Site& site, int offset) {
  const std::string_view file = site.file;
  return std::string(file.substr(file.rfind('/') + 1)) + ":" +
         std::to_string(static_cast<int>(site.line) + offset);
}

inline unsigned thread_number() {
  return this_thread().linear_thread;
}
inline unsigned global_number() {
  return this_thread().block_index.x * this_thread().block_dim.x + this_thread().thread_index.x;
}
inline WarpView sync_warp(std::uint32_t mask = kFullMask, const Site& site = Site::here()) {
  return warp_exchange(mask, nullptr, 0, site, "__syncwarp");
}

}  // namespace remeasure::simt::testing
