// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace remeasure::baselines {

/// A handle or descriptor of one of CUDA's libraries with the function that destroys it: null until the
/// library's creating function has filled `handle`.
template <class Handle, auto kDestroy>
struct LibraryHandle {
  LibraryHandle() = default;
  ~LibraryHandle() {
    if (handle != nullptr) kDestroy(handle);
  }
  LibraryHandle(const LibraryHandle&) = delete;
  LibraryHandle& operator=(const LibraryHandle&) = delete;
  operator Handle() const {
    return handle;
  }  // NOLINT(google-explicit-constructor): the library's calls take it

  Handle handle = nullptr;
};

}  // namespace remeasure::baselines
