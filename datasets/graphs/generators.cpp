// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/generators.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <iterator>
#include <memory>
#include <utility>

#include "datasets/portable_math.h"
#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

enum Stream : std::uint64_t {
  draw_stream = 0x6a70,
  weight_stream,
  member_stream,
  size_stream,
  tree_stream,
  pair_stream
};

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

[[noreturn]] void refuse(const std::string& why) {
  throw DatasetError("random graph: " + why);
}

void check_nodes(std::int64_t nodes) {
  if (nodes < 2 || nodes > std::int64_t{1} << 30) refuse(fmt::format("{} nodes; expected 2 to 2^30", nodes));
}

/// Draws in proportion to weights, from all of them or from a range, in constant time: a guide per equal part
/// of the sum says where to begin to look.
class WeightedDraw {
 public:
  explicit WeightedDraw(const std::vector<double>& weights)
      : below_(weights.size() + 1), guide_(weights.size() + 1) {
    for (std::size_t i = 0; i < weights.size(); ++i) below_[i + 1] = below_[i] + weights[i];
    scale_ = static_cast<double>(weights.size()) / below_.back();
    std::size_t place = 0;
    for (std::size_t part = 0; part < guide_.size(); ++part) {
      while (place + 1 < weights.size() && below_[place + 1] * scale_ <= static_cast<double>(part)) ++place;
      guide_[part] = static_cast<std::int32_t>(place);
    }
  }
  std::size_t among(std::size_t begin, std::size_t end, double u) const {
    const double target = below_[begin] + u * (below_[end] - below_[begin]);
    auto place = static_cast<std::size_t>(guide_[static_cast<std::size_t>(target * scale_)]);
    // Rounding may point one part too far; the range is never left.
    while (place > begin && below_[place] > target) --place;
    while (place + 1 < end && below_[place + 1] <= target) ++place;
    return std::clamp(place, begin, end - 1);
  }

 private:
  std::vector<double> below_;
  std::vector<std::int32_t> guide_;
  double scale_ = 1;
};

std::uint64_t pair_key(Edge edge) {
  const auto [low, high] = std::minmax(edge.row, edge.column);
  return static_cast<std::uint64_t>(low) << 32 | static_cast<std::uint64_t>(high);
}

}  // namespace

std::vector<std::int32_t> random_permutation(std::int64_t n, std::uint64_t seed, std::uint64_t stream) {
  std::vector<std::int32_t> result(at(n));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<std::int32_t>(i);
  const Philox random(seed, stream);
  for (std::size_t i = result.size(); i > 1; --i) std::swap(result[i - 1], result[random.integer(i, i)]);
  return result;
}

DrawEdge uniform_edges(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  if (rows < 1 || columns < 1) refuse(fmt::format("{} x {} cells; expected at least one", rows, columns));
  return [random = Philox(seed, draw_stream), rows, columns](std::uint64_t draw) {
    return Edge{static_cast<std::int32_t>(random.integer(2 * draw, static_cast<std::uint64_t>(rows))),
                static_cast<std::int32_t>(random.integer(2 * draw + 1, static_cast<std::uint64_t>(columns)))};
  };
}

DrawEdge rmat_edges(std::int64_t nodes, const RmatLaw& law, std::uint64_t seed) {
  check_nodes(nodes);
  if (!(law.a >= 0.125) || law.b < 0 || law.c < 0 || law.a + law.b + law.c > 1) {
    refuse(fmt::format(
        "R-MAT with a = {}, b = {}, c = {}; expected a >= 1/8 and no negative one, nor a negative rest",
        law.a, law.b, law.c));
  }
  const auto levels = static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(nodes) - 1));
  const std::array<std::uint64_t, 3> up_to = {static_cast<std::uint64_t>(law.a * 0x1p32),
                                              static_cast<std::uint64_t>((law.a + law.b) * 0x1p32),
                                              static_cast<std::uint64_t>((law.a + law.b + law.c) * 0x1p32)};
  const std::array<std::uint32_t, 2> key = {static_cast<std::uint32_t>(seed),
                                            static_cast<std::uint32_t>(seed >> 32)};
  return [=](std::uint64_t draw) {
    // Four levels per evaluation of the bijection. a >= 1/8: an attempt reaches cell (0, 0) alone with 8^-30,
    // so this ends.
    for (std::uint32_t block = 0;;) {
      std::uint64_t row = 0, column = 0;
      std::array<std::uint32_t, 4> words{};
      for (unsigned level = 0; level < levels; ++level) {
        if (level % 4 == 0) {
          words = philox4x32_10({static_cast<std::uint32_t>(draw), static_cast<std::uint32_t>(draw >> 32),
                                 draw_stream, block++},
                                key);
        }
        const std::uint64_t word = words[level % 4];
        const unsigned lower = word >= up_to[1],
                       right = (word >= up_to[0] && word < up_to[1]) || word >= up_to[2];
        row = row << 1 | lower;
        column = column << 1 | right;
      }
      if (row < static_cast<std::uint64_t>(nodes) && column < static_cast<std::uint64_t>(nodes)) {
        return Edge{static_cast<std::int32_t>(row), static_cast<std::int32_t>(column)};
      }
    }
  };
}

DrawEdge community_edges(std::int64_t nodes, const CommunityLaw& law, std::uint64_t seed) {
  check_nodes(nodes);
  if (law.community < 2 || !(law.inside >= 0 && law.inside <= 1) ||
      (law.exponent != 0 && !(law.exponent > 1.5))) {
    refuse(
        fmt::format("communities of {} nodes, {} of the edges inside, exponent {}; expected at least 2 "
                    "nodes, a fraction, and an "
                    "exponent above 1.5 or 0",
                    law.community, law.inside, law.exponent));
  }
  struct State {
    WeightedDraw draw;
    std::vector<std::int32_t> member;  // place -> node; a community is `community` consecutive places
  };
  std::vector<double> weights(at(nodes), 1.0);
  if (law.exponent != 0) {
    const std::vector<std::int32_t> rank = random_permutation(nodes, seed, weight_stream);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weights[i] =
          portable_exp(-portable_log((rank[i] + 0.5) / static_cast<double>(nodes)) / (law.exponent - 1));
    }
  }
  std::vector<std::int32_t> member;
  if (!law.consecutive) member = random_permutation(nodes, seed, member_stream);
  const auto state = std::make_shared<const State>(State{WeightedDraw(weights), std::move(member)});
  return [state, random = Philox(seed, draw_stream), inside = law.inside, size = at(law.community),
          all = at(nodes)](std::uint64_t draw) {
    const std::size_t first = state->draw.among(0, all, random.uniform(4 * draw));
    std::size_t begin = 0, end = all;
    if (random.uniform(4 * draw + 1) < inside) {
      begin = first / size * size;
      end = std::min(all, begin + size);
    }
    const std::size_t second = state->draw.among(begin, end, random.uniform(4 * draw + 2));
    const auto name = [&](std::size_t place) {
      return state->member.empty() ? static_cast<std::int32_t>(place) : state->member[place];
    };
    return Edge{name(first), name(second)};
  };
}

Csr graph_of_draws(std::int64_t rows, std::int64_t columns, const DrawEdge& draw, std::uint64_t draws) {
  std::vector<Edge> edges(draws);
  for (std::uint64_t i = 0; i < draws; ++i) edges[i] = draw(i);
  return csr_of_edges(rows, columns, edges);
}

Csr undirected_graph(std::int64_t nodes, const DrawEdge& draw, std::int64_t edges,
                     std::span<const Edge> base) {
  check_nodes(nodes);
  if (edges < 0 || edges / 2 > nodes * (nodes - 1) / 2)
    refuse(fmt::format("{} edges between {} nodes", edges, nodes));
  const std::size_t wanted = at(edges) / 2;
  std::vector<std::uint64_t> pairs, drawn, merged;
  for (const Edge& edge : base) pairs.push_back(pair_key(edge));
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  if (pairs.size() > wanted)
    refuse(fmt::format("{} pairs are given and only {} are wanted", pairs.size(), wanted));
  // Each round draws as many as are missing, so that none is ever dropped.
  std::uint64_t next = 0;
  for (int round = 0; pairs.size() < wanted; ++round) {
    if (round == 400)
      refuse(fmt::format("{} draws gave {} pairs of {}: the law is too narrow for so many", next,
                         pairs.size(), wanted));
    drawn.clear();
    for (std::size_t missing = wanted - pairs.size(); missing > 0; --missing) {
      const Edge edge = draw(next++);
      if (edge.row != edge.column) drawn.push_back(pair_key(edge));
    }
    std::sort(drawn.begin(), drawn.end());
    drawn.erase(std::unique(drawn.begin(), drawn.end()), drawn.end());
    merged.clear();
    std::set_union(pairs.begin(), pairs.end(), drawn.begin(), drawn.end(), std::back_inserter(merged));
    pairs.swap(merged);
  }
  std::vector<Edge> list;
  list.reserve(2 * pairs.size());
  for (const std::uint64_t pair : pairs) {
    const auto low = static_cast<std::int32_t>(pair >> 32),
               high = static_cast<std::int32_t>(pair & 0xffffffff);
    list.push_back({low, high});
    list.push_back({high, low});
  }
  return csr_of_edges(nodes, nodes, list);
}

Csr component_graph(std::int64_t nodes, std::int64_t edges, const ComponentLaw& law, std::uint64_t seed) {
  check_nodes(nodes);
  if (law.least < 2 || law.most < law.least)
    refuse(fmt::format("components of {} to {} nodes; expected at least 2", law.least, law.most));
  const Philox of_size(seed, size_stream), of_tree(seed, tree_stream), of_pair(seed, pair_stream);
  std::vector<std::int64_t> first = {0};
  for (std::uint64_t i = 0; first.back() < nodes; ++i) {
    std::int64_t size = law.least + static_cast<std::int64_t>(of_size.integer(
                                        i, static_cast<std::uint64_t>(law.most - law.least) + 1));
    const std::int64_t left = nodes - first.back();
    if (left - size < law.least) size = left <= law.most ? left : left / 2;
    first.push_back(first.back() + size);
  }
  std::vector<std::int32_t> component(at(nodes));
  std::vector<Edge> trees;
  for (std::size_t c = 0; c + 1 < first.size(); ++c) {
    for (std::int64_t node = first[c]; node < first[c + 1]; ++node) {
      component[at(node)] = static_cast<std::int32_t>(c);
      if (node == first[c]) continue;
      const auto earlier = static_cast<std::int64_t>(
          of_tree.integer(static_cast<std::uint64_t>(node), static_cast<std::uint64_t>(node - first[c])));
      trees.push_back({static_cast<std::int32_t>(node), static_cast<std::int32_t>(first[c] + earlier)});
    }
  }
  const DrawEdge within = [&](std::uint64_t draw) {
    const auto node = static_cast<std::int64_t>(of_pair.integer(2 * draw, static_cast<std::uint64_t>(nodes)));
    const auto c = static_cast<std::size_t>(component[at(node)]);
    const auto other = first[c] + static_cast<std::int64_t>(of_pair.integer(
                                      2 * draw + 1, static_cast<std::uint64_t>(first[c + 1] - first[c])));
    return Edge{static_cast<std::int32_t>(node), static_cast<std::int32_t>(other)};
  };
  return undirected_graph(nodes, within, edges, trees);
}

}  // namespace remeasure::datasets
