// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "kernels/simt/block_runner.h"
#include "kernels/simt/checked.h"
#include "kernels/simt/cooperative.h"
#include "kernels/simt/cooperative_grid.h"
#include "kernels/simt/launch_log.h"
#include "kernels/simt/worker_pool.h"

namespace remeasure::simt {
namespace {

// Below this many threads, waking other workers costs more than it saves.
constexpr std::uint64_t kInlineThreads = 4096;

// In the checked build the kernels' hooks reach one set of checks per process.
[[maybe_unused]] std::mutex checked_launch;

int worker_count(const EngineOptions& options) {
  if (kChecked || options.schedule_seed != 0) return 1;
  if (options.workers > 0) return options.workers;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// The limits of compute capability 9.0 (CUDA C++ Programming Guide, technical specifications).
std::string refuse(const LaunchInfo& info, const EngineOptions& options, bool cooperative) {
  const Dim3 g = info.grid;
  const Dim3 b = info.block;
  if (g.count() == 0) return fmt::format("the grid {} has no blocks", describe(g));
  if (b.count() == 0) return fmt::format("the block {} has no threads", describe(b));
  if (b.count() > kMaxBlockThreads || b.x > 1024 || b.y > 1024 || b.z > 64) {
    return fmt::format("the block {} exceeds 1024 threads or (1024,1024,64)", describe(b));
  }
  if (g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535) {
    return fmt::format("the grid {} exceeds (2147483647,65535,65535)", describe(g));
  }
  if (info.shared_bytes > options.shared_limit_bytes) {
    return fmt::format("{} bytes of dynamic shared memory exceed the limit of {} bytes a block",
                       info.shared_bytes, options.shared_limit_bytes);
  }
  if (const std::uint64_t limit = cooperative ? resident_blocks(b, info.shared_bytes) : g.count();
      g.count() > limit) {
    return fmt::format(
        "the {} blocks of the grid {} can't all be resident at once, which a cooperative launch needs: with "
        "{} threads and {} bytes of dynamic shared memory each, {} can; use fewer or smaller blocks",
        g.count(), describe(g), b.count(), info.shared_bytes, limit);
  }
  return {};
}

}  // namespace

LaunchCounts& LaunchCounts::operator+=(const LaunchCounts& other) {
  launches += other.launches;
  blocks += other.blocks;
  threads += other.threads;
  for (std::size_t i = 0; i < kCounters; ++i) values[i] += other.values[i];
  return *this;
}

struct Engine::State {
  explicit State(const EngineOptions& given) : options(given), pool(worker_count(given)) {
    runners.push_back(std::make_unique<BlockRunner>(options, options.schedule_seed));
    runners.resize(static_cast<std::size_t>(pool.size()));
  }

  EngineOptions options;
  WorkerPool pool;
  std::vector<std::unique_ptr<BlockRunner>> runners;  ///< made by the worker that needs it
  CooperativeGrid resident;
  std::map<std::string, LaunchCounts, std::less<>> counts;
  LaunchCounts last;
  std::string last_kernel;
  std::uint64_t order_dependent_launches = 0;
  std::set<LaunchShape> shapes;
  std::vector<const void*> registered;
  std::string* output = nullptr;

  // For the workers of the launch in progress.
  LaunchState* launch = nullptr;
  std::mutex finding_mutex;
  std::optional<Finding> finding;

  void work(int worker);
  void work_cooperatively();
  template <class Run>
  void keep_finding(const Run& run);
  void write_gathered() const;
};

// Blocks in ascending order; each block ran on one worker, which kept its calls in order.
void Engine::State::write_gathered() const {
  std::vector<Printed> all;
  for (const auto& runner : runners) {
    if (!runner) continue;
    std::move(runner->printed().begin(), runner->printed().end(), std::back_inserter(all));
    runner->printed().clear();
  }
  std::sort(all.begin(), all.end(), [](const Printed& a, const Printed& b) { return a.block < b.block; });
  for (const Printed& printed : all) write_printed(output, printed.text);
}

void Engine::State::work(int worker) {
  keep_finding([&] {
    std::unique_ptr<BlockRunner>& runner = runners[static_cast<std::size_t>(worker)];
    if (!runner) runner = std::make_unique<BlockRunner>(options, options.schedule_seed);
    return runner->run_blocks(*launch);
  });
}

void Engine::State::work_cooperatively() {
  keep_finding([&] { return resident.run(*launch, options); });
}

template <class Run>
void Engine::State::keep_finding(const Run& run) {
  std::optional<Finding> found;
  try {
    found = run();
  } catch (const std::exception& error) {  // no room for stacks or shared memory
    launch->stopped.store(true);
    found.emplace();
    found->kind = ErrorKind::launch_configuration;
    found->kernel = std::string(launch->info->name);
    found->message = error.what();
  }
  if (!found) return;
  const std::lock_guard lock(finding_mutex);
  if (!finding) finding = std::move(found);
}

Engine::Engine(const EngineOptions& options) : state_(std::make_unique<State>(options)) {}

Engine::~Engine() {
  for (const void* address : state_->registered) check::unregister_memory(address);
}

void Engine::run(const LaunchInfo& info, const Program& program) {
  State& state = *state_;
  const bool cooperative = std::exchange(detail::next_launch_cooperative, false);
  if (inside_kernel()) fail(ErrorKind::launch_configuration, "a kernel can't launch a kernel");
  if (const std::string why = refuse(info, state.options, cooperative); !why.empty()) {
    Finding finding;
    finding.kind = ErrorKind::launch_configuration;
    finding.kernel = std::string(info.name);
    finding.message = why;
    throw EngineError(std::move(finding));
  }
  std::unique_lock<std::mutex> only_one;
  if constexpr (kChecked) only_one = std::unique_lock(checked_launch);

  LaunchState launch;
  launch.info = &info;
  launch.program = program;
  launch.blocks = info.grid.count();
  launch.cooperative = cooperative;
  state.launch = &launch;
  state.finding.reset();
  for (const auto& runner : state.runners) {
    if (runner) runner->counters().fill(0);
  }
  state.resident.reset_counters();
  const std::uint64_t threads = launch.blocks * info.block.count();
  const auto workers = static_cast<std::uint64_t>(state.options.schedule_seed != 0 ? 1 : state.pool.size());
  launch.chunk = std::clamp<std::uint64_t>(launch.blocks / (workers * 16), 1, 64);
  launch.one_worker = cooperative || workers == 1 || launch.blocks == 1 || threads <= kInlineThreads;
  launch.output = state.output;
  check::begin_launch(*state.runners.front(), cooperative);
  if (cooperative) {
    state.work_cooperatively();
  } else if (launch.one_worker) {
    state.work(0);
  } else {
    state.pool.run([](void* context, int worker) { static_cast<State*>(context)->work(worker); }, &state);
  }
  check::end_launch(*state.runners.front());
  state.write_gathered();

  state.last = {};
  state.last.launches = 1;
  state.last.blocks = launch.blocks;
  state.last.threads = threads;
  for (const auto& runner : state.runners) {
    if (!runner) continue;
    for (std::size_t i = 0; i < kCounters; ++i) state.last.values[i] += runner->counters()[i];
  }
  state.resident.add_counters(state.last);
  state.last_kernel = std::string(info.name);
  if (info.order_dependent) ++state.order_dependent_launches;
  if (state.finding) throw EngineError(std::move(*state.finding));
  auto entry = state.counts.find(info.name);
  if (entry == state.counts.end()) entry = state.counts.emplace(std::string(info.name), LaunchCounts{}).first;
  entry->second += state.last;
  if (info.function != nullptr) {
    const auto [shape, first] =
        state.shapes.insert({info.function, static_cast<unsigned>(info.block.count()), info.shared_bytes});
    const char* const log = first ? std::getenv("REMEASURE_LAUNCH_LOG") : nullptr;
    if (log != nullptr && *log != '\0') log_launches(log, {*shape});
  }
}

void Engine::register_memory(const void* address, std::size_t bytes, std::string_view name, bool initialised,
                             std::size_t red_zone_bytes) {
  state_->registered.push_back(address);
  check::register_memory(this, address, bytes, name, initialised, red_zone_bytes);
}

void Engine::unregister_memory(const void* address) {
  std::erase(state_->registered, address);
  check::unregister_memory(address);
}

void Engine::mark_initialised(const void* address, std::size_t bytes) {
  check::mark_initialised(address, bytes);
}

bool Engine::is_initialised(const void* address, std::size_t bytes) const {
  return check::is_initialised(address, bytes);
}

const std::map<std::string, LaunchCounts, std::less<>>& Engine::counts() const {
  return state_->counts;
}

LaunchCounts Engine::counts(std::string_view kernel) const {
  const auto entry = state_->counts.find(kernel);
  return entry == state_->counts.end() ? LaunchCounts{} : entry->second;
}

const LaunchCounts& Engine::last_launch() const {
  return state_->last;
}
const std::string& Engine::last_kernel() const {
  return state_->last_kernel;
}
std::uint64_t Engine::order_dependent_launches() const {
  return state_->order_dependent_launches;
}
void Engine::reset_counts() {
  state_->counts.clear();
}
const std::set<LaunchShape>& Engine::shapes() const {
  return state_->shapes;
}

const EngineOptions& Engine::options() const {
  return state_->options;
}

void Engine::set_schedule(std::uint64_t seed) {
  state_->options.schedule_seed = seed;
  for (const auto& runner : state_->runners) {
    if (runner) runner->set_options(state_->options);
  }
}

void Engine::set_copy_timing(CopyTiming timing) {
  state_->options.cp_async = timing;
  for (const auto& runner : state_->runners) {
    if (runner) runner->set_options(state_->options);
  }
}

void Engine::capture_prints(std::string* text) {
  state_->output = text;
}

int Engine::workers() const {
  return state_->pool.size();
}
bool Engine::checked() {
  return kChecked;
}

}  // namespace remeasure::simt
