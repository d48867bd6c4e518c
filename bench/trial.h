// SPDX-License-Identifier: Apache-2.0
//
// What a case does when it runs. The order of a case: open data, declare the oracle, declare the variants,
// `measure()`, then look at what came out (metrics, checks, claims). Variants are declared first and measured
// together because their ratios need interleaving. A variant can't time, verify or poison anything itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/accuracy.h"
#include "bench/experiment.h"
#include "bench/workbench.h"
#include "datasets/dataset.h"
#include "reports/record.h"

namespace remeasure::bench {

/// Input sets that rotate through the timed samples. Set 0 is the one with an oracle, and the last sample
/// uses it.
inline constexpr std::size_t kInputSets = 3;

template <class Inputs>
class InputSets {
 public:
  explicit InputSets(std::array<std::shared_ptr<const Inputs>, kInputSets> sets) : sets_(std::move(sets)) {}
  const Inputs& operator[](std::size_t set) const { return *sets_[set]; }

 private:
  std::array<std::shared_ptr<const Inputs>, kInputSets> sets_;
};

/// Work of one run of a variant, all its launches together, by formulas. Those of our kernels are proved: the
/// tests `counted work: <experiment>` run every smoke case under the counting engine and compare
/// (bench/counted_work.h).
struct Work {
  /// Floating-point operations that are executed, also those on padding: +, -, *, / and square root are 1, a
  /// fused multiply-add is 2, in the tensor cores' instructions too; conversion, comparison, minimum, maximum
  /// and sign are 0.
  double flops = 0;
  /// Compulsory traffic: the bytes of device memory that a launch reads, each once however often, and those
  /// that it writes; summed over the launches, since a launch has only memory to hand its results on. An
  /// atomic operation does both.
  double bytes = 0;
  double special = 0;     ///< calls of exp, log, sin, lgamma, ...: not among the flops
  std::string rate = {};  ///< which compute ceiling: "gemm-f64", "gemm-f32", "fma-f64", ...; empty = by dtype
  std::string uncounted =
      {};  ///< why counting can't prove flops and special of this kernel; bytes it always can
};

/// One requirement on an output.
struct Accept {
  std::string output = {};
  ErrorMetric metric = ErrorMetric::relative_l2;
  double limit = 0;
  std::optional<double> at_least = {};         ///< a result better than this isn't of the dtype it says
  std::string reason = {};                     ///< dtype, length of sums: why this limit
  std::function<bool(std::size_t)> only = {};  ///< elements the variant claims to handle; empty = all
};

enum class Determinism { bitwise, order_dependent };

/// Which of a GPU's modes is quoted: "cold" unless the experiment says another, and why.
struct Quote {
  std::string mode = "cold";  ///< "cold", "hot", "graph"
  std::string because = {};   ///< required for every other than "cold"
};

struct VariantInfo {
  std::string name = {};            ///< "kernel", "vendor", "eigen", "method", "boost", ...
  std::string what = {};            ///< library, algorithm and setting in one line
  std::string dtype = {};           ///< "f32", "bf16", ...
  std::vector<Accept> accept = {};  ///< at least one, or the status is not_verified
  Work work = {};
  std::optional<double> formula_bytes = {};  ///< of device (or heap) memory, for the memory table
  Determinism determinism = Determinism::bitwise;
  int threads = 0;                 ///< CPU threads; 0 = all
  std::string not_supported = {};  ///< if not empty: doesn't run here, and why
  bool simt = true;                ///< `kernel`: also check on Simt at this size
  std::string simt_left_out = {};  ///< why not, where `simt` is false
  std::string synchronises = {};   ///< why the launch waits for the GPU: then its latency is in the time
  Quote quote = {};
  std::string explain_speedup = {};  ///< required for more than 10x over a vendor library
};

/// One variant's set-up for each target; empty where there is none.
struct DevicePrepare {
  std::function<std::function<void()>(DeviceBench<Cuda>&)> cuda = {};
  std::function<std::function<void()>(DeviceBench<Simt>&)> simt = {};
};

/// The independent result that variants are compared with: fp64 (or wider), from the paper's equations.
struct OracleOutput {
  std::vector<double> values = {};
  std::vector<double> scale = {};  ///< natural scale per element (|A||B| for a product); empty = max |values|
  std::vector<std::size_t> indices = {};  ///< which elements `values` are, if sampled; empty = all, in order
};

/// A measured number on its way into a claim: a value with its interval, or the reason why there is none.
struct Measured {
  std::optional<reports::Estimate> value = {};
  std::string on = {};  ///< device; begins with "model:" for a value from a model of hardware
  std::string missing = {};
  std::string disturbed = {};  ///< as TimeResult's: such a value judges no claim
  Measured operator*(double factor) const;
};

class Trial {
 public:
  virtual ~Trial() = default;

  virtual Size size() const = 0;
  virtual std::uint64_t seed() const = 0;
  virtual datasets::Store& store() = 0;

  /// Opens a dataset file and records its provenance with the case.
  virtual datasets::Opened open(const datasets::Definition&, const datasets::Parameters&) = 0;

  /// Calls `make(seed)` for kInputSets different seeds, the first being seed().
  template <class Make>
  auto inputs(Make make) {
    using Inputs = decltype(make(std::uint64_t{}));
    std::array<std::shared_ptr<const Inputs>, kInputSets> sets;
    for (std::size_t i = 0; i < kInputSets; ++i) {
      sets[i] = std::make_shared<const Inputs>(make(set_seed(i)));
    }
    return InputSets<Inputs>(std::move(sets));
  }

  /// The oracle of one output, for input set 0. Cached beside the dataset under (experiment, case, output,
  /// version, content hash of the data); raise `version` with every change of the formula.
  virtual void oracle(const std::string& output, int version, std::function<OracleOutput()> compute) = 0;

  /// A CPU variant. `prepare` is not timed; what it returns is, and may neither allocate outputs nor keep
  /// state.
  virtual void host(VariantInfo info, std::function<std::function<void()>(HostBench&)> prepare) = 0;

  /// The paper's kernel: `prepare` is a generic lambda, called with DeviceBench<Cuda>& where a GPU is present
  /// and with DeviceBench<Simt>& for the check. It returns the launch to be timed.
  template <class Prepare>
  // NOLINTNEXTLINE(performance-unnecessary-value-param): moved, which isn't seen in a template
  void kernel(VariantInfo info, Prepare prepare) {
    device_variant(info, {cuda_form(prepare), prepare}, false);
    simt_variant(std::move(info), prepare);
  }

  /// A GPU variant without a kernel of ours to check: the vendor's libraries. A generic lambda, so that it is
  /// compiled only where the CUDA toolkit is.
  template <class Prepare>
  // NOLINTNEXTLINE(performance-unnecessary-value-param): moved, which isn't seen in a template
  void vendor(VariantInfo info, Prepare prepare) {
    device_variant(std::move(info), {cuda_form(prepare), {}}, true);
  }

  /// Verifies and times everything declared so far. Once per case.
  virtual void measure() = 0;

  // --- after measure() ---
  /// True if the variant passed (on `where`; anywhere by default).
  virtual bool passed(const std::string& variant) const = 0;
  /// Output of the verified run on input set 0, converted to double. Empty if the variant didn't run.
  /// Of several targets the GPU's is preferred, then the CPU's, then Simt's.
  virtual std::vector<double> output(const std::string& variant, const std::string& output) const = 0;
  virtual Measured time(const std::string& variant) const = 0;
  /// base time / variant time.
  virtual Measured speedup(const std::string& variant, const std::string& base) = 0;

  virtual void metric(reports::Metric metric) = 0;
  /// A "must hold": a failed one makes the run exit 4.
  virtual void check(std::string name, bool holds, std::string detail) = 0;
  virtual void plot(reports::Plot plot) = 0;
  virtual void table(reports::Table table) = 0;

  virtual void claim(const std::string& id, const Measured& measured) = 0;
  /// A value that isn't a time: measured on the CPU (exact arithmetic, counts, statistics).
  virtual void claim(const std::string& id, const reports::Estimate& value) = 0;
  virtual void claim(const std::string& id, bool holds, std::string evidence) = 0;
  virtual void claim_not_measured(const std::string& id, std::string reason) = 0;

 protected:
  virtual std::uint64_t set_seed(std::size_t set) const = 0;
  virtual void device_variant(VariantInfo, DevicePrepare, bool library) = 0;
  virtual void simt_variant(VariantInfo, std::function<std::function<void()>(DeviceBench<Simt>&)>) = 0;

 private:
  /// Empty where the program was built without CUDA: then `prepare` isn't compiled for it.
  template <class Prepare>
  static std::function<std::function<void()>(DeviceBench<Cuda>&)> cuda_form(
      [[maybe_unused]] const Prepare& prepare) {
    if constexpr (kBuiltWithCuda)
      return prepare;
    else
      return {};
  }
};

}  // namespace remeasure::bench
