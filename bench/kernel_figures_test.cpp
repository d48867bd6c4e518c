// SPDX-License-Identifier: Apache-2.0
#include "bench/kernel_figures.h"

#include <testing/catch.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/device/target.h"
#include "kernels/device/testing/saxpy.h"
#include "kernels/simt/program_symbols.h"

namespace remeasure::bench {
namespace {

std::string compiled(const std::string& symbol, const std::string& architecture, int registers) {
  return "ptxas info    : Compiling entry function '" + symbol + "' for '" + architecture + "'\n" +
         "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n" + "ptxas info    : Used " +
         std::to_string(registers) + " registers, used 0 barriers, 128 bytes smem\n";
}

const std::string kText = "source kernels/graphs/sum.cu\n" + compiled("_Z3sumILi2EEvPf", "sm_90", 64) +
                          compiled("_Z3sumILi1EEvPf", "sm_90", 64) +
                          compiled("_Z3sumILi1EEvPf", "sm_80", 40) + "source kernels/graphs/scan.cu\n" +
                          compiled("_Z4scanPf", "sm_90", 32) + compiled("_Z4scanPd", "sm_90", 34) +
                          "source kernels/spiking/sum.cu\n" + compiled("_Z5otherPf", "sm_90", 20);

[[gnu::noinline]] int a_local_function(int x) {
  return x + 1;
}

}  // namespace

TEST_CASE("an experiment's kernels are those that it launched and their neighbours in the file", "[cpu]") {
  const auto used =
      used_kernel_figures(kText, {{.kernel = "sum<1>", .file = "sum.cu", .block_threads = 128}});
  REQUIRE(used.size() == 3);
  CHECK(used[0].kernel == "sum<1>");
  CHECK(used[0].architecture == "sm_80");
  CHECK(used[0].registers == 40);
  CHECK(used[0].source == "kernels/graphs/sum.cu");
  CHECK(used[0].block_threads == 128);
  CHECK(used[1].architecture == "sm_90");
  CHECK(used[2].kernel == "sum<2>");
  CHECK_FALSE(used[2].block_threads.has_value());
  CHECK_FALSE(used[2].occupancy.has_value());
  CHECK(used_kernel_figures(kText, {}).empty());
  CHECK(used_kernel_figures(kText, {{.kernel = "sum<1>", .file = "elsewhere.cu", .block_threads = 128}})
            .empty());
  CHECK(all_kernel_figures(kText, {}).size() == 6);
}

TEST_CASE("of several launches the one of lowest occupancy stands", "[cpu]") {
  const std::vector<KernelLaunch> launches = {
      {.kernel = "sum<1>", .file = "", .block_threads = 256, .shared_bytes = 0},
      {.kernel = "sum<1>", .file = "", .block_threads = 256, .shared_bytes = 100 * 1024},
      {.kernel = "sum<1>", .file = "", .block_threads = 512, .shared_bytes = 0}};
  const auto used = used_kernel_figures(kText, launches);
  REQUIRE(used.size() == 3);
  if (!kBuiltWithCuda) return;
  CHECK(used[1].block_threads == 256);
  CHECK(used[1].dynamic_shared_bytes == 100 * 1024);
  CHECK(used[1].occupancy == 16.0 / 64);
  CHECK(used[1].limited_by == "shared memory");
}

TEST_CASE("overloads have names of their own, and their launch is known by the name alone", "[cpu]") {
  const auto used = used_kernel_figures(kText, {{.kernel = "scan", .file = "", .block_threads = 64}});
  REQUIRE(used.size() == 2);
  CHECK(used[0].kernel == "scan(double*)");
  CHECK(used[1].kernel == "scan(float*)");
  CHECK(used[0].block_threads == 64);
}

TEST_CASE("a log of launches names kernels as the compiler's figures do", "[cpu]") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("remeasure-figures-" + std::to_string(::getpid()));
  std::ofstream(path) << "_Z3sumILi1EEvPf\tsum.cu\t96\t64\n_Z3sumILi1EEvPf\tsum.cu\t96\t64\n";
  const auto launches = logged_launches(path);
  std::filesystem::remove(path);
  CHECK(launches == std::vector<KernelLaunch>{
                        {.kernel = "sum<1>", .file = "sum.cu", .block_threads = 96, .shared_bytes = 64}});
  const auto used = used_kernel_figures(kText, launches);
  REQUIRE_FALSE(used.empty());
  CHECK(used[0].block_threads == 96);
}

TEST_CASE("a kernel without a launch is named once, one of a GPU alone isn't", "[cpu]") {
  const std::string text =
      kText + "source kernels/device/gate_cuda.cu\n" + compiled("_Z4gatePf", "sm_90", 20);
  std::vector<KernelLaunch> launches = {{.kernel = "sum<1>", .file = "sum.cu", .block_threads = 96},
                                        {.kernel = "scan", .file = "scan.cu", .block_threads = 96}};
  CHECK(launch_gaps(all_kernel_figures(text, launches)).never ==
        std::vector<std::string>{"kernels/graphs/sum.cu: sum<2>", "kernels/spiking/sum.cu: other"});
  launches.push_back({.kernel = "sum<2>", .file = "sum.cu", .block_threads = 96});
  launches.push_back({.kernel = "other", .file = "sum.cu", .block_threads = 96});
  const LaunchGaps gaps = launch_gaps(all_kernel_figures(text, launches));
  CHECK(gaps.never.empty());
  CHECK(gaps.too_large.empty());
  CHECK(gaps.exempt == 1);
  CHECK(launch_gaps(all_kernel_figures(text, {})).never.size() == 5);
}

TEST_CASE("a kernel is launched in too large a block if no architecture holds it", "[cpu]") {
  const auto figures = [](const std::string& kernel, const std::string& architecture, double occupancy) {
    return reports::KernelFigures{.kernel = kernel,
                                  .architecture = architecture,
                                  .source = "kernels/graphs/sum.cu",
                                  .block_threads = 288,
                                  .occupancy = occupancy};
  };
  const LaunchGaps gaps = launch_gaps({figures("sum<1>", "sm_80", 0), figures("sum<1>", "sm_90", 0),
                                       figures("sum<2>", "sm_80", 0), figures("sum<2>", "sm_90", 0.125)});
  CHECK(gaps.never.empty());
  CHECK(gaps.too_large == std::vector<std::string>{"kernels/graphs/sum.cu: sum<1>"});
  if (!kBuiltWithCuda) return;
  const std::vector<KernelLaunch> launches = {
      {.kernel = "scan", .file = "scan.cu", .block_threads = 1024, .shared_bytes = 228 * 1024}};
  CHECK(launch_gaps(all_kernel_figures(kText, launches)).too_large.size() == 2);
}

TEST_CASE("figures lead back to the launches that they tell of", "[cpu]") {
  const std::vector<KernelLaunch> launches = {
      {.kernel = "sum<1>", .file = "sum.cu", .block_threads = 96, .shared_bytes = 64}};
  CHECK(launches_of(used_kernel_figures(kText, launches)) == launches);
  CHECK(launches_of({}).empty());
}

TEST_CASE("a function of an unnamed namespace is found in the symbol table, with its file", "[cpu]") {
  const auto* function = reinterpret_cast<const void*>(&a_local_function);
  const auto* inside = static_cast<const void*>(static_cast<const char*>(function) + 1);
  const auto symbols = simt::program_symbols({function, inside});
  if (symbols.empty()) SKIP_TEST("this program is stripped");
  REQUIRE(symbols.size() == 1);
  CHECK(symbols.at(function).name.find("a_local_function") != std::string::npos);
  CHECK(symbols.at(function).file == "kernel_figures_test.cpp");
}

TEST_CASE("a launch on the SIMT engine is known by its kernel's name, block and shared memory", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, float> x(device, 300), y(device, 300);
  stream.fill_bytes(x.span(), 0);
  stream.fill_bytes(y.span(), 0);
  for (int i = 0; i < 2; ++i) {
    kernels::saxpy<Simt>(stream, 2.0f, std::as_const(x).span(), y.span());
  }
  const auto& shapes = device.engine().shapes();
  REQUIRE(shapes.size() == 1);
  CHECK(shapes.begin()->block_threads == 256);
  CHECK(shapes.begin()->shared_bytes == 0);
  const auto launches = named_launches(shapes);
  if (launches.empty()) SKIP_TEST("this program is stripped");
  CHECK(launches ==
        std::vector<KernelLaunch>{{.kernel = "saxpy_kernel", .file = "saxpy.cu", .block_threads = 256}});
}

}  // namespace remeasure::bench
