// SPDX-License-Identifier: Apache-2.0
//
// HDF5's C API with owners and exceptions. Internal to datasets/: no other room sees an HDF5 header.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>

#include "datasets/dataset.h"

namespace remeasure::datasets::hdf5 {

/// While it lives HDF5 prints nothing; the error stack stays readable. The caller's setting comes back
/// afterwards.
class Quiet {
 public:
  Quiet();
  ~Quiet();
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// The cause that HDF5 found, in one line: "data error detected by Fletcher32 checksum (in
/// H5Z__filter_fletcher32)".
std::string cause();

/// Where a call happens, for its error message.
struct Where {
  std::string file;    ///< path as the user knows it
  std::string object;  ///< "/q", "attribute seed", or empty for the file itself
};

[[noreturn]] void fail(const Where& where, const std::string& what, const std::string& remedy = {});

/// An HDF5 identifier that is closed with its owner.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept { swap(other); }
  Handle& operator=(Handle&& other) noexcept {
    Handle(std::move(other)).swap(*this);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  void swap(Handle& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// `own(H5Dopen2(...), H5Dclose, where, "open it")`: throws DatasetError with HDF5's cause where the call
/// failed.
Handle own(hid_t id, Handle::Close close, const Where& where, const char* purpose);
/// The same for calls that return a status, a count or a truth value.
template <class Number>
Number check(Number result, const Where& where, const char* purpose) {
  if (result < 0) fail(where, std::string("HDF5 can't ") + purpose + ": " + cause());
  return result;
}

hid_t native_type(ElementType type);
/// Little-endian on every machine.
hid_t file_type(ElementType type);
/// "float32", "uint8", "big-endian int32", "string", "compound", ...
std::string type_name(hid_t type);

}  // namespace remeasure::datasets::hdf5
