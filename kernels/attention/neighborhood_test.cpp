// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/neighborhood.h"

#include <testing/catch.h>
#include <algorithm>

#include "kernels/attention/neighborhood_reference.h"
#include "kernels/attention/testing/neighborhood_problem.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

/// Arrays of one problem on a device.
template <class Target, class Element>
struct Problem {
  Problem(Device<Target>& device, const NeighborhoodInputs& in)
      : shape(in.shape),
        scale(in.scale),
        stream(device),
        query(device, in.query.size()),
        key(device, in.query.size()),
        value(device, in.query.size()),
        output(device, in.query.size()),
        weights(device, in.shape.weights()),
        lse(device, in.shape.rows()) {
    const auto put = [&](const std::vector<float>& from, DeviceBuffer<Target, Element>& to) {
      const std::vector<Element> elements = rounded<Element>(from);
      stream.upload(std::span<const Element>(elements), to.span());
    };
    put(in.query, query);
    put(in.key, key);
    put(in.value, value);
    stream.synchronize();
  }
  template <class T>
  std::vector<T> get(DeviceBuffer<Target, T>& buffer) {
    std::vector<T> values(buffer.size());
    stream.download(std::as_const(buffer).span(), std::span<T>(values));
    return values;
  }
  std::vector<Element> fused() {
    fused_neighborhood_attention<Target, Element>(stream, shape, scale, query, key, value, output, lse);
    return get(output);
  }
  std::vector<Element> tiled() {
    neighborhood_scores<Target, Element>(stream, shape, scale, query, key, weights);
    neighborhood_softmax<Target, Element>(stream, shape, weights);
    neighborhood_output<Target, Element>(stream, shape, weights, value, output);
    return get(output);
  }
  std::vector<Element> naive() {
    naive_neighborhood_scores<Target, Element>(stream, shape, scale, query, key, weights);
    neighborhood_softmax<Target, Element>(stream, shape, weights);
    naive_neighborhood_output<Target, Element>(stream, shape, weights, value, output);
    return get(output);
  }

  NeighborhoodShape shape;
  float scale;
  Stream<Target> stream;
  DeviceBuffer<Target, Element> query, key, value, output, weights;
  DeviceBuffer<Target, float> lse;
};

NeighborhoodRows expected(const NeighborhoodInputs& in) {
  return neighborhood_rows(in.shape, static_cast<double>(in.scale), in.query, in.key, in.value,
                           all_rows(in.shape));
}

/// 1-D, 2-D and 3-D; odd and even windows; dilations that don't divide the length; causal axes; tiles that
/// don't divide anything.
std::vector<NeighborhoodShape> shapes(int dim) {
  return {along(1, 2, dim, axis(96, 13)),
          along(2, 1, dim, axis(97, 13, 3)),
          along(1, 1, dim, axis(130, 70)),
          along(1, 1, dim, axis(70, 20, 1, true)),
          along(1, 2, dim, axis(12, 5, 2), axis(10, 3)),
          along(1, 1, dim, axis(9, 4), axis(17, 17)),
          along(1, 1, dim, axis(9, 4, 1, true), axis(10, 3, 3)),
          along(1, 2, dim, axis(4, 3), axis(5, 3), axis(6, 3)),
          along(1, 1, dim, axis(1, 1))};
}

std::string in_words(const NeighborhoodShape& s) {
  std::string text =
      std::to_string(s.batch) + " x " + std::to_string(s.heads) + ", dim " + std::to_string(s.dim);
  for (const NeighborhoodAxis& a : s.axes) {
    text += "; " + std::to_string(a.length) + " window " + std::to_string(a.window) + " dilation " +
            std::to_string(a.dilation) + (a.causal ? " causal" : "");
  }
  return text;
}

}  // namespace

TEST_CASE("fused neighborhood attention is the oracle at every rank, dilation and border", "[simt]") {
  Device<Simt> device;
  for (const int dim : {16, 64}) {
    for (const NeighborhoodShape& shape : shapes(dim)) {
      INFO(in_words(shape));
      const NeighborhoodInputs in = inputs_of<half>(shape);
      Problem<Simt, half> problem(device, in);
      const NeighborhoodRows oracle = expected(in);
      REQUIRE(largest_difference(problem.fused(), oracle.output) <
              4e-3);  // weights and result rounded to half: 2^-11 of values up to 4
      REQUIRE(largest_difference(problem.get(problem.lse), oracle.log_sum_exp) < 1e-4);
    }
  }
}

TEST_CASE("fused neighborhood attention takes bfloat16 and every dim", "[simt]") {
  Device<Simt> device;
  for (const int dim : {16, 32, 64, 128}) {
    const NeighborhoodInputs in = inputs_of<bfloat16>(along(1, 1, dim, axis(96, 13)));
    Problem<Simt, bfloat16> problem(device, in);
    INFO("dim " << dim);
    CHECK(largest_difference(problem.fused(), expected(in).output) < 3e-2);
    const NeighborhoodInputs in_half = inputs_of<half>(along(1, 1, dim, axis(96, 13)));
    CHECK(largest_difference(Problem<Simt, half>(device, in_half).fused(), expected(in_half).output) < 4e-3);
  }
}

TEST_CASE("unfused neighborhood attention is the oracle, in half and with fp32's accuracy in float",
          "[simt]") {
  Device<Simt> device;
  for (const NeighborhoodShape& shape : shapes(16)) {
    INFO(in_words(shape));
    const NeighborhoodInputs in = inputs_of<half>(shape);
    CHECK(largest_difference(Problem<Simt, half>(device, in).tiled(), expected(in).output) <
          6e-3);  // scores and weights rounded to half
    const NeighborhoodInputs single = inputs_of<float>(shape);
    CHECK(largest_difference(Problem<Simt, float>(device, single).tiled(), expected(single).output) < 1e-5);
  }
  for (const int dim : {32, 64}) {
    INFO("dim " << dim);
    const NeighborhoodShape shape = along(1, 1, dim, axis(12, 5), axis(10, 3));
    const NeighborhoodInputs in = inputs_of<half>(shape), single = inputs_of<float>(shape);
    CHECK(largest_difference(Problem<Simt, half>(device, in).tiled(), expected(in).output) < 6e-3);
    CHECK(largest_difference(Problem<Simt, float>(device, single).tiled(), expected(single).output) < 1e-5);
  }
}

TEST_CASE("naive neighborhood attention is the oracle", "[simt]") {
  Device<Simt> device;
  for (const NeighborhoodShape& shape : shapes(16)) {
    INFO(in_words(shape));
    const NeighborhoodInputs in = inputs_of<half>(shape);
    CHECK(largest_difference(Problem<Simt, half>(device, in).naive(), expected(in).output) < 6e-3);
    const NeighborhoodInputs single = inputs_of<float>(shape);
    CHECK(largest_difference(Problem<Simt, float>(device, single).naive(), expected(single).output) < 1e-5);
  }
}

TEST_CASE("tiled and naive scores are the same weights at the same places", "[simt]") {
  Device<Simt> device;
  for (const NeighborhoodShape& shape : shapes(16)) {
    INFO(in_words(shape));
    Problem<Simt, float> problem(device, inputs_of<float>(shape));
    neighborhood_scores<Simt, float>(problem.stream, shape, problem.scale, problem.query, problem.key,
                                     problem.weights);
    const std::vector<float> tiled = problem.get(problem.weights);
    naive_neighborhood_scores<Simt, float>(problem.stream, shape, problem.scale, problem.query, problem.key,
                                           problem.weights);
    CHECK(largest_difference(tiled, problem.get(problem.weights)) < 1e-5);
  }
}

TEST_CASE("neighborhood kernels have the same bits in every schedule, with late and early copies", "[simt]") {
  const NeighborhoodInputs in = inputs_of<half>(along(1, 1, 32, axis(20, 5), axis(21, 7)));
  Device<Simt> device;
  Problem<Simt, half> problem(device, in);
  const auto bits = [](const std::vector<half>& values) {
    std::vector<std::uint16_t> result;
    for (const half value : values) result.push_back(value.bits);
    return result;
  };
  const auto fused = bits(problem.fused()), tiled = bits(problem.tiled());
  for (const simt::CopyTiming timing : {simt::CopyTiming::late, simt::CopyTiming::early}) {
    device.engine().set_copy_timing(timing);
    for (const std::uint64_t seed : {1u, 2u}) {
      device.engine().set_schedule(seed);
      CHECK(bits(problem.fused()) == fused);
      CHECK(bits(problem.tiled()) == tiled);
    }
  }
}

TEST_CASE("the multiplications counted are those of the tiles' boxes", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counted in the checked build only");
  Device<Simt> device;
  for (const NeighborhoodShape& shape : shapes(32)) {
    INFO(in_words(shape));
    Problem<Simt, half> problem(device, inputs_of<half>(shape));
    problem.fused();
    CHECK(static_cast<double>(device.engine().last_launch()[simt::Counter::mma_flops]) ==
          4.0 * executed_pairs(shape) * shape.dim);
  }
}

TEST_CASE("the mask leaves the neighbours, and only them", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  for (const NeighborhoodShape& shape :
       {along(2, 1, 1, axis(30, 7, 2)), along(1, 2, 1, axis(9, 5, 1, true), axis(10, 3, 3))}) {
    const std::size_t n = shape.tokens();
    std::vector<bfloat16> scores(shape.rows() * n, bfloat16(1.0f));
    DeviceBuffer<Simt, bfloat16> buffer(device, scores.size());
    stream.upload(std::span<const bfloat16>(scores), buffer.span());
    mask_dense_scores<Simt>(stream, shape, buffer);
    stream.download(std::as_const(buffer).span(), std::span<bfloat16>(scores));
    for (std::size_t i = 0; i < shape.rows(); ++i) {
      const std::vector<std::int64_t> seen = neighbours(shape, static_cast<std::int64_t>(i % n));
      for (std::size_t j = 0; j < n; ++j) {
        const bool neighbour =
            std::find(seen.begin(), seen.end(), static_cast<std::int64_t>(j)) != seen.end();
        REQUIRE(static_cast<float>(scores[i * n + j]) == (neighbour ? 1.0f : -INFINITY));
      }
    }
  }
}

TEST_CASE("neighborhood kernels refuse what they can't do", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  Device<Simt> device;
  CHECK_THROWS_WITH((Problem<Simt, half>(device, inputs_of<half>(along(1, 1, 24, axis(8, 3))))).fused(),
                    ContainsSubstring("dim is 24; it must be 16, 32, 64 or 128"));
  CHECK_THROWS_WITH((Problem<Simt, float>(device, inputs_of<float>(along(1, 1, 128, axis(8, 3))))).tiled(),
                    ContainsSubstring("dim is 128; it must be 16, 32 or 64"));
  CHECK_THROWS_WITH((Problem<Simt, float>(device, inputs_of<float>(along(1, 1, 3, axis(8, 3))))).naive(),
                    ContainsSubstring("dim is 3; it must be even"));
  Problem<Simt, half> problem(device, inputs_of<half>(along(1, 1, 16, axis(8, 3))));
  problem.shape.axes[0].window = 5;
  CHECK_THROWS_WITH(problem.tiled(),
                    ContainsSubstring("weights or sums of 24 elements; 40 follow from the shape"));
}

TEST_CASE("On a GPU neighborhood attention agrees with the oracle", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    for (const int dim : {16, 32, 64}) {
      for (const NeighborhoodShape& shape : shapes(dim)) {
        INFO(in_words(shape));
        const NeighborhoodInputs in = inputs_of<half>(shape), single = inputs_of<float>(shape);
        Problem<Cuda, half> problem(device, in);
        CHECK(largest_difference(problem.fused(), expected(in).output) < 4e-3);
        CHECK(largest_difference(problem.tiled(), expected(in).output) < 6e-3);
        CHECK(largest_difference(problem.naive(), expected(in).output) < 6e-3);
        CHECK(largest_difference(Problem<Cuda, float>(device, single).tiled(), expected(single).output) <
              1e-5);
      }
    }
  }
}
