// SPDX-License-Identifier: Apache-2.0
//
// A whole recurrent layer in one launch, R on chip for all steps (FlashRNN's fused kernels).
#pragma once

#include <string>

#include "kernels/device/device.h"
#include "kernels/device/float16.h"
#include "kernels/sequences/rnn.h"

namespace remeasure::kernels {

inline constexpr int kRnnFusedThreads = 256;  ///< of a block at most: 255 registers for each

/// How a layer is laid out. One block has all units of a head for 8 or 16 batch entries where it can; else
/// the units are split over blocks that exchange h through memory and a grid barrier each step.
struct RnnFusedPlan {
  int unit_tiles = 1;     ///< of 16 units, in a block
  int splits = 1;         ///< warps that share a unit tile, each with a slice of the previous units
  int columns = 1;        ///< tiles of 8 batch entries in a block
  int unit_blocks = 1;    ///< blocks of one head and batch tile; above 1 the launch is cooperative
  int heads_at_once = 1;  ///< of one launch
  int batch_tiles_at_once = 1;
  std::size_t shared_bytes = 0;
  /// False: blocks don't wait for each other's h. Wrong; for the control that this is seen.
  bool synchronised = true;

  bool cooperative() const { return unit_blocks > 1; }
  int threads() const { return 32 * unit_tiles * splits; }
};

/// What a plan may use. `multiprocessors`: blocks that are resident at once in a cooperative launch, one on
/// each.
struct RnnFusedLimits {
  int multiprocessors = 132;
  std::size_t shared_bytes = 227 * 1024;
};

/// Why no plan exists for this shape ("dim must be ..."); empty if one does.
std::string rnn_fused_why_not(const RnnShape& shape, std::size_t element_bytes,
                              const RnnFusedLimits& limits = {});
/// Throws std::invalid_argument with rnn_fused_why_not().
RnnFusedPlan rnn_fused_plan(const RnnShape& shape, std::size_t element_bytes,
                            const RnnFusedLimits& limits = {});
/// The same with a given number of unit tiles and splits, for tests of the exchange between blocks at small
/// sizes.
RnnFusedPlan rnn_fused_plan(const RnnShape& shape, std::size_t element_bytes, int unit_tiles, int splits,
                            int columns, const RnnFusedLimits& limits = {});
/// The largest dim of one head and 8 batch entries that has a plan, in one block or in many.
int rnn_fused_largest_dim(Cell cell, std::size_t element_bytes, bool one_block,
                          const RnnFusedLimits& limits = {});

/// Arrays as in rnn.h; dim a multiple of 16. Element: float, bfloat16. Of the states, h is rounded to Element
/// before the next step multiplies it; the others stay f32 in registers. Throws std::invalid_argument for
/// sizes that don't fit and plans of more than kRnnFusedThreads.
template <class Target, class Element>
void rnn_fused(Stream<Target>& stream, const RnnShape& shape, const RnnFusedPlan& plan,
               DeviceSpan<Target, const Element> wx, DeviceSpan<Target, const Element> weights,
               DeviceSpan<Target, const float> bias, DeviceSpan<Target, const float> first,
               DeviceSpan<Target, Element> states);

}  // namespace remeasure::kernels
