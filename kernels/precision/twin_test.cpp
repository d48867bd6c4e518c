// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/device/testing/test_bench.h"
#include "kernels/precision/twin_codes.h"
#include "kernels/precision/twin_gemm.h"
#include "kernels/precision/twin_quantizer.h"
#include "kernels/simt/engine.h"

using namespace remeasure;
using namespace remeasure::kernels;
using remeasure::testing::TestBench;

namespace {

struct Codes {
  TwinGemmShape shape;
  std::vector<std::uint8_t> a;
  std::vector<std::int8_t> b;
  std::vector<float> column_step;
};

Codes codes_of(const TwinGemmShape& shape) {
  std::mt19937 random(4);
  Codes c{shape, std::vector<std::uint8_t>(shape.a_size()), std::vector<std::int8_t>(shape.b_size()), {}};
  for (auto& code : c.a) code = static_cast<std::uint8_t>(random() % (1u << shape.bits));
  for (auto& code : c.b) code = static_cast<std::int8_t>(static_cast<int>(random() % 256) - 128);
  for (int j = 0; j < shape.columns; ++j) c.column_step.push_back(0.25f * static_cast<float>(1 + j % 5));
  return c;
}

template <class Target>
std::vector<float> product(TestBench<Target>& bench, const Codes& c, const TwinSteps& steps) {
  const auto a = bench.upload(c.a);
  const auto b = bench.upload(c.b);
  const auto step = bench.upload(c.column_step);
  auto out = bench.template output<float>(c.shape.out_size());
  twin_gemm<Target>(bench.stream(), c.shape, steps, a, b, step, out);
  return bench.download(out);
}

/// With steps and codes as numbers, in double.
std::vector<double> simulated(const Codes& c, const TwinSteps& steps) {
  std::vector<double> out;
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  for (int line = 0; line < c.shape.matrices * c.shape.rows; ++line) {
    for (int j = 0; j < c.shape.columns; ++j) {
      double sum = 0;
      for (int k = 0; k < c.shape.inner; ++k) {
        const int code = c.a[at(line * c.shape.inner + k)], half_range = 1 << (c.shape.bits - 1);
        const double x =
            static_cast<double>(code >= half_range ? steps.high : steps.low) * (code % half_range);
        const double w = static_cast<double>(c.column_step[at(j)]) *
                         c.b[at((line / c.shape.rows * c.shape.columns + j) * c.shape.inner + k)];
        sum += x * w;
      }
      out.push_back(sum);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("twin codes are one bit of range and bits - 1 of magnitude; the split belongs to the high range",
          "[cpu]") {
  const auto softmax = softmax_quantizer<float>(3, 8);
  CHECK(packed_code(softmax, 0.0f, 8) == 0);
  CHECK(packed_code(softmax, 1.0f, 8) == (128 | 127));
  CHECK(packed_code(softmax, 0.125f, 8) == (128 | 16));  // round(0.125 * 127)
  CHECK(packed_code(softmax, std::nextafter(0.125f, 0.0f), 8) == 127);
  CHECK(softmax.low_step == softmax.high_step / 8);
  CHECK(softmax.code(2.0f) == 127);
  const auto gelu = gelu_quantizer(0.1f, 6);
  CHECK(packed_code(gelu, 0.0f, 6) == 0);
  CHECK(gelu.code(static_cast<float>(kGeluMinimum)) == -31);  // -32 needs a bit more
  CHECK(std::abs(gelu(-0.05f) + 0.05f) <= 0.5f * gelu.low_step);
  CHECK(gelu.code(10.0f) == 31);
  const auto uniform = uniform_quantizer(0.5f, 4);
  CHECK(uniform.code(-100.0f) == -8);
  CHECK(uniform.code(100.0f) == 7);
  CHECK(uniform.code(0.25f) == 0);  // ties to even
  CHECK(uniform.code(0.75f) == 2);
  CHECK(uniform.code(-0.25f) == 0);
}

TEST_CASE("twin_gemm equals the simulation exactly where the high step is 2^shift low steps", "[simt]") {
  TestBench<Simt> bench;
  for (const TwinGemmShape& shape :
       {TwinGemmShape{1, 1, 16, 1, 8}, TwinGemmShape{1, 130, 80, 131, 6}, TwinGemmShape{2, 17, 208, 64, 8},
        TwinGemmShape{3, 5, 64, 33, 4}, TwinGemmShape{1, 9, 144, 129, 2}}) {
    INFO(shape.matrices << " x " << shape.rows << " x " << shape.inner << " x " << shape.columns << ", "
                        << shape.bits << " bits");
    const Codes codes = codes_of(shape);
    for (const int shift : {0, 3}) {
      const TwinSteps steps{0.125f, std::ldexp(0.125f, shift)};
      const std::vector<float> out = product(bench, codes, steps);
      const std::vector<double> exact = simulated(codes, steps);
      REQUIRE(out.size() == exact.size());
      // Sums and their products with these steps have at most 24 bits, so nothing is rounded anywhere.
      for (std::size_t i = 0; i < out.size(); ++i) REQUIRE(static_cast<double>(out[i]) == exact[i]);
    }
  }
}

TEST_CASE("twin_gemm takes steps without a common factor, and a negative low step", "[simt]") {
  TestBench<Simt> bench;
  const Codes codes = codes_of({1, 40, 96, 50, 8});
  const TwinSteps steps{-0.16997f / 128, 0.037f};
  const std::vector<float> out = product(bench, codes, steps);
  const std::vector<double> exact = simulated(codes, steps);
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(out[i]) - exact[i]));
    scale = std::max(scale, std::abs(exact[i]));
  }
  CHECK(difference < 1e-6 * scale);
}

TEST_CASE("twin_gemm and the twin codes have the same bits in every schedule, with late and early copies",
          "[simt]") {
  TestBench<Simt> bench;
  const Codes codes = codes_of({1, 33, 144, 20, 8});
  const std::vector<float> out = product(bench, codes, {0.3f, 0.7f});
  for (const simt::CopyTiming timing : {simt::CopyTiming::late, simt::CopyTiming::early}) {
    bench.device().engine().set_copy_timing(timing);
    for (const std::uint64_t seed : {1u, 2u}) {
      bench.device().engine().set_schedule(seed);
      CHECK(product(bench, codes, {0.3f, 0.7f}) == out);
    }
  }
}

TEST_CASE("twin_gemm refuses what it can't take", "[simt]") {
  TestBench<Simt> bench;
  const Codes codes = codes_of({1, 4, 32, 4, 8});
  for (TwinGemmShape shape : {TwinGemmShape{1, 4, 24, 4, 8}, TwinGemmShape{1, 4, 32, 4, 9},
                              TwinGemmShape{1, 4, 200'000, 4, 8}, TwinGemmShape{1, 5, 32, 4, 8}}) {
    Codes wrong = codes;
    wrong.shape = shape;
    CHECK_THROWS_AS(product(bench, wrong, {1, 1}), std::invalid_argument);
  }
}

TEST_CASE("softmax_twin_codes are the codes of the softmax", "[simt]") {
  TestBench<Simt> bench;
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (const int columns : {1, 17, 32, 65, 197, 300}) {
    for (const int bits : {8, 6}) {
      INFO(columns << " scores, " << bits << " bits");
      const std::size_t rows = 11;
      const int stride = (columns + 15) / 16 * 16, shift = 4;
      std::vector<float> scores(rows * static_cast<std::size_t>(columns));
      for (float& x : scores) x = 16 * normal(random);
      for (int c = 0; c < columns; ++c)
        scores[static_cast<std::size_t>(c)] += 1000;  // e^125 without the largest
      const auto x = bench.upload(scores);
      auto codes = bench.output<std::uint8_t>(rows * static_cast<std::size_t>(stride));
      softmax_twin_codes<Simt>(bench.stream(), rows, columns, stride, 0.125f, shift, bits, x, codes);
      const std::vector<std::uint8_t> out = bench.download(codes);
      const auto quantizer = softmax_quantizer<double>(shift, bits);
      std::size_t differ = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        const float* row = scores.data() + r * static_cast<std::size_t>(columns);
        const float largest = *std::max_element(row, row + columns);
        double sum = 0;
        for (int c = 0; c < columns; ++c) sum += std::exp(0.125 * static_cast<double>(row[c] - largest));
        for (int c = 0; c < stride; ++c) {
          const int code = out[r * static_cast<std::size_t>(stride) + static_cast<std::size_t>(c)];
          if (c >= columns) {
            REQUIRE(code == 0);
            continue;
          }
          const int wanted =
              packed_code(quantizer, std::exp(0.125 * static_cast<double>(row[c] - largest)) / sum, bits);
          if (code != wanted) ++differ;
          // Within one code, or on the two sides of the split.
          const int split = 1 << (bits - 1), last = (split - 1) >> shift;
          REQUIRE((std::abs(code - wanted) <= 1 || std::max(code, wanted) == (split | last) ||
                   std::max(code, wanted) == (split | (last + 1))));
        }
      }
      CHECK(differ <= 1 + scores.size() / 500);
    }
  }
}

TEST_CASE("gelu_twin_codes are the codes of GELU", "[simt]") {
  TestBench<Simt> bench;
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (const std::size_t size : {4u, 1028u}) {
    for (const int bits : {8, 5}) {
      std::vector<float> values(size);
      for (float& x : values) x = 2 * normal(random);
      values[0] = -0.7517916f;  // the minimum
      values[1] = 100.0f;
      const auto x = bench.upload(values);
      auto codes = bench.output<std::uint8_t>(size);
      gelu_twin_codes<Simt>(bench.stream(), 0.05f, bits, x, codes);
      const std::vector<std::uint8_t> out = bench.download(codes);
      const auto quantizer = gelu_quantizer<double>(0.05, bits);
      CHECK(out[0] == (1 << (bits - 1)) - 1);
      CHECK(out[1] == (1 << bits) - 1);
      std::size_t differ = 0;
      for (std::size_t i = 0; i < size; ++i) {
        const double v = static_cast<double>(values[i]), gelu = v * 0.5 * std::erfc(-v * std::sqrt(0.5));
        const int wanted = packed_code(quantizer, gelu, bits);
        if (out[i] != wanted) ++differ;
        REQUIRE((std::abs(out[i] - wanted) <= 1 ||
                 std::min<int>(out[i], wanted) == 0));  // 0 and +1 aren't neighbours as bytes
      }
      CHECK(differ <= 1 + size / 500);
    }
  }
}
