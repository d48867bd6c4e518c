// SPDX-License-Identifier: Apache-2.0
//
// The tensor-core instructions on the SIMT engine: one rendezvous of all 32 lanes, to which each brings its
// fragments. In a file of its own (mma_simt.cpp), so that kernels compile fast and the checking build doesn't
// instrument it.
#pragma once

#include <cstdint>

#include "kernels/device/mma_layout.h"
#include "kernels/simt/site.h"

namespace remeasure::emulation {

// Element types of A and B.
struct Half;
struct Bfloat16;
struct Tf32;
struct Int8;
struct Int4;

/// d = a*b + c; a and b have Layout's registers. `what` names the instruction in messages. Sum: float or
/// std::int32_t.
template <class Layout, class Element, class Sum>
void dense(Sum (&d)[4], const std::uint32_t* a, const std::uint32_t* b, const Sum (&c)[4], const char* what,
           const simt::Site& where);

enum class BitOperation { exclusive_or, conjunction };
/// m16n8k256: c plus the number of bits that are set in (a xor b), or in (a and b).
void bits(std::int32_t (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
          const std::int32_t (&c)[4], BitOperation operation, const char* what, const simt::Site& where);

// Patterns of a sparse A.
struct TwoOfFour;
struct OneOfTwo;

/// d = a*b + c with a compressed to half; metadata that PTX leaves undefined is an error.
template <class Layout, class Element, class Pattern>
void sparse(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[4], const float (&c)[4],
            std::uint32_t metadata, int selector, const char* what, const simt::Site& where);

}  // namespace remeasure::emulation
