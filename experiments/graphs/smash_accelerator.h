// SPDX-License-Identifier: Apache-2.0
//
// A block of the paper's accelerator as a count of cycles: what the three versions would take on it. A model,
// not a simulator: every number below is an assumption, and the ratios depend on them, on the
// copy engine's most of all: it was 8 bytes a cycle before the first result, and 64 since.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/graphs/hash_spgemm_reference.h"

namespace remeasure::experiments::smash_accelerator {

/// Cycles, unless it says otherwise.
struct Accelerator {
  int threads = 64;          ///< of a block: 4 multi-threaded cores
  double memory = 120;       ///< an access of 8 bytes ...
  double outstanding = 16;   ///< ... of which a thread has so many under way
  double scratchpad = 2;     ///< an atomic operation
  double probe = 2;          ///< each slot after the first
  double token = 8;          ///< to take one from the counter
  int token_entries = 32;    ///< entries of A in a token
  double engine_bytes = 64;  ///< that the copy engine moves in a cycle: a line; all threads together reach 68

  double access() const { return memory / outstanding; }
};

/// What the model takes from a matrix: counts, no times.
struct Counts {
  double products = 0, entries = 0, entries_of_a = 0, entries_per_table = 0;
  double probes_high = 0, probes_low = 0;           ///< per product
  double imbalance_rows = 1, imbalance_tokens = 1;  ///< largest share of products over the mean
};

struct Cycles {
  double v1 = 0, v2 = 0, v3 = 0;
};

/// A product reads 8 bytes of B and updates the scratchpad. V1 has rows dealt out, its table is nearly sorted
/// and is written as it is. V2 has tokens, and sorts each table (a scratchpad operation per entry and level)
/// before it is written. V3 appends new entries to memory by the copy engine, meanwhile; a product on an old
/// entry updates memory.
inline Cycles cycles_of(const Accelerator& block, const Counts& c) {
  const auto product = [&](double probes) {
    return block.access() + block.scratchpad + block.probe * (probes - 1);
  };
  const double products = c.products / block.threads, entries = c.entries / block.threads;
  const double tokens = c.entries_of_a / block.token_entries / block.threads * block.token;
  const double write_back = entries * block.access();
  const double sort = entries * std::log2(std::max(2.0, c.entries_per_table)) * block.scratchpad;
  const double tokens_hash = c.imbalance_tokens * products * product(c.probes_low) + tokens;
  return {.v1 = c.imbalance_rows * products * product(c.probes_high) + write_back,
          .v2 = tokens_hash + sort + write_back,
          .v3 = std::max(tokens_hash + (products - entries) * block.access(),
                         8 * c.entries / block.engine_bytes)};
}

}  // namespace remeasure::experiments::smash_accelerator
