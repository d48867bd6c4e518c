// SPDX-License-Identifier: Apache-2.0
#include "bench/system.h"

#include <sched.h>
#include <testing/catch.h>

#include <cstdlib>

using namespace remeasure::bench;

TEST_CASE("a machine has one id, however often it is asked", "[cpu]") {
  const auto first = system_info();
  CHECK_FALSE(first.id.empty());
  for (int i = 0; i < 3; ++i) CHECK(system_info().id == first.id);
}

TEST_CASE("the id is of what makes a machine fast, not of its name, kernel or load", "[cpu]") {
  remeasure::reports::System machine = system_info();
  const std::string id = stable_id(machine);
  CHECK(id == machine.id);
  machine.host = "elsewhere";
  machine.os = "another";
  machine.governor = "powersave";
  machine.gpu_driver = "CUDA 99.9";
  machine.more["kernel"] = "Linux 99";
  machine.more["injected faults"] = "launch:1=sticky";
  machine.memory_bytes += 100.0 * (1 << 20);  // what firmware keeps for itself moves with its version
  const double gib = 1024.0 * 1024 * 1024;
  machine.memory_bytes = static_cast<double>(static_cast<long long>(machine.memory_bytes / gib)) * gib;
  const std::string rounded = stable_id(machine);
  machine.memory_bytes += 0.2 * gib;
  CHECK(stable_id(machine) == rounded);
}

TEST_CASE("another CPU, core count, memory, cache or GPU is another machine", "[cpu]") {
  const remeasure::reports::System machine = system_info();
  const auto id_with = [&](auto change) {
    remeasure::reports::System other = machine;
    change(other);
    return stable_id(other);
  };
  CHECK(id_with([](auto&) {}) == machine.id);
  CHECK(id_with([](auto& other) { other.cpu += " v2"; }) != machine.id);
  CHECK(id_with([](auto& other) { other.cores += 1; }) != machine.id);
  CHECK(id_with([](auto& other) { other.memory_bytes += 8.0 * (1 << 30); }) != machine.id);
  CHECK(id_with([](auto& other) { other.more["caches"] = "L3 1K"; }) != machine.id);
  CHECK(id_with([](auto& other) { other.gpu = "NVIDIA H200"; }) != machine.id);
}

TEST_CASE("a narrower affinity is another machine: fewer cores measure", "[cpu]") {
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  if (CPU_COUNT(&before) > 1) {
    const auto whole = system_info();
    CPU_ZERO(&one);
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (!CPU_ISSET(core, &before)) continue;
      CPU_SET(core, &one);
      break;
    }
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    const auto narrow = system_info();
    REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
    CHECK(narrow.cores == 1);
    CHECK(narrow.id != whole.id);
  }
  CHECK(usable_cores() == CPU_COUNT(&before));
}

TEST_CASE("injected faults stand in the record, so that it can't be taken for a measurement", "[cpu]") {
  REQUIRE(::setenv("REMEASURE_FAULTS", "launch:1=sticky", 1) == 0);
  const auto with = system_info();
  REQUIRE(::unsetenv("REMEASURE_FAULTS") == 0);
  CHECK(with.more.at("injected faults") == "launch:1=sticky");
  CHECK_FALSE(system_info().more.contains("injected faults"));
}
