// SPDX-License-Identifier: Apache-2.0
//
// Each dense tensor-core wrapper against plain loops, and the layout functions against the PTX ISA's
// formulas.
#include <cmath>
#include <random>
#include <span>
#include <string>

#include <testing/catch.h>

#include "kernels/device/mma_layout.h"
#include "kernels/device/testing/mma_fragments.h"
#include "kernels/device/testing/mma_kernels.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"

namespace remeasure {
namespace {

using kernels::Dense;
using namespace testing;

struct DenseCase {
  const char* name;
  Dense kind;
  const Format* format;
  int k;
  bool integer;
};
const DenseCase kDenseCases[] = {{"m16n8k16 f16", Dense::f16, &testing::kF16, 16, false},
                                 {"m16n8k16 bf16", Dense::bf16, &testing::kBf16, 16, false},
                                 {"m16n8k8 f16", Dense::f16_k8, &testing::kF16, 8, false},
                                 {"m16n8k8 bf16", Dense::bf16_k8, &testing::kBf16, 8, false},
                                 {"m16n8k8 tf32", Dense::tf32, &testing::kTf32, 8, false},
                                 {"m16n8k32 s8", Dense::s8, &testing::kS8, 32, true},
                                 {"m16n8k64 s4", Dense::s4, &testing::kS4, 64, true},
                                 {"m16n8k256 b1 xor", Dense::b1_xor, &testing::kB1, 256, true},
                                 {"m16n8k256 b1 and", Dense::b1_and, &testing::kB1, 256, true}};

Inputs inputs_of(const DenseCase& what, unsigned seed) {
  std::mt19937 random(seed);
  Matrix a = random_matrix(16, what.k, *what.format, random);
  Matrix b = random_matrix(what.k, 8, *what.format, random);
  Matrix c(16, 8);
  for (double& value : c.values)
    value = what.integer ? draw_integer(random, -1000, 1000) : draw_real(random, 20);
  return {a, b, c};
}

template <class Bench>
Words run_dense(Bench& bench, const DenseCase& what, const Inputs& in) {
  const auto a = bench.upload(pack_a(in.a, *what.format));
  const auto b = bench.upload(pack_b(in.b, *what.format));
  const auto c = bench.upload(pack_c(in.c, what.integer ? testing::encode_integer : encode_float));
  auto d = bench.template output<std::uint32_t>(128);
  kernels::mma_dense(bench.stream(), what.kind, a.span(), b.span(), c.span(), d.span());
  return bench.download(d);
}

double element_product(Dense kind, double a, double b) {
  if (kind == Dense::b1_xor) return a != b ? 1 : 0;
  return a * b;  // for bits also the and
}

TEST_CASE("dense mma on Simt equals the product of the matrices packed by PTX's rules", "[simt]") {
  for (const DenseCase& what : kDenseCases) {
    for (unsigned seed = 1; seed <= 5; ++seed) {
      INFO(what.name << ", seed " << seed);
      const Inputs in = inputs_of(what, seed);
      TestBench<Simt> bench;
      const Words d = run_dense(bench, what, in);
      const auto [exact, scale] =
          exact_product(in, [&](double a, double b) { return element_product(what.kind, a, b); });
      CHECK(largest_error(d, exact, scale, what.integer) <= band(what.k, what.integer));
    }
  }
}

TEST_CASE("the mma check fails for one wrong element, a transposed B and a wrong row of A", "[simt]") {
  const DenseCase what = kDenseCases[0];
  const Inputs in = inputs_of(what, 7);
  const auto [exact, scale] = exact_product(in, [](double a, double b) { return a * b; });
  TestBench<Simt> bench;
  Inputs element = in;
  element.a.at(9, 13) += 1;
  CHECK(largest_error(run_dense(bench, what, element), exact, scale, false) > band(16, false));
  Inputs swapped = in;
  std::swap(swapped.b.at(2, 5), swapped.b.at(5, 2));
  CHECK(largest_error(run_dense(bench, what, swapped), exact, scale, false) > band(16, false));
  Inputs rows = in;
  for (int k = 0; k < 16; ++k) std::swap(rows.a.at(3, k), rows.a.at(11, k));
  CHECK(largest_error(run_dense(bench, what, rows), exact, scale, false) > band(16, false));
}

TEST_CASE("a float mma is exact where every partial sum fits a float", "[simt]") {
  for (const DenseCase& what : std::span(kDenseCases).first(5)) {
    std::mt19937 random(3);
    Inputs in{Matrix(16, what.k), Matrix(what.k, 8), Matrix(16, 8)};
    for (double& v : in.a.values) v = draw_integer(random, -15, 15);
    for (double& v : in.b.values) v = draw_integer(random, -15, 15);
    TestBench<Simt> bench;
    const auto [exact, scale] = exact_product(in, [](double a, double b) { return a * b; });
    CHECK(largest_error(run_dense(bench, what, in), exact, scale, false) == 0);
  }
}

TEST_CASE("integer mma wraps around on overflow", "[simt]") {
  Inputs in{Matrix(16, 32), Matrix(32, 8), Matrix(16, 8)};
  for (double& v : in.a.values) v = 127;
  for (double& v : in.b.values) v = 127;
  for (double& v : in.c.values) v = 2147483647.0;
  TestBench<Simt> bench;
  const Words d = run_dense(bench, kDenseCases[5], in);
  CHECK(d[77] == 0x7fffffffu + 32u * 127u * 127u);
}

TEST_CASE("a tf32 mma ignores the 13 low bits of its operands", "[simt]") {
  const DenseCase what = kDenseCases[4];
  const Inputs in = inputs_of(what, 4);
  TestBench<Simt> bench;
  const Words clean = run_dense(bench, what, in);
  Words a = pack_a(in.a, testing::kTf32);
  for (std::uint32_t& word : a) word |= 0x1fffu;
  const auto a_buffer = bench.upload(a);
  const auto b_buffer = bench.upload(pack_b(in.b, testing::kTf32));
  const auto c_buffer = bench.upload(pack_c(in.c, encode_float));
  auto d = bench.output<std::uint32_t>(128);
  kernels::mma_dense(bench.stream(), Dense::tf32, a_buffer.span(), b_buffer.span(), c_buffer.span(),
                     d.span());
  CHECK(bench.download(d) == clean);
}

TEST_CASE("to_tf32 rounds to ten bits, ties away from zero", "[simt]") {
  const std::vector<float> values = {1.0f,
                                     1.0f + 0x1p-11f,
                                     -1.0f - 0x1p-11f,
                                     1.0f + 0x1p-11f - 0x1p-23f,
                                     0x1.ffep0f,
                                     3.4028235e38f,
                                     std::bit_cast<float>(0x1000u),
                                     -0.0f,
                                     1.0f / 3.0f};
  const Words expected = {0x3f800000u, 0x3f802000u, 0xbf802000u, 0x3f800000u, 0x40000000u - 0x1000u + 0x1000u,
                          0x7f800000u, 0x2000u,     0x80000000u, 0x3eaaa000u};
  TestBench<Simt> bench;
  const auto in = bench.upload(values);
  auto out = bench.output<std::uint32_t>(values.size());
  kernels::round_to_tf32(bench.stream(), in.span(), out.span());
  CHECK(bench.download(out) == expected);
}

TEST_CASE("mma by half a warp is a warp-mask error that names the caller's line", "[simt]") {
  TestBench<Simt> bench;
  auto out = bench.output<float>(32);
  try {
    kernels::mma_in_half_a_warp(bench.stream(), out.span());
    FAIL("no error");
  } catch (const simt::EngineError& error) {
    CHECK(error.kind() == simt::ErrorKind::warp_mask);
    REQUIRE_FALSE(error.sites().empty());
    CHECK(std::string(error.sites()[0].file).find("mma_kernels.cu") != std::string::npos);
  }
}

TEST_CASE("a dense mma counts the operations of its shape", "[simt]") {
  TestBench<Simt> bench;
  run_dense(bench, kDenseCases[0], inputs_of(kDenseCases[0], 1));
  CHECK(bench.device().engine().last_launch()[simt::Counter::mma_flops] == 2 * 16 * 8 * 16);
  run_dense(bench, kDenseCases[2], inputs_of(kDenseCases[2], 1));
  CHECK(bench.device().engine().last_launch()[simt::Counter::mma_flops] == 2 * 16 * 8 * 8);
}

template <class Layout>
void check_layout_covers() {
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < Layout::kAElements; ++i) {
      const int e = Layout::kElementsPerRegister, r = i / e;
      CHECK(Layout::a(lane, i) == MatrixPosition{(lane >> 2) + (r == 1 || r == 3 ? 8 : 0),
                                                 lane % 4 * e + i % e + (r >= 2 ? 4 * e : 0)});
    }
    for (int i = 0; i < Layout::kBElements; ++i) {
      const int e = Layout::kElementsPerRegister;
      CHECK(Layout::b(lane, i) == MatrixPosition{lane % 4 * e + i % e + 4 * e * (i / e), lane >> 2});
    }
    for (int i = 0; i < 4; ++i)
      CHECK(Layout::c(lane, i) == MatrixPosition{(lane >> 2) + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)});
  }
}

TEST_CASE("layout functions follow PTX's formulas for every shape", "[cpu]") {
  check_layout_covers<MmaLayout<8, 1>>();
  check_layout_covers<MmaLayout<16, 2>>();
  check_layout_covers<MmaLayout<8, 2>>();
  check_layout_covers<MmaLayout<32, 4>>();
  check_layout_covers<MmaLayout<64, 8>>();
  check_layout_covers<MmaLayout<256, 32>>();
  check_layout_covers<MmaLayout<32, 2, true>>();
  check_layout_covers<MmaLayout<16, 1, true>>();
  // Spot checks from the tables of "m16n8k16 with .f16": a5 and b3 of lane 6, c3 of lane 31.
  CHECK(MmaLayout<16, 2>::a(6, 5) == MatrixPosition{1, 13});
  CHECK(MmaLayout<16, 2>::b(6, 3) == MatrixPosition{13, 1});
  CHECK(MmaLayout<16, 2>::c(31, 3) == MatrixPosition{15, 7});
}

TEST_CASE("dense mma on a GPU: integers equal Simt's bits, floats stay in the band", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  testing::on_gpu([](auto& gpu) {
    TestBench<Simt> cpu;
    for (const DenseCase& what : kDenseCases) {
      INFO(what.name);
      const Inputs in = inputs_of(what, 11);
      const Words d = run_dense(gpu, what, in);
      const auto [exact, scale] =
          exact_product(in, [&](double a, double b) { return element_product(what.kind, a, b); });
      // The tensor core truncates its wide sum: one more unit per addition than rounding would lose.
      CHECK(largest_error(d, exact, scale, what.integer) <= 2 * band(what.k, what.integer));
      if (what.integer) CHECK(d == run_dense(cpu, what, in));
    }
  });
}

}  // namespace
}  // namespace remeasure
