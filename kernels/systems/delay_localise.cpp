// SPDX-License-Identifier: Apache-2.0
#include "kernels/systems/delay_localise.h"

namespace remeasure::kernels {

double delay_localise_flops(const DelayShape& s) {
  const double cells = s.cells(), sent = s.transfers(), ranks = s.ranks, collectives = s.collectives;
  const double means = cells * collectives + sent + ranks * (collectives + 1);
  const double deviations = 4 * (sent + ranks);  // four passes of the histogram
  const double hot = 3 * sent;                   // rows, columns, the hottest
  // For each thread the part of a collective and two products for each limit; for each rank the near-zero
  // wait and 80 % of its row and column.
  const double threads = 256, rules = s.ring ? 1 : 3;
  return means + deviations + hot + threads * 5 + ranks * rules;
}

}  // namespace remeasure::kernels
