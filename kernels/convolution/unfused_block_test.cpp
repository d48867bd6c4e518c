// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/unfused_block.h"

#include <testing/catch.h>

#include "kernels/convolution/testing/block_problem.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using simt::Counter;

namespace {

template <class Target, class Element>
std::vector<Element> unfused(Device<Target>& device, Block block, const BlockShape& shape,
                             const BlockArrays<float>& a) {
  DeviceBlock<Target, Element> on(device, a);
  DeviceBuffer<Target, Element> workspace(device, unfused_workspace(block, shape), MemoryUse::workspace);
  DeviceBuffer<Target, float> norm(device, std::max<std::size_t>(a.norm.size(), 1));
  auto weights = on.template weights<DeviceBlockWeights<Target, Element>>();
  if (!a.norm.empty()) {
    on.stream.upload(std::span<const float>(a.norm), norm.span());
    weights.norm = std::as_const(norm).span();
  }
  unfused_block<Target, Element>(on.stream, block, shape, on.x, weights, workspace, on.y);
  return on.result();
}

}  // namespace

TEST_CASE("unfused residual blocks are the oracle", "[simt]") {
  Device<Simt> device;
  for (const auto& [block, kernel] :
       {std::pair{Block::convfirst, 3}, {Block::mbconv, 3}, {Block::mbconv, 5}, {Block::convnext, 7}}) {
    const BlockShape shape{2, 7, 9, 32, 2, kernel};
    const BlockArrays<float> a = block_arrays<half>(block, shape);
    INFO(to_string(block) << ", " << in_words(shape));
    CHECK(relative_l2(unfused<Simt, half>(device, block, shape, a), block_oracle(block, shape, a)) < 3e-3);
  }
}

TEST_CASE("an unfused ConvFirst block reads and writes exactly (5 + 2 e) times its input", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counts need the checked build");
  for (const int e : {2, 4}) {
    Device<Simt> device;
    const BlockShape shape{1, 14, 14, 32, e, 3};
    const BlockArrays<float> a = block_arrays<half>(Block::convfirst, shape);
    unfused<Simt, half>(device, Block::convfirst, shape, a);
    double bytes = 0, fused_bytes = 0;
    for (const auto& [name, counts] : device.engine().counts()) {
      bytes += static_cast<double>(counts[Counter::distinct_global_bytes_read] +
                                   counts[Counter::distinct_global_bytes_written]);
    }
    const BlockSizes sizes = block_sizes(Block::convfirst, shape);
    const double weights = 2 * static_cast<double>(sizes.weights()) + 4 * static_cast<double>(sizes.biases());
    const double nhwc = static_cast<double>(shape.elements());
    CHECK((bytes - weights) / 2 == (5 + 2 * e) * nhwc);
    CHECK((bytes - weights) / 2 == unfused_traffic(Block::convfirst, e, false) * nhwc);
    device.engine().reset_counts();
    DeviceBlock<Simt, half> on(device, a);
    convfirst_block<Simt, half>(on.stream, shape, convfirst_tiling(shape, 2), on.x,
                                on.weights<DeviceBlockWeights<Simt, half>>(), on.y);
    for (const auto& [name, counts] : device.engine().counts()) {
      fused_bytes += static_cast<double>(counts[Counter::distinct_global_bytes_read] +
                                         counts[Counter::distinct_global_bytes_written]);
    }
    CHECK((fused_bytes - weights) / 2 == 2 * nhwc);
  }
}

TEST_CASE("On a GPU unfused residual blocks are the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    for (const auto& [block, kernel] :
         {std::pair{Block::convfirst, 3}, {Block::mbconv, 5}, {Block::convnext, 7}}) {
      const BlockShape shape{2, 7, 9, 64, 4, kernel};
      const BlockArrays<float> a = block_arrays<half>(block, shape);
      CHECK(relative_l2(unfused<Cuda, half>(device, block, shape, a), block_oracle(block, shape, a)) < 3e-3);
    }
  }
}
