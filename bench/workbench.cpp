// SPDX-License-Identifier: Apache-2.0
#include "bench/workbench.h"

#include <cstring>
#include <new>
#include <stdexcept>

#include "bench/output_values.h"

namespace remeasure::bench {
namespace {

/// 64 bytes: a cache line, and the widest vector register that Eigen loads.
constexpr std::align_val_t kAlignment{64};

std::shared_ptr<void> aligned_memory(std::size_t bytes) {
  return {::operator new(bytes == 0 ? 1 : bytes, kAlignment),
          [](void* memory) { ::operator delete(memory, kAlignment); }};
}

}  // namespace

void HostBench::add_input(const void* data, std::size_t bytes) {
  // Kept as Region, whose pointer is shared with outputs; an input is only ever read through it.
  inputs_.push_back({"input", OutputType::u8, bytes, const_cast<void*>(data), bytes});
}

void* HostBench::add_output(const std::string& name, OutputType type, std::size_t size, std::size_t element) {
  for (const Region& other : outputs_) {
    if (other.name == name) throw std::logic_error("output '" + name + "' is registered twice");
  }
  std::shared_ptr<void> memory = aligned_memory(size * element);
  std::memset(memory.get(), poison_byte(type), size * element);
  outputs_.push_back({name, type, size, memory.get(), size * element});
  owned_.push_back(memory);
  return memory.get();
}

void* HostBench::add_workspace(std::size_t bytes) {
  std::shared_ptr<void> memory = aligned_memory(bytes);
  std::memset(memory.get(), 0xCD, bytes);
  workspace_bytes_ += bytes;
  owned_.push_back(memory);
  return memory.get();
}

}  // namespace remeasure::bench
