// SPDX-License-Identifier: Apache-2.0
#include "bench/station.h"

#include <cstring>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "bench/device_memory.h"
#include "bench/hash.h"
#include "bench/host_memory.h"
#include "bench/host_timer.h"
#include "kernels/simt/engine.h"

namespace remeasure::bench {
namespace {

double as_double(std::size_t bytes) {
  return static_cast<double>(bytes);
}

double bytes_of(const std::vector<Region>& regions) {
  double sum = 0;
  for (const Region& region : regions) sum += as_double(region.bytes);
  return sum;
}

/// Calls what `prepare` gave, or says that it gave nothing.
void call(const std::function<void()>& work) {
  if (!work) throw std::logic_error("the variant's prepare returned no function to run");
  work();
}

class HostStation final : public Station {
 public:
  HostStation(PrepareHost prepare, int threads) : prepare_(std::move(prepare)), threads_(threads) {}

  void prepare(std::size_t set) override {
    use_threads(threads_);
    benches_[set] = std::make_unique<HostBench>(set);
    work_[set] = prepare_(*benches_[set]);
  }
  void launch(std::size_t set) override { call(work_[set]); }
  void finish() override {}
  void poison(std::size_t set) override {
    use_threads(threads_);
    for (const Region& output : benches_[set]->outputs()) {
      std::memset(output.data, poison_byte(output.type), output.bytes);
    }
  }
  std::uint64_t input_hash(std::size_t set) override {
    std::uint64_t hash = 0;
    for (const Region& input : benches_[set]->inputs()) hash = hash_bytes(input.data, input.bytes, hash);
    return hash;
  }
  void save_inputs(std::size_t set) override {
    for (const Region& input : benches_[set]->inputs()) {
      const auto* bytes = static_cast<const std::byte*>(input.data);
      saved_.push_back({input.data, {bytes, bytes + input.bytes}});
    }
  }
  void restore_inputs() override {
    for (const auto& [data, bytes] : saved_) {
      // Only what differs: inputs may lie in memory that can't be written, and then they can't have changed.
      if (std::memcmp(data, bytes.data(), bytes.size()) != 0) std::memcpy(data, bytes.data(), bytes.size());
    }
    saved_.clear();
  }
  std::vector<OutputCopy> outputs(std::size_t set) override {
    std::vector<OutputCopy> copies;
    for (const Region& output : benches_[set]->outputs()) {
      const auto* bytes = static_cast<const std::byte*>(output.data);
      copies.push_back({output.name, output.type, {bytes, bytes + output.bytes}});
    }
    return copies;
  }
  reports::Memory run_metered(std::size_t set) override {
    const HostBench& bench = *benches_[set];
    reports::Memory memory;
    memory.inputs = bytes_of(bench.inputs());
    memory.outputs = bytes_of(bench.outputs());
    memory.workspace = as_double(bench.workspace_bytes());
    const HostMemoryMeter meter;
    launch(set);
    if (const auto peak = meter.peak()) memory.host_peak = as_double(*peak);
    return memory;
  }
  std::size_t footprint() const override {
    const HostBench& bench = *benches_[0];
    return static_cast<std::size_t>(bytes_of(bench.inputs()) + bytes_of(bench.outputs())) +
           bench.workspace_bytes();
  }
  std::string setting() const override { return benches_[0]->setting(); }

 private:
  PrepareHost prepare_;
  int threads_;
  std::vector<std::pair<void*, std::vector<std::byte>>> saved_;
  std::array<std::unique_ptr<HostBench>, kInputSets> benches_;
  std::array<std::function<void()>, kInputSets> work_;
};

template <class Target>
class DeviceStation final : public Station {
 public:
  DeviceStation(Device<Target>& device, Stream<Target>& stream, PrepareDevice<Target> prepare)
      : device_(device), stream_(stream), prepare_(std::move(prepare)), before_(count()) {}

  void prepare(std::size_t set) override {
    benches_[set] = std::make_unique<DeviceBench<Target>>(stream_, set);
    work_[set] = prepare_(*benches_[set]);
    stream_.synchronize();
  }
  void launch(std::size_t set) override { call(work_[set]); }
  void finish() override { stream_.synchronize(); }
  void poison(std::size_t set) override {
    for (const Region& output : benches_[set]->outputs()) {
      stream_.fill_bytes(
          DeviceSpan<Target, std::uint8_t>(static_cast<std::uint8_t*>(output.data), output.bytes),
          poison_byte(output.type));
    }
    stream_.synchronize();
  }
  std::uint64_t input_hash(std::size_t set) override {
    std::uint64_t hash = 0;
    for (const Region& input : benches_[set]->inputs()) {
      const std::vector<std::byte> bytes = download(input);
      hash = hash_bytes(bytes.data(), bytes.size(), hash);
    }
    return hash;
  }
  std::vector<OutputCopy> outputs(std::size_t set) override {
    std::vector<OutputCopy> copies;
    for (const Region& output : benches_[set]->outputs())
      copies.push_back({output.name, output.type, download(output)});
    return copies;
  }
  reports::Memory run_metered(std::size_t set) override {
    MemoryLedger& ledger = device_.ledger();
    ledger.reset_peak();  // after set-up: what uploads and plans needed for a moment isn't the kernel's
    launch(set);
    finish();
    reports::Memory memory;
    memory.device_peak = as_double(ledger.peak() - before_.ledger);
    memory.inputs = bytes_of(benches_[set]->inputs());
    memory.outputs = bytes_of(benches_[set]->outputs());
    memory.workspace = *memory.device_peak - *memory.inputs - *memory.outputs;
    workspace_ = static_cast<std::size_t>(*memory.workspace);
    DeviceMemoryVerdict verdict = compare_counts(before_, count());
    memory.device_used = verdict.used;
    memory.device_note = std::move(verdict.note);
    return memory;
  }
  void repeat(std::size_t set) override {
    if constexpr (std::is_same_v<Target, Simt>) {
      // Other order of blocks, warps and lanes, and copies that land at the other end of what cp.async
      // allows.
      device_.engine().set_schedule(1);
      device_.engine().set_copy_timing(simt::CopyTiming::early);
    }
    launch(set);
    finish();
  }
  std::size_t footprint() const override {
    return static_cast<std::size_t>(bytes_of(benches_[0]->inputs()) + bytes_of(benches_[0]->outputs())) +
           workspace_;
  }
  std::string setting() const override { return benches_[0]->setting(); }

 private:
  DeviceMemoryCount count() {
    const MemoryLedger& ledger = device_.ledger();
    return {
        .ledger = ledger.current(), .allocations = ledger.allocations(), .driver = device_.bytes_in_use()};
  }
  std::vector<std::byte> download(const Region& region) {
    std::vector<std::byte> bytes(region.bytes);
    stream_.template download<std::byte>(
        DeviceSpan<Target, const std::byte>(static_cast<const std::byte*>(region.data), region.bytes), bytes);
    return bytes;
  }

  Device<Target>& device_;
  Stream<Target>& stream_;
  PrepareDevice<Target> prepare_;
  DeviceMemoryCount before_;   // this variant
  std::size_t workspace_ = 0;  // of the metered run
  std::array<std::unique_ptr<DeviceBench<Target>>, kInputSets> benches_;
  std::array<std::function<void()>, kInputSets> work_;
};

}  // namespace

std::unique_ptr<Station> host_station(PrepareHost prepare, int threads) {
  return std::make_unique<HostStation>(std::move(prepare), threads);
}

template <class Target>
std::unique_ptr<Station> device_station(Device<Target>& device, Stream<Target>& stream,
                                        PrepareDevice<Target> prepare) {
  return std::make_unique<DeviceStation<Target>>(device, stream, std::move(prepare));
}

template std::unique_ptr<Station> device_station(Device<Cuda>&, Stream<Cuda>&, PrepareDevice<Cuda>);
template std::unique_ptr<Station> device_station(Device<Simt>&, Stream<Simt>&, PrepareDevice<Simt>);

}  // namespace remeasure::bench
