// SPDX-License-Identifier: Apache-2.0
//
// What sliding-channel convolution is, measured by counting: multiplications, different windows, atomic
// additions, and which inputs an output reaches.
#pragma once

#include <set>

#include "experiments/convolution/dsxplore_problem.h"
#include "kernels/simt/counts.h"
#include "kernels/simt/engine.h"

namespace remeasure::experiments::dsxplore_mechanism {

using kernels::SlidingChannelShape;

// --- cost ---

/// A number that counts how often it is multiplied.
struct Counted {
  double value = 0;
  long long* multiplications = nullptr;
};
inline Counted operator*(const Counted& a, const Counted& b) {
  ++*(a.multiplications != nullptr ? a.multiplications : b.multiplications);
  return {a.value * b.value, a.multiplications};
}

/// y[output, p] += w * x over the listed channels and taps: the plain loop of every convolution here.
/// `reads(output)` are the channels that an output reads; borders are zeros that are multiplied like any
/// other.
template <class Reads>
long long multiplications(int inputs, int outputs, int side, int kernel, const Reads& reads) {
  long long count = 0;
  const int padded = side + kernel - 1;
  const std::vector<Counted> x(static_cast<std::size_t>(inputs * padded * padded), Counted{1, nullptr});
  const Counted w{0.5, &count};
  double sum = 0;
  for (int output = 0; output < outputs; ++output) {
    const std::vector<int> channels = reads(output);
    for (int row = 0; row < side; ++row) {
      for (int column = 0; column < side; ++column) {
        for (const int channel : channels) {
          for (int tap = 0; tap < kernel * kernel; ++tap) {
            const int at = (channel * padded + row + tap / kernel) * padded + column + tap % kernel;
            sum += (w * x[static_cast<std::size_t>(at)]).value;
          }
        }
      }
    }
  }
  return sum > 0 ? count : 0;
}

struct Cost {
  long long standard = 0, grouped = 0, sliding = 0,
            dense_pointwise = 0;  ///< the last three with a depthwise 3x3
  double formula = 0;
};

/// Of a block on side x side pixels.
inline Cost cost_of(int inputs, int outputs, int groups, double overlap, int side = 2) {
  const SlidingChannelShape shape = SlidingChannelShape::of(1, inputs, outputs, side, side, groups, overlap);
  const auto range = [](int first, int count) {
    std::vector<int> channels;
    for (int i = 0; i < count; ++i) channels.push_back(first + i);
    return channels;
  };
  const long long depthwise =
      multiplications(inputs, inputs, side, 3, [&](int output) { return range(output, 1); });
  const int window = inputs / groups;
  Cost cost;
  cost.standard = multiplications(inputs, outputs, side, 3, [&](int) { return range(0, inputs); });
  cost.grouped = depthwise + multiplications(inputs, outputs, side, 1, [&](int output) {
                   return range(output * groups / outputs * window, window);
                 });
  cost.sliding = depthwise + multiplications(inputs, outputs, side, 1, [&](int output) {
                   std::vector<int> channels;
                   for (int j = 0; j < shape.window; ++j) channels.push_back(shape.channel(output, j));
                   return channels;
                 });
  cost.dense_pointwise =
      depthwise + multiplications(inputs, outputs, side, 1, [&](int) { return range(0, inputs); });
  cost.formula = (9.0 * inputs + static_cast<double>(outputs) * inputs / groups) / (9.0 * inputs * outputs);
  return cost;
}

/// SCC costs what the grouped block costs, and both the formula's share of a standard convolution.
inline bool as_stated(const Cost& cost) {
  const double share = static_cast<double>(cost.sliding) / static_cast<double>(cost.standard);
  return cost.sliding == cost.grouped && std::abs(share - cost.formula) < 1e-12 && share < 1;
}

inline void measure_cost(Trial& t, const std::vector<int>& widths) {
  reports::Table table{
      .name = "cost",
      .title = "Multiplications of a block over those of a standard 3x3 convolution, counted",
      .columns = {"channels", "g", "DW+SCC", "DW+GPW", "formula", "control: DW+dense 1x1"},
      .rows = {}};
  int wrong = 0, settings = 0, controls = 0;
  double least = 1, most = 0;
  for (const int channels : widths) {
    for (const int groups : {1, 2, 4, 8}) {
      for (const double overlap : {0.25, 0.33, 0.5, 0.75}) {
        const Cost cost = cost_of(channels, channels, groups, overlap);
        const auto share = [&](long long count) {
          return static_cast<double>(count) / static_cast<double>(cost.standard);
        };
        ++settings;
        wrong += as_stated(cost) ? 0 : 1;
        controls += groups > 1 && cost.dense_pointwise != cost.sliding ? 1 : 0;
        least = std::min(least, share(cost.sliding));
        most = std::max(most, share(cost.sliding));
        if (overlap != 0.5) continue;
        table.rows.push_back({std::to_string(channels), std::to_string(groups),
                              fmt::format("{:.5f}", share(cost.sliding)),
                              fmt::format("{:.5f}", share(cost.grouped)), fmt::format("{:.5f}", cost.formula),
                              fmt::format("{:.5f}", share(cost.dense_pointwise))});
      }
    }
  }
  t.table(std::move(table));
  t.claim("cost-cut", wrong == 0,
          fmt::format("{} of {} settings: equal to DW+GPW and to the formula, {:.4f} to {:.4f} of a standard "
                      "convolution",
                      settings - wrong, settings, least, most));
  t.check("the control, a dense 1x1, isn't taken for SCC's cost", controls == settings * 3 / 4,
          fmt::format("{} of {} settings with groups", controls, settings * 3 / 4));
}

// --- windows ---

/// Different windows of `outputs` outputs, as the channels that they read in their order.
inline int counted_windows(const SlidingChannelShape& shape) {
  std::set<std::vector<int>> windows;
  for (int output = 0; output < shape.outputs; ++output) {
    std::vector<int> channels;
    for (int j = 0; j < shape.window; ++j) channels.push_back(shape.channel(output, j));
    windows.insert(std::move(channels));
  }
  return static_cast<int>(windows.size());
}

inline void measure_cycle(Trial& t, const std::vector<int>& widths) {
  int settings = 0, right = 0, fewer = 0;
  for (const int channels : widths) {
    for (const int groups : {1, 2, 4, 8}) {
      for (const double overlap : {0.0, 0.25, 0.33, 0.5, 0.75}) {
        const SlidingChannelShape shape =
            SlidingChannelShape::of(1, channels, channels, 1, 1, groups, overlap);
        const int counted = counted_windows(shape);
        ++settings;
        right += counted == shape.cycle() ? 1 : 0;
        // The control: one output less than the cycle has one window less.
        SlidingChannelShape cut = shape;
        cut.outputs = std::max(1, shape.cycle() - 1);
        fewer += shape.cycle() == 1 || counted_windows(cut) == counted - 1 ? 1 : 0;
      }
    }
  }
  t.claim(
      "cyclic", right == settings,
      fmt::format("counted windows are inputs / gcd(inputs, step) in {} of {} settings", right, settings));
  t.check("one output less than the cycle has one window less", fewer == settings,
          fmt::format("{} of {} settings", fewer, settings));
}

// --- atomics ---

struct Atomics {
  double gathered = 0, scattered = 0, formula = 0;
};

/// Runs both gradients on the SIMT engine and reads its counts.
inline Atomics atomics_of(const SlidingChannelShape& shape) {
  using simt::Counter;
  Device<Simt> device;
  Stream<Simt> stream(device);
  const kernels::SlidingChannelOrder order = kernels::sliding_channel_order(shape);
  const auto put = [&]<class T>(const std::vector<T>& values) {
    DeviceBuffer<Simt, T> buffer(device, values.size());
    stream.upload(std::span<const T>(values), buffer.span());
    return buffer;
  };
  const auto output = put(order.output), start = put(order.start), first = put(order.first);
  const auto dy = put(std::vector<float>(shape.y_elements(), 1.0f)),
             w = put(std::vector<float>(shape.w_elements(), 1.0f));
  DeviceBuffer<Simt, float> dx(device, shape.x_elements());
  const auto counted = [&] { return static_cast<double>(device.engine().last_launch()[Counter::atomics]); };
  Atomics result;
  kernels::scc_backward_data<Simt>(stream, shape, kernels::SlidingProduct::fma,
                                   {output.span(), start.span(), first.span()}, dy.span(), w.span(),
                                   dx.span());
  result.gathered = counted();
  kernels::scc_backward_data_output_centric<Simt>(stream, shape, dy.span(), w.span(), dx.span());
  result.scattered = counted();
  result.formula = shape.products();
  return result;
}

inline void measure_atomics(Trial& t, const std::vector<SlidingChannelShape>& shapes) {
  reports::Table table{.name = "atomics",
                       .title = "Atomic additions of the input's gradient, counted by the SIMT engine",
                       .columns = {"layer", "input-centric", "output-centric", "B Cout H W gw"},
                       .rows = {}};
  int right = 0;
  for (const SlidingChannelShape& s : shapes) {
    const Atomics atomics = atomics_of(s);
    right += atomics.gathered == 0 && atomics.scattered == atomics.formula ? 1 : 0;
    table.rows.push_back({fmt::format("{} x {} -> {}, {} x {}, gw {} step {}", s.batch, s.inputs, s.outputs,
                                      s.height, s.width, s.window, s.step),
                          fmt::format("{:.0f}", atomics.gathered), fmt::format("{:.0f}", atomics.scattered),
                          fmt::format("{:.0f}", atomics.formula)});
  }
  t.table(std::move(table));
  t.claim("input-centric", right == static_cast<int>(shapes.size()),
          fmt::format("0 input-centric and exactly B Cout H W gw output-centric in {} of {} layers", right,
                      shapes.size()));
}

// --- reach ---

/// The least and the most inputs that an output of two stacked layers depends on.
inline std::pair<int, int> reached(const kernels::Reach& layer, int channels) {
  const kernels::Reach two = kernels::stacked(layer, layer, channels, channels, channels);
  int least = channels, most = 0;
  for (int output = 0; output < channels; ++output) {
    const auto row = two.begin() + output * channels;
    const int count = static_cast<int>(std::count(row, row + channels, 1));
    least = std::min(least, count);
    most = std::max(most, count);
  }
  return {least, most};
}

inline void measure_reach(Trial& t, const std::vector<int>& widths) {
  reports::Table table{.name = "reach",
                       .title = "Inputs that an output of two stacked layers depends on, overlap 0.5",
                       .columns = {"channels", "g", "SCC", "GPW", "control: SCC with step 0"},
                       .rows = {}};
  const auto text = [](std::pair<int, int> range) {
    return range.first == range.second ? std::to_string(range.first)
                                       : fmt::format("{} to {}", range.first, range.second);
  };
  bool holds = true;
  for (const int channels : widths) {
    for (const int groups : {2, 4, 8}) {
      SlidingChannelShape shape = SlidingChannelShape::of(1, channels, channels, 1, 1, groups, 0.5);
      const auto sliding = reached(reach_of(shape), channels),
                 grouped = reached(kernels::grouped_reach(channels, channels, groups), channels);
      shape.step = 0;
      const auto same = reached(reach_of(shape), channels);
      if (groups == 2) holds = holds && sliding.first == channels;
      holds = holds && grouped.second == channels / groups && same.second == channels / groups;
      holds = holds && sliding.first > grouped.second;
      table.rows.push_back(
          {std::to_string(channels), std::to_string(groups), text(sliding), text(grouped), text(same)});
    }
  }
  t.table(std::move(table));
  t.check("two SCC layers reach further than two grouped ones, with g = 2 everything", holds,
          "grouped ones and the control stay within inputs / g");
}

}  // namespace remeasure::experiments::dsxplore_mechanism
