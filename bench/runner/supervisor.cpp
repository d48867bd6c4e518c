// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/supervisor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "bench/runner/experiment_view.h"
#include "bench/runner/parents_record.h"
#include "bench/runner/process.h"
#include "bench/runner/protocol.h"
#include "bench/runner/worker_record.h"

namespace remeasure::bench::runner {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// What a worker gets between the request to stop and the end.
constexpr auto kGrace = std::chrono::seconds(2);
constexpr auto kTick = milliseconds(100);

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string random_id() {
  std::ifstream file("/proc/sys/kernel/random/uuid");
  std::string id;
  if (!(file >> id)) throw std::runtime_error("cannot read /proc/sys/kernel/random/uuid");
  return id;
}

/// cut_short: the running case took more than its share of a budget.
enum class Stop { none, interrupted, timed_out, cut_short };

/// So many workers in a row that a broken device ended, without one good result of a device in between, and
/// the rest isn't tried on that device any more.
constexpr int kHopeless = 3;

}  // namespace

class Supervisor::Life {
 public:
  Life(const Registered& registered, int number, int count, const RunContext& context)
      : context_(context),
        settings_(context.settings),
        view_(context.view, registered.experiment->paper.id, number, count),
        record_(registered, settings_, assignment_, outcome_.record) {
    assignment_ = {.experiment = registered.experiment->paper.id,
                   .run_id = random_id(),
                   .parent = static_cast<int>(::getpid()),
                   .settings = settings_};
    outcome_.id = assignment_.experiment;
    outcome_.theme = std::string(registered.theme);
  }

  void run_all() {
    limit_ = start_ +
             std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(settings_.timeout));
    for (;;) {
      supervise();
      if (!outcome_.refused.empty()) break;
      const bool broke = broken_.has_value();
      if (broke)
        avoid_broken();
      else
        settle();
      // What crashed gets its row, and a new worker goes on with the next case. A time limit is the
      // experiment's, so nothing is left of it after a hang.
      const bool crashed = !broke && outcome_.state == reports::RunState::crashed && !running_.empty();
      if (!(broke || crashed) || stop_ != Stop::none || !outcome_.refused.empty() || Clock::now() >= limit_)
        break;
      if (crashed) report_crash();
    }
    if (broken_) settle();  // no time is left for another worker
    outcome_.seconds = seconds_since(start_);
  }

  std::vector<std::string> run_turn(const Turn& turn, Clock::time_point budget_end) {
    const auto begin = Clock::now();
    limit_ = budget_end;
    assignment_.only = turn.cases;
    assignment_.caps = turn.caps;
    assignment_.clipped = turn.clipped;
    assignment_.turn_seconds = turn.seconds;
    ended_.clear();
    supervise();
    outcome_.seconds += seconds_since(begin);
    if (!outcome_.refused.empty()) return turn.cases;
    const bool broke = broken_.has_value() && stop_ == Stop::none;
    if (broke)
      avoid_broken();
    else
      settle();
    const bool began_a_case = !running_.empty() || !ended_.empty();
    // What the budget's end cut off waits for the next call, also if the worker saw it coming and ended by
    // itself.
    const bool cut_off = stop_ == Stop::interrupted || stop_ == Stop::timed_out ||
                         std::find(turn.clipped.begin(), turn.clipped.end(), true) != turn.clipped.end();
    if (!broke && !cut_off && !running_.empty()) {
      ended_.push_back(running_);
      if (stop_ == Stop::none)
        report_crash();
      else
        view_.case_line(running_, cut_text());
    }
    if (stop_ != Stop::interrupted) stop_ = Stop::none;
    running_.clear();
    // A worker that ends by itself before its first case would do so again.
    return began_a_case || broke || cut_off ? ended_ : turn.cases;
  }

  void leave(const std::vector<Unreached>& unreached) {
    if (!outcome_.ran && !record_.may_be_completed()) return;
    const bool changed = record_.add_unreached(unreached);
    outcome_.ran = true;
    outcome_.cases_total =
        std::max(outcome_.cases_total, static_cast<std::int64_t>(outcome_.record.cases.size()));
    if (changed) write();
    outcome_.state = outcome_.record.state;
    outcome_.error = outcome_.record.error;
  }

  const Outcome& outcome() const { return outcome_; }

 private:
  void report_crash() {
    view_.case_line(running_, "CRASHED: " + describe(ending_));
    assignment_.crashed.push_back(running_);
  }

  void write() {
    try {
      record_.write();
    } catch (const std::exception& error) {
      outcome_.refused = error.what();  // a full disk: what was finished stands in the file as it was
    }
  }

  /// The next worker leaves alone what broke the device; after kHopeless in a row, the device itself.
  void avoid_broken() {
    const Broken& broken = *broken_;
    const std::string place = broken.variant.substr(broken.variant.find('@') + 1);
    view_.case_line(running_, fmt::format("{} broke the device for its process: {}",
                                          broken.variant.empty() ? "it" : broken.variant, broken.error));
    outcome_.device_errors++;
    if (broken.variant.empty()) {
      record_.read();
      record_.put(record_.row(running_, broken.error));
      write();
      assignment_.crashed.push_back(running_);
      ended_.push_back(running_);
      return;
    }
    assignment_.broken[running_][broken.variant] = broken.error;
    if (broken.device) {
      assignment_.given_up[place] =
          fmt::format("the device was lost in case {}, {}: {}", running_, broken.variant, broken.error);
      return;
    }
    record_.read();
    const int passes = record_.device_passes();
    broken_in_a_row_ = passes > device_passes_ ? 1 : broken_in_a_row_ + 1;
    device_passes_ = passes;
    if (broken_in_a_row_ >= kHopeless) {
      assignment_.given_up[place] =
          fmt::format("the device failed in {} processes in a row, the last time in case {}, {}: {}",
                      broken_in_a_row_, running_, broken.variant, broken.error);
    }
  }

  std::string cut_text() const {
    if (stop_ == Stop::cut_short)
      return fmt::format("no end within its share of the budget ({:.3g} s)", cap_of(running_));
    return fmt::format("no end within the time limit of {:g} s", settings_.timeout);
  }

  double cap_of(const std::string& name) const {
    const auto found = std::find(assignment_.only.begin(), assignment_.only.end(), name);
    if (found == assignment_.only.end()) return 0;
    return assignment_.caps[static_cast<std::size_t>(found - assignment_.only.begin())];
  }

  void supervise() {
    const bool first = workers_++ == 0;
    if (!first) assignment_.settings.resume = true;  // the next one takes over what this run has done
    assignment_.settings.timeout = std::chrono::duration<double>(limit_ - Clock::now()).count();
    running_.clear();
    broken_.reset();
    began_ = finished_ = false;
    reader_ = {};
    case_limit_ = Clock::time_point::max();
    ProcessSpec spec;
    spec.program = context_.worker.executable;
    spec.command = context_.worker.leading_arguments;
    spec.command.push_back(encode(assignment_));
    spec.log = log_path(settings_, outcome_.id);
    spec.append = !first;
    spec.log_header = fmt::format("# {}, started {}", canonical_command(outcome_.id, settings_), utc_now());
    Process process(spec);
    pid_ = process.pid();
    Clock::time_point kill_at = Clock::time_point::max();
    std::string bytes;
    for (bool alive = true; alive;) {
      alive = process.pump(kTick, bytes);
      for (const auto& message : reader_.feed(bytes)) receive(message);
      bytes.clear();
      show();
      if (!alive) break;
      const int interrupts = context_.interrupts();
      const auto now = Clock::now();
      if (stop_ == Stop::none && (interrupts > 0 || now >= std::min(limit_, case_limit_))) {
        stop_ = interrupts > 0 ? Stop::interrupted : now >= limit_ ? Stop::timed_out : Stop::cut_short;
        kill_at = Clock::now() + kGrace;
        process.terminate();
      }
      if (Clock::now() >= kill_at || interrupts > 1) process.kill();
    }
    ending_ = process.ending();
  }

  void receive(const Message& message) {
    switch (message.kind) {
      case MessageKind::begin:
        began_ = true;
        outcome_.cases_total = message.total;
        view_.state.cases = message.total;
        if (workers_ > 1) break;
        outcome_.cases_reused = message.index;
        if (message.index > 0) {
          view_.line(fmt::format("{} of {} cases are finished already", message.index, message.total));
        }
        break;
      case MessageKind::case_started:
        running_ = message.name;
        if (const double cap = cap_of(running_); cap > 0) {
          case_limit_ =
              Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(cap));
        }
        view_.state.case_index = message.index;
        view_.state.case_name = message.name;
        view_.state.phase.clear();
        break;
      case MessageKind::phase:
        view_.state.phase = message.detail;
        break;
      case MessageKind::case_finished:
        ended_.push_back(message.name);
        running_.clear();
        case_limit_ = Clock::time_point::max();
        ++done_;
        done_seconds_ = seconds_since(start_);
        view_.case_finished(message);
        break;
      case MessageKind::note:
        view_.line("note: " + message.detail);
        break;
      case MessageKind::refused:
        outcome_.refused = message.detail;
        break;
      case MessageKind::device_broken:
        broken_ = to_broken(message);
        break;
      case MessageKind::finished: {
        finished_ = true;
        running_.clear();
        outcome_.declared_variants.clear();
        std::istringstream names(message.detail);
        for (std::string name; std::getline(names, name, ',');) outcome_.declared_variants.push_back(name);
        break;
      }
    }
  }

  void show() {
    view_.state.elapsed = seconds_since(context_.start);
    if (settings_.budget)
      view_.state.budget_left = std::max(0.0, *settings_.budget - view_.state.elapsed);
    else
      view_.state.remaining =
          context_.estimator.remaining({.experiment = outcome_.id,
                                        .elapsed = seconds_since(start_),
                                        .done = done_,
                                        .total = outcome_.cases_total - outcome_.cases_reused,
                                        .done_seconds = done_seconds_});
    view_.update();
  }

  /// Reads what the worker wrote and adds what it couldn't: that it crashed, where, and how.
  void settle() {
    const auto path = record_path(settings_, outcome_.id);
    std::error_code ignored;
    std::filesystem::remove(
        path.parent_path() / fmt::format(".{}.{}.partial", path.filename().string(), pid_), ignored);
    if (began_ && outcome_.cases_total == 0 && ending_.clean()) return;  // nothing matches the filter
    outcome_.ran = true;
    record_.read();
    reports::Record& record = outcome_.record;
    const bool clean = ending_.clean() && finished_;
    if (!clean) describe_ending(record);
    if (clean && !crashes_.empty() && record.state == reports::RunState::complete) {
      record.state =
          reports::RunState::crashed;  // another worker did the rest, but this isn't a complete run
      record.error = crashes_;
    }
    if (!clean || !crashes_.empty()) {
      record.elapsed_seconds = std::max(record.elapsed_seconds, seconds_since(start_));
      record_.judge();
      write();
    }
    outcome_.state = record.state;
    outcome_.error = record.error;
  }

  void describe_ending(reports::Record& record) {
    const std::string where = running_.empty()
                                  ? std::string(done_ > 0 ? "between two cases" : "before the first case")
                                  : fmt::format("in case {}", running_);
    const std::string phase =
        running_.empty() || view_.state.phase.empty() ? "" : fmt::format(", {}", view_.state.phase);
    std::string what;
    switch (stop_) {
      case Stop::interrupted:
        record.state = reports::RunState::interrupted;
        record.error = fmt::format("interrupted {}{}", where, phase);
        return;  // the case is to be done again: no row
      case Stop::timed_out:
        if (settings_.budget) return;  // no failure: the next call goes on here
        [[fallthrough]];
      case Stop::cut_short:
        record.state = reports::RunState::timed_out;
        what = cut_text();
        break;
      case Stop::none:
        record.state = reports::RunState::crashed;
        what = describe(ending_);
        if (ending_.clean()) what += " without finishing";
    }
    crashes_ += fmt::format("{}{}{}: {}", crashes_.empty() ? "" : "; ", where, phase, what);
    record.error = crashes_;
    if (running_.empty()) return;
    reports::CaseResult row = record_.row(
        running_, view_.state.phase.empty() ? what : fmt::format("{}: {}", view_.state.phase, what));
    row.elapsed_seconds = cap_of(running_);  // at least: the next call's budget plans with it
    record_.put(std::move(row));
  }

  const RunContext& context_;
  const Settings& settings_;
  ExperimentView view_;
  Clock::time_point start_ = Clock::now();
  Assignment assignment_;
  MessageReader reader_;
  Outcome outcome_;
  ParentsRecord record_;  // fills in the outcome's
  Ending ending_;
  Stop stop_ = Stop::none;
  Clock::time_point limit_ = Clock::time_point::max(), case_limit_ = Clock::time_point::max();
  int workers_ = 0, broken_in_a_row_ = 0, device_passes_ = 0;
  std::optional<Broken> broken_;
  std::vector<std::string> ended_;  // cases of this turn that had theirs
  bool began_ = false, finished_ = false;
  std::string running_, crashes_;
  std::int64_t done_ = 0;
  double done_seconds_ = 0;
  pid_t pid_ = -1;
};

Supervisor::Supervisor(const Registered& registered, int number, int count, const RunContext& context)
    : life_(std::make_unique<Life>(registered, number, count, context)) {}
Supervisor::~Supervisor() = default;
void Supervisor::run_all() {
  life_->run_all();
}
std::vector<std::string> Supervisor::run_turn(const Turn& turn, Clock::time_point budget_end) {
  return life_->run_turn(turn, budget_end);
}
void Supervisor::leave(const std::vector<Unreached>& unreached) {
  life_->leave(unreached);
}
const Outcome& Supervisor::outcome() const {
  return life_->outcome();
}

}  // namespace remeasure::bench::runner
