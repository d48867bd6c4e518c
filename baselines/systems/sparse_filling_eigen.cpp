// SPDX-License-Identifier: Apache-2.0
#include <Eigen/Sparse>
#include <algorithm>
#include <cmath>
#include <limits>

#include "baselines/systems/sparse_filling.h"
#include "kernels/parallel_tasks.h"
#include "kernels/systems/ecmp_trials_reference.h"

namespace remeasure::baselines {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

using Sparse = Eigen::SparseMatrix<double, Eigen::RowMajor, std::int32_t>;

/// Rates of one trial, [rails, pairs, qps].
Eigen::VectorXd rates_of(const kernels::Traffic& t, std::span<const std::uint16_t> paths) {
  const Incidence flows = flow_links(t, paths, 1);
  const std::vector<double> ones(flows.column_indices.size(), 1.0);
  const Eigen::Map<const Sparse> by_flow(flows.rows, flows.columns, static_cast<Eigen::Index>(ones.size()),
                                         flows.row_pointers.data(), flows.column_indices.data(), ones.data());
  const Sparse by_link = by_flow.transpose();
  const int rails = t.shape.rails, links = t.shape.rail_links(), rail_flows = t.shape.rail_flows();
  constexpr double kNone = std::numeric_limits<double>::infinity();
  Eigen::VectorXd residual =
      Eigen::Map<const Eigen::Matrix<std::uint32_t, Eigen::Dynamic, 1>>(t.capacity.data(), flows.columns)
          .cast<double>();
  Eigen::VectorXd active = Eigen::VectorXd::Ones(flows.rows), rate = Eigen::VectorXd::Zero(flows.rows),
                  step(flows.rows), full(flows.columns);
  Eigen::VectorXd least(rails);
  while (active.maxCoeff() > 0) {
    const Eigen::VectorXd count = by_link * active;
    Eigen::VectorXd share(count.size());
    for (Eigen::Index l = 0; l < count.size(); ++l)
      share[l] = count[l] > 0 ? std::floor(residual[l] / count[l]) : kNone;
    for (int rail = 0; rail < rails; ++rail) {
      least[rail] = share.segment(rail * links, links).minCoeff();
      for (int l = rail * links; l < (rail + 1) * links; ++l)
        full[l] = share[l] < kNone && share[l] == least[rail] ? 1 : 0;
    }
    const Eigen::VectorXd hits = by_flow * full;
    for (int f = 0; f < flows.rows; ++f) {
      const bool frozen = active[f] > 0 && hits[f] > 0;
      step[f] = frozen ? least[f / rail_flows] : 0;
      if (frozen) active[f] = 0, rate[f] = step[f];
    }
    residual -= by_link * step;
  }
  return rate;
}

}  // namespace

Incidence flow_links(const kernels::Traffic& t, std::span<const std::uint16_t> paths, int trials) {
  const kernels::ClosShape& s = t.shape;
  Incidence matrix{.rows = trials * s.flows(), .columns = trials * s.links()};
  matrix.row_pointers.reserve(at(matrix.rows) + 1);
  matrix.column_indices.reserve(4 * at(matrix.rows));
  for (int trial = 0; trial < trials; ++trial) {
    const auto of_trial = paths.subspan(at(trial) * at(s.flows()), at(s.flows()));
    for (int rail = 0; rail < s.rails; ++rail) {
      const int first = (trial * s.rails + rail) * s.rail_links();
      for (int pair = 0; pair < s.pairs; ++pair) {
        for (int qp = 0; qp < s.qps; ++qp) {
          auto links =
              kernels::links_of(t, pair, kernels::FlowPath::of(of_trial[at(s.flow(pair, rail, qp))]));
          std::sort(links.begin(), links.end());
          for (const int link : links) {
            if (link >= 0) matrix.column_indices.push_back(first + link);
          }
          matrix.row_pointers.push_back(static_cast<std::int32_t>(matrix.column_indices.size()));
        }
      }
    }
  }
  return matrix;
}

Incidence transposed(const Incidence& m) {
  Incidence out{.rows = m.columns,
                .columns = m.rows,
                .row_pointers = std::vector<std::int32_t>(at(m.columns) + 1),
                .column_indices = std::vector<std::int32_t>(m.column_indices.size())};
  for (const std::int32_t c : m.column_indices) ++out.row_pointers[at(c) + 1];
  for (std::size_t r = 0; r < at(m.columns); ++r) out.row_pointers[r + 1] += out.row_pointers[r];
  std::vector<std::int32_t> next(out.row_pointers.begin(), out.row_pointers.end() - 1);
  for (int row = 0; row < m.rows; ++row) {
    for (std::int32_t e = m.row_pointers[at(row)]; e < m.row_pointers[at(row) + 1]; ++e) {
      out.column_indices[at(next[at(m.column_indices[at(e)])]++)] = row;
    }
  }
  return out;
}

void eigen_filling(const kernels::Traffic& t, kernels::Routing routing, std::span<const std::uint16_t> plan,
                   std::uint32_t seed, int trials, std::span<std::uint32_t> even,
                   std::span<std::uint32_t> weighted) {
  const kernels::ClosShape& s = t.shape;
  std::fill(even.begin(), even.end(), s.nvlink);
  std::fill(weighted.begin(), weighted.end(), s.nvlink);
  const auto lower = [](std::uint32_t& minimum, double rate) {
    minimum = static_cast<std::uint32_t>(std::min(static_cast<double>(minimum), rate));
  };
  kernels::for_each_row_block(1, trials, 0, [&](int, int first, int count) {
    for (int trial = first; trial < first + count; ++trial) {
      const auto paths = kernels::trial_paths(t, routing, plan, seed, static_cast<std::uint32_t>(trial));
      const Eigen::VectorXd rates = rates_of(t, paths);
      for (int p = 0; p < s.rails * s.pairs; ++p) {
        const auto of_pair = rates.segment(p * s.qps, s.qps);
        const std::size_t place = at(trial) * at(s.jobs) + at(t.job[at(p % s.pairs)]);
        lower(even[place], s.qps * of_pair.minCoeff());
        lower(weighted[place], of_pair.sum());
      }
    }
  });
}

}  // namespace remeasure::baselines
