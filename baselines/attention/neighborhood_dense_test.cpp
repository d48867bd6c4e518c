// SPDX-License-Identifier: Apache-2.0
#include "baselines/attention/neighborhood_dense.h"

#include <testing/catch.h>

#include "kernels/attention/neighborhood_reference.h"
#include "kernels/attention/testing/neighborhood_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

TEST_CASE("gathered and masked neighborhood attention are the oracle, on any number of threads", "[cpu]") {
  for (const NeighborhoodShape& shape :
       {along(2, 2, 16, axis(50, 13)), along(1, 3, 16, axis(37, 5, 3)),
        along(1, 1, 16, axis(9, 5), axis(10, 3, 2)), along(1, 1, 16, axis(30, 8, 1, true))}) {
    const NeighborhoodInputs in = inputs_of<float>(shape);
    const auto expected =
        neighborhood_rows(shape, static_cast<double>(in.scale), in.query, in.key, in.value, all_rows(shape))
            .output;
    for (const int threads : {1, 0}) {
      std::vector<float> gathered(shape.elements()), masked(shape.elements());
      baselines::neighborhood_gathered_eigen(shape, in.scale, in.query, in.key, in.value, gathered, threads);
      baselines::neighborhood_masked_eigen(shape, in.scale, in.query, in.key, in.value, masked, threads);
      CHECK(largest_difference(gathered, expected) < 1e-5);
      CHECK(largest_difference(masked, expected) < 1e-5);
    }
  }
}

TEST_CASE("On a GPU dense attention under the mask is the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    const NeighborhoodShape shape = along(1, 1, 64, axis(16, 5), axis(16, 7));
    const NeighborhoodInputs in = inputs_of<bfloat16>(shape);  // one head: both layouts are the same
    Device<Cuda> device;
    Stream<Cuda> stream(device);
    const auto put = [&](const std::vector<float>& values) {
      DeviceBuffer<Cuda, bfloat16> buffer(device, values.size());
      const std::vector<bfloat16> elements = rounded<bfloat16>(values);
      stream.upload(std::span<const bfloat16>(elements), buffer.span());
      stream.synchronize();
      return buffer;
    };
    const auto q = put(in.query), k = put(in.key), v = put(in.value);
    DeviceBuffer<Cuda, bfloat16> out(device, shape.elements());
    baselines::NeighborhoodMaskedCublas dense(stream, shape, in.scale);
    dense(q, k, v, out);
    std::vector<bfloat16> result(shape.elements());
    stream.download(std::as_const(out).span(), std::span<bfloat16>(result));
    CHECK(largest_difference(result, neighborhood_rows(shape, static_cast<double>(in.scale), in.query, in.key,
                                                       in.value, all_rows(shape))
                                         .output) < 5e-2);
  }
}
