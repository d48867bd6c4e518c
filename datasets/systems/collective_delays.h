// SPDX-License-Identifier: Apache-2.0
//
// What a communication library logs of its collectives, with a fault planted in each window.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace remeasure::datasets {

/// "collective_delays": parameters ranks, windows, collectives, factor, pattern ("all" or "ring": who sends
/// to whom). Delay of a transfer: 20 us x lognormal(sigma 0.15); 5 % of the transfers of each collective are
/// congested, x U(1.2, 2). Ranks enter a collective at times that differ by 2 us x lognormal(sigma 0.5) and
/// wait for the last one. With factor > 1 window w has the fault w mod 7:
///   0  none
///   1  sending of a rank slow      its row      x U(3, 10) x factor / 3
///   2  receiving of a rank slow    its column   the same
///   3  a link slow                 its cell     the same
///   4  a rank computes slowly      it enters (U(3, 10) x factor / 3 - 1) x 20 us later
///   5  a rank hangs                it enters nothing after collective h, h < collectives / 2
///   6  communication hangs         all enter collective h, some finish it never; delays of 1, 2 or 3 are
///   logged
/// With factor 1 there is no fault in any window. On a ring 1 and 2 are what 3 is: a row has one cell.
extern const Definition collective_delays_definition;

Parameters collective_delays(int ranks, int windows, int collectives, double factor,
                             const std::string& pattern, std::uint64_t seed);

struct CollectiveDelays {
  int ranks = 0, windows = 0, collectives = 0;
  bool ring = false;
  std::vector<float> delay = {};  ///< [window, collective, source, destination] us; 0 where nothing is sent
  std::vector<float> wait = {};   ///< [window, collective, rank] us
  std::vector<std::int32_t> entered = {},
                            finished = {};  ///< [window, collective, rank] number of the last operation
  std::vector<std::int32_t> truth = {};     ///< [window, 3] fault, source, destination; -1 = any or none
};

CollectiveDelays read_collective_delays(Reader& reader);

}  // namespace remeasure::datasets
