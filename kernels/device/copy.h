// SPDX-License-Identifier: Apache-2.0
//
// ldmatrix and cp.async (PTX ISA, "ldmatrix", "cp.async"; sm_80). On Simt ldmatrix is a rendezvous of the
// warp, and cp.async moves its bytes when its wait allows it or at once, as the engine is told: a forgotten
// wait fails in one of the two.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/kernel_site.h"

#ifndef __CUDACC__
#include "kernels/simt/thread.h"
#endif

namespace remeasure {

#ifndef __CUDACC__
namespace emulation {
/// ldmatrix of `matrices` (1, 2 or 4) matrices into as many registers; see copy_simt.cpp.
void load_matrices(std::uint32_t* registers, int matrices, bool transposed, const void* row,
                   const simt::Site& where);
}  // namespace emulation
#endif

#ifdef __CUDACC__
RM_DEVICE inline unsigned int shared_address(const void* pointer) {
  return static_cast<unsigned int>(__cvta_generic_to_shared(pointer));
}
#endif

/// One 8x8 matrix of 16-bit elements from shared memory. `row`: in lanes 0-7 the address of that row, 16-byte
/// aligned.
template <bool Transposed = false>
RM_DEVICE inline void ldmatrix(std::uint32_t (&registers)[1], const void* row,
                               [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
  if constexpr (Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                 : "=r"(registers[0])
                 : "r"(shared_address(row))
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                 : "=r"(registers[0])
                 : "r"(shared_address(row))
                 : "memory");
  }
#else
  emulation::load_matrices(registers, 1, Transposed, row, site);
#endif
}

/// Two matrices; their row addresses come from lanes 0-7 and 8-15.
template <bool Transposed = false>
RM_DEVICE inline void ldmatrix(std::uint32_t (&registers)[2], const void* row,
                               [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
  if constexpr (Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(registers[0]), "=r"(registers[1])
                 : "r"(shared_address(row))
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                 : "=r"(registers[0]), "=r"(registers[1])
                 : "r"(shared_address(row))
                 : "memory");
  }
#else
  emulation::load_matrices(registers, 2, Transposed, row, site);
#endif
}

/// Four matrices; their row addresses come from lanes 0-7, 8-15, 16-23 and 24-31. With the four 8x8 quarters
/// of a 16x16 tile of A in the order upper left, lower left, upper right, lower right, this is the A fragment
/// of m16n8k16.
template <bool Transposed = false>
RM_DEVICE inline void ldmatrix(std::uint32_t (&registers)[4], const void* row,
                               [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
  if constexpr (Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(shared_address(row))
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(shared_address(row))
                 : "memory");
  }
#else
  emulation::load_matrices(registers, 4, Transposed, row, site);
#endif
}

/// Where a cp.async of 16 bytes may be cached: only in L2 (`.cg`), or in L1 too (`.ca`; the only form for 4
/// and 8 bytes).
enum class CopyCache { l2_only, all };

/// cp.async: `Bytes` (4, 8 or 16) from global to shared memory, both aligned to them. Of them `source_bytes`
/// are read and the rest is filled with zeros; with 0 the source isn't touched (the tail of a row, say).
template <int Bytes, CopyCache Cache = (Bytes == 16 ? CopyCache::l2_only : CopyCache::all)>
RM_DEVICE inline void copy_async(void* to_shared, const void* from_global, int source_bytes = Bytes,
                                 [[maybe_unused]] KernelSite site = KernelSite::here()) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  static_assert(Cache == CopyCache::all || Bytes == 16, "cp.async.cg copies 16 bytes");
#ifdef __CUDACC__
  if constexpr (Cache == CopyCache::l2_only) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to_shared)),
                 "l"(__cvta_generic_to_global(from_global)), "r"(source_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(to_shared)),
                 "l"(__cvta_generic_to_global(from_global)), "n"(Bytes), "r"(source_bytes)
                 : "memory");
  }
#else
  simt::async_copy(to_shared, from_global, static_cast<std::size_t>(Bytes),
                   static_cast<std::size_t>(source_bytes), site);
#endif
}

/// cp.async.commit_group: this thread's copies since the last commit become a group.
RM_DEVICE inline void copy_async_commit() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  simt::async_commit();
#endif
}

/// cp.async.wait_group: until at most the `Pending` latest groups of this thread are under way. Other
/// threads' copies need a barrier after it.
template <int Pending>
RM_DEVICE inline void copy_async_wait() {
  static_assert(Pending >= 0);
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#else
  simt::async_wait(static_cast<unsigned>(Pending));
#endif
}

/// cp.async.wait_all: all copies of this thread, committed or not.
RM_DEVICE inline void copy_async_wait_all() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_all;" ::: "memory");
#else
  simt::async_wait_all();
#endif
}

}  // namespace remeasure
