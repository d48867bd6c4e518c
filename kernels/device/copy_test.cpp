// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <testing/catch.h>

#include "kernels/device/testing/copy_kernels.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"

namespace remeasure {
namespace {

using kernels::Wait;
using testing::TestBench;
using Words = std::vector<std::uint32_t>;

std::vector<std::uint16_t> numbered_tile() {
  std::vector<std::uint16_t> tile(32 * 8);
  for (std::size_t i = 0; i < tile.size(); ++i) tile[i] = static_cast<std::uint16_t>(i * 257 + 3);
  return tile;
}

template <class Bench>
Words run_ldmatrix(Bench& bench, int matrices, bool transposed, int misplaced_bytes = 0) {
  const auto tile = bench.upload(numbered_tile());
  auto out = bench.template output<std::uint32_t>(static_cast<std::size_t>(32 * matrices));
  kernels::load_matrices(bench.stream(), matrices, transposed, misplaced_bytes, tile.span(), out.span());
  return bench.download(out);
}

TEST_CASE("ldmatrix hands out rows, and columns when transposed, for 1, 2 and 4 matrices", "[simt]") {
  const std::vector<std::uint16_t> tile = numbered_tile();
  for (const int matrices : {1, 2, 4}) {
    for (const bool transposed : {false, true}) {
      TestBench<Simt> bench;
      const Words result = run_ldmatrix(bench, matrices, transposed);
      for (int lane = 0; lane < 32; ++lane) {
        for (int matrix = 0; matrix < matrices; ++matrix) {
          // PTX ISA, ldmatrix: thread 4*r + p receives elements 2p and 2p+1 of row r; row r of matrix m has
          // the address that thread 8*m + r brought.
          std::uint32_t expected = 0;
          for (int e = 0; e < 2; ++e) {
            const int r = transposed ? lane % 4 * 2 + e : lane / 4;
            const int column = transposed ? lane / 4 : lane % 4 * 2 + e;
            const int tile_row = (8 * matrix + r) * 5 % 32;
            expected |= static_cast<std::uint32_t>(tile[static_cast<std::size_t>(tile_row * 8 + column)])
                        << (16 * e);
          }
          INFO("matrices " << matrices << " transposed " << transposed << " lane " << lane << " matrix "
                           << matrix);
          CHECK(result[static_cast<std::size_t>(lane * matrices + matrix)] == expected);
        }
      }
    }
  }
}

TEST_CASE("ldmatrix from an address that isn't a multiple of 16 is a misaligned error", "[simt]") {
  for (const int bytes : {2, 4, 8}) {
    TestBench<Simt> bench;
    try {
      run_ldmatrix(bench, 1, false, bytes);
      FAIL("no error");
    } catch (const simt::EngineError& error) {
      CHECK(error.kind() == simt::ErrorKind::misaligned);
      CHECK(std::string(error.what()).find("ldmatrix") != std::string::npos);
    }
  }
}

TEST_CASE("ldmatrix from global memory is an out-of-bounds error", "[simt]") {
  TestBench<Simt> bench;
  const auto tile = bench.upload(numbered_tile());
  auto out = bench.output<std::uint32_t>(32);
  try {
    kernels::load_matrices_from_global(bench.stream(), tile.span(), out.span());
    FAIL("no error");
  } catch (const simt::EngineError& error) {
    CHECK(error.kind() == simt::ErrorKind::out_of_bounds);
  }
}

std::vector<std::byte> numbered_bytes(int count) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

template <class Bench>
std::vector<std::byte> run_copy(Bench& bench, int bytes, int source_bytes) {
  const auto in = bench.upload(numbered_bytes(64 * bytes));
  auto out = bench.template output<std::byte>(static_cast<std::size_t>(64 * bytes));
  kernels::copy_through_shared(bench.stream(), bytes, source_bytes, in.span(), out.span());
  return bench.download(out);
}

simt::EngineOptions timing(simt::CopyTiming when) {
  simt::EngineOptions options;
  options.cp_async = when;
  return options;
}
constexpr simt::CopyTiming kTimings[] = {simt::CopyTiming::late, simt::CopyTiming::early};

TEST_CASE("cp.async copies 4, 8 and 16 bytes and fills what the source lacks with zeros", "[simt]") {
  for (const simt::CopyTiming when : kTimings) {
    for (const int bytes : {4, 8, 16}) {
      for (const int source_bytes : {0, 1, bytes / 2, bytes}) {
        TestBench<Simt> bench(timing(when));
        std::vector<std::byte> expected = numbered_bytes(64 * bytes);
        for (int i = 0; i < 64 * bytes; ++i) {
          if (i % bytes >= source_bytes) expected[static_cast<std::size_t>(i)] = std::byte{0};
        }
        INFO(bytes << " bytes, " << source_bytes << " of them read");
        CHECK(run_copy(bench, bytes, source_bytes) == expected);
      }
    }
  }
}

constexpr int kSteps = 5;

template <class Bench>
std::vector<float> run_pipeline(Bench& bench, Wait wait) {
  std::vector<float> in(32 * kSteps);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i);
  const auto source = bench.upload(in);
  auto out = bench.template output<float>(32);
  kernels::pipelined_sum(bench.stream(), wait, kSteps, source.span(), out.span());
  return bench.download(out);
}

std::vector<float> expected_sums() {
  std::vector<float> sums(32, 0.0f);
  for (int step = 0; step < kSteps; ++step) {
    for (int lane = 0; lane < 32; ++lane)
      sums[static_cast<std::size_t>(lane)] += static_cast<float>(32 * step + lane);
  }
  return sums;
}

TEST_CASE("a double-buffered cp.async pipeline gives the same sums whether copies are late or early",
          "[simt]") {
  for (const simt::CopyTiming when : kTimings) {
    TestBench<Simt> bench(timing(when));
    CHECK(run_pipeline(bench, Wait::right) == expected_sums());
  }
}

TEST_CASE("a forgotten wait, or one that leaves a group too many, fails when copies are late", "[simt]") {
  for (const Wait wait : {Wait::none, Wait::one_too_many}) {
    TestBench<Simt> bench(timing(simt::CopyTiming::late));
    // The checking build reports it; the fast build, which sees no accesses, reads what the buffer held
    // before.
    std::vector<float> sums;
    try {
      sums = run_pipeline(bench, wait);
      CHECK_FALSE(simt::Engine::checked());
    } catch (const simt::EngineError& error) {
      const bool fitting =
          error.kind() == simt::ErrorKind::cp_async || error.kind() == simt::ErrorKind::uninitialised;
      CHECK(fitting);
    }
    CHECK(sums != expected_sums());
  }
}

TEST_CASE("a GPU's ldmatrix and cp.async give the bits of Simt", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  for (const int matrices : {1, 2, 4}) {
    for (const bool transposed : {false, true}) {
      CHECK(testing::same_on_gpu([&](auto& bench) { return run_ldmatrix(bench, matrices, transposed); }));
    }
  }
  for (const int bytes : {4, 8, 16}) {
    for (const int source_bytes : {0, 1, bytes}) {
      CHECK(testing::same_on_gpu([&](auto& bench) { return run_copy(bench, bytes, source_bytes); }));
    }
  }
  CHECK(testing::same_on_gpu([&](auto& bench) { return run_pipeline(bench, Wait::right); }));
}

}  // namespace
}  // namespace remeasure
