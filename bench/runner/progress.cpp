// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace remeasure::bench::runner {
namespace {

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// The first `width` columns; a cut is marked by a final dot-dot.
std::string cut(std::string_view text, std::size_t width) {
  if (columns(text) <= width) return std::string(text);
  if (width < 3) return "";
  std::size_t end = 0;
  for (std::size_t column = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && column++ == width - 2) break;
  }
  return std::string(text.substr(0, end)) + "..";
}

}  // namespace

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long long>(std::llround(std::min(seconds, 1e12)));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string format_tally(const Tally& tally) {
  std::string text;
  const auto add = [&](int count, std::string_view what) {
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  };
  add(tally.incorrect, "INCORRECT");
  add(tally.failed, "failed");
  add(tally.failed_checks, tally.failed_checks == 1 ? "check doesn't hold" : "checks don't hold");
  add(tally.passed, "passed");
  add(tally.not_run, "not run");
  return text.empty() ? "no variants" : text;
}

std::string progress_line(const ProgressState& state, std::size_t width, bool unicode) {
  const std::string_view dot = unicode ? " · " : " | ";
  const std::string head = fmt::format("[{}/{}] {}", state.experiment, state.experiments, state.id);
  std::string tail = std::string(dot) + format_duration(state.elapsed);
  if (state.budget_left)
    tail += fmt::format("{}{} of the budget left", dot, format_duration(*state.budget_left));
  else if (state.remaining)
    tail += fmt::format("{}about {} left", dot, format_duration(*state.remaining));
  std::string position, name;
  if (state.cases > 0)
    position = fmt::format("{}case {}/{}", dot, std::max<std::int64_t>(state.case_index, 1), state.cases);
  if (!state.case_name.empty()) name = " " + state.case_name;
  std::string phase = state.phase.empty() ? "" : std::string(dot) + state.phase;

  const std::size_t fixed = columns(head) + columns(position) + columns(tail);
  const std::size_t room = width > fixed ? width - fixed : 0;
  if (columns(name) + columns(phase) > room) {
    // The case's name may take what the phase leaves, and at least a third of the room.
    const std::size_t for_phase = std::min(
        columns(phase), room - std::min(room, std::max(room / 3, room - std::min(room, columns(phase)))));
    phase = cut(phase, for_phase);
    name = cut(name, room - std::min(room, columns(phase)));
  }
  return cut(head + position + name + phase + tail, width);
}

std::optional<double> Estimator::remaining(const Position& position) const {
  double sum = 0;
  double mean = -1;
  if (!measured_.empty()) {
    mean = 0;
    for (const auto& [name, seconds] : measured_) mean += seconds / static_cast<double>(measured_.size());
  }
  bool reached = false;
  for (const auto& name : experiments_) {
    const auto known = expected_.find(name);
    if (name == position.experiment) {
      reached = true;
      // How far the running case is isn't known, so an estimate from cases waits for the first finished one.
      const double elapsed = position.elapsed;
      if (known != expected_.end() && known->second > elapsed) {
        sum += known->second - elapsed;
      } else if (position.done > 0) {
        const double whole =
            position.done_seconds / static_cast<double>(position.done) * static_cast<double>(position.total);
        sum += std::max(0.0, whole - elapsed);
      } else if (mean >= 0) {
        sum += std::max(0.0, mean - elapsed);
      } else {
        return std::nullopt;
      }
    } else if (reached) {
      if (known != expected_.end())
        sum += known->second;
      else if (mean >= 0)
        sum += mean;
      else
        return std::nullopt;
    }
  }
  return reached ? std::optional(sum) : std::nullopt;
}

void ProgressView::update(const ProgressState& state) {
  if (!live_) return;
  // The last column stays free: some terminals wrap as soon as it is written.
  std::string text = progress_line(state, terminal_width(stream_) - 1, unicode_);
  if (text == shown_) return;
  std::fprintf(stream_, "\r%s\033[K", text.c_str());
  std::fflush(stream_);
  shown_ = std::move(text);
}

void ProgressView::line(const std::string& text) {
  clear();
  std::fprintf(stream_, "%s\n", text.c_str());
  std::fflush(stream_);
}

void ProgressView::clear() {
  if (shown_.empty()) return;
  std::fputs("\r\033[K", stream_);
  std::fflush(stream_);
  shown_.clear();
}

std::size_t terminal_width(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
  return 80;
}

bool locale_is_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string text(value);
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text.find("UTF-8") != std::string::npos || text.find("UTF8") != std::string::npos;
  }
  return false;
}

}  // namespace remeasure::bench::runner
