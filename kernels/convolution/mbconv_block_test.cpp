// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/mbconv_block.h"

#include <testing/catch.h>
#include <cstring>

#include "kernels/convolution/residual_block_reference.h"
#include "kernels/convolution/testing/block_problem.h"
#include "kernels/simt/engine.h"
#include "kernels/simt/schedules.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using simt::Counter;

namespace {

template <class Target, class Element>
std::vector<Element> fused(Device<Target>& device, const BlockShape& shape, const MbConvTiling& tiling,
                           const BlockArrays<float>& a) {
  DeviceBlock<Target, Element> block(device, a);
  mbconv_block<Target, Element>(block.stream, shape, tiling, block.x,
                                block.template weights<DeviceBlockWeights<Target, Element>>(), block.y);
  return block.result();
}

std::vector<double> oracle(const BlockShape& shape, const BlockArrays<float>& a) {
  return block_pixels(Block::mbconv, shape, a.weights(), a.x, all_pixels(shape));
}

}  // namespace

TEST_CASE("a fused MBConv block in fp32 is the oracle, whatever the tiles", "[simt]") {
  Device<Simt> device;
  for (const int kernel : {3, 5}) {
    for (const int c : {32, 64}) {
      const BlockShape shape{2, 7, 9, c, 2, kernel};
      const BlockArrays<float> a = block_arrays<float>(Block::mbconv, shape);
      const std::vector<double> must = oracle(shape, a);
      for (const MbConvTiling& tiling :
           {mbconv_tiling(shape, 4), MbConvTiling{1, 9}, MbConvTiling{4, 4}, MbConvTiling{7, 5}}) {
        INFO(in_words(shape) << "; tiles of " << tiling.rows << " x " << tiling.columns);
        CHECK(relative_l2(fused<Simt, float>(device, shape, tiling, a), must) < 1e-5);
      }
    }
  }
}

TEST_CASE("a fused MBConv block takes half, bfloat16, and up to 256 channels", "[simt]") {
  Device<Simt> device;
  for (const int c : {32, 128, 256}) {
    const BlockShape shape{1, 4, 5, c, 1, 3};
    const BlockArrays<float> a = block_arrays<half>(Block::mbconv, shape);
    INFO(in_words(shape));
    CHECK(relative_l2(fused<Simt, half>(device, shape, mbconv_tiling(shape, 2), a), oracle(shape, a)) < 3e-3);
  }
  const BlockShape shape{1, 1, 1, 32, 6, 5};
  const BlockArrays<float> a = block_arrays<bfloat16>(Block::mbconv, shape);
  CHECK(relative_l2(fused<Simt, bfloat16>(device, shape, {1, 1}, a), oracle(shape, a)) < 2e-2);
}

TEST_CASE("with W2 and its bias zero an MBConv block is the identity, bit for bit", "[simt]") {
  Device<Simt> device;
  const BlockShape shape{1, 6, 5, 32, 2, 3};
  BlockArrays<float> a = block_arrays<half>(Block::mbconv, shape);
  std::fill(a.project.begin(), a.project.end(), 0.0f);
  std::fill(a.project_bias.begin(), a.project_bias.end(), 0.0f);
  const std::vector<half> y = fused<Simt, half>(device, shape, {3, 5}, a);
  for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(y[i].bits == half(a.x[i]).bits);
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
  const BlockShape shape{1, 5, 6, 32, 2, 3};
  const BlockArrays<float> a = block_arrays<half>(Block::mbconv, shape);
  const std::uint64_t seeds[] = {0, 1, 2};
  CHECK_NOTHROW(simt::expect_schedule_independent(device.engine(), seeds, [&] {
    const std::vector<half> y = fused<Simt, half>(device, shape, {3, 4}, a);
    std::vector<std::byte> bytes(y.size() * 2);
    std::memcpy(bytes.data(), y.data(), bytes.size());
    return bytes;
  }));
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
      const BlockArrays<float> a = block_arrays<half>(Block::mbconv, shape);
      CHECK(relative_l2(fused<Cuda, half>(device, shape, mbconv_tiling(shape, 2), a), oracle(shape, a)) <
            3e-3);
      CHECK(relative_l2(fused<Cuda, float>(device, shape, mbconv_tiling(shape, 4), a), oracle(shape, a)) <
            1e-5);
    }
  }
}
