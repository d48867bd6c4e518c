// SPDX-License-Identifier: Apache-2.0
#include "bench/waterline.h"

#include <testing/catch.h>
#include <cmath>
#include <vector>

using namespace remeasure::bench;

namespace {

const Machine kH200{.peak = 989.5e12, .bandwidth = 4.8e12};

/// Sequences of all kinds: intensities from far below the balance to far above.
std::vector<std::vector<KernelCost>> sequences() {
  std::vector<std::vector<KernelCost>> all;
  for (int i = 0; i < 200; ++i) {
    std::vector<KernelCost> kernels;
    for (int k = 0; k < 1 + i % 4; ++k) {
      const double bytes = std::exp2(10 + (i * 7 + k * 5) % 13),
                   intensity = std::exp2((i * 11 + k * 3) % 17 - 4);
      kernels.push_back({"k", bytes * intensity, bytes});
    }
    all.push_back(kernels);
  }
  return all;
}

/// What a roofline of the whole would say: bytes summed before the maximum is taken.
double bytes_summed_first(const std::vector<KernelCost>& kernels, const Machine& machine) {
  KernelCost all;
  for (const KernelCost& kernel : kernels) all.flops += kernel.flops, all.bytes += kernel.bytes;
  return attainable_seconds(all, machine);
}

}  // namespace

TEST_CASE("the waterline of a pointwise layer and of a fused block by hand", "[cpu]") {
  CHECK(std::abs(kH200.balance() - 206.1) < 0.1);
  const double c = 64, e = 4, pixels = 56 * 56;
  // Weights neglected; two bytes an element.
  const KernelCost expand{"expand", pixels * 2 * e * c * c, pixels * 2 * (1 + e) * c};
  CHECK(expand.intensity() == Approx(51.2));
  CHECK(waterline_efficiency(std::vector{expand}, kH200) == Approx(51.2 / kH200.balance()));
  CHECK(std::abs(waterline_efficiency(std::vector{expand}, kH200) - 0.25) < 0.002);
  const KernelCost block{"block", pixels * (144 * c + 4 * e * c * c), pixels * 4 * c};
  CHECK(block.intensity() == 36 + e * c);
  CHECK(waterline_efficiency(std::vector{block}, kH200) == 1);
}

TEST_CASE("a sequence is never more efficient than its arithmetic, and reaches it without a memory's limit",
          "[cpu]") {
  for (const auto& kernels : sequences()) {
    CHECK(waterline_efficiency(kernels, kH200) <= 1);
    CHECK(waterline_efficiency(kernels, {.peak = kH200.peak, .bandwidth = 1e30}) == Approx(1).epsilon(1e-12));
  }
}

TEST_CASE("fusing two kernels never makes a sequence slower", "[cpu]") {
  int faster = 0;
  for (const auto& kernels : sequences()) {
    if (kernels.size() < 2) continue;
    const double apart = waterline_seconds(kernels, kH200);
    for (const double share : {0.0, 0.5, 1.0}) {
      std::vector<KernelCost> together(kernels.begin() + 2, kernels.end());
      together.push_back(fused(kernels[0], kernels[1], share * std::min(kernels[0].bytes, kernels[1].bytes)));
      CHECK(waterline_seconds(together, kH200) <= apart * (1 + 1e-12));
      faster += waterline_seconds(together, kH200) < 0.99 * apart;
    }
  }
  CHECK(faster > 50);
}

TEST_CASE("bytes that are summed before the maximum promise too little time", "[cpu]") {
  int less = 0;
  for (const auto& kernels : sequences()) {
    const double wrong = bytes_summed_first(kernels, kH200), right = waterline_seconds(kernels, kH200);
    CHECK(wrong <= right * (1 + 1e-12));
    less += wrong < 0.99 * right;
  }
  CHECK(less > 50);
  // A layer bound by memory beside one bound by arithmetic: hidden by the one, added by the other.
  const std::vector<KernelCost> layers = {{"memory", 0, 4.8e12}, {"arithmetic", 989.5e12, 0}};
  CHECK(bytes_summed_first(layers, kH200) == Approx(1));
  CHECK(waterline_seconds(layers, kH200) == Approx(2));
}

TEST_CASE("time is operations over peak and efficiency, and the gap its distance to the diagonal", "[cpu]") {
  const EfficiencyGap gap = efficiency_gap(2e12, 8e-3, 1e15);
  CHECK(gap.ideal == Approx(2e-3));
  CHECK(gap.efficiency == Approx(0.25));
  CHECK(gap.octaves == Approx(2));
  CHECK(2e12 / (1e15 * gap.efficiency) == Approx(8e-3));
  // Half the operations at half the efficiency: the same time, an octave further off.
  const EfficiencyGap other = efficiency_gap(1e12, 8e-3, 1e15);
  CHECK(other.seconds == gap.seconds);
  CHECK(other.octaves == Approx(gap.octaves + 1));
}

TEST_CASE("a waterline is drawn as bars whose area under it is time spent on memory", "[cpu]") {
  const std::vector<KernelCost> kernels = {{"a", 100, 1}, {"b", 300, 10}};
  const remeasure::reports::Plot plot = waterline_plot("w", "t", kernels, {.peak = 50, .bandwidth = 1});
  REQUIRE(plot.curves.size() == 3);
  CHECK(plot.curves[1].x == std::vector<double>{100, 100, 400, 400});
  CHECK(plot.curves[1].y == std::vector<double>{0, 30, 30, 0});
  CHECK(plot.curves[2].y == std::vector<double>{50, 50});
  CHECK(plot.curves[2].reference);
}

TEST_CASE("a fusion can't spare more than both kernels move", "[cpu]") {
  CHECK_THROWS_WITH(fused({"a", 1, 10}, {"b", 1, 5}, 16),
                    Catch::Matchers::ContainsSubstring("a and b move 15 bytes together; 16 can't be spared"));
}
