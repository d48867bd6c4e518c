// SPDX-License-Identifier: Apache-2.0
//
// Bandwidth of training jobs on a Clos network whose switches choose paths by hash, or whose paths are
// planned: Dong et al., "Boosting Large-scale Parallel Training Efficiency with C4: A Communication-Driven
// Approach", arXiv 2406.04594, section 4 (C4P).
//
//   for (t = 0; t < trials; ++t) {
//     path[f] = choose_path(seed, t, f) for all flows f;  residual = capacity;  n_l = flows on link l
//     while (a flow is active) {
//       share_l = residual_l / n_l;  m = min share_l
//       for (active f on a link with share_l == m) { rate_f = m;  residual_l -= m, --n_l on all its links;  f
//       is frozen }
//     }
//     busbw[t][job] = min over its (pair, rail) of min(nvlink, q min rate  or  sum of rates)
//   }
//
// Optimisation:
//   - rails share no link, so each is filled on its own, in its own rounds: at 16 nodes and q = 8 about 20
//   instead of 170. The order in
//     which a rail's flows freeze is the same, so the integers are too.
//   - a rail's state (residuals, counts, shares, paths) is in shared memory; a warp fills it with no barrier
//   of the block. Rails that
//     are too large for eight at a time get the whole block, one after the other.
//   - rates are integers of 32 bits in units of 2^-20 Gb/s: a division is cheap, atomics commute, every
//   schedule gives the same bits.
//
// Launch: a block per trial; 32 threads for each of up to 8 rails, or 256. Dynamic shared memory:
// ecmp_shared_bytes. About 8 F R integer operations a trial (flows, rounds), no floating-point one; bytes of
// memory: the traffic once, 8 jobs a trial written. Limits: links below 4096 Gb/s, 65535 links a rail, 227 KB
// of shared memory.
#include "kernels/systems/ecmp_trials.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/device/kernel.h"

namespace remeasure::kernels {
namespace {

constexpr std::uint16_t kFrozen = 0xffff;
constexpr std::uint32_t kNone = 0xffffffffu;

struct Arguments {
  ClosShape shape;
  Routing routing;
  std::uint32_t seed;
  const std::int32_t *group, *from, *to, *job;
  const std::uint32_t* capacity;
  const std::uint16_t* plan;
  std::uint32_t *even, *weighted, *rates;
};

/// First link numbers of a pair, and its groups.
struct PairLinks {
  std::uint16_t tx, rx, up, down;
};

struct WarpTeam {
  static constexpr int kThreads = 32;
  __device__ static int rank() { return lane_id(); }
  __device__ static int index() { return warp_id(); }
  __device__ static int count() { return static_cast<int>(blockDim.x) / 32; }
  __device__ static void sync() { __syncwarp(); }
  __device__ static std::uint32_t minimum(std::uint32_t value) {
    const std::uint32_t smallest = __reduce_min_sync(kFullWarp, value);
    __syncwarp();  // shares are written
    return smallest;
  }
};

struct BlockTeam {
  static constexpr int kThreads = 32 * kEcmpWarps;
  __device__ static int rank() { return static_cast<int>(threadIdx.x); }
  __device__ static int index() { return 0; }
  __device__ static int count() { return 1; }
  __device__ static void sync() { __syncthreads(); }
  __device__ static std::uint32_t minimum(std::uint32_t value) {
    return detail::combine_warps(__reduce_min_sync(kFullWarp, value),
                                 [](std::uint32_t a, std::uint32_t b) { return a < b ? a : b; });
  }
};

struct Rail {
  std::uint32_t *residual, *count, *share, *sum, *least;
  std::uint16_t* path;
};

struct FlowLinks {
  int tx, up, down, rx;
  bool spine;
};

__device__ FlowLinks links_of(const ClosShape& s, PairLinks pair, FlowPath path) {
  const bool same_group = pair.up - s.up(0, 0, 0) == pair.down - s.down(0, 0, 0);
  return {pair.tx + path.out, pair.up + path.out * s.uplinks + path.spine,
          pair.down + path.in * s.uplinks + path.spine, pair.rx + path.in,
          !same_group || path.out != path.in};
}

template <class Team>
__device__ void route(const Arguments& a, int rail, const Rail& state, const PairLinks* pairs) {
  const ClosShape& s = a.shape;
  const std::uint32_t* capacity =
      a.capacity + static_cast<std::size_t>(rail) * static_cast<std::size_t>(s.rail_links());
  for (int l = Team::rank(); l < s.rail_links(); l += Team::kThreads) {
    state.residual[l] = capacity[l];
    state.count[l] = 0;
  }
  for (int p = Team::rank(); p < s.pairs; p += Team::kThreads) {
    state.sum[p] = 0;
    state.least[p] = kNone;
  }
  Team::sync();
  for (int f = Team::rank(); f < s.rail_flows(); f += Team::kThreads) {
    const int pair = f / s.qps, qp = f - pair * s.qps, flow = s.flow(pair, rail, qp);
    const FlowPath path = choose_path(
        s, a.routing, a.routing == Routing::planned ? a.plan[flow] : std::uint16_t{0}, a.seed, blockIdx.x,
        static_cast<std::uint32_t>(flow), qp, {a.group[a.from[pair]], a.group[a.to[pair]]}, capacity);
    state.path[f] = path.code();
    const FlowLinks links = links_of(s, pairs[pair], path);
    atomicAdd(&state.count[links.tx], 1u);
    atomicAdd(&state.count[links.rx], 1u);
    if (links.spine) {
      atomicAdd(&state.count[links.up], 1u);
      atomicAdd(&state.count[links.down], 1u);
    }
  }
  Team::sync();
}

template <class Team>
__device__ void fill(const Arguments& a, int rail, const Rail& state, const PairLinks* pairs) {
  const ClosShape& s = a.shape;
  for (;;) {
    std::uint32_t smallest = kNone;
    for (int l = Team::rank(); l < s.rail_links(); l += Team::kThreads) {
      const std::uint32_t flows = state.count[l], share = flows == 0 ? kNone : state.residual[l] / flows;
      state.share[l] = share;
      smallest = min(smallest, share);
    }
    smallest = Team::minimum(smallest);
    if (smallest == kNone) return;
    for (int f = Team::rank(); f < s.rail_flows(); f += Team::kThreads) {
      const std::uint16_t code = state.path[f];
      if (code == kFrozen) continue;
      const int pair = f / s.qps;
      const FlowLinks links = links_of(s, pairs[pair], FlowPath::of(code));
      const bool at_ends = state.share[links.tx] == smallest || state.share[links.rx] == smallest;
      if (!at_ends &&
          !(links.spine && (state.share[links.up] == smallest || state.share[links.down] == smallest)))
        continue;
      state.path[f] = kFrozen;
      atomicSub(&state.residual[links.tx], smallest);
      atomicSub(&state.count[links.tx], 1u);
      atomicSub(&state.residual[links.rx], smallest);
      atomicSub(&state.count[links.rx], 1u);
      if (links.spine) {
        atomicSub(&state.residual[links.up], smallest);
        atomicSub(&state.count[links.up], 1u);
        atomicSub(&state.residual[links.down], smallest);
        atomicSub(&state.count[links.down], 1u);
      }
      atomicAdd(&state.sum[pair], smallest);
      atomicMin(&state.least[pair], smallest);
      if (a.rates != nullptr) {
        a.rates[static_cast<std::size_t>(blockIdx.x) * static_cast<std::size_t>(s.flows()) +
                static_cast<std::size_t>(s.flow(pair, rail, f - pair * s.qps))] = smallest;
      }
    }
    Team::sync();
  }
}

template <class Team>
__global__ void __launch_bounds__(32 * kEcmpWarps) ecmp_trials_kernel(Arguments a) {
  RM_DYNAMIC_SHARED(std::uint32_t, shared);
  const ClosShape& s = a.shape;
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  std::uint32_t *even = shared, *weighted = even + s.jobs;
  auto* pairs = reinterpret_cast<PairLinks*>(weighted + s.jobs);
  for (int j = thread; j < s.jobs; j += threads) even[j] = weighted[j] = s.nvlink;
  for (int p = thread; p < s.pairs; p += threads) {
    const int from = a.from[p], to = a.to[p];
    pairs[p] = {static_cast<std::uint16_t>(s.tx(from, 0)), static_cast<std::uint16_t>(s.rx(to, 0)),
                static_cast<std::uint16_t>(s.up(a.group[from], 0, 0)),
                static_cast<std::uint16_t>(s.down(a.group[to], 0, 0))};
  }
  __syncthreads();
  std::uint32_t* words =
      shared + ecmp_block_words(s) + static_cast<std::size_t>(Team::index()) * ecmp_rail_words(s);
  const int links = s.rail_links();
  const Rail state{words,
                   words + links,
                   words + 2 * links,
                   words + 3 * links,
                   words + 3 * links + s.pairs,
                   reinterpret_cast<std::uint16_t*>(words + 3 * links + 2 * s.pairs)};
  for (int rail = Team::index(); rail < s.rails; rail += Team::count()) {
    route<Team>(a, rail, state, pairs);
    fill<Team>(a, rail, state, pairs);
    for (int p = Team::rank(); p < s.pairs; p += Team::kThreads) {
      const std::uint64_t slowest =
          static_cast<std::uint64_t>(state.least[p]) * static_cast<std::uint32_t>(s.qps);
      atomicMin(&even[a.job[p]], slowest < s.nvlink ? static_cast<std::uint32_t>(slowest) : s.nvlink);
      atomicMin(&weighted[a.job[p]], min(state.sum[p], s.nvlink));
    }
    Team::sync();
  }
  __syncthreads();
  for (int j = thread; j < s.jobs; j += threads) {
    const std::size_t at =
        static_cast<std::size_t>(blockIdx.x) * static_cast<std::size_t>(s.jobs) + static_cast<std::size_t>(j);
    a.even[at] = even[j];
    a.weighted[at] = weighted[j];
  }
}

constexpr std::size_t kSharedAtMost = 227 * 1024;

/// Warps of a block for teams of a warp.
int team_warps(const ClosShape& s) {
  return std::min(s.rails, kEcmpWarps);
}

RailTeam chosen(const ClosShape& s, RailTeam team) {
  if (team != RailTeam::automatic) return team;
  return ecmp_shared_bytes(s, team) == ecmp_shared_bytes(s, RailTeam::warp) ? RailTeam::warp
                                                                            : RailTeam::block;
}

void check(const ClosShape& s, std::size_t group, std::size_t from, std::size_t to, std::size_t job,
           std::size_t capacity, std::size_t plan, Routing routing, int trials, std::size_t even,
           std::size_t weighted, std::size_t rates, std::size_t shared) {
  const auto refuse = [](const std::string& what) { throw std::invalid_argument("ecmp_trials: " + what); };
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  if (trials <= 0 || s.rails <= 0 || s.qps <= 0 || s.uplinks <= 0 || s.uplinks > kMostUplinks) {
    refuse(std::to_string(trials) + " trials, " + std::to_string(s.rails) + " rails, " +
           std::to_string(s.qps) + " queue pairs, " + std::to_string(s.uplinks) +
           " uplinks; all positive, at most " + std::to_string(kMostUplinks) + " uplinks");
  }
  if (group != size(s.nodes) || from != size(s.pairs) || to != from || job != from ||
      capacity != size(s.links())) {
    refuse("arrays of " + std::to_string(group) + " groups, " + std::to_string(from) + " pairs, " +
           std::to_string(capacity) + " capacities; expected " + std::to_string(s.nodes) + ", " +
           std::to_string(s.pairs) + ", " + std::to_string(s.links()));
  }
  if (routing == Routing::planned && plan != size(s.flows())) {
    refuse("a plan of " + std::to_string(plan) + " paths; expected " + std::to_string(s.flows()));
  }
  const std::size_t results = size(trials) * size(s.jobs);
  if (even != results || weighted != results || (rates != 0 && rates != size(trials) * size(s.flows()))) {
    refuse("results of " + std::to_string(even) + ", " + std::to_string(weighted) + " and " +
           std::to_string(rates) + "; expected " + std::to_string(results) + " twice and none or " +
           std::to_string(size(trials) * size(s.flows())));
  }
  if (s.rail_links() > 0xffff || shared > kSharedAtMost) {
    refuse(std::to_string(s.rail_links()) + " links a rail, " + std::to_string(shared) +
           " bytes of shared memory; at most 65535 and " + std::to_string(kSharedAtMost));
  }
}

}  // namespace

template <class Target>
void ecmp_trials(Stream<Target>& stream, const DeviceTraffic<Target>& t, Routing routing,
                 DeviceSpan<Target, const std::uint16_t> plan, std::uint32_t seed, int trials,
                 DeviceSpan<Target, std::uint32_t> even, DeviceSpan<Target, std::uint32_t> weighted,
                 DeviceSpan<Target, std::uint32_t> rates, RailTeam team) {
  const ClosShape& s = t.shape;
  const RailTeam use = chosen(s, team);
  const std::size_t shared = ecmp_shared_bytes(s, use);
  check(s, t.group.size(), t.from.size(), t.to.size(), t.job.size(), t.capacity.size(), plan.size(), routing,
        trials, even.size(), weighted.size(), rates.size(), shared);
  const Arguments arguments{s,
                            routing,
                            seed,
                            t.group.data(),
                            t.from.data(),
                            t.to.data(),
                            t.job.data(),
                            t.capacity.data(),
                            plan.data(),
                            even.data(),
                            weighted.data(),
                            rates.data()};
  const auto grid = static_cast<unsigned>(trials);
  if (use == RailTeam::warp) {
    launch({.name = "ecmp_trials_warp",
            .grid = grid,
            .block = 32u * static_cast<unsigned>(team_warps(s)),
            .shared_bytes = shared},
           stream, ecmp_trials_kernel<WarpTeam>, arguments);
  } else {
    launch({.name = "ecmp_trials_block", .grid = grid, .block = 32u * kEcmpWarps, .shared_bytes = shared},
           stream, ecmp_trials_kernel<BlockTeam>, arguments);
  }
}

template void ecmp_trials(Stream<CompiledTarget>&, const DeviceTraffic<CompiledTarget>&, Routing,
                          DeviceSpan<CompiledTarget, const std::uint16_t>, std::uint32_t, int,
                          DeviceSpan<CompiledTarget, std::uint32_t>,
                          DeviceSpan<CompiledTarget, std::uint32_t>,
                          DeviceSpan<CompiledTarget, std::uint32_t>, RailTeam);

}  // namespace remeasure::kernels
