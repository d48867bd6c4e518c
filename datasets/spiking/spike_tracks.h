// SPDX-License-Identifier: Apache-2.0
//
// Spike trains of spoken-digit-like patterns, and the Spiking Heidelberg Digits themselves where they are
// imported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// Events of all samples, one after another; sample i has events [offset[i], offset[i + 1]), sorted by time.
struct SpikeTrains {
  std::size_t train = 0, test = 0;  ///< samples: the first `train` are for training
  std::size_t units = 0, steps = 0, classes = 0;
  std::vector<std::uint16_t> time;   ///< step of the event, < steps
  std::vector<std::uint16_t> unit;   ///< < units
  std::vector<std::int64_t> offset;  ///< [train + test + 1]
  std::vector<std::uint8_t> label;   ///< [train + test]

  std::size_t samples() const { return train + test; }
};

/// "spike_tracks": parameters train, test, units, steps. 20 classes of four tracks over the units, like the
/// formants of a spoken digit: a track's centre moves linearly in time, with a start and a slope of its
/// class. Classes 2k and 2k + 1 are time reversals of one another: counts per unit tell 10 groups apart,
/// not 20. Around a centre two events a step are expected (so 8,000 a sample at SHD's 1,000 steps), besides
/// one event anywhere; at most one per unit and step. A sample's tracks are shifted by up to 30/700 of the
/// units (the speaker) and last 0.2 to 1 of the steps.
extern const Definition spike_tracks_definition;

Parameters spike_tracks(std::size_t train, std::size_t test, std::size_t units, std::size_t steps,
                        std::uint64_t seed);
SpikeTrains read_spike_tracks(Reader& reader);

}  // namespace remeasure::datasets
