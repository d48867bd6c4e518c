// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/shared_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>

namespace remeasure::simt {
namespace {

// Room for red zones: more than a thousand static arrays would be needed to fill it.
constexpr std::size_t kStaticRoom = SharedArena::kStaticLimit + 1024 * SharedArena::kRedZone;
constexpr std::size_t kDynamicAlignment = 1024;
constexpr int kPoison = 0xff;

std::uint32_t identify(SharedSite& site) {
  static std::mutex mutex;
  static std::uint32_t last = 0;
  const std::lock_guard lock(mutex);
  std::uint32_t id = site.id.load(std::memory_order_relaxed);
  if (id == 0) {
    id = ++last;
    site.id.store(id, std::memory_order_relaxed);
  }
  return id;
}

std::byte* align_up(std::byte* address, std::size_t alignment) {
  const auto value = reinterpret_cast<std::uintptr_t>(address);
  return address + (alignment - value % alignment) % alignment;
}

}  // namespace

SharedArena::SharedArena(std::size_t dynamic_limit) {
  const std::size_t dynamic_room =
      (dynamic_limit + kDynamicAlignment - 1) / kDynamicAlignment * kDynamicAlignment;
  bytes_ = kStaticRoom + 4096 + dynamic_room + 4096;
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("simt: no memory for a worker's shared memory");
  memory_ = static_cast<std::byte*>(memory);
  static_end_ = memory_ + kStaticRoom;
  dynamic_ = align_up(static_end_ + 2048, kDynamicAlignment);
}

SharedArena::~SharedArena() {
  munmap(memory_, bytes_);
}

void SharedArena::begin_launch(std::size_t dynamic_bytes) {
  ++launch_;
  next_ = memory_ + kRedZone;
  static_bytes_ = 0;
  arrays_.clear();
  if (dynamic_bytes != 0) arrays_.push_back({dynamic_, dynamic_bytes, "dynamic shared memory"});
  view_.begin = memory_;
  view_.end = memory_ + bytes_;
  view_.dynamic = dynamic_bytes != 0 ? dynamic_ : nullptr;
  view_.dynamic_bytes = dynamic_bytes;
}

void SharedArena::begin_block(std::uint64_t block) {
  view_.block = block;
  if (view_.dynamic_bytes != 0) std::memset(dynamic_, kPoison, view_.dynamic_bytes);
  detail::shared_view = view_;
}

std::byte* SharedArena::place(SharedSite& site) {
  const std::uint32_t id = identify(site);
  if (id >= assigned_.size()) {
    assigned_.resize(id + 1);
    places_.resize(id + 1);
    view_.places = places_.data();
    view_.place_count = static_cast<std::uint32_t>(places_.size());
  }
  Assigned& assigned = assigned_[id];
  if (assigned.launch != launch_) {
    std::byte* address = align_up(next_, std::max<std::size_t>(site.alignment, 16));
    static_bytes_ += site.bytes;
    if (static_bytes_ > kStaticLimit || address + site.bytes + kRedZone > static_end_) return nullptr;
    next_ = address + site.bytes + kRedZone;
    arrays_.push_back({address, site.bytes, site.name});
    assigned = {launch_, address};
  }
  if (places_[id].block != view_.block) {
    std::memset(assigned.address, kPoison, site.bytes);
    places_[id] = {view_.block, assigned.address};
  }
  detail::shared_view = view_;
  return assigned.address;
}

}  // namespace remeasure::simt
