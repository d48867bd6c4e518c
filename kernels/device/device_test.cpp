// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstring>
#include <thread>

#include <testing/catch.h>

#include "kernels/device/device.h"
#include "kernels/simt/engine.h"

namespace remeasure {
namespace {

TEST_CASE("a ledger counts every byte per use, and its mark restarts at what is held", "[cpu]") {
  MemoryLedger ledger;
  ledger.allocated(MemoryUse::input, 100);
  ledger.allocated(MemoryUse::workspace, 50);
  ledger.released(MemoryUse::workspace, 50);
  ledger.allocated(MemoryUse::output, 20);
  CHECK(ledger.current() == 120);
  CHECK(ledger.allocations() == 2);
  CHECK(ledger.current(MemoryUse::input) == 100);
  CHECK(ledger.current(MemoryUse::workspace) == 0);
  CHECK(ledger.peak() == 150);
  CHECK(ledger.peak(MemoryUse::workspace) == 50);
  CHECK(ledger.peak(MemoryUse::output) == 20);
  ledger.reset_peak();
  CHECK(ledger.peak() == 120);
  CHECK(ledger.peak(MemoryUse::workspace) == 0);
  ledger.allocated(MemoryUse::workspace, 1);
  CHECK(ledger.peak() == 121);
  CHECK_THROWS_AS(ledger.released(MemoryUse::output, 21), std::logic_error);
}

TEST_CASE("buffers of a device are in its ledger as long as they live", "[simt]") {
  Device<Simt> device;
  {
    DeviceBuffer<Simt, double> a(device, 10, MemoryUse::input);
    DeviceBuffer<Simt, char> b(device, 3);
    CHECK(device.ledger().current() == 83);
    DeviceBuffer<Simt, double> moved = std::move(a);
    CHECK(moved.size() == 10);
    CHECK(a.data() == nullptr);  // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
    CHECK(device.ledger().current(MemoryUse::input) == 80);
    moved = DeviceBuffer<Simt, double>(device, 1, MemoryUse::input);
    CHECK(device.ledger().current(MemoryUse::input) == 8);
  }
  CHECK(device.ledger().current() == 0);
  CHECK(device.ledger().peak() == 91);  // both buffers lived during the assignment
  const DeviceBuffer<Simt, float> empty(device, 0);
  CHECK(empty.data() == nullptr);
}

TEST_CASE("a buffer on Simt is aligned as cudaMalloc aligns, and filled with 0xCD", "[simt]") {
  Device<Simt> device;
  for (const std::size_t size : {1u, 7u, 256u, 1000u}) {
    DeviceBuffer<Simt, unsigned char> buffer(device, size);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 256 == 0);
    bool poisoned = true;
    for (std::size_t i = 0; i < size; ++i) poisoned = poisoned && buffer.data()[i] == 0xCD;
    CHECK(poisoned);
  }
}

TEST_CASE("streams copy to, from and on a device, and fill", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  const std::vector<int> values = {1, 2, 3, 4};
  DeviceBuffer<Simt, int> a(device, 4), b(device, 4);
  stream.upload(std::span<const int>(values), a.span());
  stream.copy(std::as_const(a).span(), b.span());
  std::vector<int> back(4);
  stream.download(std::as_const(b).span(), std::span<int>(back));
  CHECK(back == values);
  stream.fill_bytes(b.span().subspan(1, 2), 0xFF);
  stream.download(std::as_const(b).span(), std::span<int>(back));
  CHECK(back == std::vector<int>{1, -1, -1, 4});
}

TEST_CASE("copies between different sizes and spans beyond the end are refused", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, int> buffer(device, 4);
  const std::vector<int> five(5);
  CHECK_THROWS_AS(stream.upload(std::span<const int>(five), buffer.span()), std::invalid_argument);
  CHECK_THROWS_WITH(
      stream.upload(std::span<const int>(five), buffer.span()),
      Catch::Matchers::ContainsSubstring("20 bytes") && Catch::Matchers::ContainsSubstring("16 bytes"));
  CHECK_THROWS_AS(buffer.span().subspan(2, 3), std::out_of_range);
  CHECK_THROWS_AS(buffer.span().subspan(5, 0), std::out_of_range);
}

TEST_CASE("what isn't uploaded or filled isn't initialised", "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("the engine's fast build doesn't know");
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, int> a(device, 4), b(device, 4);
  const auto initialised = [&](const DeviceBuffer<Simt, int>& buffer) {
    return device.engine().is_initialised(buffer.data(), buffer.size_bytes());
  };
  CHECK_FALSE(initialised(a));
  stream.copy(std::as_const(a).span(), b.span());
  CHECK_FALSE(initialised(b));  // a copy of nothing is nothing
  stream.fill_bytes(a.span(), 0);
  CHECK(initialised(a));
  stream.copy(std::as_const(a).span(), b.span());
  CHECK(initialised(b));
}

TEST_CASE("more memory than the machine has is an error that says how much", "[simt]") {
  Device<Simt> device;
  try {
    DeviceBuffer<Simt, char> huge(device, std::size_t{1} << 60, MemoryUse::workspace, "score matrix");
    FAIL("no error");
  } catch (const OutOfDeviceMemory& error) {
    CHECK_THAT(error.what(), Catch::Matchers::ContainsSubstring("1152921504606846976 bytes of score matrix"));
  }
  CHECK(device.ledger().current() == 0);
}

TEST_CASE("events on Simt measure the steady clock", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  Event<Simt> before(device), after(device);
  before.record(stream);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  after.record(stream);
  CHECK(after.seconds_since(before) >= 0.005);
  CHECK(after.seconds_since(before) < 5);
}

TEST_CASE("a Simt device says what it is", "[simt]") {
  CHECK(Device<Simt>::count() == 1);
  CHECK(Device<Simt>::why_not().empty());
  Device<Simt> device;
  const DeviceProperties& properties = device.properties();
  CHECK_FALSE(properties.name.empty());
  CHECK(properties.driver == (simt::Engine::checked() ? "checked" : "fast"));
  CHECK(properties.memory_bytes > 0);
  CHECK(properties.multiprocessors >= 1);
  CHECK(properties.shared_bytes_per_block == 227 * 1024);
}

TEST_CASE("without a CUDA device the reason is given and opening one is refused with it", "[cpu]") {
  const std::string reason = Device<Cuda>::why_not();
  CHECK((Device<Cuda>::count() == 0) == !reason.empty());
  if (Device<Cuda>::count() > 0) SKIP_TEST("there is a CUDA device");
  CHECK_THROWS_WITH(Device<Cuda>(), Catch::Matchers::ContainsSubstring(reason));
}

TEST_CASE("a CUDA device copies, fills, counts and measures", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  CHECK_THROWS_AS(Device<Cuda>(Device<Cuda>::count()), std::invalid_argument);
  Device<Cuda> device;
  CHECK(device.properties().compute_capability >= 80);
  Stream<Cuda> stream(device);
  const std::vector<int> values = {1, 2, 3, 4};
  DeviceBuffer<Cuda, int> a(device, 4), b(device, 4, MemoryUse::output);
  CHECK(device.ledger().current() == 32);
  Event<Cuda> before(device), after(device);
  before.record(stream);
  stream.upload(std::span<const int>(values), a.span());
  stream.copy(std::as_const(a).span(), b.span());
  stream.fill_bytes(b.span().subspan(0, 1), 0);
  after.record(stream);
  std::vector<int> back(4);
  stream.download(std::as_const(b).span(), std::span<int>(back));
  CHECK(back == std::vector<int>{0, 2, 3, 4});
  CHECK(after.seconds_since(before) > 0);
  CHECK_THROWS_AS((DeviceBuffer<Cuda, char>(device, device.properties().memory_bytes * 2)),
                  OutOfDeviceMemory);
}

}  // namespace
}  // namespace remeasure
