// SPDX-License-Identifier: Apache-2.0
//
// The stand-in for accuracy: two stacked layers learn a teacher that mixes all channels. Grouped layers can
// hold only the diagonal blocks of a map, whatever is trained; windows that slide pass channels on.
#pragma once

#include <cmath>

#include "experiments/convolution/dsxplore_students.h"
#include "experiments/vocabulary.h"
#include "kernels/parallel_tasks.h"

namespace remeasure::experiments::dsxplore_mixing {

/// Residuals over the seeds.
struct Residual {
  double mean = 0, error = 0, least = 1e300, most = 0;
  int parameters = 0;
};

struct Student {
  Mixer mixer;
  double overlap;
};

/// All students on all seeds, a run on each thread.
inline std::vector<Residual> fit(const MixingPlan& plan, const std::vector<Student>& students, bool with_relu,
                                 const std::vector<datasets::ChannelMixing>& data) {
  const int seeds = static_cast<int>(data.size()), count = static_cast<int>(students.size());
  std::vector<double> values(students.size() * data.size());
  const auto plan_of = [&](int student) {
    MixingPlan changed = plan;
    changed.overlap = students[static_cast<std::size_t>(student)].overlap;
    return changed;
  };
  kernels::for_each_row_block(count * seeds, 1, 0, [&](int task, int, int) {
    const int seed = task % seeds, student = task / seeds;
    values[static_cast<std::size_t>(task)] =
        fitted_residual(plan_of(student), students[static_cast<std::size_t>(student)].mixer, with_relu,
                        data[static_cast<std::size_t>(seed)], static_cast<std::uint64_t>(seed) + 1);
  });
  std::vector<Residual> result;
  for (int student = 0; student < count; ++student) {
    Residual residual;
    double squares = 0;
    for (int seed = 0; seed < seeds; ++seed) {
      const double value = values[static_cast<std::size_t>(student * seeds + seed)];
      residual.mean += value / seeds;
      squares += value * value / seeds;
      residual.least = std::min(residual.least, value);
      residual.most = std::max(residual.most, value);
    }
    if (seeds > 1)
      residual.error = std::sqrt(std::max(0.0, squares - residual.mean * residual.mean) / (seeds - 1));
    const MixingPlan changed = plan_of(student);
    residual.parameters = MaskedStack(students[static_cast<std::size_t>(student)].mixer, plan.channels,
                                      plan.groups, changed.overlap, false, 1)
                              .parameter_count();
    result.push_back(residual);
  }
  return result;
}

/// Every mixer, at the plan's overlap.
inline std::vector<Residual> fit_all(const MixingPlan& plan, bool with_relu,
                                     const std::vector<datasets::ChannelMixing>& data) {
  std::vector<Student> students;
  for (const MixerName& mixer : kMixers) students.push_back({mixer.mixer, plan.overlap});
  return fit(plan, students, with_relu, data);
}

inline const Residual& of(const std::vector<Residual>& residuals, Mixer mixer) {
  for (std::size_t i = 0; i < residuals.size(); ++i) {
    if (kMixers[i].mixer == mixer) return residuals[i];
  }
  throw std::logic_error("a Mixer that isn't in the list");
}

/// Share of the teachers' energy outside of the diagonal blocks: what grouped layers can't hold, whatever is
/// trained. 1 - 1/g in expectation; of one orthogonal 32 x 32 matrix it varies by 0.02 (one deviation).
inline double energy_outside_blocks(const MixingPlan& plan,
                                    const std::vector<datasets::ChannelMixing>& data) {
  const auto channels = static_cast<std::size_t>(plan.channels),
             block = channels / static_cast<std::size_t>(plan.groups);
  double outside = 0, all = 0;
  for (const datasets::ChannelMixing& mixing : data) {
    for (std::size_t i = 0; i < mixing.a.size(); ++i) {
      const double square = static_cast<double>(mixing.a[i]) * static_cast<double>(mixing.a[i]);
      all += square;
      if (i / channels / block != i % channels / block) outside += square;
    }
  }
  return outside / all;
}

/// "Must hold" of the linear fit: grouped layers miss the energy outside of their blocks, one window for all
/// the energy of the channels that nobody reads, exactly 1 - 1/g.
inline bool mixes_as_stated(const MixingPlan& plan, const std::vector<Residual>& linear, double outside) {
  return std::abs(of(linear, Mixer::grouped).mean - outside) <= 0.05 &&
         of(linear, Mixer::sliding).most <= 0.1 &&
         of(linear, Mixer::same_window).least >= 1 - 1.0 / plan.groups - 0.02;
}

/// SCC's residual against the overlap. Without any, windows are disjoint but neighbouring outputs have
/// different ones: a second layer reads across them, as after a channel shuffle.
inline void measure_overlap(Trial& t, const MixingPlan& plan,
                            const std::vector<datasets::ChannelMixing>& data,
                            const std::vector<double>& overlaps, const std::vector<Residual>& linear,
                            const std::vector<Residual>& nonlinear) {
  std::vector<Student> students;
  for (const double overlap : overlaps) students.push_back({Mixer::sliding, overlap});
  reports::Plot plot{.name = "residual_overlap",
                     .title = fmt::format("Residual energy against the overlap, {} channels, g = {}",
                                          plan.channels, plan.groups),
                     .x_label = "overlap",
                     .y_label = "residual energy"};
  for (const bool with_relu : {false, true}) {
    const char* const teacher = with_relu ? "ReLU teacher" : "linear teacher";
    const std::vector<Residual> residuals = fit(plan, students, with_relu, data);
    reports::Curve curve{.label = fmt::format("SCC, {}", teacher), .x = overlaps};
    for (std::size_t i = 0; i < overlaps.size(); ++i) {
      curve.y.push_back(residuals[i].mean);
      curve.error.push_back(residuals[i].error);
      t.metric({.name = fmt::format("residual energy, SCC, overlap {}, {}", overlaps[i], teacher),
                .value = residuals[i].mean,
                .unit = "",
                .error = residuals[i].error,
                .tolerance = 0.2});
    }
    plot.curves.push_back(std::move(curve));
    const double grouped = of(with_relu ? nonlinear : linear, Mixer::grouped).mean;
    plot.curves.push_back({.label = fmt::format("GPW, {}", teacher),
                           .x = {overlaps.front(), overlaps.back()},
                           .y = {grouped, grouped},
                           .reference = true});
  }
  t.plot(std::move(plot));
}

inline void measure_mixing(Trial& t, const MixingPlan& plan, int seeds, const std::vector<double>& overlaps) {
  std::vector<datasets::ChannelMixing> data;
  for (int i = 0; i < seeds; ++i) {
    const datasets::Opened opened = t.open(
        datasets::sliding_channel_mixing_definition,
        datasets::sliding_channel_mixing(plan.train + plan.test, static_cast<std::size_t>(plan.channels),
                                         t.seed() + static_cast<std::uint64_t>(i)));
    data.push_back(read_sliding_channel_mixing(*opened.reader));
  }
  const std::vector<Residual> linear = fit_all(plan, false, data), nonlinear = fit_all(plan, true, data);
  reports::Table table{
      .name = "mixing",
      .title =
          fmt::format("Residual energy after {} steps of Adam, {} channels, g = {}, overlap {}, {} seed(s)",
                      plan.steps, plan.channels, plan.groups, plan.overlap, seeds),
      .columns = {"two layers", "weights", "y = A x", "y = A relu(B x)"},
      .rows = {}};
  for (std::size_t i = 0; i < linear.size(); ++i) {
    const auto text = [](const Residual& r) { return fmt::format("{:.4f} ± {:.4f}", r.mean, r.error); };
    table.rows.push_back(
        {kMixers[i].name, std::to_string(linear[i].parameters), text(linear[i]), text(nonlinear[i])});
    for (const auto& [residuals, teacher] : {std::pair{&linear, "linear"}, std::pair{&nonlinear, "ReLU"}}) {
      t.metric({.name = fmt::format("residual energy, {}, {} teacher", kMixers[i].name, teacher),
                .value = (*residuals)[i].mean,
                .unit = "",
                .error = (*residuals)[i].error,
                .tolerance = 0.2});
    }
  }
  t.table(std::move(table));
  const double outside = energy_outside_blocks(plan, data);
  t.metric({.name = "energy of the linear teacher outside of GPW's blocks",
            .value = outside,
            .unit = "",
            .tolerance = 1e-6});
  t.check("GPW misses the energy outside of its blocks, SCC at most 0.1, the control with step 0 1 - 1/g",
          mixes_as_stated(plan, linear, outside),
          fmt::format(
              "GPW {:.3f} of {:.3f} outside, SCC at most {:.3f}, step 0 at least {:.3f}; 1 - 1/g = {:.3f}",
              of(linear, Mixer::grouped).mean, outside, of(linear, Mixer::sliding).most,
              of(linear, Mixer::same_window).least, 1 - 1.0 / plan.groups));
  t.check("with ReLU between the layers SCC's residual is below GPW's in every seed",
          of(nonlinear, Mixer::sliding).most < of(nonlinear, Mixer::grouped).least,
          fmt::format("SCC at most {:.3f}, GPW at least {:.3f}", of(nonlinear, Mixer::sliding).most,
                      of(nonlinear, Mixer::grouped).least));
  measure_overlap(t, plan, data, overlaps, linear, nonlinear);
}

}  // namespace remeasure::experiments::dsxplore_mixing
