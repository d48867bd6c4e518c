// SPDX-License-Identifier: Apache-2.0
#include "datasets/systems/collective_delays.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "datasets/learning/dense_math.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr double kBase = 20, kSpread = 0.15, kCongested = 0.05, kEntry = 2, kEntrySpread = 0.5;
constexpr int kFaults = 7;

enum Stream : std::uint64_t { delay_stream = 1, congestion_stream, entry_stream, fault_stream };
enum Fault : std::int32_t { none, sender, receiver, link, straggler, hang, communication_hang };

struct Shapes {
  int ranks, windows, collectives;
  bool ring;

  std::size_t cells() const { return static_cast<std::size_t>(ranks) * static_cast<std::size_t>(ranks); }
  std::size_t snapshots() const {
    return static_cast<std::size_t>(windows) * static_cast<std::size_t>(collectives);
  }
  bool sends(int source, int destination) const {
    return ring ? destination == (source + 1) % ranks : source != destination;
  }
};

/// The fault of a window, and what it multiplies.
struct Planted {
  std::int32_t fault = none, source = -1, destination = -1;
  double factor = 1;
  int stuck = 0;  ///< collective that a hang stops at

  bool slows(int s, int d) const {
    const bool slow = fault == sender || fault == receiver || fault == link || fault == communication_hang;
    return slow && (source < 0 || source == s) && (destination < 0 || destination == d);
  }
};

Planted plant(const Shapes& shape, int window, double factor, std::uint64_t seed) {
  Planted p;
  if (factor <= 1) return p;
  const Philox random(seed, fault_stream);
  const auto draw = [&](int i) {
    return static_cast<std::uint64_t>(window) * 8 + static_cast<std::uint64_t>(i);
  };
  const auto ranks = static_cast<std::uint64_t>(shape.ranks);
  p.fault = window % kFaults;
  const auto rank = static_cast<std::int32_t>(random.integer(draw(0), ranks));
  const auto other = static_cast<std::int32_t>(
      (static_cast<std::uint64_t>(rank) + 1 + random.integer(draw(1), ranks - 1)) % ranks);
  p.factor = (3 + 7 * random.uniform(draw(2))) * factor / 3;
  p.stuck = 1 + static_cast<int>(random.integer(draw(3), static_cast<std::uint64_t>(shape.collectives / 2)));
  std::int32_t place = p.fault;  // of 1, 2 and 3
  if (p.fault == communication_hang) place = 1 + static_cast<std::int32_t>(random.integer(draw(4), 3));
  if (shape.ring &&
      (place == sender || place == receiver)) {  // one cell is all that a rank sends or receives
    place = link;
    if (p.fault != communication_hang) p.fault = link;
  }
  const std::int32_t next = shape.ring ? (rank + 1) % shape.ranks : other;
  if (p.fault == straggler || p.fault == hang || place == sender || place == link) p.source = rank;
  if (place == receiver) p.destination = rank;
  if (place == link) p.destination = next;
  return p;
}

struct Log {
  std::vector<float> delay, wait;
  std::vector<std::int32_t> entered, finished, truth;
};

/// One snapshot: delays, waits and numbers after collective k of window w.
void snapshot(const Shapes& shape, const Planted& fault, std::size_t at, int k, std::uint64_t seed,
              Log& log) {
  const Philox delays(seed, delay_stream), congestion(seed, congestion_stream), entries(seed, entry_stream);
  const auto ranks = static_cast<std::size_t>(shape.ranks);
  for (int s = 0; s < shape.ranks; ++s) {
    for (int d = 0; d < shape.ranks; ++d) {
      if (!shape.sends(s, d)) continue;
      const std::size_t i =
          at * shape.cells() + static_cast<std::size_t>(s) * ranks + static_cast<std::size_t>(d);
      const double u = congestion.uniform(i);  // below 5 %: how much, too
      const double congested = u < kCongested ? 1.2 + 0.8 * u / kCongested : 1;
      log.delay[i] = static_cast<float>(kBase * portable_exp(kSpread * delays.normal(i)) * congested *
                                        (fault.slows(s, d) ? fault.factor : 1));
    }
  }
  std::vector<double> entry(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    entry[r] = kEntry * portable_exp(kEntrySpread * entries.normal(at * ranks + r));
    if (fault.fault == straggler && static_cast<std::size_t>(fault.source) == r)
      entry[r] += (fault.factor - 1) * kBase;
  }
  const double last = *std::max_element(entry.begin(), entry.end());
  for (std::size_t r = 0; r < ranks; ++r) log.wait[at * ranks + r] = static_cast<float>(last - entry[r]);
  const bool hung = (fault.fault == hang || fault.fault == communication_hang) && k >= fault.stuck;
  const std::int32_t number = 1000 + (hung ? fault.stuck : k);
  for (std::size_t r = 0; r < ranks; ++r) {
    const auto rank = static_cast<std::int32_t>(r);
    const bool absent = hung && fault.fault == hang && fault.source == rank;
    const bool touched = fault.source == rank || fault.destination == rank;
    // A log is read while ranks run: one in ten is an operation behind, or hasn't finished yet.
    const bool late = !hung && entries.uniform(at * ranks + r) < 0.1;
    log.entered[at * ranks + r] = number - (absent || late ? 1 : 0);
    const bool unfinished = late || (hung && (fault.fault == hang || touched));
    log.finished[at * ranks + r] = number - (unfinished ? 1 : 0);
  }
}

void generate(const Parameters& p, Writer& out) {
  const std::string& pattern = p.text("pattern");
  if (pattern != "all" && pattern != "ring")
    throw DatasetError(fmt::format("collective_delays: pattern \"{}\"; there are all and ring", pattern));
  const Shapes shape{static_cast<int>(p.extent("ranks")), static_cast<int>(p.extent("windows")),
                     static_cast<int>(p.extent("collectives")), pattern == "ring"};
  const double factor = p.real("factor");
  if (shape.ranks < 3 || shape.collectives < 2 || factor < 1) {
    throw DatasetError(
        fmt::format("collective_delays: {} ranks, {} collectives, factor {}; at least 3, 2 and 1",
                    shape.ranks, shape.collectives, factor));
  }
  const std::size_t ranks = static_cast<std::size_t>(shape.ranks), numbers = shape.snapshots() * ranks;
  Log log{std::vector<float>(shape.snapshots() * shape.cells()),
          std::vector<float>(numbers),
          std::vector<std::int32_t>(numbers),
          std::vector<std::int32_t>(numbers),
          {}};
  for (int w = 0; w < shape.windows; ++w) {
    const Planted fault = plant(shape, w, factor, p.seed);
    for (int k = 0; k < shape.collectives; ++k) {
      snapshot(shape, fault,
               static_cast<std::size_t>(w) * static_cast<std::size_t>(shape.collectives) +
                   static_cast<std::size_t>(k),
               k, p.seed, log);
    }
    log.truth.insert(log.truth.end(), {fault.fault, fault.source, fault.destination});
  }
  const auto w = static_cast<std::uint64_t>(shape.windows), k = static_cast<std::uint64_t>(shape.collectives);
  out.array("/delays/D", log.delay, {w, k, ranks, ranks});
  out.array("/delays/wait", log.wait, {w, k, ranks});
  out.array("/delays/entered", log.entered, {w, k, ranks});
  out.array("/delays/finished", log.finished, {w, k, ranks});
  out.array("/delays/truth", log.truth, {w, 3});
  out.attribute("base_us", kBase);
}

ArraySchema numbers(const char* path, const char* description) {
  return {.path = path,
          .type = ElementType::i32,
          .axes = {"window", "collective", "rank"},
          .description = description,
          .minimum = 0};
}

}  // namespace

const Definition collective_delays_definition = {
    .name = "collective_delays",
    .title = "Transfer delays and progress of collectives, with planted faults",
    .theme = "systems",
    .stands_for =
        "logs of Alibaba's communication library, which are private: delays by (source, destination), waits "
        "and sequence numbers by rank. Size of the delays, their spread and the faults are assumptions",
    .source = "arXiv 2406.04594; synthetic",
    .arrays = {{.path = "/delays/D",
                .axes = {"window", "collective", "rank", "rank"},
                .units = "us",
                .description = "delay of a transfer; 0 where nothing is sent",
                .minimum = 0},
               {.path = "/delays/wait",
                .axes = {"window", "collective", "rank"},
                .units = "us",
                .description = "time from entering to the last rank's entering",
                .minimum = 0},
               numbers("/delays/entered", "number of the last operation that a rank entered"),
               numbers("/delays/finished", "number of the last operation that a rank finished"),
               {.path = "/delays/truth",
                .type = ElementType::i32,
                .axes = {"window", "part"},
                .description = "fault, source, destination; -1 = any or none",
                .minimum = -1}},
    .extents =
        [](const Parameters& p) {
          return Extents{{"window", p.extent("windows")},
                         {"collective", p.extent("collectives")},
                         {"rank", p.extent("ranks")},
                         {"part", 3}};
        },
    .generate = generate,
    .examples = {collective_delays(16, 70, 16, 3, "all", 1), collective_delays(16, 70, 16, 1, "all", 1)},
};

Parameters collective_delays(int ranks, int windows, int collectives, double factor,
                             const std::string& pattern, std::uint64_t seed) {
  return parameters({{"ranks", ranks},
                     {"windows", windows},
                     {"collectives", collectives},
                     {"factor", factor},
                     {"pattern", pattern}},
                    seed);
}

CollectiveDelays read_collective_delays(Reader& reader) {
  const Shape shape = reader.shape("/delays/D");
  return {.ranks = static_cast<int>(shape.at(2)),
          .windows = static_cast<int>(shape.at(0)),
          .collectives = static_cast<int>(shape.at(1)),
          .ring = reader.text("param_pattern") == "ring",
          .delay = reader.f32("/delays/D"),
          .wait = reader.f32("/delays/wait"),
          .entered = reader.i32("/delays/entered"),
          .finished = reader.i32("/delays/finished"),
          .truth = reader.i32("/delays/truth")};
}

}  // namespace remeasure::datasets
