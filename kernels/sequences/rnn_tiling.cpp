// SPDX-License-Identifier: Apache-2.0
#include "kernels/sequences/rnn_tiling.h"

#include <cmath>
#include <string>

#include "kernels/sequences/constrint.h"

namespace remeasure::kernels {
namespace {

std::string rules(const TilingModel& model, bool one_block) {
  const auto fixed = [](const char* name, int value) {
    return std::string(name) + " == " + std::to_string(value) + ";\n";
  };
  return fixed("G", model.gates) + fixed("B", model.batch) + fixed("HID", model.hidden) +
         fixed("SMS", model.multiprocessors) + fixed("SMEM", model.shared_bytes) +
         (one_block ? "RTG == 1; RTH == 1;\n" : "") + R"(
    HID % 16 == 0;
    HID % RTH == 0;
    HID % WTH == 0;
    G * HID % (RTG * 32) == 0;
    G * HID * WTH <= 1024 * RTG;                   # a thread for each gate of a tile
    WTB * 8 * BTC == B;
    NB == RTG * RTH * BTC;
    NB <= SMS;                                     # all resident
    2 * G * BTC * HID ^ 2 + 2 * HID * G * BTC * 8 + 4 * RTH * G * BTC * HID + 4 * RTH * G * BTC * 8 <= SMEM * NB;
  )";
}

}  // namespace

std::vector<Tiling> tilings_of(const TilingModel& model, bool one_block) {
  const auto problem = constrint::Problem::parse(rules(model, one_block));
  std::vector<Tiling> result;
  for (const constrint::Assignment& values : constrint::solve(problem).found) {
    const auto of = [&](const char* name) { return values[static_cast<std::size_t>(problem.find(name))]; };
    result.push_back({of("RTG"), of("RTH"), of("BTC"), of("WTH"), of("WTB"), of("NB")});
  }
  return result;
}

int largest_hidden(TilingModel model, bool one_block) {
  // R alone must fit: 2 G HID^2 bytes in all blocks.
  const double bytes = static_cast<double>(model.shared_bytes) * (one_block ? 1 : model.multiprocessors);
  for (model.hidden = static_cast<int>(std::sqrt(bytes / (2.0 * model.gates))) / 16 * 16; model.hidden > 0;
       model.hidden -= 16) {
    if (!tilings_of(model, one_block).empty()) return model.hidden;
  }
  return 0;
}

}  // namespace remeasure::kernels
