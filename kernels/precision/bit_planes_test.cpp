// SPDX-License-Identifier: Apache-2.0
#include "kernels/precision/bit_planes.h"

#include <testing/catch.h>

#include "kernels/precision/testing/low_bit_problem.h"
#include "kernels/precision/unfused_layer.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using remeasure::testing::TestBench;

namespace {

/// A picture of 8-bit values in [0, 1], as decoded ones are.
std::vector<float> picture_of(const LowBitShape& shape) {
  std::vector<float> picture;
  for (const std::uint8_t value : random_codes(shape.activation_codes(), 8, 3))
    picture.push_back(static_cast<float>(value) / 255);
  return picture;
}

/// The activations' patches as a library's product of Elements takes them, against the reference's, value by
/// value.
template <class Element>
void check_patches(TestBench<Simt>& bench, const LowBitProblem& problem) {
  const LowBitShape& shape = problem.shape;
  const int offset = shape.activation_bits == 8 ? 128 : 0;
  const auto codes = bench.upload(problem.activations);
  const auto row = static_cast<std::size_t>(patch_row(shape)),
             inner = static_cast<std::size_t>(shape.inner());
  auto matrix = bench.output<Element>(static_cast<std::size_t>(shape.rows()) * row);
  layer_patches<Simt, Element>(bench.stream(), shape, offset, codes, matrix);
  const std::vector<Element> patches = bench.download(matrix);
  std::vector<double> expected(inner), there(inner);
  const std::vector<std::uint8_t> ones(problem.activations.size(), 1);
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape.rows()); ++i) {
    low_bit_patch<double>(shape, problem.activations, i, expected.data());
    low_bit_patch<double>(shape, ones, i, there.data());  // 0 beside the map alone
    for (std::size_t k = 0; k < row; ++k) {
      const bool inside = k < inner && there[k] != 0;
      REQUIRE(static_cast<double>(static_cast<float>(patches[i * row + k])) ==
              (inside ? expected[k] - offset : 0));
    }
  }
}

/// Codes of a product's Sums, pooled and not, against the reference's of the same sums.
template <class Sum>
void check_requantised(TestBench<Simt>& bench, const LowBitProblem& problem) {
  const LowBitShape& shape = problem.shape;
  std::vector<Sum> sums;
  std::vector<std::int32_t> as_seen;  // half has integers up to 2^11 and then every second, fourth, ...
  for (const std::int32_t sum : problem.oracle()) {
    sums.push_back(static_cast<Sum>(static_cast<float>(sum)));
    as_seen.push_back(static_cast<std::int32_t>(static_cast<float>(sums.back())));
  }
  for (const bool pool : {false, true}) {
    if (pool && shape.out_width < 2) continue;
    const Requantise to{3, pool};
    const Scaling scaling = scaling_of(shape, to, as_seen, 8);
    const std::vector<std::uint8_t> by_float =
        requantised_codes<float>(shape, to, as_seen, scaling.alpha, scaling.beta);
    CHECK(by_float == requantised_codes<double>(shape, to, as_seen, scaling.alpha, scaling.beta));
    const auto on_device = bench.upload(sums);
    const auto alpha = bench.upload(scaling.alpha), beta = bench.upload(scaling.beta);
    auto out = bench.output<std::uint8_t>(by_float.size());
    requantise_sums<Simt, Sum>(bench.stream(), shape, to, on_device, alpha, beta, out);
    CHECK(bench.download(out) == by_float);
  }
}

}  // namespace

TEST_CASE("bit j of word i of a plane is code 32 i + j", "[cpu]") {
  std::vector<std::uint8_t> codes(70, 0);
  codes[0] = 1;
  codes[33] = 2;
  codes[69] = 3;
  const std::vector<std::uint32_t> planes = bit_planes(1, 70, 2, codes);
  CHECK(planes == std::vector<std::uint32_t>{1, 0, 1u << 5, 0, 0, 2, 1u << 5, 0});
}

TEST_CASE("packed codes are the reference's planes, and come back", "[simt]") {
  TestBench<Simt> bench;
  for (const int inner : {1, 31, 128, 200, 257}) {
    for (int bits = 1; bits <= 8; ++bits) {
      INFO(inner << " codes of " << bits << " bits");
      const int rows = 11;
      const std::vector<std::uint8_t> codes = random_codes(static_cast<std::size_t>(rows * inner), bits, 7);
      const auto on_device = bench.upload(codes);
      const std::vector<std::uint32_t> expected = bit_planes(rows, inner, bits, codes);
      auto planes = bench.output<std::uint32_t>(expected.size());
      pack_bit_planes<Simt>(bench.stream(), rows, inner, bits, on_device, planes);
      CHECK(bench.download(planes) == expected);
      auto back = bench.output<std::uint8_t>(codes.size());
      unpack_bit_planes<Simt>(bench.stream(), rows, inner, bits, std::as_const(planes), back);
      CHECK(bench.download(back) == codes);
      CHECK(codes_of_planes(rows, inner, bits, expected) == codes);
    }
  }
}

TEST_CASE("a picture's packed patches give the convolution's sums", "[simt]") {
  TestBench<Simt> bench;
  for (const LowBitShape& shape : {low_bit_convolution(2, 15, 3, 20, 11, 4, 1, 2, Encoding::signed_weights),
                                   low_bit_convolution(1, 6, 1, 5, 3, 1, 1, 8, Encoding::unsigned_codes)}) {
    LowBitProblem problem(shape);
    const std::vector<float> picture = picture_of(shape);
    problem.activations = picture_codes<double>(picture, 0, 1, shape.activation_bits);
    CHECK(picture_codes<float>(picture, 0, 1, shape.activation_bits) == problem.activations);
    const LowBitShape product = product_of_patches(shape);
    const auto on_device = bench.upload(picture);
    auto planes = bench.output<std::uint32_t>(product.activation_words());
    pack_picture_patches<Simt>(bench.stream(), shape, {0, 1}, on_device, planes);
    const auto weight_words = bench.upload(weight_planes(product, problem.weights));
    auto sums = bench.output<std::int32_t>(product.sums());
    low_bit_layer<Simt>(bench.stream(), product, std::as_const(planes), weight_words, sums);
    CHECK(mismatches(bench.download(sums), problem.oracle()) == 0);
    auto codes = bench.output<std::uint8_t>(picture.size());
    quantise_picture<Simt>(bench.stream(), 0, 1, shape.activation_bits, on_device, codes);
    CHECK(bench.download(codes) == problem.activations);
  }
}

TEST_CASE("a picture's values are clipped to its range and rounded", "[simt]") {
  TestBench<Simt> bench;
  const std::vector<float> picture = {-3, -1, -0.9f, 0.34f, 1, 9};
  const auto on_device = bench.upload(picture);
  auto codes = bench.output<std::uint8_t>(picture.size());
  quantise_picture<Simt>(bench.stream(), -1, 1, 2, on_device, codes);
  CHECK(bench.download(codes) == std::vector<std::uint8_t>{0, 0, 0, 2, 3, 3});
  CHECK(picture_codes<double>(picture, -1, 1, 2) == std::vector<std::uint8_t>{0, 0, 0, 2, 3, 3});
}

TEST_CASE("patches as a matrix, multiplied, are the layer's sums, and requantised its codes", "[simt]") {
  TestBench<Simt> bench;
  for (const LowBitShape& shape : {low_bit_convolution(2, 7, 20, 33, 3, 1, 1, 2, Encoding::signed_weights),
                                   low_bit_convolution(1, 9, 5, 4, 5, 2, 1, 8, Encoding::unsigned_codes),
                                   low_bit_product(9, 6, 40, 1, 1, Encoding::signs)}) {
    INFO(in_words(shape));
    const LowBitProblem problem(shape);
    check_patches<std::int8_t>(bench, problem);
    check_patches<half>(bench, problem);
    check_patches<float>(bench, problem);
    check_requantised<std::int32_t>(bench, problem);
    check_requantised<half>(bench, problem);
    check_requantised<float>(bench, problem);
  }
}
