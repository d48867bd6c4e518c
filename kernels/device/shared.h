// SPDX-License-Identifier: Apache-2.0
//
// Shared memory of a block.
//
//   RM_SHARED(float, tile, [32][33]);     // __shared__ float tile[32][33];
//   RM_SHARED(int, count, );              // __shared__ int count;
//   RM_DYNAMIC_SHARED(float, scratch);    // extern __shared__ float scratch[];  sized by launch's
//   shared_bytes
//
// Why not plain `__shared__`: on the host it could only be a thread_local, which keeps the last block's
// values and lies between other variables. The macro makes it a place in the engine's arena instead: poisoned
// when a block starts, so that a read before a write is seen, and with a red zone on both sides, so that an
// index beyond the end is seen. A type with a comma needs an alias. All dynamic shared arrays of a kernel
// start at the same address, as in CUDA.
#pragma once

#ifdef __CUDACC__

#define RM_SHARED(Type, name, ...) __shared__ Type name __VA_ARGS__

// One symbol for all element types (an extern array can't be redeclared with another type), aligned for every
// vector access.
extern __shared__ __align__(128) unsigned char rm_dynamic_shared_bytes[];
#define RM_DYNAMIC_SHARED(Type, name) Type* const name = reinterpret_cast<Type*>(rm_dynamic_shared_bytes)

#else

#include "kernels/simt/thread.h"

// The static object is the variable's identity: like the variable itself under nvcc there is one per
// declaration, and one per instantiation of a template.
#define RM_SHARED(Type, name, ...)                                                                     \
  typedef Type name##_shared_type __VA_ARGS__;                                                         \
  static constinit ::remeasure::simt::SharedSite name##_shared_site{#name, sizeof(name##_shared_type), \
                                                                    alignof(name##_shared_type)};      \
  name##_shared_type& name =                                                                           \
      *static_cast<name##_shared_type*>(::remeasure::simt::static_shared(name##_shared_site))
#define RM_DYNAMIC_SHARED(Type, name) \
  Type* const name = static_cast<Type*>(::remeasure::simt::dynamic_shared())

#endif
