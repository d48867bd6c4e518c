// SPDX-License-Identifier: Apache-2.0
#include "bench/ceilings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <Eigen/Core>
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <thread>

#include "bench/hash.h"
#include "bench/host_timer.h"
#include "bench/system.h"

namespace remeasure::bench {
namespace {

using Clock = std::chrono::steady_clock;

#if defined(__AVX512F__)
constexpr std::size_t kVectorBytes = 64;
#elif defined(__AVX__)
constexpr std::size_t kVectorBytes = 32;
#else
constexpr std::size_t kVectorBytes = 16;
#endif

/// As wide as the registers of the instruction set that all of this program is compiled for.
typedef double WideDouble __attribute__((vector_size(kVectorBytes)));

/// Runs `work(thread)` on all cores at once; each thread's own seconds.
template <class Work>
std::vector<double> time_on_all_cores(int threads, const Work& work) {
  std::vector<double> seconds(static_cast<std::size_t>(threads));
  std::barrier ready(threads);
  const auto timed = [&](int thread) {
    ready.arrive_and_wait();
    const Clock::time_point start = Clock::now();
    work(thread);
    seconds[static_cast<std::size_t>(thread)] = std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(timed, i);
  timed(0);
  for (std::thread& other : others) other.join();
  return seconds;
}

/// Sum of what each core did at its best, in many short runs of all cores at once: a ceiling is what the machine can do
/// when nothing disturbs it, and on a busy machine hardly any run is undisturbed on every core.
/// `work(thread, passes)` does `amount` per pass and thread.
template <class Work>
double best_rate(int threads, double amount, const Work& work) {
  constexpr double kRun = 5e-4, kTotal = 6e-2;   // shorter than a scheduler's slice
  std::size_t passes = 1;
  const auto run = [&] { return time_on_all_cores(threads, [&](int thread) { work(thread, passes); }); };
  std::vector<double> seconds = run();
  for (double shortest = 0; (shortest = *std::min_element(seconds.begin(), seconds.end())) < kRun / 2; seconds = run()) {
    const double factor = shortest > 1e-7 ? std::clamp(kRun / shortest, 2.0, 64.0) : 64.0;
    passes = static_cast<std::size_t>(static_cast<double>(passes) * factor);
  }
  std::vector<double> best(seconds.size(), 0);
  const Clock::time_point start = Clock::now();
  for (int repeat = 0; repeat < 5 || std::chrono::duration<double>(Clock::now() - start).count() < kTotal; ++repeat) {
    for (std::size_t i = 0; i < best.size(); ++i) {
      best[i] = std::max(best[i], static_cast<double>(passes) * amount / seconds[i]);
    }
    seconds = run();
  }
  return std::accumulate(best.begin(), best.end(), 0.0);
}

/// Keeps a value from being optimised away without a store that would cost bandwidth.
template <class T>
void keep(T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

std::vector<std::vector<double>> slices(int threads, std::size_t elements, double value) {
  return std::vector<std::vector<double>>(static_cast<std::size_t>(threads), std::vector<double>(elements, value));
}

/// a[i] = b[i] + s c[i] (McCalpin's STREAM): 24 bytes an element, write-allocate traffic not counted.
double triad_bandwidth(int threads, std::size_t bytes_per_thread) {
  const std::size_t n = std::max<std::size_t>(64, bytes_per_thread / (3 * sizeof(double)));
  auto a = slices(threads, n, 0), b = slices(threads, n, 1), c = slices(threads, n, 2);
  return best_rate(threads, static_cast<double>(n) * 24, [&](int thread, std::size_t passes) {
    const auto t = static_cast<std::size_t>(thread);
    double* __restrict out = a[t].data();
    const double* __restrict left = b[t].data();
    const double* __restrict right = c[t].data();
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (std::size_t i = 0; i < n; ++i) out[i] = left[i] + 3.0 * right[i];
      keep(*out);
    }
  });
}

/// Sum of an array: 8 bytes an element, with enough accumulators that the adds aren't what is measured.
double read_bandwidth(int threads, std::size_t bytes_per_thread) {
  constexpr std::size_t kLanes = kVectorBytes / sizeof(double), kChains = 8, kStep = kLanes * kChains;
  const std::size_t n = std::max<std::size_t>(kStep, bytes_per_thread / sizeof(double) / kStep * kStep);
  auto a = slices(threads, n, 1);
  return best_rate(threads, static_cast<double>(n) * 8, [&](int thread, std::size_t passes) {
    const double* data = a[static_cast<std::size_t>(thread)].data();
    WideDouble sums[kChains] = {};
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (std::size_t i = 0; i < n; i += kStep) {
        for (std::size_t chain = 0; chain < kChains; ++chain) {
          WideDouble loaded;
          __builtin_memcpy(&loaded, data + i + chain * kLanes, sizeof loaded);
          sums[chain] += loaded;
        }
      }
      keep(sums[0]);
    }
    for (WideDouble& sum : sums) keep(sum);
  });
}

/// Independent multiply-adds in registers: 12 chains cover latency 4 at two a cycle with registers to spare. Eigen's
/// packets, because the build switches off contraction of a * b + c.
template <class T>
double fma_rate(int threads) {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  constexpr std::size_t kLanes = sizeof(Packet) / sizeof(T), kChains = 12, kInner = 256;
  const double flops = static_cast<double>(2 * kLanes * kChains * kInner);
  return best_rate(threads, flops, [](int, std::size_t passes) {
    const Packet factor = Eigen::internal::pset1<Packet>(T(0.999)), addend = Eigen::internal::pset1<Packet>(T(0.001));
    Packet sums[kChains];
    for (Packet& sum : sums) sum = addend;
    for (std::size_t pass = 0; pass < passes; ++pass) {
      for (std::size_t i = 0; i < kInner; ++i) {
        for (Packet& sum : sums) sum = Eigen::internal::pmadd(sum, factor, addend);
      }
    }
    for (Packet& sum : sums) keep(sum);
  });
}

/// Eigen's matrix product, the rate that a dense Eigen baseline can hope for.
template <class T>
double gemm_rate() {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
  constexpr Eigen::Index n = 384;
  const Matrix a = Matrix::Constant(n, n, T(0.5)), b = Matrix::Constant(n, n, T(0.25));
  Matrix c = Matrix::Zero(n, n);
  use_threads(0);
  const double flops = 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  // One caller: Eigen spreads the product over the cores itself.
  return best_rate(1, flops, [&](int, std::size_t passes) {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      c.noalias() = a * b;
      keep(*c.data());
    }
  });
}

/// "32K" -> 32768; 0 where the file isn't there.
std::size_t cache_bytes(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    std::ifstream level_file(folder + "level"), type_file(folder + "type"), size_file(folder + "size");
    int found = 0;
    std::string type, size;
    if (!(level_file >> found) || !(type_file >> type) || !(size_file >> size)) continue;
    if (found != level || type == "Instruction") continue;
    const std::size_t unit = size.back() == 'K' ? 1024 : size.back() == 'M' ? 1024 * 1024 : 1;
    return static_cast<std::size_t>(std::strtoull(size.c_str(), nullptr, 10)) * unit;
  }
  return 0;
}

/// One thing to measure, and again where a variant was faster.
struct Probe {
  std::string name;
  std::function<double()> measure;
};

struct Plan {
  std::vector<MemoryLevel> levels;
  std::vector<Probe> probes;
};

Plan plan() {
  const int threads = usable_cores();
  const auto cores = static_cast<std::size_t>(threads);
  Plan result;
  // Private caches count once per core; L3 once (sysfs shows the slice that the first core shares).
  const std::size_t l1 = cache_bytes(1) * cores, l2 = cache_bytes(2) * cores, l3 = cache_bytes(3);
  const auto memory = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
  const auto add = [&](const std::string& name, std::size_t bytes, std::size_t working_set) {
    result.levels.push_back({name, bytes});
    const std::size_t each = working_set / cores;
    result.probes.push_back({"read-" + name, [=] { return read_bandwidth(threads, each); }});
    result.probes.push_back({"triad-" + name, [=] { return triad_bandwidth(threads, each); }});
  };
  if (l1 > 0) add("l1", l1, l1 / 2);
  if (l2 > l1) add("l2", l2, l2 / 2);
  if (l3 > l2) add("l3", l3, std::max(l3 / 2, l2));
  const std::size_t largest = std::max({l1, l2, l3, std::size_t{16} << 20});
  add("dram", memory, std::min({4 * largest, std::size_t{512} << 20, memory / 4}));
  result.probes.push_back({"fma-f64", [=] { return fma_rate<double>(threads); }});
  result.probes.push_back({"fma-f32", [=] { return fma_rate<float>(threads); }});
  result.probes.push_back({"gemm-f64", [] { return gemm_rate<double>(); }});
  result.probes.push_back({"gemm-f32", [] { return gemm_rate<float>(); }});
  return result;
}

/// A level can't be slower than a larger one: what streams from memory also streams from cache.
void make_monotonic(Ceilings& ceilings) {
  for (const char* kind : {"read-", "triad-"}) {
    double best = 0;
    for (auto level = ceilings.levels.rbegin(); level != ceilings.levels.rend(); ++level) {
      const auto value = ceilings.values.find(kind + level->name);
      if (value == ceilings.values.end()) continue;
      best = value->second = std::max(value->second, best);
    }
  }
}

std::function<double(const std::string&)> remeasurer() {
  return [probes = plan().probes](const std::string& name) {
    for (const Probe& probe : probes) {
      if (probe.name == name) return probe.measure();
    }
    return 0.0;
  };
}

/// Two builds may vectorise differently; their ceilings aren't the same.
std::string build_id() {
  const reports::Build build = build_info();
  return hex(hash_text(build.compiler + "|" + build.flags + "|" + build.simd));
}

std::filesystem::path cache_file(const std::filesystem::path& folder, const std::string& machine) {
  return folder / fmt::format("ceilings-{}-{}.json", machine, build_id());
}

std::optional<Ceilings> load(const std::filesystem::path& path, const std::string& machine) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  try {
    const nlohmann::json json = nlohmann::json::parse(file);
    Ceilings ceilings;
    if (json.at("version") != 1 || json.at("machine") != machine) return std::nullopt;
    ceilings.machine = machine;
    for (const auto& [name, value] : json.at("values").items()) {
      const double rate = value.get<double>();
      if (!(rate > 0 && std::isfinite(rate))) return std::nullopt;
      ceilings.values[name] = rate;
    }
    for (const auto& level : json.at("levels")) {
      ceilings.levels.push_back({level.at("name").get<std::string>(), level.at("bytes").get<std::size_t>()});
    }
    if (ceilings.values.empty() || ceilings.levels.empty()) return std::nullopt;
    ceilings.measure_again = remeasurer();
    return ceilings;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;   // half-written or edited: measured again
  }
}

}  // namespace

Ceilings measure_ceilings() {
  Ceilings ceilings;
  const Plan planned = plan();
  ceilings.levels = planned.levels;
  for (const Probe& probe : planned.probes) ceilings.values[probe.name] = probe.measure();
  make_monotonic(ceilings);
  ceilings.machine = system_info().id;
  ceilings.measure_again = remeasurer();
  return ceilings;
}

Ceilings measured_ceilings(const std::filesystem::path& folder) {
  const std::string machine = system_info().id;
  if (auto stored = load(cache_file(folder, machine), machine)) return *std::move(stored);
  Ceilings ceilings = measure_ceilings();
  store_ceilings(ceilings, folder);
  return ceilings;
}

void store_ceilings(const Ceilings& ceilings, const std::filesystem::path& folder) {
  nlohmann::json json = {{"version", 1}, {"machine", ceilings.machine}, {"values", ceilings.values}};
  json["levels"] = nlohmann::json::array();
  for (const MemoryLevel& level : ceilings.levels) json["levels"].push_back({{"name", level.name}, {"bytes", level.bytes}});
  const std::filesystem::path path = cache_file(folder, ceilings.machine);
  const std::filesystem::path temporary = path.string() + fmt::format(".tmp-{}", ::getpid());
  std::error_code ignored;   // a cache that can't be written costs a second next time, nothing else
  std::filesystem::create_directories(folder, ignored);
  std::ofstream file(temporary);
  file << json.dump(2) << '\n';
  file.close();
  if (file) {
    std::filesystem::rename(temporary, path, ignored);
  } else {
    std::filesystem::remove(temporary, ignored);
  }
}

}  // namespace remeasure::bench
