// SPDX-License-Identifier: Apache-2.0
//
// What must hold of convfirst without a GPU, and that its checks can fail.
#include <testing/catch.h>

#include "experiments/convolution/convfirst_reports.h"
#include "experiments/testing/smoke_cases.h"

namespace remeasure::experiments {

extern const bench::Experiment convfirst;

namespace {

using namespace convfirst_blocks;
using reports::CaseResult;
using reports::Where;

/// All smoke cases, run once for all tests of this file.
const std::vector<CaseResult>& smoke_results() {
  static const std::vector<CaseResult> results = testing::run_smoke_cases(convfirst, "convolution");
  return results;
}

TEST_CASE("convfirst: at smoke size all that needs no GPU passes, the kernels on Simt among it",
          "[simt][slow]") {
  std::map<std::string, int> passed = testing::check_all_passed(smoke_results());
  CHECK(passed["kernel"] == 3);
  CHECK(passed["kernel/f32"] == 3);
  CHECK(passed["kernel/bf16"] == 2);
  CHECK(passed["unfused"] == 4);
  CHECK(passed["eigen"] == 4);
  CHECK(passed["method"] == 4);
  CHECK(passed["kernel/first-64"] == 1);  // the networks' second stages
  CHECK(passed["unfused/next-96"] == 1);
}

TEST_CASE("convfirst: no time from Simt, and no claim about time without a GPU", "[simt][slow]") {
  for (const CaseResult& result : smoke_results()) {
    for (const reports::Check& check : result.checks) CHECK(check.passed);
    for (const reports::VariantResult& variant : result.variants) {
      if (variant.where == Where::simt) CHECK_FALSE(variant.time.has_value());
    }
    for (const reports::ClaimSample& sample : result.claim_samples) {
      if (sample.claim == "memory") {
        INFO(sample.text);
        CHECK(sample.holds.value_or(false));
      } else if (Device<Cuda>::count() == 0) {
        CHECK_FALSE(sample.value.has_value());
        CHECK_FALSE(sample.holds.has_value());
      }
    }
  }
}

TEST_CASE("convfirst: kernels of a block move what the definition says", "[cpu]") {
  for (const int e : {2, 4, 6}) {
    const BlockShape shape{1, 56, 56, 64, e, 3};
    const double nhwc = static_cast<double>(shape.elements());
    for (const Block block : {Block::convfirst, Block::mbconv, Block::convnext}) {
      for (const bool apart : {false, true}) {
        const auto kernels = block_kernels(block, shape, apart ? Fusion::none : Fusion::epilogues, false);
        CHECK(total(kernels, &KernelCost::bytes) == 2 * nhwc * kernels::unfused_traffic(block, e, apart));
        CHECK(total(kernels, &KernelCost::flops) == 2 * kernels::block_macs(block, shape));
      }
    }
    CHECK(total(block_kernels(Block::convfirst, shape, Fusion::block, false), &KernelCost::bytes) ==
          4 * nhwc);
  }
}

TEST_CASE("convfirst: a fused block by hand is bound by arithmetic, its layers by memory", "[cpu]") {
  const BlockShape shape{1, 56, 56, 64, 4, 3};
  const auto layers = block_kernels(Block::convfirst, shape, Fusion::epilogues, false);
  const auto block = block_kernels(Block::convfirst, shape, Fusion::block, false);
  REQUIRE(layers.size() == 3);
  CHECK(layers[1].intensity() == Approx(51.2));  // 2 e C^2 / (2 (1 + e) C)
  CHECK(block[0].intensity() == 36 + 4 * 64);    // (144 C + 4 e C^2) / 4 C
  CHECK(std::abs(h200().balance() - 206) < 1);
  CHECK(std::abs(bench::waterline_efficiency(std::vector{layers[1]}, h200()) - 0.25) < 0.002);
  CHECK(bench::waterline_efficiency(block, h200()) == 1);
}

TEST_CASE("convfirst: fusing never costs time in the waterline, at any stage", "[cpu]") {
  for (const int batch : {1, 128}) {
    for (const Network& network : {convnext_t(batch), convfirst_shallow(batch)}) {
      for (const Stage& stage : network.stages) {
        const double apart =
            bench::waterline_seconds(block_kernels(network.block, stage.shape, Fusion::none), h200());
        const double layers =
            bench::waterline_seconds(block_kernels(network.block, stage.shape, Fusion::epilogues), h200());
        const double fused =
            bench::waterline_seconds(block_kernels(network.block, stage.shape, Fusion::block), h200());
        CHECK(layers < apart);
        CHECK(fused < layers);
      }
    }
  }
}

TEST_CASE("convfirst: the networks have no more operations than ConvNeXt-T, which has its own", "[cpu]") {
  // 4.5 G with stem, down-sampling and head (Liu et al., table 9); the blocks alone:
  CHECK(std::abs(convnext_t(1).macs() / 4.27e9 - 1) < 0.01);
  const double shallow = convnext_t(1).macs() / convfirst_shallow(1).macs(),
               deep = convnext_t(1).macs() / convfirst_deep(1).macs();
  CHECK((shallow > 2.1 && shallow < 2.3));
  CHECK((deep >= 1 && deep < 1.1));
  CHECK(convnext_t(128).macs() == Approx(128 * convnext_t(1).macs()));
}

TEST_CASE("convfirst: large problems are compared at corners and borders, small ones whole", "[cpu]") {
  CHECK(checked_pixels({1, 14, 14, 32}).size() == 196);
  const BlockShape large{2, 56, 56, 64};
  const std::vector<std::size_t> pixels = checked_pixels(large);
  CHECK(pixels.size() > 100);
  CHECK(pixels.front() == 0);
  CHECK(pixels.back() == large.pixels() - 1);
  CHECK(std::find(pixels.begin(), pixels.end(), std::size_t{55}) != pixels.end());
}

}  // namespace
}  // namespace remeasure::experiments
