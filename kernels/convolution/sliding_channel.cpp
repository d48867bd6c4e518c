// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/sliding_channel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

namespace remeasure::kernels {
namespace {

int rounded_up(int n, int to) {
  return (n + to - 1) / to * to;
}

/// Places that products of `step` cover in chunks from `begin`, where they meet the band [low, high).
int covered(int begin, int end, int low, int high, int step) {
  int places = 0;
  for (int place = begin; place < end; place += step) places += place < high && place + step > low ? step : 0;
  return places;
}

/// Sum over the warps of the places that they multiply; begin_of and end_of a row are monotonic.
template <class Begin, class End>
double multiplied_places(int rows, const Begin& begin_of, const End& end_of, int step) {
  double places = 0;
  for (int tile = 0; tile < rows; tile += kSlidingRows) {
    const int last = std::min(tile + kSlidingRows, rows) - 1, begin = begin_of(tile), end = end_of(last);
    for (int warp = tile; warp <= last; warp += 16) {
      places += covered(begin, begin + rounded_up(end - begin, kSlidingChunk), begin_of(warp),
                        end_of(std::min(warp + 15, last)), step);
    }
  }
  return places;
}

}  // namespace

SlidingChannelShape SlidingChannelShape::of(int batch, int inputs, int outputs, int height, int width,
                                            int groups, double overlap) {
  if (groups < 1 || inputs % std::max(1, groups) != 0 || !(overlap >= 0 && overlap < 1)) {
    throw std::invalid_argument("sliding-channel convolution: " + std::to_string(inputs) + " inputs, " +
                                std::to_string(groups) + " groups, overlap " + std::to_string(overlap) +
                                "; groups must divide the inputs, the overlap be in [0, 1)");
  }
  const int window = inputs / groups;
  const int shared = static_cast<int>(std::floor(overlap * window));
  return {batch, inputs, outputs, height, width, window, window - shared};
}

int SlidingChannelShape::cycle() const {
  return inputs / std::gcd(inputs, step);
}

void check_sliding_channel(const char* what, const SlidingChannelShape& s) {
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument(std::string(what) + ": " + why);
  };
  for (const int extent : {s.batch, s.inputs, s.outputs, s.height, s.width}) {
    if (extent < 1) refuse("an extent is " + std::to_string(extent) + "; it must be at least 1");
  }
  if (s.window < 1 || s.window > s.inputs)
    refuse("the window is " + std::to_string(s.window) + "; it must be from 1 to the number of inputs, " +
           std::to_string(s.inputs));
  if (s.step < 0 || s.step > s.inputs)
    refuse("the step is " + std::to_string(s.step) + "; it must be from 0 to the number of inputs, " +
           std::to_string(s.inputs));
  constexpr long long kMost = std::numeric_limits<int>::max() / 2;
  const long long columns = static_cast<long long>(s.batch) * s.height * s.width;
  if (columns > kMost || static_cast<long long>(s.outputs) * std::max(s.step, s.window) > kMost)
    refuse("more than 2^30 pixels or weights");
}

void check_sliding_sizes(const char* what, const SlidingChannelShape& shape, std::size_t x, std::size_t w,
                         std::size_t y) {
  check_sliding_channel(what, shape);
  const std::pair<std::size_t, std::size_t> sizes[] = {
      {x, shape.x_elements()}, {w, shape.w_elements()}, {y, shape.y_elements()}};
  const char* const names[] = {"x", "w", "y"};
  for (std::size_t i = 0; i < 3; ++i) {
    if (sizes[i].first == sizes[i].second) continue;
    throw std::invalid_argument(std::string(what) + ": " + names[i] + " or its gradient has " +
                                std::to_string(sizes[i].first) + " elements; " +
                                std::to_string(sizes[i].second) + " follow from the shape");
  }
}

void check_sliding_tables(const char* what, const SlidingChannelShape& shape, std::size_t output,
                          std::size_t start, std::size_t first) {
  const auto padded = static_cast<std::size_t>(rounded_up(shape.outputs, kSlidingRows));
  if (output == padded && start == padded && first == static_cast<std::size_t>(shape.inputs) + 1) return;
  throw std::invalid_argument(std::string(what) + ": tables of " + std::to_string(output) + ", " +
                              std::to_string(start) + " and " + std::to_string(first) +
                              " entries; those of sliding_channel_order are needed");
}

SlidingChannelOrder sliding_channel_order(const SlidingChannelShape& shape) {
  check_sliding_channel("sliding_channel_order", shape);
  SlidingChannelOrder order;
  order.output.resize(static_cast<std::size_t>(shape.outputs));
  std::iota(order.output.begin(), order.output.end(), 0);
  std::stable_sort(order.output.begin(), order.output.end(),
                   [&](int a, int b) { return shape.start(a) < shape.start(b); });
  for (const int output : order.output) order.start.push_back(shape.start(output));
  for (int start = 0; start <= shape.inputs; ++start) {
    order.first.push_back(static_cast<int>(std::lower_bound(order.start.begin(), order.start.end(), start) -
                                           order.start.begin()));
  }
  const auto padded = static_cast<std::size_t>(rounded_up(shape.outputs, kSlidingRows));
  order.start.resize(padded, order.start.back());
  order.output.resize(padded, -1);
  return order;
}

int scc_weight_parts(const SlidingChannelShape& shape) {
  // About eight blocks for each of a large GPU's multiprocessors, of at least 256 columns.
  const int tiles = rounded_up(shape.outputs, kSlidingRows) / kSlidingRows *
                    (rounded_up(shape.window, kSlidingRows) / kSlidingRows + 1);
  return std::clamp(1024 / tiles, 1, std::max(1, shape.columns() / 256));
}

double scc_forward_flops(const SlidingChannelShape& shape, SlidingProduct product, int columns_per_block) {
  const SlidingChannelOrder order = sliding_channel_order(shape);
  const auto start = [&](int row) { return order.start[static_cast<std::size_t>(row)]; };
  const double places = multiplied_places(
      shape.outputs, start, [&](int row) { return start(row) + shape.window; }, inner_step(product));
  return 2 * 16 * places * rounded_up(shape.columns(), columns_per_block);
}

double scc_backward_data_flops(const SlidingChannelShape& shape, SlidingProduct product) {
  const SlidingChannelOrder order = sliding_channel_order(shape);
  const auto place = [&](int start) {
    const bool wrapped = start >= shape.inputs;
    return order.first[static_cast<std::size_t>(wrapped ? start - shape.inputs : start)] +
           (wrapped ? shape.outputs : 0);
  };
  const double places = multiplied_places(
      shape.inputs, [&](int row) { return place(row + 1 + shape.inputs - shape.window); },
      [&](int row) { return place(row + 1 + shape.inputs); }, inner_step(product));
  return 2 * 16 * places * rounded_up(shape.columns(), 64);
}

double scc_backward_weight_flops(const SlidingChannelShape& shape, SlidingProduct) {
  const SlidingChannelOrder order = sliding_channel_order(shape);
  const auto start = [&](int row) { return order.start[static_cast<std::size_t>(row)]; };
  // Here the inner dimension is that of the columns, in whole chunks for each part; the band is skipped in
  // eights of channels.
  const double places = multiplied_places(
      shape.outputs, start, [&](int row) { return start(row) + shape.window; }, 8);
  const int parts = scc_weight_parts(shape),
            chunks = rounded_up(shape.columns(), kSlidingChunk) / kSlidingChunk;
  const double products = 2 * 16 * places * chunks * kSlidingChunk;
  return products +
         (parts > 1 ? static_cast<double>(parts - 1) * static_cast<double>(shape.w_elements()) : 0);
}

double scc_block_flops(const SlidingChannelShape& shape, SlidingProduct product) {
  const double columns = rounded_up(shape.columns(), 32);
  return scc_forward_flops(shape, product, 32) +
         columns * (18.0 * shape.inputs + rounded_up(shape.outputs, kSlidingRows));
}

}  // namespace remeasure::kernels
