// SPDX-License-Identifier: Apache-2.0
//
// Each sparse tensor-core wrapper against the product with the uncompressed matrix.
#include <cmath>
#include <random>
#include <string>

#include <testing/catch.h>

#include "kernels/device/testing/mma_fragments.h"
#include "kernels/device/testing/mma_kernels.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"

namespace remeasure {
namespace {

using kernels::Sparse;
using namespace testing;

struct SparseCase {
  const char* name;
  Sparse kind;
  const Format* format;
  int k;
  int chunk, stored;
};
const SparseCase kSparseCases[] = {{"m16n8k32 f16", Sparse::f16, &testing::kF16, 32, 4, 2},
                                   {"m16n8k32 bf16", Sparse::bf16, &testing::kBf16, 32, 4, 2},
                                   {"m16n8k16 tf32", Sparse::tf32, &testing::kTf32, 16, 2, 1}};

struct SparseInputs {
  Inputs dense;       ///< a with its zeros
  Matrix compressed;  ///< [16, k/2]
  Words metadata;     ///< [32], for the lanes of the selector; the other lanes hold garbage
};

/// Keeps random places of each chunk. Metadata after the figures of "Matrix Fragments for sparse mma": of
/// four lanes, the pair that the selector names stores the indices; lane 2*selector of the group those of the
/// lower half of K, the next those of the upper half; bits 15..0 belong to row groupID, bits 31..16 to row
/// groupID + 8.
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
      in.metadata[static_cast<std::size_t>(lane)] |= four_bits << (row < 8 ? 0 : 16)
                                                               << (4 * (chunk % (chunks / 2)));
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
  kernels::mma_sparse(bench.stream(), what.kind, selector, a.span(), b.span(), c.span(), metadata.span(),
                      d.span());
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

TEST_CASE("a sparse mma counts half the operations of the dense product", "[simt]") {
  TestBench<Simt> bench;
  run_sparse(bench, kSparseCases[0], 0, sparse_inputs(kSparseCases[0], 0, 1));
  CHECK(bench.device().engine().last_launch()[simt::Counter::mma_flops] == 16 * 8 * 32);
}

TEST_CASE("sparse mma on a GPU stays in the band", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  testing::on_gpu([](auto& gpu) {
    for (const SparseCase& what : kSparseCases) {
      for (int selector : {0, 1}) {
        INFO(what.name << ", selector " << selector);
        const SparseInputs in = sparse_inputs(what, selector, 12);
        const auto [exact, scale] = exact_product(in.dense, [](double a, double b) { return a * b; });
        CHECK(largest_error(run_sparse(gpu, what, selector, in), exact, scale, false) <=
              2 * band(what.k / 2, false));
      }
    }
  });
}

}  // namespace
}  // namespace remeasure
