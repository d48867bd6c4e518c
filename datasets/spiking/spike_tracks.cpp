// SPDX-License-Identifier: Apache-2.0
#include "datasets/spiking/spike_tracks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "datasets/import/hdf5_array.h"
#include "datasets/random.h"
#include "datasets/schema.h"

namespace remeasure::datasets {
namespace {

constexpr std::size_t kClasses = 20, kTracks = 4;
constexpr double kEventsPerTrackAndStep = 2;
constexpr double kSpeakerShift = 30.0 / 700;
constexpr double kSecondsPerStep = 1e-3;  // of SHD's times
constexpr std::size_t kMostUnits = 65'536, kMostSteps = 65'536;

enum Stream : std::uint64_t { class_stream = 1, sample_stream = 2, first_event_stream = 1000 };

/// Centres at the beginning and the end, as fractions of the units.
struct Track {
  double begin = 0, end = 0;
};
using Pattern = std::array<Track, kTracks>;

/// A slope of 0.2 to 0.5 in either direction: a track that stands still would be its own reversal.
std::array<Pattern, kClasses / 2> patterns(std::uint64_t seed) {
  const Philox random(seed, class_stream);
  std::array<Pattern, kClasses / 2> result;
  std::uint64_t next = 0;
  for (Pattern& pattern : result) {
    for (Track& track : pattern) {
      track.begin = 0.1 + 0.8 * random.uniform(next++);
      const double slope = 0.2 + 0.3 * random.uniform(next++);
      const bool up = random.uniform(next++) < 0.5 ? track.begin + slope <= 0.95 : track.begin - slope < 0.05;
      track.end = up ? track.begin + slope : track.begin - slope;
    }
  }
  return result;
}

struct Events {
  std::vector<std::uint16_t> time, unit;
  std::vector<std::int64_t> offset = {0};
  std::vector<std::uint8_t> label;

  void close(std::size_t of_class) {
    offset.push_back(static_cast<std::int64_t>(time.size()));
    label.push_back(static_cast<std::uint8_t>(of_class));
  }
};

/// Events of one step: a triangle of probability around each centre, and one event anywhere.
class StepSampler {
 public:
  StepSampler(std::size_t units, const Philox& random) : units_(units), random_(random), fires_(units) {
    half_width_ = std::max(2.5, 0.03 * static_cast<double>(units));
    peak_ = std::min(0.9, kEventsPerTrackAndStep / half_width_);
  }

  void around(double centre) {
    const double low = std::max(0.0, std::ceil(centre - half_width_));
    const double high = std::min(static_cast<double>(units_) - 1, std::floor(centre + half_width_));
    for (double unit = low; unit <= high; unit += 1) {
      const double distance = unit < centre ? centre - unit : unit - centre;
      if (random_.uniform(next_++) < peak_ * (1 - distance / half_width_))
        mark(static_cast<std::size_t>(unit));
    }
  }
  void anywhere() { mark(static_cast<std::size_t>(random_.integer(next_++, units_))); }

  void write(std::size_t step, Events& events) {
    std::sort(marked_.begin(), marked_.end());
    for (const std::size_t unit : marked_) {
      events.time.push_back(static_cast<std::uint16_t>(step));
      events.unit.push_back(static_cast<std::uint16_t>(unit));
      fires_[unit] = false;
    }
    marked_.clear();
  }

 private:
  void mark(std::size_t unit) {
    if (fires_[unit]) return;
    fires_[unit] = true;
    marked_.push_back(unit);
  }

  std::size_t units_;
  Philox random_;
  std::vector<bool> fires_;
  std::vector<std::size_t> marked_;
  double half_width_ = 0, peak_ = 0;
  std::uint64_t next_ = 0;
};

struct Extent {
  std::size_t train, test, units, steps;
};

Extent extent_of(const Parameters& parameters) {
  const auto number = [&](const char* name, std::int64_t least, std::int64_t most) {
    const std::int64_t value = parameters.integer(name);
    if (value < least || value > most) {
      throw DatasetError(
          fmt::format("spike_tracks: {} is {}; it must be from {} to {}", name, value, least, most));
    }
    return static_cast<std::size_t>(value);
  };
  return {number("train", 1, 1'000'000), number("test", 0, 1'000'000), number("units", 8, kMostUnits),
          number("steps", 1, kMostSteps)};
}

void write(Writer& writer, const Events& events) {
  const std::uint64_t count = events.time.size(), samples = events.label.size();
  writer.array("/time", std::span<const std::uint16_t>(events.time), {count});
  writer.array("/unit", std::span<const std::uint16_t>(events.unit), {count});
  writer.array("/offset", std::span<const std::int64_t>(events.offset), {samples + 1});
  writer.array("/label", std::span<const std::uint8_t>(events.label), {samples});
  writer.attribute("events_per_sample", static_cast<double>(count) / static_cast<double>(samples));
}

void generate(const Parameters& parameters, Writer& writer) {
  const Extent extent = extent_of(parameters);
  const auto classes = patterns(parameters.seed);
  const Philox of_sample(parameters.seed, sample_stream);
  Events events;
  for (std::size_t sample = 0; sample < extent.train + extent.test; ++sample) {
    const std::size_t of_class = sample % kClasses;
    const Pattern& pattern = classes[of_class / 2];
    const bool reversed = of_class % 2 == 1;
    const auto units = static_cast<double>(extent.units);
    const double shift = kSpeakerShift * (2 * of_sample.uniform(2 * sample) - 1);
    const double duration =
        static_cast<double>(extent.steps) * (0.2 + 0.8 * of_sample.uniform(2 * sample + 1));
    StepSampler sampler(extent.units, Philox(parameters.seed, first_event_stream + sample));
    for (std::size_t step = 0; static_cast<double>(step) < duration; ++step) {
      const double elapsed = static_cast<double>(step) / duration;
      const double phase = reversed ? 1 - elapsed : elapsed;
      for (const Track& track : pattern)
        sampler.around(units * (track.begin + (track.end - track.begin) * phase + shift));
      sampler.anywhere();
      sampler.write(step, events);
    }
    events.close(of_class);
  }
  write(writer, events);
}

/// One published file; appends `wanted` samples, or as many as there are.
void import_file(const std::filesystem::path& path, std::size_t wanted, const Extent& extent,
                 Events& events) {
  const ForeignHdf5 file(path);
  const auto times = file.ragged_f64("/spikes/times"), units = file.ragged_f64("/spikes/units");
  const std::vector<std::int64_t> labels = file.i64("/labels");
  if (times.size() != units.size() || times.size() != labels.size() || times.size() < wanted) {
    throw DatasetError(
        fmt::format("{}: {} spike times, {} units and {} labels; expected equal numbers, at least {}",
                    path.string(), times.size(), units.size(), labels.size(), wanted));
  }
  for (std::size_t i = 0; i < wanted; ++i) {
    if (labels[i] < 0 || labels[i] > 255 || times[i].size() != units[i].size()) {
      throw DatasetError(fmt::format("{}: sample {} has label {}, {} times and {} units", path.string(), i,
                                     labels[i], times[i].size(), units[i].size()));
    }
    std::vector<std::pair<std::uint16_t, std::uint16_t>> sorted;
    for (std::size_t j = 0; j < times[i].size(); ++j) {
      const double step = times[i][j] / kSecondsPerStep, unit = units[i][j];
      if (!(step >= 0) || !(unit >= 0 && unit < static_cast<double>(extent.units))) {
        throw DatasetError(fmt::format(
            "{}: sample {} has an event at {} s on unit {}; expected a time from 0 and a unit below {}",
            path.string(), i, times[i][j], unit, extent.units));
      }
      if (step < static_cast<double>(extent.steps)) {
        sorted.emplace_back(static_cast<std::uint16_t>(step), static_cast<std::uint16_t>(unit));
      }
    }
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    for (const auto& [step, unit] : sorted) {
      events.time.push_back(step);
      events.unit.push_back(unit);
    }
    events.close(static_cast<std::size_t>(labels[i]));
  }
}

void import_shd(const std::filesystem::path& source, const Parameters& parameters, Writer& writer) {
  const Extent extent = extent_of(parameters);
  Events events;
  import_file(source / "shd_train.h5", extent.train, extent, events);
  import_file(source / "shd_test.h5", extent.test, extent, events);
  write(writer, events);
}

Extents extents(const Parameters& parameters) {
  const Extent extent = extent_of(parameters);
  return {{"sample", extent.train + extent.test}, {"boundary", extent.train + extent.test + 1}};
}

}  // namespace

const Definition spike_tracks_definition = {
    .name = "spike_tracks",
    .title = "Spike trains of moving formants",
    .theme = "spiking",
    .schema_version = 1,
    .generator_version = 1,
    .stands_for =
        "Spiking Heidelberg Digits (SHD): 700 units, 20 classes, about 8,000 events in 0.2 to 1.4 s. Pairs "
        "of classes are time reversals of one another, so that rates alone don't tell them apart",
    .source = "https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/",
    .arrays = {{.path = "/time",
                .type = ElementType::u16,
                .axes = {"event"},
                .units = "step",
                .description = "when"},
               {.path = "/unit", .type = ElementType::u16, .axes = {"event"}, .description = "which input"},
               {.path = "/offset",
                .type = ElementType::i64,
                .axes = {"boundary"},
                .description = "first event of each sample, and the end",
                .minimum = 0},
               {.path = "/label", .type = ElementType::u8, .axes = {"sample"}, .description = "class"}},
    .extents = extents,
    .generate = generate,
    .import = import_shd,
    .import_help =
        "a folder with shd_train.h5 and shd_test.h5 as published (spikes/times in seconds, spikes/units, "
        "labels); units 700; the first `train` and `test` samples are taken, a step is 1 ms, events beyond "
        "`steps` are dropped",
    .examples = {spike_tracks(256, 128, 70, 100, 1)},
};

Parameters spike_tracks(std::size_t train, std::size_t test, std::size_t units, std::size_t steps,
                        std::uint64_t seed) {
  return parameters({{"steps", steps}, {"test", test}, {"train", train}, {"units", units}}, seed);
}

SpikeTrains read_spike_tracks(Reader& reader) {
  const auto parameter = [&](const char* name) {
    return static_cast<std::size_t>(std::stoull(reader.text(name)));
  };
  SpikeTrains trains{.train = parameter("param_train"),
                     .test = parameter("param_test"),
                     .units = parameter("param_units"),
                     .steps = parameter("param_steps"),
                     .classes = kClasses,
                     .time = reader.u16("/time"),
                     .unit = reader.u16("/unit"),
                     .offset = reader.i64("/offset"),
                     .label = reader.u8("/label")};
  bool sound = trains.offset.front() == 0 &&
               trains.offset.back() == static_cast<std::int64_t>(trains.time.size()) &&
               std::is_sorted(trains.offset.begin(), trains.offset.end());
  for (const std::uint16_t time : trains.time) sound = sound && time < trains.steps;
  for (const std::uint16_t unit : trains.unit) sound = sound && unit < trains.units;
  for (const std::uint8_t label : trains.label) sound = sound && label < trains.classes;
  if (!sound)
    throw DatasetError(
        "spike_tracks: offsets, times, units or labels contradict the file's own sizes; make it again");
  return trains;
}

}  // namespace remeasure::datasets
