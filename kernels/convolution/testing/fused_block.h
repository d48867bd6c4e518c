// SPDX-License-Identifier: Apache-2.0
//
// What is tested of a fused residual block: ConvFirst or MBConv, as the tiling says.
#pragma once

#include <testing/catch.h>
#include <array>
#include <bit>
#include <cstring>

#include "kernels/convolution/mbconv_block.h"
#include "kernels/convolution/testing/block_problem.h"
#include "kernels/convolution/testing/convolution_problem.h"
#include "kernels/simt/schedules.h"

namespace remeasure::kernels::testing {

constexpr Block block_of(const ConvFirstTiling&) {
  return Block::convfirst;
}
constexpr Block block_of(const MbConvTiling&) {
  return Block::mbconv;
}

template <class Target, class Element, class Tiling>
std::vector<Element> fused(Device<Target>& device, const BlockShape& shape, const Tiling& tiling,
                           const BlockArrays<float>& a) {
  DeviceBlock<Target, Element> on(device, a);
  const auto weights = on.template weights<DeviceBlockWeights<Target, Element>>();
  if constexpr (block_of(Tiling{}) == Block::convfirst)
    convfirst_block<Target, Element>(on.stream, shape, tiling, on.x, weights, on.y);
  else
    mbconv_block<Target, Element>(on.stream, shape, tiling, on.x, weights, on.y);
  return on.result();
}

/// Of half and bfloat16 three layers' results are rounded, each of the oracle's scale; of fp32 sums differ.
template <class Element>
constexpr double block_limit() {
  return sizeof(Element) == 4 ? 1e-5 : 3 * unit_roundoff<Element>();
}

/// The result is the oracle's, whatever the tiling.
template <class Element, class Target, class Tiling>
void check_fused(Device<Target>& device, const BlockShape& shape, const std::vector<Tiling>& tilings) {
  const Block block = block_of(Tiling{});
  const BlockArrays<float> a = block_arrays<Element>(block, shape);
  const std::vector<double> must = block_oracle(block, shape, a);
  for (const Tiling& tiling : tilings) {
    INFO(in_words(shape) << "; " << sizeof(Element) << " bytes, " << tiling.rows << " x " << tiling.columns
                         << " pixels at a time");
    CHECK(relative_l2(fused<Target, Element>(device, shape, tiling, a), must) < block_limit<Element>());
  }
}

/// With W2 and its bias zero a block is the identity, bit for bit.
template <class Element, class Target, class Tiling>
void check_identity(Device<Target>& device, const BlockShape& shape, const Tiling& tiling) {
  BlockArrays<float> a = block_arrays<Element>(block_of(tiling), shape);
  std::fill(a.project.begin(), a.project.end(), 0.0f);
  std::fill(a.project_bias.begin(), a.project_bias.end(), 0.0f);
  const std::vector<Element> y = fused<Target, Element>(device, shape, tiling, a);
  using Bits = std::array<std::byte, sizeof(Element)>;
  for (std::size_t i = 0; i < y.size(); ++i)
    REQUIRE((std::bit_cast<Bits>(y[i]) == std::bit_cast<Bits>(Element(a.x[i]))));
}

/// The same bits in every schedule, with late and early copies.
template <class Element, class Tiling>
void check_schedules(Device<Simt>& device, const BlockShape& shape, const Tiling& tiling) {
  const BlockArrays<float> a = block_arrays<Element>(block_of(tiling), shape);
  const std::uint64_t seeds[] = {0, 1, 2};
  CHECK_NOTHROW(simt::expect_schedule_independent(device.engine(), seeds, [&] {
    const std::vector<Element> y = fused<Simt, Element>(device, shape, tiling, a);
    std::vector<std::byte> bytes(y.size() * sizeof(Element));
    std::memcpy(bytes.data(), y.data(), bytes.size());
    return bytes;
  }));
}

}  // namespace remeasure::kernels::testing
