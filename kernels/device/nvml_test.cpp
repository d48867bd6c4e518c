// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/nvml.h"

#include <testing/beside_program.h>
#include <testing/catch.h>

#include "kernels/device/device.h"

using Catch::Matchers::ContainsSubstring;
using remeasure::Nvml;

namespace {
/// In the build folder, or beside the tests in a bundle.
std::string fake_library() {
  return remeasure::testing::beside_program("libfake_nvml.so", REMEASURE_FAKE_NVML).string();
}
}  // namespace

TEST_CASE("NVML: clocks, heat, power and settings come from the library that is there", "[cpu]") {
  const Nvml nvml("0000:65:00.0", fake_library());
  REQUIRE(nvml.missing() == "");
  CHECK(nvml.sm_mhz() == 1755.0);
  CHECK(nvml.memory_mhz() == 3201.0);
  CHECK(nvml.celsius() == 61.0);
  REQUIRE(nvml.watts().has_value());
  CHECK(std::abs(*nvml.watts() - 698.5) < 1e-9);
  CHECK(nvml.limited_by() == "power cap");  // locked clocks are no limit; the older name of the call is found
  const auto settings = nvml.settings();
  CHECK(settings.at("driver") == "580.65.06");
  CHECK(settings.at("power limit") == "700 W");
  CHECK(settings.at("ECC") == "on");
  CHECK(settings.at("processes") == "2");
  CHECK_FALSE(settings.contains("persistence"));  // the call failed
  CHECK_FALSE(settings.contains("MIG"));          // the library doesn't have it
}

TEST_CASE("NVML: a missing library or device is a reason, and nothing has a value", "[cpu]") {
  const Nvml no_library("0000:65:00.0", "libno-such-nvml.so.1");
  CHECK_THAT(no_library.missing(), ContainsSubstring("libno-such-nvml.so.1"));
  CHECK_FALSE(no_library.sm_mhz().has_value());
  CHECK(no_library.limited_by() == "");
  CHECK(no_library.settings().empty());
  const Nvml no_device("0000:66:00.0", fake_library());
  CHECK_THAT(no_device.missing(), ContainsSubstring("0000:66:00.0"));
  CHECK_FALSE(no_device.watts().has_value());
  const Nvml other_library("0000:65:00.0", "libc.so.6");
  CHECK_THAT(other_library.missing(), ContainsSubstring("lacks nvmlInit_v2"));
}

TEST_CASE("NVML: every reason that limits a clock has its words; idling and locked clocks are none",
          "[cpu]") {
  CHECK(remeasure::clock_limits(0) == "");
  CHECK(remeasure::clock_limits(0x1 | 0x2 | 0x100) == "");
  CHECK(remeasure::clock_limits(0x4 | 0x40) == "power cap, hardware thermal");
  CHECK(remeasure::clock_limits(0x8 | 0x10 | 0x20 | 0x80) ==
        "hardware slowdown, sync boost, software thermal, power brake");
}

TEST_CASE("NVML: this machine's GPU says its clock", "[gpu]") {
  if (remeasure::Device<remeasure::Cuda>::count() == 0)
    SKIP_TEST(remeasure::Device<remeasure::Cuda>::why_not());
  const remeasure::Device<remeasure::Cuda> device;
  const Nvml nvml(device.properties().pci_bus_id);
  INFO(nvml.missing());
  REQUIRE(nvml.missing() == "");
  REQUIRE(nvml.sm_mhz().has_value());
  CHECK(*nvml.sm_mhz() > 100);
}
