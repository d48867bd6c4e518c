// SPDX-License-Identifier: Apache-2.0
//
// Tensor-core instructions of sm_80 and later, one struct each, in CuTe's style: the name spells the
// instruction, the layout facts are its base (mma_layout.h), `multiply` is d = a*b + c by a whole warp. A is
// row-major, B column-major, as in the
// `.row.col` forms. d may be c. On Simt the same fragments go through an emulation (mma_simt.cpp).
//
//   using Mma = Mma16x8x16F16;
//   float sum[4] = {};                 // the lane's elements Mma::c(lane, 0..3) of D
//   Mma::multiply(sum, a, b, sum);     // a: 4 registers, elements Mma::a(lane, 0..7); b: 2 registers,
//   Mma::b(lane, 0..3)
#pragma once

#include <cstdint>

#include "kernels/device/kernel_site.h"
#include "kernels/device/mma_layout.h"

#ifndef __CUDACC__
#include <bit>

#include "kernels/device/mma_emulation.h"
#endif

namespace remeasure {

#ifdef __CUDACC__
// Operands in PTX's order d, a, b, c; `x` is "f" for float and "r" for integer accumulators.
#define RM_MMA_PTX(instruction, x)                                                                   \
  asm volatile(instruction " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"              \
               : "=" x(d[0]), "=" x(d[1]), "=" x(d[2]), "=" x(d[3])                                  \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), x(c[0]), x(c[1]), \
                 x(c[2]), x(c[3]))
// 16-bit elements with K = 8: half the registers of A and B.
#define RM_MMA_K8_PTX(instruction)                                          \
  asm volatile(instruction " {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%9,%10};" \
               : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])             \
               : "r"(a[0]), "r"(a[1]), "r"(b[0]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]))
#define RM_MMA_SPARSE_PTX(instruction)                                                                    \
  asm volatile(instruction " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9,%10,%11}, {%12,%13,%14,%15}, %16, %17;" \
               : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])                                           \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]),  \
                 "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]), "r"(metadata), "n"(Selector))
#endif

/// f32 = f16 * f16 + f32
struct Mma16x8x16F16 : MmaLayout<16, 2> {
  using Layout = MmaLayout<16, 2>;
  RM_DEVICE static void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                                 const float (&c)[4], [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_PTX("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "f");
#else
    emulation::dense<Layout, emulation::Half>(d, a, b, c, "mma.m16n8k16.f32.f16", site);
#endif
  }
};

/// f32 = bf16 * bf16 + f32
struct Mma16x8x16Bf16 : MmaLayout<16, 2> {
  using Layout = MmaLayout<16, 2>;
  RM_DEVICE static void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                                 const float (&c)[4], [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_PTX("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "f");
#else
    emulation::dense<Layout, emulation::Bfloat16>(d, a, b, c, "mma.m16n8k16.f32.bf16", site);
#endif
  }
};

/// f32 = f16 * f16 + f32 with half the inner dimension: a group of eight channels fills it.
struct Mma16x8x8F16 : MmaLayout<8, 2> {
  using Layout = MmaLayout<8, 2>;
  RM_DEVICE static void multiply(float (&d)[4], const std::uint32_t (&a)[2], const std::uint32_t (&b)[1],
                                 const float (&c)[4], [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_K8_PTX("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32");
#else
    emulation::dense<Layout, emulation::Half>(d, a, b, c, "mma.m16n8k8.f32.f16", site);
#endif
  }
};

/// f32 = bf16 * bf16 + f32, likewise.
struct Mma16x8x8Bf16 : MmaLayout<8, 2> {
  using Layout = MmaLayout<8, 2>;
  RM_DEVICE static void multiply(float (&d)[4], const std::uint32_t (&a)[2], const std::uint32_t (&b)[1],
                                 const float (&c)[4], [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_K8_PTX("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32");
#else
    emulation::dense<Layout, emulation::Bfloat16>(d, a, b, c, "mma.m16n8k8.f32.bf16", site);
#endif
  }
};

/// f32 = tf32 * tf32 + f32. Operands are float bits; the lowest 13 are ignored (see to_tf32).
struct Mma16x8x8Tf32 : MmaLayout<8, 1> {
  using Layout = MmaLayout<8, 1>;
  RM_DEVICE static void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                                 const float (&c)[4], [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_PTX("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", "f");
#else
    emulation::dense<Layout, emulation::Tf32>(d, a, b, c, "mma.m16n8k8.f32.tf32", site);
#endif
  }
};

/// s32 = s8 * s8 + s32, wrapping
struct Mma16x8x32S8 : MmaLayout<32, 4> {
  using Layout = MmaLayout<32, 4>;
  RM_DEVICE static void multiply(std::int32_t (&d)[4], const std::uint32_t (&a)[4],
                                 const std::uint32_t (&b)[2], const std::int32_t (&c)[4],
                                 [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_PTX("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", "r");
#else
    emulation::dense<Layout, emulation::Int8>(d, a, b, c, "mma.m16n8k32.s32.s8", site);
#endif
  }
};

/// s32 = s4 * s4 + s32, wrapping. Emulated by integer instructions on sm_90.
struct Mma16x8x64S4 : MmaLayout<64, 8> {
  using Layout = MmaLayout<64, 8>;
  RM_DEVICE static void multiply(std::int32_t (&d)[4], const std::uint32_t (&a)[4],
                                 const std::uint32_t (&b)[2], const std::int32_t (&c)[4],
                                 [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_PTX("mma.sync.aligned.m16n8k64.row.col.s32.s4.s4.s32", "r");
#else
    emulation::dense<Layout, emulation::Int4>(d, a, b, c, "mma.m16n8k64.s32.s4", site);
#endif
  }
};

/// s32 = popcount(b1 xor b1) + s32
struct Mma16x8x256Xor : MmaLayout<256, 32> {
  using Layout = MmaLayout<256, 32>;
  RM_DEVICE static void multiply(std::int32_t (&d)[4], const std::uint32_t (&a)[4],
                                 const std::uint32_t (&b)[2], const std::int32_t (&c)[4],
                                 [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_PTX("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.xor.popc", "r");
#else
    emulation::bits(d, a, b, c, emulation::BitOperation::exclusive_or, "mma.m16n8k256.b1.xor", site);
#endif
  }
};

/// s32 = popcount(b1 and b1) + s32
struct Mma16x8x256And : MmaLayout<256, 32> {
  using Layout = MmaLayout<256, 32>;
  RM_DEVICE static void multiply(std::int32_t (&d)[4], const std::uint32_t (&a)[4],
                                 const std::uint32_t (&b)[2], const std::int32_t (&c)[4],
                                 [[maybe_unused]] KernelSite site = KernelSite::here()) {
#ifdef __CUDACC__
    RM_MMA_PTX("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc", "r");
#else
    emulation::bits(d, a, b, c, emulation::BitOperation::conjunction, "mma.m16n8k256.b1.and", site);
#endif
  }
};

// Sparse A: two of four (f16, bf16) or one of two (tf32) along K, compressed to half; `metadata` says which
// (MmaMetadata). Selector, an immediate of the instruction, chooses the lanes whose metadata counts: 0 and 1
// of each four, or 2 and 3. `ordered_metadata` (PTX ISA 8.5) requires ascending indices; plain mma.sp may be
// slow from sm_90 on.

/// f32 = sparse f16 * f16 + f32
struct MmaSparse16x8x32F16 : MmaLayout<32, 2, true> {
  using Layout = MmaLayout<32, 2, true>;
  template <int Selector>
  RM_DEVICE static void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[4],
                                 const float (&c)[4], std::uint32_t metadata,
                                 [[maybe_unused]] KernelSite site = KernelSite::here()) {
    static_assert(Selector == 0 || Selector == 1);
#ifdef __CUDACC__
    RM_MMA_SPARSE_PTX("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32");
#else
    emulation::sparse<Layout, emulation::Half, emulation::TwoOfFour>(d, a, b, c, metadata, Selector,
                                                                     "mma.sp.m16n8k32.f32.f16", site);
#endif
  }
};

/// f32 = sparse bf16 * bf16 + f32
struct MmaSparse16x8x32Bf16 : MmaLayout<32, 2, true> {
  using Layout = MmaLayout<32, 2, true>;
  template <int Selector>
  RM_DEVICE static void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[4],
                                 const float (&c)[4], std::uint32_t metadata,
                                 [[maybe_unused]] KernelSite site = KernelSite::here()) {
    static_assert(Selector == 0 || Selector == 1);
#ifdef __CUDACC__
    RM_MMA_SPARSE_PTX("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32");
#else
    emulation::sparse<Layout, emulation::Bfloat16, emulation::TwoOfFour>(d, a, b, c, metadata, Selector,
                                                                         "mma.sp.m16n8k32.f32.bf16", site);
#endif
  }
};

/// f32 = sparse tf32 * tf32 + f32
struct MmaSparse16x8x16Tf32 : MmaLayout<16, 1, true> {
  using Layout = MmaLayout<16, 1, true>;
  template <int Selector>
  RM_DEVICE static void multiply(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[4],
                                 const float (&c)[4], std::uint32_t metadata,
                                 [[maybe_unused]] KernelSite site = KernelSite::here()) {
    static_assert(Selector == 0 || Selector == 1);
#ifdef __CUDACC__
    RM_MMA_SPARSE_PTX("mma.sp::ordered_metadata.sync.aligned.m16n8k16.row.col.f32.tf32.tf32.f32");
#else
    emulation::sparse<Layout, emulation::Tf32, emulation::OneOfTwo>(d, a, b, c, metadata, Selector,
                                                                    "mma.sp.m16n8k16.f32.tf32", site);
#endif
  }
};

#ifdef __CUDACC__
#undef RM_MMA_PTX
#undef RM_MMA_K8_PTX
#undef RM_MMA_SPARSE_PTX
#endif

/// The float rounded to tf32's 10 bits of significand, to nearest with ties away from zero
/// (cvt.rna.tf32.f32), as the bits that a tf32 mma takes.
RM_DEVICE inline std::uint32_t to_tf32(float value) {
#ifdef __CUDACC__
  std::uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
#else
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits & 0x007fffffu ? 0x7fffffffu : bits;
  return (bits + 0x1000u) & 0xffffe000u;
#endif
}

}  // namespace remeasure
