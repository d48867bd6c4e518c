// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/access_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/source_location.h"

namespace remeasure::simt {
namespace {

constexpr bool reads(Access kind) {
  return kind != Access::write && kind != Access::atomic_write;
}
constexpr bool writes(Access kind) {
  return kind != Access::read && kind != Access::atomic_read;
}
constexpr bool atomic(Access kind) {
  return kind != Access::read && kind != Access::write;
}

}  // namespace

AccessChecks& AccessChecks::instance() {
  static AccessChecks checks;
  return checks;
}

// ---- memory
// -------------------------------------------------------------------------------------------------

void AccessChecks::register_memory(const void* address, std::size_t bytes, std::string_view name,
                                   bool initialised, std::size_t red_zone) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  latest_ = nullptr;
  global_.insert_or_assign(begin - red_zone,
                           Array{begin, bytes, red_zone, name.empty() ? "unnamed buffer" : std::string(name),
                                 false, std::make_unique<Shadow>(bytes, initialised)});
}

void AccessChecks::unregister_memory(const void* address) {
  latest_ = nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  auto next = global_.upper_bound(begin);
  if (next == global_.begin()) return;
  if (--next; next->second.begin == begin) global_.erase(next);
}

void AccessChecks::mark_initialised(const void* address, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  Array* array = find(begin);
  if (array == nullptr || begin < array->begin || begin + bytes > array->begin + array->bytes) return;
  array->shadow->mark_initialised(begin - array->begin, bytes);
}

bool AccessChecks::is_initialised(const void* address, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  Array* array = find(begin);
  if (array == nullptr || begin < array->begin || begin + bytes > array->begin + array->bytes) return true;
  return array->shadow->is_initialised(begin - array->begin, bytes);
}

AccessChecks::Array* AccessChecks::find(std::uintptr_t address) {
  const auto holds = [&](const Array& array) {
    return address - (array.begin - array.red_zone) < array.bytes + 2 * array.red_zone;
  };
  if (latest_ != nullptr && holds(*latest_)) return latest_;
  auto next = global_.upper_bound(address);
  if (next == global_.begin()) return nullptr;
  --next;
  if (!holds(next->second)) return nullptr;
  return latest_ = &next->second;
}

/// The array of shared memory at the address, else the nearest one below it: the one whose end was passed.
AccessChecks::Array* AccessChecks::find_shared(std::uintptr_t address) {
  const auto& arrays = runner_->shared().arrays();
  for (std::size_t i = shared_.size(); i < arrays.size(); ++i) {
    const auto begin = reinterpret_cast<std::uintptr_t>(arrays[i].begin);
    shared_.push_back(
        {begin, arrays[i].bytes, 0, arrays[i].name, true, std::make_unique<Shadow>(arrays[i].bytes, false)});
  }
  Array* below = nullptr;
  for (Array& array : shared_) {
    if (address - array.begin < array.bytes) return &array;
    if (array.begin <= address && (below == nullptr || array.begin > below->begin)) below = &array;
  }
  return below != nullptr || shared_.empty() ? below : &shared_.front();
}

// ---- launches
// -----------------------------------------------------------------------------------------------

void AccessChecks::begin_launch(BlockRunner& runner, bool cooperative) {
  ++launch_;
  runner_ = &runner;
  shared_.clear();
  aside_.clear();
  cooperative_ = cooperative;
  busy_ = false;
  order_.begin_launch(cooperative);
}

void AccessChecks::put_aside() {
  Aside& kept = aside_[runner_];
  kept.serial = block_serial_;
  std::swap(kept.shared, shared_);
}

void AccessChecks::continue_block(BlockRunner& runner) {
  if (runner_ == &runner) return;
  put_aside();
  Aside& kept = aside_.at(&runner);
  runner_ = &runner;
  block_serial_ = kept.serial;
  std::swap(kept.shared, shared_);
  order_.continue_block(static_cast<std::uint32_t>(runner.block_number()));
}

void AccessChecks::begin_block(BlockRunner& runner) {
  if (cooperative_) {
    put_aside();
    shared_.clear();
    runner_ = &runner;
  }
  block_serial_ = ++latest_serial_;
  busy_ = false;
  stack_bytes_ = runner_->options().stack_bytes;
  order_.begin_block(static_cast<std::uint32_t>(runner_->block_number()));
}

std::uintptr_t AccessChecks::stack_of_current() {
  // A thread's state lies at the top of its stack.
  const Carrier& carrier = *reinterpret_cast<const Carrier*>(detail::current_thread);
  return reinterpret_cast<std::uintptr_t>(carrier.stack.low);
}

// ---- one access
// ---------------------------------------------------------------------------------------------

void AccessChecks::check(Access kind, std::uintptr_t address, std::size_t bytes, std::size_t alignment,
                         const void* place, const Site* site) {
  busy_ = true;  // templates of the standard library may be shared with instrumented code and call the hooks
  const bool shared = is_shared(reinterpret_cast<const void*>(address));
  Array* array = shared ? find_shared(address) : find(address);
  if (array == nullptr) {
    busy_ = false;
    return;
  }
  const Request request{kind, address, bytes, place, site, place != nullptr ? compress_address(place) : 0};
  const std::uintptr_t offset = address - array->begin;
  if (offset >= array->bytes || bytes > array->bytes - offset) report_out_of_bounds(*array, request);
  if (address % alignment != 0) {
    report(ErrorKind::misaligned, *array, request,
           fmt::format("needs an address aligned to {} bytes", alignment));
  }
  count(*array, kind, bytes);
  if (atomic(kind)) order_.atomic_at(address, this_thread().linear_thread);
  Shadow& shadow = *array->shadow;
  shadow.refine(offset, bytes);
  std::uint64_t first_read = 0;
  std::uint64_t first_written = 0;
  for (std::size_t at = offset; at < offset + bytes; at += shadow.granule()) {
    ShadowCell& cell = shadow.cell(at);
    enter_scope(cell, shared);
    if (reads(kind)) {
      check_read(*array, cell, request);
      if ((cell.flags & ShadowCell::kCountedRead) == 0) first_read += shadow.granule();
      cell.flags |= ShadowCell::kCountedRead;
    }
    if (writes(kind)) {
      check_write(*array, cell, request);
      remember_writer(cell, request);
      if ((cell.flags & ShadowCell::kCountedWrite) == 0) first_written += shadow.granule();
      cell.flags |= ShadowCell::kCountedWrite;
    } else if (kind == Access::read) {
      remember_reader(cell, request);
    }
  }
  if (!shared) {
    simt::count(Counter::distinct_global_bytes_read, first_read);
    simt::count(Counter::distinct_global_bytes_written, first_written);
  }
  busy_ = false;
}

void AccessChecks::count(const Array& array, Access kind, std::size_t bytes) {
  // What CUDA calls an atomic function updates; the load that precedes a compare-and-swap loop is part of
  // one.
  const bool load = kind == Access::read || kind == Access::atomic_read;
  const bool update = kind == Access::atomic_update;
  simt::count(update ? Counter::atomics : load ? Counter::loads : Counter::stores, 1);
  if (reads(kind)) simt::count(array.shared ? Counter::shared_bytes_read : Counter::global_bytes_read, bytes);
  if (writes(kind))
    simt::count(array.shared ? Counter::shared_bytes_written : Counter::global_bytes_written, bytes);
}

void AccessChecks::enter_scope(ShadowCell& cell, bool shared) const {
  const std::uint32_t scope = shared ? block_serial_ : launch_;
  if (cell.scope == scope) return;
  cell.scope = scope;
  cell.flags = shared ? 0 : cell.flags & ShadowCell::kInitialised;
  cell.read_warp = ShadowCell::kNobody;
}

bool AccessChecks::write_is_ordered(const ShadowCell& cell, unsigned me) const {
  if (cell.write_block != order_.block())
    return order_.other_block_ordered(cell.write_block, cell.write_time);
  return order_.ordered(cell.write_thread, cell.write_time, me);
}

void AccessChecks::check_read(const Array& array, ShadowCell& cell, const Request& request) {
  if ((cell.flags & ShadowCell::kInFlight) != 0) {
    report(ErrorKind::cp_async, array, request, "reads bytes of a cp.async that no wait has completed",
           cell.write_place);
  }
  const bool both_atomic = atomic(request.kind) && (cell.flags & ShadowCell::kAtomic) != 0;
  if ((cell.flags & ShadowCell::kWritten) != 0 && !both_atomic &&
      !write_is_ordered(cell, this_thread().linear_thread)) {
    report_race(array, request, "a write", cell.write_block, cell.write_thread, cell.write_place);
  }
  if ((cell.flags & ShadowCell::kInitialised) == 0) {
    report(ErrorKind::uninitialised, array, request,
           array.shared ? "reads shared memory that this block has not written"
                        : "reads memory that nobody has written");
  }
}

void AccessChecks::check_write(const Array& array, ShadowCell& cell, const Request& request) {
  const unsigned me = this_thread().linear_thread;
  if ((cell.flags & ShadowCell::kInFlight) != 0) {
    report(ErrorKind::cp_async, array, request, "writes bytes of a cp.async that no wait has completed",
           cell.write_place);
  }
  const bool both_atomic = atomic(request.kind) && (cell.flags & ShadowCell::kAtomic) != 0;
  if ((cell.flags & ShadowCell::kWritten) != 0 && !both_atomic && !write_is_ordered(cell, me)) {
    report_race(array, request, "a write", cell.write_block, cell.write_thread, cell.write_place);
  }
  std::uint32_t block = 0;
  unsigned thread = 0;
  if (find_unordered_reader(cell, me, block, thread)) {
    report_race(array, request, "a read", block, thread, cell.read_place);
  }
}

bool AccessChecks::find_unordered_reader(const ShadowCell& cell, unsigned me, std::uint32_t& block,
                                         unsigned& thread) const {
  if (cell.read_warp == ShadowCell::kNobody) return false;
  block = cell.read_block;
  const bool several = cell.read_warp == ShadowCell::kSeveralWarps;
  const unsigned first =
      several ? cell.read_lanes & 0xffffu
              : cell.read_warp * 32u + static_cast<unsigned>(std::countr_zero(cell.read_lanes));
  if (block != order_.block()) {
    thread = first;
    return !order_.other_block_ordered(block, cell.read_time);
  }
  if ((cell.flags & ShadowCell::kOtherBlock) != 0 &&
      !order_.other_block_ordered(cell.read_other_block, cell.read_other_time)) {
    block = cell.read_other_block;
    thread = 0;
    return true;
  }
  if (cell.read_time <= order_.last_barrier()) return false;
  if (several) {
    thread = first != me ? first : cell.read_lanes >> 16;
    return true;
  }
  for (std::uint32_t rest = cell.read_lanes; rest != 0; rest &= rest - 1) {
    thread = cell.read_warp * 32u + static_cast<unsigned>(std::countr_zero(rest));
    if (!order_.ordered(thread, cell.read_time, me)) return true;
  }
  return false;
}

void AccessChecks::remember_reader(ShadowCell& cell, const Request& request) {
  const unsigned me = this_thread().linear_thread;
  const auto warp = static_cast<std::uint8_t>(me / 32);
  bool alone = cell.read_warp == ShadowCell::kNobody;
  if (!alone && cell.read_block != order_.block()) {
    cell.read_other_block = cell.read_block;
    cell.read_other_time = cell.read_time;
    cell.flags |= ShadowCell::kOtherBlock;
    alone = true;
  }
  if (!alone && cell.read_time <= order_.last_barrier()) alone = true;
  if (!alone && cell.read_warp == warp) {
    alone = true;  // when all earlier readers are before this one
    for (std::uint32_t rest = cell.read_lanes; rest != 0 && alone; rest &= rest - 1) {
      alone = order_.ordered(warp * 32u + static_cast<unsigned>(std::countr_zero(rest)), cell.read_time, me);
    }
    if (!alone) cell.read_lanes |= 1u << me % 32;
  } else if (!alone && cell.read_warp != ShadowCell::kSeveralWarps) {
    cell.read_lanes =
        (cell.read_warp * 32u + static_cast<unsigned>(std::countr_zero(cell.read_lanes))) | me << 16;
    cell.read_warp = ShadowCell::kSeveralWarps;
  }
  if (alone) {
    cell.read_warp = warp;
    cell.read_lanes = 1u << me % 32;
    cell.read_block = order_.block();
  }
  cell.read_time = order_.now();
  cell.read_place = request.code;
}

void AccessChecks::remember_writer(ShadowCell& cell, const Request& request) {
  cell.write_block = order_.block();
  cell.write_time = order_.now();
  cell.write_thread = static_cast<std::uint16_t>(this_thread().linear_thread);
  cell.write_place = request.code;
  cell.read_warp = ShadowCell::kNobody;
  cell.flags &= static_cast<std::uint8_t>(~(ShadowCell::kAtomic | ShadowCell::kOtherBlock));
  cell.flags |= ShadowCell::kInitialised | ShadowCell::kWritten;
  if (atomic(request.kind)) cell.flags |= ShadowCell::kAtomic;
}

// ---- cp.async
// -----------------------------------------------------------------------------------------------

void AccessChecks::copy_issued(const AsyncCopy& copy) {
  if (copy.source_bytes != 0) {
    access(Access::read, copy.global, copy.source_bytes, 1, copy.site);
  }
  access(Access::write, copy.shared, copy.bytes, copy.bytes, copy.site);
  const auto address = reinterpret_cast<std::uintptr_t>(copy.shared);
  Array& array = *find_shared(address);
  for (std::size_t at = 0; at < copy.bytes; at += array.shadow->granule()) {
    array.shadow->cell(address - array.begin + at).flags |= ShadowCell::kInFlight;
  }
}

void AccessChecks::copy_completed(const AsyncCopy& copy) {
  const auto address = reinterpret_cast<std::uintptr_t>(copy.shared);
  Array& array = *find_shared(address);
  array.shadow->refine(address - array.begin, copy.bytes);
  const Request request{Access::write, address, copy.bytes, nullptr, &copy.site, 0};
  for (std::size_t at = 0; at < copy.bytes; at += array.shadow->granule()) {
    ShadowCell& cell = array.shadow->cell(address - array.begin + at);
    cell.flags &= static_cast<std::uint8_t>(~ShadowCell::kInFlight);
    remember_writer(cell, request);
  }
}

}  // namespace remeasure::simt
