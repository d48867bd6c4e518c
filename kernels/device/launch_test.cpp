// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include <testing/catch.h>

#include "kernels/device/testing/launch_kernels.h"
#include "kernels/device/testing/saxpy.h"
#include "kernels/device/testing/test_bench.h"
#include "kernels/simt/engine.h"

namespace remeasure {
namespace {

using kernels::Fault;
using testing::TestBench;

template <class Call>
simt::ErrorKind error_kind(Call call) {
  try {
    call();
  } catch (const simt::EngineError& error) {
    INFO(error.what());
    return error.kind();
  }
  FAIL("no error");
  return simt::ErrorKind::deadlock;
}

simt::ErrorKind kind_of(TestBench<Simt>& bench, Fault fault) {
  auto out = bench.upload(std::vector<float>(32, 0.0f));
  return error_kind([&] { kernels::faulty_kernel(bench.stream(), fault, out.span()); });
}

template <class Bench>
std::vector<float> run_saxpy(Bench& bench, std::size_t n) {
  std::vector<float> x(n), y(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(i % 97);
    y[i] = static_cast<float>(i % 31) - 15;
  }
  const auto x_buffer = bench.upload(x);
  auto y_buffer = bench.upload(y);
  kernels::saxpy(bench.stream(), 3.0f, x_buffer.span(), y_buffer.span());
  return bench.download(y_buffer);
}

TEST_CASE("saxpy, the example kernel, is right for sizes around a block's", "[simt]") {
  for (const std::size_t n : {1u, 255u, 256u, 257u, 10'000u}) {
    TestBench<Simt> bench;
    const std::vector<float> y = run_saxpy(bench, n);
    bool right = true;
    for (std::size_t i = 0; i < n; ++i) {
      right = right && y[i] == 3.0f * static_cast<float>(i % 97) + static_cast<float>(i % 31) - 15;
    }
    CHECK(right);
  }
}

template <class Bench>
std::vector<std::uint64_t> run_indices(Bench& bench) {
  auto out = bench.template output<std::uint64_t>(2 * 3 * 2 * 4 * 2 * 8);
  kernels::thread_indices(bench.stream(), {2, 3, 2}, {4, 2, 8}, out.span());
  return bench.download(out);
}

TEST_CASE("three-dimensional grids and blocks number their threads x first", "[simt]") {
  TestBench<Simt> bench;
  const std::vector<std::uint64_t> result = run_indices(bench);
  std::size_t place = 0;
  for (std::uint64_t block = 0; block < 2 * 3 * 2; ++block) {
    for (std::uint64_t thread = 0; thread < 4 * 2 * 8; ++thread) {
      const std::uint64_t bx = block % 2, by = block / 2 % 3, bz = block / 6;
      const std::uint64_t x = thread % 4, y = thread / 4 % 2, z = thread / 8;
      CHECK(result[place++] == (bx << 50 | by << 40 | bz << 30 | x << 20 | y << 10 | z));
    }
  }
}

template <class Bench>
std::vector<float> run_reverse(Bench& bench, std::size_t n) {
  std::vector<float> in(n);
  for (std::size_t i = 0; i < n; ++i) in[i] = static_cast<float>(i);
  const auto source = bench.upload(in);
  auto out = bench.template output<float>(n);
  kernels::reverse_in_shared(bench.stream(), source.span(), out.span());
  return bench.download(out);
}

TEST_CASE("dynamic shared memory works below and above 48 KiB, up to the opt-in limit of sm_90", "[simt]") {
  for (const std::size_t bytes : {1024u, 48u * 1024, 64u * 1024, 227u * 1024}) {
    TestBench<Simt> bench;
    std::vector<float> result = run_reverse(bench, bytes / sizeof(float));
    CHECK(result.front() == static_cast<float>(bytes / sizeof(float) - 1));
    CHECK(std::is_sorted(result.rbegin(), result.rend()));
  }
}

TEST_CASE("a launch that a GPU would refuse names the kernel and the limit", "[simt]") {
  TestBench<Simt> bench;
  const auto message = [&](int threads, std::size_t shared_bytes) -> std::string {
    try {
      kernels::empty_block(bench.stream(), threads, shared_bytes);
    } catch (const simt::EngineError& error) {
      CHECK(error.kind() == simt::ErrorKind::launch_configuration);
      return error.what();
    }
    return "";
  };
  CHECK(message(1024, 0).empty());
  CHECK(message(1025, 0).find("empty_block") != std::string::npos);
  CHECK(message(0, 0).find("empty_block") != std::string::npos);
  CHECK(message(32, 228 * 1024).find("empty_block") != std::string::npos);
}

TEST_CASE("arguments are converted to the kernel's parameter types", "[simt]") {
  TestBench<Simt> bench;
  auto out = bench.output<double>(3);
  kernels::converted_arguments(bench.stream(), out.span());
  CHECK(bench.download(out) == std::vector<double>{3, 4, 1});
}

template <class Bench>
std::vector<int> run_votes(Bench& bench, int threads, int positive) {
  std::vector<int> values(static_cast<std::size_t>(threads), -1);
  std::fill_n(values.begin(), positive, 1);
  const auto in = bench.upload(values);
  auto out = bench.template output<int>(static_cast<std::size_t>(3 * threads));
  kernels::barrier_votes(bench.stream(), in.span(), out.span());
  return bench.download(out);
}

TEST_CASE("block barriers with a vote count, and and or over the block", "[simt]") {
  for (const int threads : {1, 40, 256}) {
    for (const int positive : {0, 1, threads}) {
      TestBench<Simt> bench;
      const std::vector<int> result = run_votes(bench, threads, positive);
      for (std::size_t t = 0; t < static_cast<std::size_t>(threads); ++t) {
        CHECK(std::vector<int>(result.begin() + static_cast<std::ptrdiff_t>(3 * t),
                               result.begin() + static_cast<std::ptrdiff_t>(3 * t + 3)) ==
              std::vector<int>{positive, positive == threads, positive > 0});
      }
    }
  }
}

TEST_CASE("constant tables and vector types are what CUDA's are", "[simt]") {
  TestBench<Simt> bench;
  auto out = bench.output<float>(1);
  kernels::constant_table(bench.stream(), out.span());
  CHECK(bench.download(out)[0] == 0.5f + 2.5f + 12.5f);
}

TEST_CASE("a failed assert names the condition, the thread and the line", "[simt]") {
  TestBench<Simt> bench;
  try {
    kernels::failing_assert(bench.stream());
    FAIL("no error");
  } catch (const simt::EngineError& error) {
    CHECK(error.kind() == simt::ErrorKind::device_assert);
    CHECK(std::string(error.what()).find("threadIdx.x != 3") != std::string::npos);
    REQUIRE(error.threads().size() == 1);
    CHECK(error.threads()[0].x == 3);
    REQUIRE_FALSE(error.sites().empty());
    CHECK(std::string(error.sites()[0].file).find("launch_kernels.cu") != std::string::npos);
  }
}

TEST_CASE("the checking build finds what a GPU hides", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build sees no accesses");
  TestBench<Simt> bench;
  auto numbers = bench.output<int>(8, "numbers");
  CHECK(error_kind([&] { kernels::write_past_the_end(bench.stream(), numbers.span()); }) ==
        simt::ErrorKind::out_of_bounds);
  CHECK(kind_of(bench, Fault::shared_past_the_end) == simt::ErrorKind::out_of_bounds);
  CHECK(kind_of(bench, Fault::unwritten_shared) == simt::ErrorKind::uninitialised);
}

TEST_CASE("the checking build finds a kernel's misaligned vector", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build sees no accesses");
#ifdef __clang__
  SKIP_TEST("clang copies a struct of 16 bytes with memcpy, whose hook knows no alignment");
#endif
  TestBench<Simt> bench;
  CHECK(kind_of(bench, Fault::misaligned_vector) == simt::ErrorKind::misaligned);
}

TEST_CASE("an out-of-bounds error names the buffer", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build sees no accesses");
  TestBench<Simt> bench;
  auto numbers = bench.output<int>(8, "numbers");
  try {
    kernels::write_past_the_end(bench.stream(), numbers.span());
    FAIL("no error");
  } catch (const simt::EngineError& error) {
    CHECK(std::string(error.what()).find("numbers") != std::string::npos);
  }
}

TEST_CASE("every thread prints its line", "[simt]") {
  TestBench<Simt> bench;
  std::string text;
  bench.stream().device().engine().capture_prints(&text);
  kernels::printing_kernel(bench.stream(), 3);
  CHECK(
      text ==
      "thread 0 of the printing kernel\nthread 1 of the printing kernel\nthread 2 of the printing kernel\n");
}

TEST_CASE("a GPU gives the results of Simt for launches, shared memory and barriers", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  CHECK(testing::same_on_gpu([](auto& bench) { return run_saxpy(bench, 10'000); }));
  CHECK(testing::same_on_gpu([](auto& bench) { return run_indices(bench); }));
  CHECK(testing::same_on_gpu([](auto& bench) { return run_reverse(bench, 24 * 1024); }));
  CHECK(testing::same_on_gpu([](auto& bench) { return run_votes(bench, 256, 100); }));
}

TEST_CASE("a GPU launch with an impossible shape is a DeviceError that names the kernel", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  testing::on_gpu([](auto& bench) {
    for (const auto& [threads, shared] : {std::pair{1025, 0}, std::pair{32, 1024 * 1024}}) {
      try {
        kernels::empty_block(bench.stream(), threads, static_cast<std::size_t>(shared));
        FAIL("no error");
      } catch (const DeviceError& error) {
        CHECK(std::string(error.what()).find("empty_block") != std::string::npos);
      }
    }
    kernels::empty_block(bench.stream(), 32, 0);  // and the next launch isn't blamed for it
    bench.stream().synchronize();
  });
}

}  // namespace
}  // namespace remeasure
