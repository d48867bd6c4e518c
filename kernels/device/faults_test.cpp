// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/faults.h"

#include <testing/catch.h>

#include <filesystem>
#include <optional>
#include <string>

#include <unistd.h>

#include "kernels/device/device_error.h"
#ifdef REMEASURE_HAS_CUDA
#include "kernels/device/cuda_errors.h"
#endif

using remeasure::DeviceError;
using remeasure::ErrorReach;
namespace faults = remeasure::faults;
using faults::Call;

namespace {

std::string refusal(const std::string& text) {
  try {
    faults::parse(text);
    return "(understood)";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

/// Reach of what `at` throws; empty if it throws nothing.
std::optional<ErrorReach> reach(faults::Injector& injector, Call call) {
  try {
    injector.at(call, "x");
    return std::nullopt;
  } catch (const DeviceError& error) {
    return error.reach;
  }
}

}  // namespace

TEST_CASE("a plan of faults is read, and a wrong one named", "[cpu]") {
  const auto plan = faults::parse("file=/tmp/f;allocate:3=out-of-memory;launch:5=sticky");
  CHECK(plan.file == "/tmp/f");
  REQUIRE(plan.faults.size() == 2);
  CHECK(plan.faults[0].call == Call::allocate);
  CHECK(plan.faults[0].number == 3);
  CHECK(plan.faults[1].kind == faults::Kind::sticky);
  CHECK(refusal("launch:5") ==
        "REMEASURE_FAULTS: 'launch:5': write call:number=fault, for example launch:5=sticky");
  CHECK(refusal("lunch:5=sticky").find("'lunch' in 'lunch:5=sticky' is none of open, allocate") !=
        std::string::npos);
  CHECK(refusal("launch:5=stuck").find("'stuck'") != std::string::npos);
  CHECK(refusal("launch:0=sticky").find("a whole one from 1") != std::string::npos);
  CHECK(refusal("launch:5x=sticky").find("a whole one from 1") != std::string::npos);
  CHECK(refusal("launch:1=out-of-memory").find("only an allocation") != std::string::npos);
  CHECK(refusal("copy:1=launch-failure").find("only a launch") != std::string::npos);
  CHECK(refusal("launch:1=lost").find("needs file=PATH") != std::string::npos);
}

TEST_CASE("a fault strikes the call it is planned for, and each call is counted for itself", "[cpu]") {
  faults::Injector injector(faults::parse("allocate:2=out-of-memory;launch:2=launch-failure"));
  CHECK_FALSE(injector.at(Call::allocate, "a"));
  CHECK_FALSE(reach(injector, Call::launch));
  CHECK(injector.at(Call::allocate, "b"));
  CHECK(reach(injector, Call::launch) == ErrorReach::call);
  CHECK_FALSE(reach(injector, Call::launch));
  CHECK_FALSE(injector.at(Call::allocate, "c"));
}

TEST_CASE("after a sticky error every call of the process fails, whatever it is", "[cpu]") {
  faults::Injector injector(faults::parse("launch:1=sticky"));
  CHECK_FALSE(reach(injector, Call::copy));
  for (const auto call : {Call::launch, Call::copy, Call::allocate, Call::synchronize, Call::open}) {
    CHECK(reach(injector, call) == ErrorReach::process);
  }
}

TEST_CASE("with a file the counts go on in the next process, and a lost device stays lost", "[cpu]") {
  const auto file =
      std::filesystem::temp_directory_path() / ("remeasure-faults-" + std::to_string(::getpid()));
  const auto plan = faults::parse("file=" + file.string() + ";launch:2=sticky;launch:4=lost");
  {
    faults::Injector first(plan);
    CHECK_FALSE(reach(first, Call::launch));
    CHECK(reach(first, Call::launch) == ErrorReach::process);
  }
  {
    faults::Injector second(plan);
    CHECK_FALSE(reach(second, Call::launch));
    CHECK(reach(second, Call::launch) == ErrorReach::device);
    CHECK(second.lost());
  }
  faults::Injector third(plan);
  CHECK(third.lost());
  CHECK(reach(third, Call::open) == ErrorReach::device);
  std::filesystem::remove(file);
}

#ifdef REMEASURE_HAS_CUDA
TEST_CASE("which errors of the CUDA runtime a process survives", "[cpu]") {
  using remeasure::reach_of;
  for (const auto error :
       {cudaErrorIllegalAddress, cudaErrorLaunchFailure, cudaErrorHardwareStackError, cudaErrorAssert,
        cudaErrorECCUncorrectable, cudaErrorDevicesUnavailable, cudaErrorMisalignedAddress,
        cudaErrorIllegalInstruction, cudaErrorLaunchTimeout, cudaErrorUnknown}) {
    CHECK(reach_of(error) == ErrorReach::process);
  }
  for (const auto error : {cudaErrorMemoryAllocation, cudaErrorInvalidConfiguration, cudaErrorInvalidValue,
                           cudaErrorLaunchOutOfResources, cudaErrorNoKernelImageForDevice}) {
    CHECK(reach_of(error) == ErrorReach::call);
  }
  CHECK(reach_of(cudaErrorNoDevice) == ErrorReach::device);
}
#endif
