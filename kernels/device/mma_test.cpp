// SPDX-License-Identifier: Apache-2.0
//
// Each tensor-core wrapper against plain loops: matrices are packed into registers by the formulas of the PTX ISA's fragment
// paragraphs (typed here once more, not taken from mma_layout.h), and the result is compared with a product in double.
#include <cmath>
#include <cstring>
#include <random>

#include <testing/catch.h>

#include "kernels/device/float16.h"
#include "kernels/device/mma_layout.h"
#include "kernels/device/testing/mma_kernels.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"

namespace remeasure {
namespace {

using kernels::Dense;
using kernels::Sparse;
using testing::TestBench;
using Words = std::vector<std::uint32_t>;

/// A matrix of exact values, row-major.
struct Matrix {
  int rows, columns;
  std::vector<double> values;
  Matrix(int r, int c) : rows(r), columns(c), values(static_cast<std::size_t>(r * c)) {}
  double& at(int r, int c) { return values[static_cast<std::size_t>(r * columns + c)]; }
  double at(int r, int c) const { return values[static_cast<std::size_t>(r * columns + c)]; }
};

/// How many bits an element takes, and its bits from a value that it represents exactly.
struct Format {
  int bits;
  std::uint32_t (*encode)(double);
  double (*draw)(std::mt19937&);  // a value of the format
};

std::uint32_t encode_float(double value) {
  return std::bit_cast<std::uint32_t>(static_cast<float>(value));
}
double draw_integer(std::mt19937& random, int low, int high) {
  return static_cast<double>(std::uniform_int_distribution<int>(low, high)(random));
}
/// A value with `digits` significant bits and a moderate exponent.
double draw_real(std::mt19937& random, int digits) {
  const double significand = draw_integer(random, -(1 << digits) + 1, (1 << digits) - 1);
  return std::ldexp(significand, -digits + static_cast<int>(draw_integer(random, -3, 3)));
}

const Format kF16{16, [](double v) -> std::uint32_t { return half(static_cast<float>(v)).bits; },
                  [](std::mt19937& r) { return draw_real(r, 11); }};
const Format kBf16{16, [](double v) -> std::uint32_t { return bfloat16(static_cast<float>(v)).bits; },
                   [](std::mt19937& r) { return draw_real(r, 8); }};
const Format kTf32{32, encode_float, [](std::mt19937& r) { return draw_real(r, 11); }};
const Format kS8{8, [](double v) { return static_cast<std::uint32_t>(static_cast<int>(v)) & 0xffu; },
                 [](std::mt19937& r) { return draw_integer(r, -128, 127); }};
const Format kS4{4, [](double v) { return static_cast<std::uint32_t>(static_cast<int>(v)) & 0xfu; },
                 [](std::mt19937& r) { return draw_integer(r, -8, 7); }};
const Format kB1{1, [](double v) { return static_cast<std::uint32_t>(v); },
                 [](std::mt19937& r) { return draw_integer(r, 0, 1); }};

Matrix random_matrix(int rows, int columns, const Format& format, std::mt19937& random) {
  Matrix matrix(rows, columns);
  for (double& value : matrix.values) value = format.draw(random);
  return matrix;
}

// The PTX ISA, "Matrix Fragments for mma.m16n8k...": groupID = %laneid >> 2, threadID_in_group = %laneid % 4. Element ai has
//   row = groupID for the elements of the first and third register, groupID + 8 otherwise
//   col = threadID_in_group * E + (i mod E), plus K/2 from the third register on       (E elements in a register)
// element bi  row = threadID_in_group * E + (i mod E), plus 4E for each register before it;  col = groupID
// element ci  row = groupID for i < 2, else groupID + 8;  col = threadID_in_group * 2 + (i & 1)

std::uint32_t pack(const Matrix& m, const Format& format, int row, int column, bool along_row) {
  const int elements = 32 / format.bits;
  std::uint32_t word = 0;
  for (int e = 0; e < elements; ++e) {
    const double value = along_row ? m.at(row, column + e) : m.at(row + e, column);
    word |= format.encode(value) << (e * format.bits);
  }
  return word;
}

Words pack_a(const Matrix& a, const Format& format) {
  const int elements = 32 / format.bits;
  Words words;
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    words.push_back(pack(a, format, group, thread * elements, true));
    words.push_back(pack(a, format, group + 8, thread * elements, true));
    words.push_back(pack(a, format, group, thread * elements + a.columns / 2, true));
    words.push_back(pack(a, format, group + 8, thread * elements + a.columns / 2, true));
  }
  return words;
}

Words pack_b(const Matrix& b, const Format& format) {
  const int elements = 32 / format.bits;
  Words words;
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    for (int first = 0; first < b.rows; first += 4 * elements) {
      words.push_back(pack(b, format, first + thread * elements, group, false));
    }
  }
  return words;
}

/// Registers of C; `encode` makes float or integer bits.
Words pack_c(const Matrix& c, std::uint32_t (*encode)(double)) {
  Words words;
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, thread = lane % 4;
    words.push_back(encode(c.at(group, thread * 2)));
    words.push_back(encode(c.at(group, thread * 2 + 1)));
    words.push_back(encode(c.at(group + 8, thread * 2)));
    words.push_back(encode(c.at(group + 8, thread * 2 + 1)));
  }
  return words;
}

struct Inputs {
  Matrix a, b, c;
};

struct DenseCase {
  const char* name;
  Dense kind;
  const Format* format;
  int k;
  bool integer;
};
const DenseCase kDenseCases[] = {
    {"m16n8k16 f16", Dense::f16, &kF16, 16, false},    {"m16n8k16 bf16", Dense::bf16, &kBf16, 16, false},
    {"m16n8k8 tf32", Dense::tf32, &kTf32, 8, false},   {"m16n8k32 s8", Dense::s8, &kS8, 32, true},
    {"m16n8k64 s4", Dense::s4, &kS4, 64, true},        {"m16n8k256 b1 xor", Dense::b1_xor, &kB1, 256, true},
    {"m16n8k256 b1 and", Dense::b1_and, &kB1, 256, true}};

Inputs inputs_of(const DenseCase& what, unsigned seed) {
  std::mt19937 random(seed);
  Matrix a = random_matrix(16, what.k, *what.format, random);
  Matrix b = random_matrix(what.k, 8, *what.format, random);
  Matrix c(16, 8);
  for (double& value : c.values) value = what.integer ? draw_integer(random, -1000, 1000) : draw_real(random, 20);
  return {a, b, c};
}

std::uint32_t encode_integer(double value) { return static_cast<std::uint32_t>(static_cast<std::int32_t>(value)); }

template <class Bench>
Words run_dense(Bench& bench, const DenseCase& what, const Inputs& in) {
  const auto a = bench.upload(pack_a(in.a, *what.format));
  const auto b = bench.upload(pack_b(in.b, *what.format));
  const auto c = bench.upload(pack_c(in.c, what.integer ? encode_integer : encode_float));
  auto d = bench.template output<std::uint32_t>(128);
  kernels::mma_dense(bench.stream(), what.kind, a.span(), b.span(), c.span(), d.span());
  return bench.download(d);
}

double element_product(Dense kind, double a, double b) {
  if (kind == Dense::b1_xor) return a != b ? 1 : 0;
  return a * b;  // for bits also the and
}

/// The largest error of D in units of 2^-24 sum|a||b| + |c|, the natural scale of a float sum; counts any error of integers.
double largest_error(const Words& d, const Matrix& exact, const Matrix& scale, bool integer) {
  double largest = 0;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = (lane >> 2) + (i < 2 ? 0 : 8);
      const int column = lane % 4 * 2 + (i & 1);
      const std::uint32_t word = d[static_cast<std::size_t>(4 * lane + i)];
      const double is = integer ? static_cast<double>(static_cast<std::int32_t>(word))
                                : static_cast<double>(std::bit_cast<float>(word));
      const double unit = integer ? 1.0 : std::ldexp(scale.at(row, column), -24);
      const double error = std::abs(is - exact.at(row, column)) / unit;
      if (!(error <= largest)) largest = error;  // a NaN counts
    }
  }
  return largest;
}

template <class Product>
std::pair<Matrix, Matrix> exact_product(const Inputs& in, Product product) {
  Matrix exact = in.c;
  Matrix scale(16, 8);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      scale.at(row, column) = std::abs(in.c.at(row, column));
      for (int k = 0; k < in.a.columns; ++k) {
        const double term = product(in.a.at(row, k), in.b.at(k, column));
        exact.at(row, column) += term;
        scale.at(row, column) += std::abs(term);
      }
    }
  }
  return {exact, scale};
}

/// The band for float: each of K + 1 additions rounds by at most 2^-24 of a partial sum, which is at most the scale.
double band(int k, bool integer) { return integer ? 0.0 : k + 1; }

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
  for (const DenseCase& what : {kDenseCases[0], kDenseCases[1], kDenseCases[2]}) {
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
  const Words d = run_dense(bench, kDenseCases[3], in);
  CHECK(d[77] == 0x7fffffffu + 32u * 127u * 127u);
}

TEST_CASE("a tf32 mma ignores the 13 low bits of its operands", "[simt]") {
  const DenseCase what = kDenseCases[2];
  const Inputs in = inputs_of(what, 4);
  TestBench<Simt> bench;
  const Words clean = run_dense(bench, what, in);
  Words a = pack_a(in.a, kTf32);
  for (std::uint32_t& word : a) word |= 0x1fffu;
  const auto a_buffer = bench.upload(a);
  const auto b_buffer = bench.upload(pack_b(in.b, kTf32));
  const auto c_buffer = bench.upload(pack_c(in.c, encode_float));
  auto d = bench.output<std::uint32_t>(128);
  kernels::mma_dense(bench.stream(), Dense::tf32, a_buffer.span(), b_buffer.span(), c_buffer.span(), d.span());
  CHECK(bench.download(d) == clean);
}

TEST_CASE("to_tf32 rounds to ten bits, ties away from zero", "[simt]") {
  const std::vector<float> values = {1.0f,      1.0f + 0x1p-11f, -1.0f - 0x1p-11f,           1.0f + 0x1p-11f - 0x1p-23f,
                                     0x1.ffep0f, 3.4028235e38f,  std::bit_cast<float>(0x1000u), -0.0f, 1.0f / 3.0f};
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

// ---- sparse ----

struct SparseCase {
  const char* name;
  Sparse kind;
  const Format* format;
  int k;
  int chunk, stored;
};
const SparseCase kSparseCases[] = {{"m16n8k32 f16", Sparse::f16, &kF16, 32, 4, 2},
                                   {"m16n8k32 bf16", Sparse::bf16, &kBf16, 32, 4, 2},
                                   {"m16n8k16 tf32", Sparse::tf32, &kTf32, 16, 2, 1}};

struct SparseInputs {
  Inputs dense;        ///< a with its zeros
  Matrix compressed;   ///< [16, k/2]
  Words metadata;      ///< [32], for the lanes of the selector; the other lanes hold garbage
};

/// Keeps random places of each chunk. Metadata after the figures of "Matrix Fragments for sparse mma": of four lanes,
/// the pair that the selector names stores the indices; lane 2*selector of the group those of the lower half of K, the next
/// those of the upper half; bits 15..0 belong to row groupID, bits 31..16 to row groupID + 8.
SparseInputs sparse_inputs(const SparseCase& what, int selector, unsigned seed) {
  std::mt19937 random(seed);
  SparseInputs in{{Matrix(16, what.k), random_matrix(what.k, 8, *what.format, random), Matrix(16, 8)},
                  Matrix(16, what.k / 2),
                  Words(32, 0)};
  for (double& value : in.dense.c.values) value = draw_real(random, 20);
  for (int lane = 0; lane < 32; ++lane) {
    if (lane % 4 / 2 != selector) in.metadata[static_cast<std::size_t>(lane)] = 0xffffffffu;
  }
  const int chunks = what.k / what.chunk;
  for (int row = 0; row < 16; ++row) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      std::uint32_t four_bits = 0;
      int places[2] = {static_cast<int>(draw_integer(random, 0, what.chunk - 1)), 0};
      if (what.stored == 2) {
        do places[1] = static_cast<int>(draw_integer(random, 0, 3));
        while (places[1] == places[0]);
        if (places[0] > places[1]) std::swap(places[0], places[1]);
        four_bits = static_cast<std::uint32_t>(places[0] | places[1] << 2);
      } else {
        four_bits = places[0] == 0 ? 0b0100u : 0b1110u;
      }
      for (int which = 0; which < what.stored; ++which) {
        const double value = what.format->draw(random);
        in.dense.a.at(row, chunk * what.chunk + places[which]) = value;
        in.compressed.at(row, chunk * what.stored + which) = value;
      }
      const int lane = row % 8 * 4 + 2 * selector + chunk / (chunks / 2);
      in.metadata[static_cast<std::size_t>(lane)] |= four_bits << (row < 8 ? 0 : 16) << (4 * (chunk % (chunks / 2)));
    }
  }
  return in;
}

template <class Bench>
Words run_sparse(Bench& bench, const SparseCase& what, int selector, const SparseInputs& in) {
  const auto a = bench.upload(pack_a(in.compressed, *what.format));
  const auto b = bench.upload(pack_b(in.dense.b, *what.format));
  const auto c = bench.upload(pack_c(in.dense.c, encode_float));
  const auto metadata = bench.upload(in.metadata);
  auto d = bench.template output<std::uint32_t>(128);
  kernels::mma_sparse(bench.stream(), what.kind, selector, a.span(), b.span(), c.span(), metadata.span(), d.span());
  return bench.download(d);
}

TEST_CASE("sparse mma on Simt equals the product with the uncompressed matrix", "[simt]") {
  for (const SparseCase& what : kSparseCases) {
    for (int selector : {0, 1}) {
      for (unsigned seed = 1; seed <= 5; ++seed) {
        INFO(what.name << ", selector " << selector << ", seed " << seed);
        const SparseInputs in = sparse_inputs(what, selector, seed);
        TestBench<Simt> bench;
        const auto [exact, scale] = exact_product(in.dense, [](double a, double b) { return a * b; });
        const Words d = run_sparse(bench, what, selector, in);
        CHECK(largest_error(d, exact, scale, false) <= band(what.k / 2, false));
      }
    }
  }
}

TEST_CASE("sparse mma rejects metadata that PTX leaves undefined", "[simt]") {
  for (const SparseCase& what : kSparseCases) {
    for (const std::uint32_t wrong : {0b0000u, 0b0101u, 0b1111u, 0b0001u}) {  // twice the same; descending
      SparseInputs in = sparse_inputs(what, 0, 2);
      in.metadata[4] = (in.metadata[4] & ~0xfu) | wrong;
      TestBench<Simt> bench;
      CHECK_THROWS_AS(run_sparse(bench, what, 0, in), simt::EngineError);
    }
  }
}

TEST_CASE("an mma counts the operations of its shape", "[simt]") {
  TestBench<Simt> bench;
  run_dense(bench, kDenseCases[0], inputs_of(kDenseCases[0], 1));
  CHECK(bench.device().engine().last_launch()[simt::Counter::mma_flops] == 2 * 16 * 8 * 16);
  run_sparse(bench, kSparseCases[0], 0, sparse_inputs(kSparseCases[0], 0, 1));
  CHECK(bench.device().engine().last_launch()[simt::Counter::mma_flops] == 16 * 8 * 32);
}

// ---- layout facts ----

template <class Layout>
void check_layout_covers() {
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < Layout::kAElements; ++i) {
      const int e = Layout::kElementsPerRegister, r = i / e;
      CHECK(Layout::a(lane, i) ==
            MatrixPosition{(lane >> 2) + (r == 1 || r == 3 ? 8 : 0), lane % 4 * e + i % e + (r >= 2 ? 4 * e : 0)});
    }
    for (int i = 0; i < Layout::kBElements; ++i) {
      const int e = Layout::kElementsPerRegister;
      CHECK(Layout::b(lane, i) == MatrixPosition{lane % 4 * e + i % e + 4 * e * (i / e), lane >> 2});
    }
    for (int i = 0; i < 4; ++i) CHECK(Layout::c(lane, i) == MatrixPosition{(lane >> 2) + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)});
  }
}

TEST_CASE("layout functions follow PTX's formulas for every shape", "[cpu]") {
  check_layout_covers<MmaLayout<8, 1>>();
  check_layout_covers<MmaLayout<16, 2>>();
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

// ---- GPU ----

TEST_CASE("mma on a GPU: integers equal Simt's bits, floats stay in the band", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    [](auto target) {
      TestBench<decltype(target)> gpu;
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
      for (const SparseCase& what : kSparseCases) {
        for (int selector : {0, 1}) {
          INFO("sparse " << what.name << ", selector " << selector);
          const SparseInputs in = sparse_inputs(what, selector, 12);
          const auto [exact, scale] = exact_product(in.dense, [](double a, double b) { return a * b; });
          CHECK(largest_error(run_sparse(gpu, what, selector, in), exact, scale, false) <= 2 * band(what.k / 2, false));
        }
      }
    }(Cuda{});
  }
}

}  // namespace
}  // namespace remeasure
