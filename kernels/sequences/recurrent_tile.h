// SPDX-License-Identifier: Apache-2.0
//
// The recurrent product with R resident on chip: a warp holds 16 units of one head with all their gates,
// against a slice of the previous units, as fragments of A (mma m16n8k16 bf16, or three m16n8k8 TF32 for f32)
// in registers, what doesn't fit there in shared memory, for as many steps as there are. B is h of 8 batch
// entries a column tile, from shared memory. Device code.
//
//   g[gate][entry][unit] += sum over previous of R[gate][unit][previous] h[entry][previous]
//
// A lane gets the same two neighbouring units of the same two entries for every gate, so what follows the
// product needs no exchange: accumulator i of gate g and column tile j is unit 2 (lane / 4) + i / 2 of entry
// 8 j + 2 (lane % 4) + i % 2.
#pragma once

#include "kernels/device/copy.h"
#include "kernels/device/kernel.h"
#include "kernels/device/tile_product.h"

namespace remeasure::kernels {

/// Previous units of one product: 32 bytes.
template <class Element>
inline constexpr int kRecurrentChunk = 32 / static_cast<int>(sizeof(Element));

/// h of `entries` batch entries in shared memory: rows of `dim`, padded by 16 bytes so that ldmatrix meets no
/// bank twice.
RM_HOST_DEVICE constexpr int hidden_row_bytes(int dim, int element_bytes) {
  return dim * element_bytes + 16;
}

RM_DEVICE inline int accumulator_unit(int i) {
  return 2 * (lane_id() / 4) + i / 2;
}
RM_DEVICE inline int accumulator_entry(int tile, int i) {
  return 8 * tile + 2 * (lane_id() % 4) + i % 2;
}

/// The first kRegisterChunks chunks are in registers, the others in shared memory, one 16-byte word of each
/// lane after another.
template <class Element, int kGates, int kRegisterChunks>
class RecurrentTile {
 public:
  /// `weights`: of the head, [gates, dim, dim]; units from `first_unit`, previous ones from chunk
  /// `first_chunk` on. `shared`: of this warp, kGates * 512 bytes for each chunk beyond kRegisterChunks.
  RM_DEVICE void load(const Element* weights, int dim, int first_unit, int first_chunk, int chunks,
                      uint4* shared) {
    chunks_ = chunks;
    first_chunk_ = first_chunk;
    shared_ = shared + lane_id();
#pragma unroll
    for (int chunk = 0; chunk < kRegisterChunks; ++chunk) {
#pragma unroll
      for (int gate = 0; gate < kGates; ++gate) {
        if (chunk < chunks) {
          read(held_[chunk][gate], weights, dim, gate, first_unit, first_chunk + chunk);
        } else {
          for (std::uint32_t& word : held_[chunk][gate]) word = 0;
        }
      }
    }
    for (int chunk = kRegisterChunks; chunk < chunks; ++chunk) {
      for (int gate = 0; gate < kGates; ++gate) {
        std::uint32_t words[4];
        read(words, weights, dim, gate, first_unit, first_chunk + chunk);
        shared_[((chunk - kRegisterChunks) * kGates + gate) * 32] =
            make_uint4(words[0], words[1], words[2], words[3]);
      }
    }
  }

  /// Adds the products with h ([8 * kColumns, dim] in shared memory) of this tile's slice.
  template <int kColumns>
  RM_DEVICE void multiply(float (&sum)[kGates][kColumns][4], const unsigned char* h, int row_bytes) const {
    const unsigned char* const rows = h + first_chunk_ * 32 + row_of_lane<kColumns>(row_bytes);
#pragma unroll
    for (int chunk = 0; chunk < kRegisterChunks; ++chunk) {
      if (chunk < chunks_) multiply_chunk(sum, held_[chunk], rows + chunk * 32);
    }
#pragma unroll 1
    for (int chunk = kRegisterChunks; chunk < chunks_; ++chunk) {
      std::uint32_t words[kGates][4];
#pragma unroll
      for (int gate = 0; gate < kGates; ++gate) {
        const uint4 from = shared_[((chunk - kRegisterChunks) * kGates + gate) * 32];
        words[gate][0] = from.x, words[gate][1] = from.y, words[gate][2] = from.z, words[gate][3] = from.w;
      }
      multiply_chunk(sum, words, rows + chunk * 32);
    }
  }

 private:
  /// Fragment of A: registers 0 and 2 hold row lane / 4, registers 1 and 3 the row eight below, which is the
  /// next unit.
  RM_DEVICE static void read(std::uint32_t (&words)[4], const Element* weights, int dim, int gate,
                             int first_unit, int chunk) {
    const Element* const row = weights +
                               (static_cast<long long>(gate) * dim + first_unit + 2 * (lane_id() / 4)) * dim +
                               chunk * kRecurrentChunk<Element>;
    const auto* const upper = reinterpret_cast<const std::uint32_t*>(row) + lane_id() % 4;
    const auto* const lower = reinterpret_cast<const std::uint32_t*>(row + dim) + lane_id() % 4;
    words[0] = upper[0], words[1] = lower[0], words[2] = upper[4], words[3] = lower[4];
  }

  /// Where this lane's row of 16 bytes begins for ldmatrix.
  template <int kColumns>
  RM_DEVICE static int row_of_lane(int row_bytes) {
    static_assert(kColumns == 1 || kColumns == 2);
    const int lane = kColumns == 1 ? lane_id() % 16 : lane_id();
    return (lane % 8 + 8 * (lane / 16)) * row_bytes + lane / 8 % 2 * 16;
  }

  template <int kColumns>
  RM_DEVICE static void multiply_chunk(float (&sum)[kGates][kColumns][4], const std::uint32_t (&a)[kGates][4],
                                       const unsigned char* row) {
    std::uint32_t b[2 * kColumns];
    ldmatrix(b, row);
#pragma unroll
    for (int tile = 0; tile < kColumns; ++tile) {
      const std::uint32_t column[2] = {b[2 * tile], b[2 * tile + 1]};
#pragma unroll
      for (int gate = 0; gate < kGates; ++gate)
        TileProduct<Element>::multiply(sum[gate][tile], a[gate], column);
    }
  }

  std::uint32_t held_[kRegisterChunks][kGates][4];
  uint4* shared_;
  int chunks_;
  int first_chunk_;
};

/// The cells' functions by the fast exponential: an absolute error of some 1e-7 in gates.
struct FastMath {
  RM_DEVICE static float exp(float x) { return __expf(x); }
  RM_DEVICE static float log(float x) { return __logf(x); }
  RM_DEVICE static float tanh(float x) { return 1.0f - __fdividef(2.0f, __expf(2.0f * x) + 1.0f); }
  RM_DEVICE static float divide(float a, float b) { return __fdividef(a, b); }
};

/// Two neighbouring elements, moved at once.
template <class Element>
struct alignas(2 * sizeof(Element)) ElementPair {
  Element of[2];
};

}  // namespace remeasure::kernels
