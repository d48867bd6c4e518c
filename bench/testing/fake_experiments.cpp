// SPDX-License-Identifier: Apache-2.0
//
// A program with experiments that misbehave in every way that an experiment can, for the tests of the runner.
// Their registry is their own: `remeasure` has none of them.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench/cli/cli.h"
#include "bench/trial.h"
#include "kernels/device/device_error.h"
#include "kernels/device/testing/saxpy.h"

namespace remeasure::bench {
namespace {

bool in_worker = false;

/// A case with one right variant, or whatever is wrong with it.
CaseDefinition fake_case(const std::string& name, std::function<void(Trial&)> run) {
  return {.name = {{"case", name}}, .run = std::move(run), .left_out = ""};
}

/// y = 2x, right or not.
void doubles(Trial& trial, double factor, bool throws = false) {
  const auto inputs = trial.inputs([](std::uint64_t seed) {
    std::vector<double> x(1000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i + seed);
    return x;
  });
  trial.oracle("y", 1, [&] {
    OracleOutput oracle;
    for (const double x : inputs[0]) oracle.values.push_back(2 * x);
    return oracle;
  });
  const Accept accept{
      .output = "y", .metric = ErrorMetric::relative_l2, .limit = 1e-12, .reason = "exact in binary"};
  VariantInfo info;
  info.name = "eigen";
  info.what = "a loop";
  info.dtype = "f64";
  info.accept = {accept};
  trial.host(info, [&inputs, factor, throws](HostBench& bench) -> std::function<void()> {
    if (throws) throw std::runtime_error("the variant threw on purpose");
    const auto x = bench.input(inputs[bench.set()]);
    const auto y = bench.output<double>("y", x.size());
    return [x, y, factor] {
      for (std::size_t i = 0; i < x.size(); ++i) y[i] = factor * x[i];
    };
  });
  info.name = "vendor";
  info.what = "never there";
  info.not_supported = "this fake runs on no device";
  trial.host(info, [](HostBench&) -> std::function<void()> { return [] {}; });
  trial.measure();
}

void good(Trial& trial) {
  doubles(trial, 2);
}

/// y = 2x by a CUDA kernel on the SIMT engine, so that the record has kernels.
void doubles_by_kernel(Trial& trial) {
  const auto inputs =
      trial.inputs([](std::uint64_t seed) { return std::vector<float>(1000, static_cast<float>(seed)); });
  trial.oracle("y", 1, [&] { return OracleOutput{.values = std::vector<double>(1000, 2.0 * inputs[0][0])}; });
  VariantInfo info;
  info.name = "kernel";
  info.what = "saxpy";
  info.dtype = "f32";
  info.accept = {
      {.output = "y", .metric = ErrorMetric::relative_l2, .limit = 1e-12, .reason = "exact in binary"}};
  trial.kernel(info, [&inputs](auto& bench) -> std::function<void()> {
    const auto x = bench.input(inputs[bench.set()]);
    const auto y = bench.template output<float>("y", x.size());
    return [&bench, x, y] {
      bench.stream().fill_bytes(y, 0);
      kernels::saxpy(bench.stream(), 2.0F, x, y);
    };
  });
  trial.measure();
}

/// What ptxas could have said of that kernel. $REMEASURE_FAKE_SPILL_BYTES of its registers spill on sm_90.
std::string ptxas_output() {
  const char* spill = std::getenv("REMEASURE_FAKE_SPILL_BYTES");
  const auto kernel = [](const std::string& architecture, const std::string& spilled) {
    return "ptxas info    : Compiling entry function '_ZN9remeasure7kernels12saxpy_kernelEifPKfPf' for '" +
           architecture + "'\n    0 bytes stack frame, " + spilled +
           " bytes spill stores, 0 bytes spill loads\n" +
           "ptxas info    : Used 16 registers, used 0 barriers\n";
  };
  return "source kernels/device/testing/saxpy.cu\n" + kernel("sm_80", "0") +
         kernel("sm_90", spill == nullptr ? "0" : spill);
}

enum class Errors { told, hidden };

/// y = 2x by a loop and by two variants on a device; each allocates twice and launches once per run. With
/// hidden errors it says of every failure what a library says.
void on_device(Trial& trial, Errors errors) {
  const auto inputs = trial.inputs([](std::uint64_t seed) {
    std::vector<float> x(1000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i + seed % 1000);
    return x;
  });
  trial.oracle("y", 1, [&] {
    OracleOutput oracle;
    for (const float x : inputs[0]) oracle.values.push_back(2.0 * static_cast<double>(x));
    return oracle;
  });
  VariantInfo info;
  info.name = "eigen";
  info.what = "a loop";
  info.dtype = "f32";
  info.accept = {
      {.output = "y", .metric = ErrorMetric::relative_l2, .limit = 1e-6, .reason = "exact in binary"}};
  trial.host(info, [&inputs](HostBench& bench) -> std::function<void()> {
    const auto x = bench.input(inputs[bench.set()]);
    const auto y = bench.output<float>("y", x.size());
    return [x, y] {
      for (std::size_t i = 0; i < x.size(); ++i) y[i] = 2 * x[i];
    };
  });
  for (const char* name : {"kernel", "other"}) {
    info.name = name;
    info.what = "saxpy";
    trial.kernel(info, [&inputs, errors](auto& bench) -> std::function<void()> {
      const auto x = bench.input(inputs[bench.set()]);
      const auto y = bench.template output<float>("y", x.size());
      auto& stream = bench.stream();
      return [x, y, errors, &stream] {
        stream.fill_bytes(y, 0);
        try {
          kernels::saxpy(stream, 2.0f, x, y);
        } catch (const DeviceError&) {
          if (errors == Errors::told) throw;
          throw std::runtime_error("execution failed");
        }
      };
    });
  }
  trial.measure();
}
void tells(Trial& trial) {
  on_device(trial, Errors::told);
}
void hides(Trial& trial) {
  on_device(trial, Errors::hidden);
}

// The store to nowhere is on purpose: UBSan's report would stand where this program's last words are looked
// for.
[[noreturn]] __attribute__((no_sanitize("undefined"))) void crash() {
  ::signal(SIGSEGV, SIG_DFL);
  std::fprintf(stderr, "about to crash\n");
  std::fflush(stderr);
  volatile int* nowhere = nullptr;
  *nowhere = 1;  // NOLINT(clang-analyzer-core.NullDereference)
  std::abort();
}

void sleep_long() {
  std::this_thread::sleep_for(std::chrono::seconds(600));
}

/// Asks for more memory than the process may have, as the kernel's own limit would refuse it.
void exhaust_memory() {
  std::vector<std::unique_ptr<char[]>> blocks;
  for (;;) blocks.emplace_back(new char[std::size_t{1} << 46]);
}

Experiment experiment(const std::string& id, const std::string& summary,
                      const std::vector<CaseDefinition>& cases) {
  Experiment result;
  result.paper = {.id = id,
                  .title = "A fake: " + id,
                  .authors = "Nobody",
                  .venue = "Nowhere 2026",
                  .arxiv = "",
                  .summary = summary};
  result.claims = {{.id = "double",
                    .text = "doubles",
                    .reported_text = "twice",
                    .on = "paper",
                    .source = "abstract",
                    .any_size = true}};
  result.cases = [cases](Size) { return cases; };
  return result;
}

/// A second one after each fault shows that finished cases stay, and that what follows is not lost silently.
const std::vector<Experiment>& fakes() {
  static const std::vector<Experiment> all = [] {
    std::vector<Experiment> list;
    const auto add = [&](const std::string& id, const std::string& summary,
                         std::function<void(Trial&)> fault) {
      list.push_back(experiment(
          id, summary,
          {fake_case("before", good), fake_case("fault", std::move(fault)), fake_case("after", good)}));
    };
    list.push_back(experiment("fine", "two good cases and one left out",
                              {fake_case("a", good),
                               fake_case("b", good),
                               {.name = {{"case", "c"}}, .run = good, .left_out = "too large for a fake"}}));
    add("abort", "stops with SIGABRT", [](Trial&) { std::abort(); });
    add("broken-record", "a metric that is no number", [](Trial& trial) {
      good(trial);
      trial.metric({.name = "not a number", .value = std::nan(""), .unit = "x"});
    });
    add("check", "a check that doesn't hold", [](Trial& trial) {
      good(trial);
      trial.check("the sky is green", false, "it is blue");
    });
    add("crash", "invalid memory access", [](Trial&) { crash(); });
    list.push_back(experiment("device", "three cases with two variants on a device each",
                              {fake_case("a", tells), fake_case("b", tells), fake_case("c", tells)}));
    list.push_back(experiment("library", "the same by a library that hides the device's errors",
                              {fake_case("a", hides), fake_case("b", hides), fake_case("c", hides)}));
    for (const std::string id : {"many-a", "many-b"}) {
      std::vector<CaseDefinition> cases;
      for (int i = 1; i <= 8; ++i) cases.push_back(fake_case(std::to_string(i), good));
      list.push_back(experiment(id, "eight good cases", cases));
    }
    add("exit", "exit(3) in the middle", [](Trial&) { std::_Exit(3); });
    add("hang", "never comes back", [](Trial&) { sleep_long(); });
    add("ignore", "never comes back and ignores SIGTERM", [](Trial&) {
      ::signal(SIGTERM, SIG_IGN);
      sleep_long();
    });
    add("incorrect", "a wrong result", [](Trial& trial) { doubles(trial, 2.001); });
    add("memory", "an allocation that can't be", [](Trial&) { exhaust_memory(); });
    add("oom", "killed as the kernel kills for lack of memory", [](Trial&) { ::raise(SIGKILL); });
    add("shout", "prints 64 MB", [](Trial& trial) {
      const std::string line(1023, 'x');
      for (int i = 0; i < 65536; ++i) std::puts(line.c_str());
      good(trial);
    });
    add("slow", "three cases, half a second each", [](Trial& trial) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      good(trial);
    });
    add("throw", "an exception", [](Trial&) { throw std::runtime_error("thrown on purpose"); });
    add("variant", "a variant that throws", [](Trial& trial) { doubles(trial, 2, true); });
    Experiment stumble =
        experiment("stumble", "crashes before its first case if there is a file of that name", {});
    stumble.cases = [](Size) -> std::vector<CaseDefinition> {
      if (in_worker && ::access("stumble", F_OK) == 0) crash();
      return {fake_case("a", good), fake_case("b", good)};
    };
    list.push_back(std::move(stumble));
    Experiment no_cases = experiment("no-cases", "its list of cases crashes", {});
    no_cases.cases = [](Size) -> std::vector<CaseDefinition> {
      if (in_worker) crash();
      throw std::runtime_error("no list of cases");  // `list` and `describe` ask in the program's own process
    };
    list.push_back(std::move(no_cases));
    list.push_back(experiment("kernel", "a CUDA kernel", {fake_case("a", doubles_by_kernel)}));
    return list;
  }();
  return all;
}

const std::vector<Registered>& fake_registry() {
  static const std::vector<Registered> entries = [] {
    std::vector<Registered> list;
    for (const auto& fake : fakes()) list.push_back({&fake, "systems"});
    return list;
  }();
  return entries;
}

}  // namespace
}  // namespace remeasure::bench

int main(int argc, char* argv[]) {
  remeasure::bench::in_worker = argc > 1 && std::string(argv[1]) == "worker";
  const std::string ptxas = remeasure::bench::ptxas_output();
  remeasure::bench::cli::Program program{remeasure::bench::fake_registry(), {}};
  program.ptxas_output = ptxas;
  return remeasure::bench::cli::run_program(argc, argv, program);
}
