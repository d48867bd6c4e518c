// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "bench/ceilings.h"
#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/cpu_ceilings.h"
#include "bench/system.h"
#include "kernels/device/target.h"
#include "reports/format.h"
#include "reports/text_table.h"

namespace remeasure::bench::cli {
namespace {

using reports::Tone;

/// One thing that a measurement depends on.
struct Finding {
  enum class Level { good, note, bad } level = Level::good;
  std::string what, found, remedy;
};

/// The first file of that name on $PATH, or empty.
std::filesystem::path on_path(const std::string& program) {
  const char* variable = std::getenv("PATH");
  std::istringstream folders(variable == nullptr ? "" : variable);
  for (std::string folder; std::getline(folders, folder, ':');) {
    auto file = std::filesystem::path(folder.empty() ? "." : folder) / program;
    if (::access(file.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(file)) return file;
  }
  return {};
}

std::string first_word_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string word;
  stream >> word;
  return word;
}

Finding gpu() {
  const std::string name = gpu_name();
  if (!name.empty()) return {Finding::Level::good, "GPU", name, ""};
  return {Finding::Level::bad, "GPU", why_no_gpu(),
          "GPU claims stay \"not measured\", kernels are checked on the SIMT engine. For times: a machine "
          "with an NVIDIA GPU (Ampere or newer) and its driver"};
}

/// A library that baselines need at run time: where the loader finds it.
Finding library(const std::string& what, const std::string& file, const std::string& package) {
  if (!kBuiltWithCuda) return {Finding::Level::note, what, "not used: built without the CUDA toolkit", ""};
  void* const handle = ::dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) {
    return {Finding::Level::bad, what, file + " was not found",
            "install " + package + ", or put its folder into LD_LIBRARY_PATH"};
  }
  // Not closed: a CUDA library that is unloaded takes its state with it.
  link_map* loaded = nullptr;
  const bool known = ::dlinfo(handle, RTLD_DI_LINKMAP, &loaded) == 0 && loaded != nullptr;
  return {Finding::Level::good, what, known ? loaded->l_name : file, ""};
}

/// The file name of a library carries the toolkit's major version: "libcublasLt.so.13".
std::string versioned(const std::string& name) {
  const std::string toolkit = build_info().cuda_toolkit;
  return name + ".so." + toolkit.substr(0, toolkit.find('.'));
}

Finding profiler(const std::string& what, const std::string& program, const std::string& package) {
  const auto file = on_path(program);
  if (!file.empty()) return {Finding::Level::good, what, file.string(), ""};
  return {Finding::Level::note, what, program + " is not on PATH",
          "install " + package + "; a GPU day leaves out what needs it"};
}

Finding cpu_ceilings(const std::filesystem::path& folder) {
  const auto stored = stored_ceilings(cpu_ceiling_plan(), folder);
  if (!stored)
    return {Finding::Level::note, "CPU ceilings", "not measured yet",
            "remeasure ceilings (or the first run does it)"};
  return {Finding::Level::good, "CPU ceilings",
          fmt::format("{} measured, in {}", stored->values.size(), folder.string()), ""};
}

Finding gpu_ceilings(const Program& program, const std::filesystem::path& folder) {
  const auto probes = gpu_name().empty() || !program.gpu_probes ? std::nullopt : program.gpu_probes();
  if (!probes) return {Finding::Level::note, "GPU ceilings", "none: " + why_no_gpu(), ""};
  const auto stored = stored_ceilings(gpu_ceiling_plan(*probes), folder);
  if (!stored)
    return {Finding::Level::note, "GPU ceilings", "not measured yet",
            "remeasure ceilings (or the first run does it)"};
  return {Finding::Level::good, "GPU ceilings",
          fmt::format("{} measured, {} not on this device", stored->values.size(), stored->not_here.size()),
          ""};
}

Finding toolkit() {
  const auto build = build_info();
  if (kBuiltWithCuda) return {Finding::Level::good, "CUDA toolkit", "built with " + build.cuda_toolkit, ""};
  const auto nvcc = on_path("nvcc");
  const std::string found =
      nvcc.empty() ? "this program was built without one; no nvcc on PATH"
                   : fmt::format("this program was built without one; now there is {}", nvcc.string());
  return {Finding::Level::bad, "CUDA toolkit", found,
          nvcc.empty() ? "install CUDA 12 or newer, put nvcc on PATH, then: make build" : "make build"};
}

Finding build() {
  const auto info = build_info();
  Finding finding{Finding::Level::good, "build",
                  fmt::format("{}; {}; {}", info.compiler, info.simd, info.flags), ""};
  if (info.flags.find("-O3") == std::string::npos && info.flags.find("-O2") == std::string::npos) {
    finding.level = Finding::Level::bad;
    finding.remedy = "not optimised: times mean nothing. Build with CMAKE_BUILD_TYPE=Release";
  } else if (info.git_dirty) {
    finding.level = Finding::Level::note;
    finding.found += "; uncommitted changes";
    finding.remedy = "results name a commit that isn't quite what ran; commit first";
  }
  return finding;
}

Finding cores() {
  const int usable = usable_cores();
  Finding finding{Finding::Level::good, "CPU", fmt::format("{}, {} usable cores", cpu_name(), usable), ""};
  if (usable < 2) {
    finding.level = Finding::Level::note;
    finding.remedy = "with one core the system itself disturbs every time; more samples (--min-time) help";
  }
  return finding;
}

Finding governor() {
  const std::filesystem::path folder = "/sys/devices/system/cpu/cpu0/cpufreq";
  const std::string name = first_word_of(folder / "scaling_governor");
  if (name.empty()) {
    return {Finding::Level::note, "CPU clock", "the system doesn't say (virtual machine or container)",
            "times may move with the host's clock; compare variants inside one run"};
  }
  if (name == "performance") return {Finding::Level::good, "CPU clock", "governor performance", ""};
  return {Finding::Level::note, "CPU clock", "governor " + name,
          "sudo cpupower frequency-set -g performance (steadier times)"};
}

Finding load() {
  double minute = 0;
  std::ifstream("/proc/loadavg") >> minute;
  const int usable = usable_cores();
  Finding finding{Finding::Level::good, "load",
                  fmt::format("{:.1f} of {} cores busy over the last minute", minute, usable), ""};
  if (minute > 0.5 * usable) {
    finding.level = Finding::Level::note;
    finding.remedy = "other programs are running: times will scatter";
  }
  return finding;
}

Finding memory() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  double value = 0, available = 0;
  while (file >> name >> value) {
    std::getline(file, unit);
    if (name == "MemAvailable:") available = value * 1024;
  }
  Finding finding{Finding::Level::good, "memory", reports::bytes_text(available) + " available", ""};
  if (available < 4.0 * (1ull << 30)) {
    finding.level = Finding::Level::note;
    finding.remedy = "enough for smoke size; some cases of paper size need more";
  }
  return finding;
}

Finding gnuplot() {
  const auto file = on_path("gnuplot");
  if (!file.empty()) return {Finding::Level::good, "gnuplot", file.string(), ""};
  return {Finding::Level::note, "gnuplot", "not on PATH",
          "pages come without plots; `make setup` installs it"};
}

/// Writable now, or makeable: nothing is created by asking.
Finding folder(const std::string& what, const std::filesystem::path& path, const std::string& option) {
  Finding finding{Finding::Level::good, what, "", ""};
  std::error_code failed;
  auto existing = std::filesystem::absolute(path, failed).lexically_normal();
  while (!std::filesystem::exists(existing, failed) && existing.has_parent_path() &&
         existing != existing.parent_path()) {
    existing = existing.parent_path();
  }
  const bool writable =
      std::filesystem::is_directory(existing, failed) && ::access(existing.c_str(), W_OK | X_OK) == 0;
  if (!writable) {
    const std::string why =
        std::filesystem::is_directory(existing, failed) ? std::strerror(errno) : "it is a file";
    return {Finding::Level::bad, what, fmt::format("{}: {}", path.string(), why),
            fmt::format("choose another folder with {}", option)};
  }
  const auto space = std::filesystem::space(existing, failed);
  const double free = failed ? 0 : static_cast<double>(space.available);
  finding.found = fmt::format("{}, {} free", path.string(), reports::bytes_text(free));
  if (!failed && free < 2.0 * (1ull << 30)) {
    finding.level = Finding::Level::note;
    finding.remedy = "the datasets of paper size may need more than this";
  }
  return finding;
}

}  // namespace

int doctor(const DoctorOptions& options, const Program& program, Console& console) {
  const std::filesystem::path ceilings = ceilings_folder(data_folder(options.data));
  const std::vector<Finding> findings = {
      gpu(),
      toolkit(),
      library("cuBLAS", versioned("libcublas"), "cuBLAS of the CUDA toolkit"),
      library("cuBLASLt", versioned("libcublasLt"), "cuBLAS of the CUDA toolkit"),
      library("cuDNN", "libcudnn.so.9", "libcudnn9-cuda-12 (or -13)"),
      profiler("sanitizer", "compute-sanitizer", "the CUDA toolkit's cuda-sanitizer"),
      profiler("profiler", "ncu", "Nsight Compute"),
      cpu_ceilings(ceilings),
      gpu_ceilings(program, ceilings),
      build(),
      cores(),
      governor(),
      load(),
      memory(),
      gnuplot(),
      folder("results folder", options.out, "--out"),
      folder("data folder", data_folder(options.data), "--data")};
  reports::TextTable table({{.title = "", .whole = true},
                            {.title = "what", .whole = true},
                            {.title = "found", .least = 24},
                            {.title = "remedy", .least = 20}});
  bool folders_usable = true;
  for (const auto& finding : findings) {
    const bool good = finding.level == Finding::Level::good, bad = finding.level == Finding::Level::bad;
    table.add({{good  ? "ok"
                : bad ? "no"
                      : "note",
                good  ? Tone::good
                : bad ? Tone::bad
                      : Tone::fair},
               {finding.what},
               {finding.found},
               {finding.remedy}});
    if (bad && finding.what.find("folder") != std::string::npos) folders_usable = false;
  }
  console.print(table.text(console.width(), 0, console.colour()));

  int cpu = 0, gpu_claims = 0, elsewhere = 0;
  for (const auto& entry : program.experiments) {
    for (const auto& claim : entry.experiment->claims) {
      if (claim.needs == Needs::cpu)
        ++cpu;
      else if (claim.needs == Needs::gpu)
        ++gpu_claims;
      else
        ++elsewhere;
    }
  }
  const bool has_gpu = !gpu_name().empty();
  console.print(fmt::format(
      "\nOf {} claims this machine can judge {}: {} need only a CPU, {} need a GPU ({}), {} need what "
      "no\nmachine like this has (`remeasure describe ID` says what).\n",
      cpu + gpu_claims + elsewhere, cpu + (has_gpu ? gpu_claims : 0), cpu, gpu_claims,
      has_gpu ? "here" : "not here", elsewhere));
  return folders_usable ? kFine : kUsageOrToolError;
}

}  // namespace remeasure::bench::cli
