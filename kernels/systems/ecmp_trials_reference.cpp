// SPDX-License-Identifier: Apache-2.0
#include "kernels/systems/ecmp_trials_reference.h"

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include "kernels/parallel_tasks.h"

namespace remeasure::kernels {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

template <class Visit>
void for_each_flow(const ClosShape& s, Visit visit) {
  for (int pair = 0; pair < s.pairs; ++pair) {
    for (int rail = 0; rail < s.rails; ++rail) {
      for (int qp = 0; qp < s.qps; ++qp) visit(pair, rail, qp, at(s.flow(pair, rail, qp)));
    }
  }
}

/// Links of all flows among those of all rails; -1 = none.
std::vector<std::array<int, 4>> links_of_flows(const Traffic& t, std::span<const std::uint16_t> paths) {
  std::vector<std::array<int, 4>> links(paths.size());
  for_each_flow(t.shape, [&](int pair, int rail, int, std::size_t flow) {
    links[flow] = links_of(t, pair, FlowPath::of(paths[flow]));
    for (int& link : links[flow]) {
      if (link >= 0) link += rail * t.shape.rail_links();
    }
  });
  return links;
}

/// One rail at a time, with room that is used again.
class RailFilling {
 public:
  explicit RailFilling(const Traffic& t)
      : traffic_(t),
        residual_(at(t.shape.rail_links())),
        share_(residual_.size()),
        count_(residual_.size()),
        sum_(at(t.shape.pairs)),
        least_(sum_.size()) {
    flows_.reserve(at(t.shape.rail_flows()));
  }

  /// `path(pair, qp, flow)` chooses; results are taken into the minima of the jobs.
  template <class Choose>
  void run(int rail, Choose path, std::span<std::uint32_t> even, std::span<std::uint32_t> weighted) {
    const ClosShape& s = traffic_.shape;
    const auto capacity = traffic_.rail_capacity(rail);
    std::copy(capacity.begin(), capacity.end(), residual_.begin());
    std::fill(count_.begin(), count_.end(), 0);
    std::fill(sum_.begin(), sum_.end(), 0);
    std::fill(least_.begin(), least_.end(), std::numeric_limits<std::uint32_t>::max());
    flows_.clear();
    for (int pair = 0; pair < s.pairs; ++pair) {
      for (int qp = 0; qp < s.qps; ++qp) {
        Active flow{links_of(traffic_, pair, path(pair, qp, s.flow(pair, rail, qp))), at(pair)};
        if (flow.links[1] < 0)
          flow.links[1] = flow.links[2] = flow.links[0];
        else
          ++count_[at(flow.links[1])], ++count_[at(flow.links[2])];
        ++count_[at(flow.links[0])], ++count_[at(flow.links[3])];
        flows_.push_back(flow);
      }
    }
    while (!flows_.empty()) freeze(smallest_share());
    for (std::size_t pair = 0; pair < sum_.size(); ++pair) {
      const auto job = at(traffic_.job[pair]);
      const auto capped = [&](std::uint64_t rate) {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(rate, s.nvlink));
      };
      even[job] =
          std::min(even[job], capped(std::uint64_t{least_[pair]} * static_cast<std::uint32_t>(s.qps)));
      weighted[job] = std::min(weighted[job], capped(sum_[pair]));
    }
  }

 private:
  struct Active {
    std::array<int, 4> links;  ///< a path inside a leaf has its tx three times
    std::size_t pair;
  };

  std::uint32_t smallest_share() {
    std::uint32_t smallest = std::numeric_limits<std::uint32_t>::max();
    for (std::size_t l = 0; l < count_.size(); ++l) {
      share_[l] = count_[l] == 0 ? std::numeric_limits<std::uint32_t>::max() : residual_[l] / count_[l];
      smallest = std::min(smallest, share_[l]);
    }
    return smallest;
  }
  void freeze(std::uint32_t rate) {
    std::size_t kept = 0;
    for (const Active& flow : flows_) {
      if (std::none_of(flow.links.begin(), flow.links.end(), [&](int l) { return share_[at(l)] == rate; })) {
        flows_[kept++] = flow;
        continue;
      }
      for (int i = 0; i < 4; ++i) {
        if ((i == 1 || i == 2) && flow.links[1] == flow.links[0]) continue;
        residual_[at(flow.links[at(i)])] -= rate;
        --count_[at(flow.links[at(i)])];
      }
      sum_[flow.pair] += rate;
      least_[flow.pair] = std::min(least_[flow.pair], rate);
    }
    flows_.resize(kept);
  }

  const Traffic& traffic_;
  std::vector<std::uint32_t> residual_, share_, count_;
  std::vector<std::uint64_t> sum_;
  std::vector<std::uint32_t> least_;
  std::vector<Active> flows_;
};

}  // namespace

std::vector<std::uint16_t> trial_paths(const Traffic& t, Routing routing, std::span<const std::uint16_t> plan,
                                       std::uint32_t seed, std::uint32_t trial) {
  std::vector<std::uint16_t> codes(at(t.shape.flows()));
  for_each_flow(t.shape, [&](int pair, int rail, int qp, std::size_t flow) {
    codes[flow] =
        choose_path(t.shape, routing, plan.empty() ? std::uint16_t{0} : plan[flow], seed, trial,
                    static_cast<std::uint32_t>(flow), qp, t.groups(pair), t.rail_capacity(rail).data())
            .code();
  });
  return codes;
}

template <class Rate>
Filling<Rate> fill_rates(const Traffic& t, std::span<const std::uint16_t> paths) {
  const auto links = links_of_flows(t, paths);
  std::vector<Rate> residual(t.capacity.begin(), t.capacity.end());
  std::vector<std::int64_t> active_on(residual.size());
  std::vector<bool> active(paths.size(), true);
  Filling<Rate> filling{.rates = std::vector<Rate>(paths.size())};
  for (const auto& path : links) {
    for (const int l : path) active_on[at(l < 0 ? 0 : l)] += l < 0 ? 0 : 1;
  }
  for (std::size_t left = paths.size(); left > 0; ++filling.rounds) {
    std::vector<Rate> share(residual.size(), std::numeric_limits<Rate>::max());
    for (std::size_t l = 0; l < share.size(); ++l) {
      if (active_on[l] > 0) share[l] = residual[l] / static_cast<Rate>(active_on[l]);
    }
    const Rate smallest = *std::min_element(share.begin(), share.end());
    for (std::size_t f = 0; f < links.size(); ++f) {
      if (!active[f] || std::none_of(links[f].begin(), links[f].end(),
                                     [&](int l) { return l >= 0 && share[at(l)] == smallest; }))
        continue;
      active[f] = false;
      filling.rates[f] = smallest;
      --left;
      for (const int l : links[f]) {
        if (l < 0) continue;
        residual[at(l)] -= smallest;
        --active_on[at(l)];
      }
    }
  }
  return filling;
}
template Filling<std::int64_t> fill_rates(const Traffic&, std::span<const std::uint16_t>);
template Filling<double> fill_rates(const Traffic&, std::span<const std::uint16_t>);

template <class Rate>
Busbw<Rate> busbw(const Traffic& t, std::span<const Rate> rates) {
  const ClosShape& s = t.shape;
  const auto cap = static_cast<Rate>(s.nvlink);
  Busbw<Rate> result{std::vector<Rate>(at(s.jobs), cap), std::vector<Rate>(at(s.jobs), cap)};
  for (int pair = 0; pair < s.pairs; ++pair) {
    const std::size_t job = at(t.job[at(pair)]);
    for (int rail = 0; rail < s.rails; ++rail) {
      const auto of_pair = rates.subspan(at(s.flow(pair, rail, 0)), at(s.qps));
      Rate sum = 0;
      for (const Rate rate : of_pair) sum += rate;
      result.weighted[job] = std::min(result.weighted[job], sum);
      result.even[job] = std::min(
          result.even[job], static_cast<Rate>(s.qps) * *std::min_element(of_pair.begin(), of_pair.end()));
    }
  }
  return result;
}
template Busbw<std::int64_t> busbw(const Traffic&, std::span<const std::int64_t>);
template Busbw<double> busbw(const Traffic&, std::span<const double>);

FairnessFaults fairness_faults(const Traffic& t, std::span<const std::uint16_t> paths,
                               std::span<const std::int64_t> rates) {
  const auto links = links_of_flows(t, paths);
  std::vector<std::int64_t> used(t.capacity.size()), flows(used.size()), fastest(used.size());
  for (std::size_t f = 0; f < links.size(); ++f) {
    for (const int l : links[f]) {
      if (l < 0) continue;
      used[at(l)] += rates[f];
      ++flows[at(l)];
      fastest[at(l)] = std::max(fastest[at(l)], rates[f]);
    }
  }
  FairnessFaults faults;
  for (std::size_t l = 0; l < used.size(); ++l)
    faults.overfull += used[l] > static_cast<std::int64_t>(t.capacity[l]) ? 1 : 0;
  for (std::size_t f = 0; f < links.size(); ++f) {
    // Rounding down leaves less than a unit for each flow; a flow frozen later may have got that remainder.
    const bool bottleneck = std::any_of(links[f].begin(), links[f].end(), [&](int l) {
      return l >= 0 && used[at(l)] > static_cast<std::int64_t>(t.capacity[at(l)]) - flows[at(l)] &&
             fastest[at(l)] <= rates[f] + flows[at(l)];
    });
    faults.without_bottleneck += bottleneck ? 0 : 1;
  }
  return faults;
}

void ecmp_trials_reference(const Traffic& t, Routing routing, std::span<const std::uint16_t> plan,
                           std::uint32_t seed, int trials, std::span<std::uint32_t> even,
                           std::span<std::uint32_t> weighted, int threads) {
  const std::size_t jobs = at(t.shape.jobs);
  for_each_row_block(1, trials, threads, [&](int, int first, int count) {
    RailFilling filling(t);
    for (int trial = first; trial < first + count; ++trial) {
      const auto of_trial = [&](std::span<std::uint32_t> all) { return all.subspan(at(trial) * jobs, jobs); };
      std::fill_n(of_trial(even).begin(), jobs, t.shape.nvlink);
      std::fill_n(of_trial(weighted).begin(), jobs, t.shape.nvlink);
      for (int rail = 0; rail < t.shape.rails; ++rail) {
        filling.run(
            rail,
            [&](int pair, int qp, int flow) {
              return choose_path(t.shape, routing, plan.empty() ? std::uint16_t{0} : plan[at(flow)], seed,
                                 static_cast<std::uint32_t>(trial), static_cast<std::uint32_t>(flow), qp,
                                 t.groups(pair), t.rail_capacity(rail).data());
            },
            of_trial(even), of_trial(weighted));
      }
    }
  });
}

void path_trial(const Traffic& t, std::span<const std::uint16_t> paths, std::span<std::uint32_t> even,
                std::span<std::uint32_t> weighted) {
  RailFilling filling(t);
  std::fill(even.begin(), even.end(), t.shape.nvlink);
  std::fill(weighted.begin(), weighted.end(), t.shape.nvlink);
  for (int rail = 0; rail < t.shape.rails; ++rail) {
    filling.run(
        rail, [&](int, int, int flow) { return FlowPath::of(paths[at(flow)]); }, even, weighted);
  }
}

std::vector<double> spray_busbw(const Traffic& t) {
  const ClosShape& s = t.shape;
  std::vector<double> slowest(at(s.jobs), static_cast<double>(s.nvlink) / kRateUnits);
  struct Share {
    int link;
    double part;
  };
  for (int rail = 0; rail < s.rails; ++rail) {
    const auto capacity = t.rail_capacity(rail);
    std::vector<std::vector<Share>> pairs(at(s.pairs));
    for (int pair = 0; pair < s.pairs; ++pair) {
      const PairGroups groups = t.groups(pair);
      for (int port = 0; port < kPorts; ++port) {
        pairs[at(pair)].push_back({s.tx(t.from[at(pair)], port), 0.5});
        pairs[at(pair)].push_back({s.rx(t.to[at(pair)], port), 0.5});
        std::vector<int> alive;
        for (int spine = 0; groups.from != groups.to && spine < s.uplinks; ++spine) {
          if (capacity[at(s.up(groups.from, port, spine))] != 0 &&
              capacity[at(s.down(groups.to, port, spine))] != 0)
            alive.push_back(spine);
        }
        for (const int spine : alive) {
          pairs[at(pair)].push_back(
              {s.up(groups.from, port, spine), 0.5 / static_cast<double>(alive.size())});
          pairs[at(pair)].push_back(
              {s.down(groups.to, port, spine), 0.5 / static_cast<double>(alive.size())});
        }
      }
    }
    std::vector<double> residual(capacity.begin(), capacity.end()), wanted(residual.size());
    std::vector<bool> active(pairs.size(), true);
    for (std::size_t left = pairs.size(); left > 0;) {
      std::fill(wanted.begin(), wanted.end(), 0);
      for (std::size_t p = 0; p < pairs.size(); ++p) {
        for (const Share& share : pairs[p]) wanted[at(share.link)] += active[p] ? share.part : 0;
      }
      const auto level = [&](int l) { return residual[at(l)] / wanted[at(l)]; };
      double smallest = std::numeric_limits<double>::infinity();
      for (int l = 0; l < s.rail_links(); ++l)
        smallest = wanted[at(l)] > 0 ? std::min(smallest, level(l)) : smallest;
      std::vector<std::size_t> frozen;
      for (std::size_t p = 0; p < pairs.size(); ++p) {
        // Sums of parts round: a link within 1e-12 of the smallest level is at it.
        if (active[p] && std::any_of(pairs[p].begin(), pairs[p].end(), [&](const Share& x) {
              return level(x.link) <= smallest * (1 + 1e-12);
            })) {
          frozen.push_back(p);
        }
      }
      for (const std::size_t p : frozen) {
        active[p] = false;
        --left;
        for (const Share& share : pairs[p]) residual[at(share.link)] -= share.part * smallest;
        double& job = slowest[at(t.job[p])];
        job = std::min(job, smallest / kRateUnits);
      }
    }
  }
  return slowest;
}

}  // namespace remeasure::kernels
