// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/launch_log.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include <testing/catch.h>
#include "kernels/device/device.h"
#include "kernels/device/testing/saxpy.h"

namespace remeasure::simt {
namespace {

struct TemporaryFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("remeasure-launches-" + std::to_string(::getpid()));
  TemporaryFile() { std::filesystem::remove(path); }
  ~TemporaryFile() { std::filesystem::remove(path); }
};

/// The log of this process goes elsewhere for a while.
class LogTo {
 public:
  explicit LogTo(const std::string& path) { set(path); }
  ~LogTo() { set(before_); }

 private:
  static void set(const std::string& path) { ::setenv("REMEASURE_LAUNCH_LOG", path.c_str(), 1); }
  static std::string now() {
    const char* value = std::getenv("REMEASURE_LAUNCH_LOG");
    return value == nullptr ? "" : value;
  }
  std::string before_ = now();
};

void launch_saxpy() {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, float> x(device, 300), y(device, 300);
  stream.fill_bytes(x.span(), 0);
  stream.fill_bytes(y.span(), 0);
  kernels::saxpy<Simt>(stream, 2.0f, std::as_const(x).span(), y.span());
}

}  // namespace

TEST_CASE("an engine logs the shapes of its launches once, where the environment names a file", "[simt]") {
  const TemporaryFile file;
  for (const bool logs : {false, true, true}) {
    const LogTo log(logs ? file.path.string() : "");
    launch_saxpy();
    if (!logs) CHECK_FALSE(std::filesystem::exists(file.path));
  }
  if (!std::filesystem::exists(file.path)) SKIP_TEST("this program is stripped");
  const auto launches = read_launch_log(file.path);
  REQUIRE(launches.size() == 1);
  CHECK(launches[0].symbol.find("saxpy_kernel") != std::string::npos);
  CHECK(launches[0].file == "saxpy.cu");
  CHECK(launches[0].block_threads == 256);
  CHECK(launches[0].shared_bytes == 0);
}

TEST_CASE("a launch log that can't be read says where and why", "[cpu]") {
  const TemporaryFile file;
  CHECK_THROWS_WITH(read_launch_log(file.path),
                    Catch::Matchers::ContainsSubstring("can't read the launches in"));
  std::ofstream(file.path) << "symbol\tscan.cu\t64\t0\nsymbol\tscan.cu\tmany\t0\n";
  CHECK_THROWS_WITH(read_launch_log(file.path), Catch::Matchers::ContainsSubstring("line 2"));
}

}  // namespace remeasure::simt
