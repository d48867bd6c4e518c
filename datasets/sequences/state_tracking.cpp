// SPDX-License-Identifier: Apache-2.0
#include "datasets/sequences/state_tracking.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "datasets/random.h"

namespace remeasure::datasets {
namespace {

struct Automaton {
  std::size_t states, alphabet;
  std::vector<std::uint8_t> transition;
};

Automaton symmetric_group(std::size_t n) {
  using Row = std::vector<std::size_t>;
  Row row(n);
  std::iota(row.begin(), row.end(), std::size_t{0});
  std::vector<Row> elements;
  do elements.push_back(row);
  while (std::next_permutation(row.begin(), row.end()));
  Row swap(n), cycle(n);
  std::iota(swap.begin(), swap.end(), std::size_t{0});
  std::swap(swap[0], swap[1]);
  for (std::size_t i = 0; i < n; ++i) cycle[i] = (i + 1) % n;
  Automaton automaton{elements.size(), 2, {}};
  for (const Row& element : elements) {
    for (const Row& generator : {swap, cycle}) {
      Row product(n);
      for (std::size_t i = 0; i < n; ++i) product[i] = generator[element[i]];
      automaton.transition.push_back(static_cast<std::uint8_t>(
          std::lower_bound(elements.begin(), elements.end(), product) - elements.begin()));
    }
  }
  return automaton;
}

Automaton automaton_of(const Parameters& p) {
  const std::string& group = p.text("group");
  if (group == "parity") return {2, 2, {0, 1, 1, 0}};
  if (group == "s3") return symmetric_group(3);
  if (group == "s5") return symmetric_group(5);
  throw DatasetError(fmt::format("state_tracking: group is '{}'; it must be parity, s3 or s5", group));
}

void generate(const Parameters& p, Writer& out) {
  const Automaton automaton = automaton_of(p);
  const std::uint64_t sequences = p.extent("sequences"), steps = p.extent("steps");
  const Philox random(p.seed, 1);
  std::vector<std::uint8_t> tokens(sequences * steps), state(sequences * steps);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<std::uint8_t>(random.integer(i, automaton.alphabet));
    const std::size_t before = i % steps == 0 ? 0 : state[i - 1];
    state[i] = automaton.transition[before * automaton.alphabet + tokens[i]];
  }
  out.array("/tokens", std::span<const std::uint8_t>(tokens), {sequences, steps});
  out.array("/state", std::span<const std::uint8_t>(state), {sequences, steps});
  out.array("/transition", std::span<const std::uint8_t>(automaton.transition),
            {automaton.states, automaton.alphabet});
}

}  // namespace

const Definition state_tracking_definition = {
    .name = "state_tracking",
    .title = "Word problems of small groups",
    .theme = "sequences",
    .stands_for =
        "the state-tracking tasks on which recurrent layers with non-linear state transitions are compared "
        "with linear ones",
    .source = "synthetic in the literature",
    .arrays = {{.path = "/tokens",
                .type = ElementType::u8,
                .axes = {"sequence", "step"},
                .description = "generators, uniform"},
               {.path = "/state",
                .type = ElementType::u8,
                .axes = {"sequence", "step"},
                .description = "element after the token"},
               {.path = "/transition",
                .type = ElementType::u8,
                .axes = {"state", "token"},
                .description = "the automaton"}},
    .extents =
        [](const Parameters& p) {
          const Automaton automaton = automaton_of(p);
          return Extents{{"sequence", p.extent("sequences")},
                         {"step", p.extent("steps")},
                         {"state", automaton.states},
                         {"token", automaton.alphabet}};
        },
    .generate = generate,
    .examples = {state_tracking("s3", 4, 64, 1)},
};

Parameters state_tracking(const std::string& group, std::size_t sequences, std::size_t steps,
                          std::uint64_t seed) {
  return {.values = {{"group", group},
                     {"sequences", std::to_string(sequences)},
                     {"steps", std::to_string(steps)}},
          .seed = seed};
}

StateTracking read_state_tracking(Reader& reader) {
  const Shape shape = reader.shape("/tokens"), table = reader.shape("/transition");
  StateTracking data{shape[0],
                     shape[1],
                     table[1],
                     table[0],
                     reader.u8("/tokens"),
                     reader.u8("/state"),
                     reader.u8("/transition")};
  bool sound = true;
  for (const std::uint8_t token : data.tokens) sound = sound && token < data.alphabet;
  for (const std::uint8_t state : data.state) sound = sound && state < data.states;
  for (const std::uint8_t state : data.transition) sound = sound && state < data.states;
  if (!sound)
    throw DatasetError(
        "state_tracking: tokens, states or transitions exceed the automaton's sizes; make the file again");
  return data;
}

}  // namespace remeasure::datasets
