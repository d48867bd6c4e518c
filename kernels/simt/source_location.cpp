// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/source_location.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#ifdef REMEASURE_HAS_LIBBACKTRACE
// g++ brings the library and its header in a directory of its own, where clang finds only the library.
extern "C" {
struct backtrace_state;
backtrace_state* backtrace_create_state(const char* file, int threaded,
                                        void (*on_error)(void* data, const char* message, int error),
                                        void* data);
int backtrace_pcinfo(backtrace_state* state, std::uintptr_t pc,
                     int (*on_frame)(void* data, std::uintptr_t pc, const char* file, int line,
                                     const char* function),
                     void (*on_error)(void* data, const char* message, int error), void* data);
}
#endif

namespace remeasure::simt {
namespace {

const char* keep(std::string_view text) {
  static std::mutex mutex;
  static std::set<std::string, std::less<>> kept;
  const std::lock_guard lock(mutex);
  const auto entry = kept.find(text);
  return (entry != kept.end() ? entry : kept.emplace(text).first)->c_str();
}

#ifdef REMEASURE_HAS_LIBBACKTRACE
/// Reports shall name the kernel's line, not that of the wrapper that was inlined there.
bool is_wrapper(std::string_view file) {
  return file.ends_with(".h") &&
         (file.find("kernels/device/") != file.npos || file.find("kernels/simt/") != file.npos ||
          file.find("/include/") != file.npos);
}

void ignore_error(void*, const char*, int) {}

int on_frame(void* data, std::uintptr_t, const char* file, int line, const char* function) {
  if (file == nullptr) return 0;
  Site& site = *static_cast<Site*>(data);
  // Innermost first, then what it was inlined into.
  if (site.line != 0 && !is_wrapper(site.file)) return 1;
  site = {keep(file), keep(function != nullptr ? function : ""), static_cast<std::uint32_t>(line), 0};
  return 0;
}

Site from_debug_information(const void* address) {
  static backtrace_state* const state = backtrace_create_state(nullptr, 1, ignore_error, nullptr);
  Site site;
  // One back: a return address belongs to the instruction after the call.
  if (state != nullptr) {
    backtrace_pcinfo(state, reinterpret_cast<std::uintptr_t>(address) - 1, on_frame, ignore_error, &site);
  }
  return site;
}
#else
Site from_debug_information(const void*) {
  return {};
}
#endif

}  // namespace

Site locate(const void* address) {
  Site site = from_debug_information(address);
  if (site.line != 0) return site;
  Dl_info info{};
  if (dladdr(address, &info) == 0) return {keep("unknown code"), "", 0, 0};
  std::string name = info.dli_sname != nullptr ? info.dli_sname : "unknown function";
  int status = 0;
  char* readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  if (status == 0) name = readable;
  std::free(readable);
  return {keep(info.dli_fname != nullptr ? info.dli_fname : "program"), keep(name), 0, 0};
}

namespace {
/// Anything in the program's code serves as the origin: a program is smaller than 2 GiB in either direction.
std::uintptr_t origin() {
  return reinterpret_cast<std::uintptr_t>(&locate) - (std::uintptr_t{1} << 31);
}
}  // namespace

std::uint32_t compress_address(const void* address) {
  return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(address) - origin());
}

const void* expand_address(std::uint32_t compressed) {
  return reinterpret_cast<const void*>(origin() + compressed);
}

}  // namespace remeasure::simt
