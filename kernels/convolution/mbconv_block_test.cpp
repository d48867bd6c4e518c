// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/mbconv_block.h"

#include <testing/catch.h>

#include "kernels/convolution/testing/fused_block.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using simt::Counter;

namespace {

/// A picture of one tile, and of two that differ.
template <class Element, class Target>
void check_channels(Device<Target>& device, const std::vector<int>& channels) {
  for (const int kernel : {3, 5}) {
    for (const int c : channels) {
      const BlockShape shape{1, 4, 5, c, 1, kernel};
      check_fused<Element>(device, shape,
                           std::vector{mbconv_tiling(shape, sizeof(Element)), MbConvTiling{4, 3}});
    }
  }
}

}  // namespace

TEST_CASE("a fused MBConv block in fp32 is the oracle, whatever the tiles", "[simt]") {
  Device<Simt> device;
  for (const int kernel : {3, 5}) {
    for (const int c : {32, 64}) {
      const BlockShape shape{2, 7, 9, c, 2, kernel};
      check_fused<float>(
          device, shape,
          std::vector{mbconv_tiling(shape, 4), MbConvTiling{1, 9}, MbConvTiling{4, 4}, MbConvTiling{7, 5}});
    }
  }
  check_channels<float>(device, {128});
}

TEST_CASE("a fused MBConv block takes half, bfloat16, and up to 256 channels", "[simt]") {
  Device<Simt> device;
  check_channels<half>(device, {32, 64, 128, 256});
  check_channels<bfloat16>(device, {32, 64, 128, 256});
  check_fused<bfloat16>(device, {1, 1, 1, 32, 6, 5}, std::vector{MbConvTiling{1, 1}});
}

TEST_CASE("with W2 and its bias zero an MBConv block is the identity, bit for bit", "[simt]") {
  Device<Simt> device;
  check_identity<half>(device, {1, 6, 5, 32, 2, 3}, MbConvTiling{3, 5});
}

TEST_CASE("a fused MBConv block reads its halo, writes its output once, and executes what is stated",
          "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counts need the checked build");
  Device<Simt> device;
  const BlockShape shape{1, 13, 11, 32, 4, 3};
  const BlockArrays<float> a = block_arrays<half>(Block::mbconv, shape);
  for (const MbConvTiling& tiling : {mbconv_tiling(shape, 2), MbConvTiling{4, 6}}) {
    device.engine().reset_counts();
    fused<Simt, half>(device, shape, tiling, a);
    const simt::LaunchCounts counts = device.engine().counts("mbconv_block");
    const BlockWork work = mbconv_work(shape, tiling, 2);
    const double nhwc = static_cast<double>(shape.elements());
    CHECK(static_cast<double>(counts[Counter::global_bytes_written]) == 2 * nhwc);
    CHECK(static_cast<double>(counts[Counter::distinct_global_bytes_read]) == work.bytes - 2 * nhwc);
    if (!simt::kOperationsCounted) continue;
    const double flops = static_cast<double>(counts[Counter::scalar_flops] + counts[Counter::mma_flops]);
    CHECK(std::abs(flops / work.flops - 1) < 0.02);
    CHECK(std::abs(static_cast<double>(counts[Counter::special_functions]) / work.special - 1) < 0.02);
  }
}

TEST_CASE("halo pixels are recomputed as the tile's extents say", "[cpu]") {
  CHECK(halo_recompute({8, 8}, 3) == 100.0 / 64);
  CHECK(halo_recompute({4, 14}, 5) == 8.0 * 18 / 56);
  for (const int side : {56, 28, 14, 7}) {
    const BlockShape shape{1, side, side, 64, 4, 3};
    const MbConvTiling tiling = mbconv_tiling(shape, 2);
    CHECK(halo_recompute(tiling, 3) < 1.75);
    CHECK(mbconv_shared_bytes(shape, tiling, 2) <= 227 * 1024);
  }
}

TEST_CASE("a fused MBConv block has the same bits in every schedule, with late and early copies", "[simt]") {
  Device<Simt> device;
  check_schedules<half>(device, {1, 5, 6, 32, 2, 3}, MbConvTiling{3, 4});
}

TEST_CASE("a fused MBConv block refuses what it can't do", "[cpu]") {
  using Catch::Matchers::ContainsSubstring;
  CHECK_THROWS_WITH(mbconv_tiling({1, 8, 8, 48}, 2), ContainsSubstring("48 channels of 2 bytes"));
  CHECK_THROWS_WITH(mbconv_tiling({1, 8, 8, 32, 4, 7}, 2), ContainsSubstring("a kernel of 7"));
  CHECK_THROWS_WITH(check_mbconv_tiling("test", {1, 99, 99, 32}, {9, 9}, 2),
                    ContainsSubstring("tiles of 9 x 9 pixels"));
}

TEST_CASE("On a GPU a fused MBConv block agrees with the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    for (const int kernel : {3, 5}) {
      const BlockShape shape{2, 7, 9, 64, 4, kernel};
      check_fused<half>(device, shape, std::vector{mbconv_tiling(shape, 2)});
      check_fused<float>(device, shape, std::vector{mbconv_tiling(shape, 4)});
    }
    check_channels<half>(device, {32, 64, 128, 256});
    check_channels<bfloat16>(device, {32, 64, 128, 256});
    check_channels<float>(device, {32, 64, 128});
  }
}
