// SPDX-License-Identifier: Apache-2.0
#include "baselines/convolution/residual_block.h"

#include <testing/catch.h>

#include "baselines/matmul/linear.h"
#include "kernels/convolution/residual_block_reference.h"
#include "kernels/convolution/testing/block_problem.h"
#include "kernels/convolution/unfused_block.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels::testing;

TEST_CASE("a block a layer at a time in Eigen is the oracle, on any number of threads", "[cpu]") {
  for (const Block block : {Block::convfirst, Block::mbconv, Block::convnext}) {
    const BlockShape shape{2, 9, 7, 16, 3, 5};
    const BlockArrays<float> a = block_arrays<float>(block, shape);
    const std::vector<double> must = kernels::block_pixels(block, shape, a.weights(), a.x, all_pixels(shape));
    for (const int threads : {1, 3}) {
      std::vector<float> y(shape.elements()), workspace(kernels::unfused_workspace(block, shape), NAN);
      residual_block_eigen(block, shape, a.weights(), a.x, workspace, y, threads);
      INFO(kernels::to_string(block) << ", " << threads << " threads");
      CHECK(relative_l2(y, must) < 1e-6);
    }
  }
}

TEST_CASE("a block in Eigen and a dense layer refuse sizes that don't fit", "[cpu]") {
  const BlockShape shape{1, 3, 3, 8, 2, 3};
  const BlockArrays<float> a = block_arrays<float>(Block::convfirst, shape);
  std::vector<float> y(shape.elements()), workspace(1);
  CHECK_THROWS_WITH(residual_block_eigen(Block::convfirst, shape, a.weights(), a.x, workspace, y),
                    Catch::Matchers::ContainsSubstring("workspace of another size"));
  CHECK_THROWS_WITH(check_linear({4, 0, 4}), Catch::Matchers::ContainsSubstring("4 rows, 0 inputs"));
  CHECK_THROWS_WITH(check_linear({4, 4, 4, true, true}), Catch::Matchers::ContainsSubstring("no epilogue"));
}

TEST_CASE("On a GPU blocks of cuDNN and cublasLt agree with the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if (!ResidualBlockVendor<half>::why_not().empty()) SKIP_TEST(ResidualBlockVendor<half>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    for (const auto& [block, kernel] :
         {std::pair{Block::convfirst, 3}, {Block::mbconv, 3}, {Block::convnext, 7}}) {
      const BlockShape shape{2, 14, 14, 64, 4, kernel};
      BlockArrays<float> a = block_arrays<half>(block, shape);
      for (auto* biases : {&a.expand_bias, &a.project_bias})
        for (float& value : *biases) value = static_cast<float>(half(value));
      DeviceBlock<Cuda, half> on(device, a);
      DeviceBuffer<Cuda, half> workspace(device, kernels::unfused_workspace(block, shape)),
          expand_bias(device, a.expand_bias.size()), project_bias(device, a.project_bias.size());
      DeviceBuffer<Cuda, float> norm(device, std::max<std::size_t>(1, a.norm.size()));
      on.put(a.expand_bias, expand_bias), on.put(a.project_bias, project_bias);
      auto weights = on.weights<kernels::DeviceBlockWeights<Cuda, half>>();
      if (!a.norm.empty()) {
        on.put(a.norm, norm);
        weights.norm = std::as_const(norm).span();
      }
      ResidualBlockVendor<half> vendor(on.stream, block, shape);
      vendor(on.x, weights, {std::as_const(expand_bias).span(), std::as_const(project_bias).span()},
             workspace, on.y);
      INFO(kernels::to_string(block));
      CHECK(relative_l2(on.result(),
                        kernels::block_pixels(block, shape, a.weights(), a.x, all_pixels(shape))) < 3e-3);
    }
  }
}
