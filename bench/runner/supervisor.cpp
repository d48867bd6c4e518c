// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/supervisor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "bench/run_case.h"
#include "bench/runner/process.h"
#include "bench/runner/protocol.h"
#include "bench/runner/resume.h"
#include "bench/runner/worker.h"
#include "reports/record_io.h"

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

/// "n=512 pattern=2:4" as pairs; a word without '=' belongs to the value before it.
std::map<std::string, std::string> parameters_of(const std::string& case_name) {
  std::map<std::string, std::string> parameters;
  std::istringstream words(case_name);
  std::string word, key;
  while (words >> word) {
    const auto equals = word.find('=');
    if (equals != std::string::npos) {
      key = word.substr(0, equals);
      parameters[key] = word.substr(equals + 1);
    } else if (!key.empty()) {
      parameters[key] += " " + word;
    }
  }
  return parameters;
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
      : registered_(registered), context_(context), settings_(context.settings), view_(context.view) {
    assignment_ = {.experiment = registered.experiment->paper.id,
                   .run_id = random_id(),
                   .parent = static_cast<int>(::getpid()),
                   .settings = settings_};
    state_.experiment = number;
    state_.experiments = count;
    state_.id = assignment_.experiment;
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
        view_.line(fmt::format("{} case {}/{} {}: {}", prefix(), state_.case_index, state_.cases, running_,
                               cut_text()));
    }
    if (stop_ != Stop::interrupted) stop_ = Stop::none;
    running_.clear();
    // A worker that ends by itself before its first case would do so again.
    return began_a_case || broke || cut_off ? ended_ : turn.cases;
  }

  void leave(const std::vector<Unreached>& unreached) {
    const auto path = record_path(settings_, outcome_.id);
    if (!outcome_.ran && !may_complete(path)) return;
    reports::Record& record = outcome_.record;
    const auto rows = record.cases.size();
    for (const auto& one : unreached) {
      const auto row = std::find_if(record.cases.begin(), record.cases.end(),
                                    [&](const auto& result) { return result.name == one.name; });
      if (row != record.cases.end() && row->not_reached.empty())
        continue;  // what it came to earlier says more
      if (row != record.cases.end()) record.cases.erase(row);
      reports::CaseResult waiting;
      waiting.name = one.name;
      waiting.parameters = parameters_of(one.name);
      waiting.seed = settings_.seed;
      waiting.not_reached = one.why;
      record.cases.push_back(std::move(waiting));
    }
    outcome_.ran = true;
    outcome_.cases_total = std::max(outcome_.cases_total, static_cast<std::int64_t>(record.cases.size()));
    outcome_.state = record.state;
    outcome_.error = record.error;
    // A worker that the budget ended after its last case had no time to say so.
    const bool all_done =
        unreached.empty() && record.state == reports::RunState::partial && record.error.empty();
    if (all_done)
      record.state = reports::RunState::complete;
    else if (unreached.empty() && rows == record.cases.size())
      return;
    else if (record.state == reports::RunState::complete || record.state == reports::RunState::partial) {
      record.state = reports::RunState::partial;
      record.error = fmt::format("{} of {} cases were not reached within the budget", unreached.size(),
                                 record.cases.size());
    }
    record.claims = judge_all(*registered_.experiment, record.cases, settings_.size);
    write(record);
    outcome_.state = record.state;
    outcome_.error = record.error;
  }

  const Outcome& outcome() const { return outcome_; }

 private:
  void report_crash() {
    view_.line(fmt::format("{} case {}/{} {}: CRASHED: {}", prefix(), state_.case_index, state_.cases,
                           running_, describe(ending_)));
    assignment_.crashed.push_back(running_);
  }

  /// A record to which rows may be added though no worker of this call wrote it: a fresh one, or one that
  /// --resume goes on with.
  bool may_complete(const std::filesystem::path& path) {
    if (!std::filesystem::exists(path)) {
      outcome_.record = blank_record(registered_, assignment_);
      return true;
    }
    if (!settings_.resume) return false;
    try {
      outcome_.record = reports::read_record(path);
    } catch (const reports::RecordError&) {
      return false;
    }
    return may_go_on_with(outcome_.record);
  }

  bool may_go_on_with(const reports::Record& earlier) const {
    const auto now = blank_record(registered_, assignment_);
    const auto decision = decide_resume(&earlier, resume_key(now.command, now.build, now.system));
    return decision.why_not.empty() && decision.refused.empty();
  }

  void write(const reports::Record& record) {
    try {
      reports::write_record(record, record_path(settings_, outcome_.id));
    } catch (const std::exception& error) {
      outcome_.refused = error.what();  // a full disk: what was finished stands in the file as it was
    }
  }

  /// The next worker leaves alone what broke the device; after kHopeless in a row, the device itself.
  void avoid_broken() {
    const Broken& broken = *broken_;
    const std::string place = broken.variant.substr(broken.variant.find('@') + 1);
    view_.line(fmt::format("{} case {}/{} {}: {} broke the device for its process: {}", prefix(),
                           state_.case_index, state_.cases, running_,
                           broken.variant.empty() ? "it" : broken.variant, broken.error));
    outcome_.device_errors++;
    if (broken.variant.empty()) {
      reports::CaseResult row = row_of_running(broken.error);
      read_own_record(record_path(settings_, outcome_.id));
      std::erase_if(outcome_.record.cases, [&](const auto& result) { return result.name == running_; });
      outcome_.record.cases.push_back(std::move(row));
      write(outcome_.record);
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
    const int passes = device_passes();
    broken_in_a_row_ = passes > device_passes_ ? 1 : broken_in_a_row_ + 1;
    device_passes_ = passes;
    if (broken_in_a_row_ >= kHopeless) {
      assignment_.given_up[place] =
          fmt::format("the device failed in {} processes in a row, the last time in case {}, {}: {}",
                      broken_in_a_row_, running_, broken.variant, broken.error);
    }
  }

  /// Good results on a device in this run's record so far.
  int device_passes() {
    read_own_record(record_path(settings_, outcome_.id));
    int passes = 0;
    for (const auto& result : outcome_.record.cases) {
      for (const auto& variant : result.variants) {
        passes += variant.status == reports::Status::passed && variant.where != reports::Where::cpu ? 1 : 0;
      }
    }
    return passes;
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
        state_.cases = message.total;
        if (workers_ > 1) break;
        outcome_.cases_reused = message.index;
        if (message.index > 0) {
          view_.line(
              fmt::format("{} {} of {} cases are finished already", prefix(), message.index, message.total));
        }
        break;
      case MessageKind::case_started:
        running_ = message.name;
        if (const double cap = cap_of(running_); cap > 0) {
          case_limit_ =
              Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(cap));
        }
        state_.case_index = message.index;
        state_.case_name = message.name;
        state_.phase.clear();
        break;
      case MessageKind::phase:
        state_.phase = message.detail;
        break;
      case MessageKind::case_finished:
        ended_.push_back(message.name);
        running_.clear();
        case_limit_ = Clock::time_point::max();
        ++done_;
        done_seconds_ = seconds_since(start_);
        report_case(message);
        break;
      case MessageKind::note:
        view_.line(fmt::format("{} note: {}", prefix(), message.detail));
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

  /// In a log every case has its line; on a terminal only what went wrong.
  void report_case(const Message& message) {
    const bool left_out = message.detail.starts_with(kLeftOut);
    const bool wrong = message.tally.incorrect + message.tally.failed + message.tally.failed_checks > 0 ||
                       (!message.detail.empty() && !left_out);
    if (view_.live() && !wrong) return;
    const std::string how = message.detail.empty() ? format_tally(message.tally)
                            : left_out             ? message.detail
                                                   : "FAILED: " + message.detail;
    view_.line(fmt::format("{} case {}/{} {}: {} ({})", prefix(), message.index, message.total, message.name,
                           how, format_duration(message.seconds)));
  }

  std::string prefix() const {
    return fmt::format("[{}/{}] {}", state_.experiment, state_.experiments, outcome_.id);
  }

  void show() {
    state_.elapsed = seconds_since(context_.start);
    if (settings_.budget)
      state_.budget_left = std::max(0.0, *settings_.budget - state_.elapsed);
    else
      state_.remaining = context_.estimator.remaining({.experiment = outcome_.id,
                                                       .elapsed = seconds_since(start_),
                                                       .done = done_,
                                                       .total = outcome_.cases_total - outcome_.cases_reused,
                                                       .done_seconds = done_seconds_});
    view_.update(state_);
  }

  /// Reads what the worker wrote and adds what it couldn't: that it crashed, where, and how.
  void settle() {
    const auto path = record_path(settings_, outcome_.id);
    std::error_code ignored;
    std::filesystem::remove(
        path.parent_path() / fmt::format(".{}.{}.partial", path.filename().string(), pid_), ignored);
    if (began_ && outcome_.cases_total == 0 && ending_.clean()) return;  // nothing matches the filter
    outcome_.ran = true;
    read_own_record(path);
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
      record.claims = judge_all(*registered_.experiment, record.cases, settings_.size);
      write(record);
    }
    outcome_.state = record.state;
    outcome_.error = record.error;
  }

  void read_own_record(const std::filesystem::path& path) {
    try {
      if (std::filesystem::exists(path)) {
        outcome_.record = reports::read_record(path);
        if (outcome_.record.run_id == assignment_.run_id) return;
        // A worker that ended before its first word hasn't taken the earlier results over; they are not to be
        // lost by it.
        if (settings_.resume && may_go_on_with(outcome_.record)) return;
      }
    } catch (const reports::RecordError&) {
      // Somebody else's file, about to be replaced.
    }
    outcome_.record = blank_record(registered_, assignment_);
  }

  reports::CaseResult row_of_running(const std::string& error) const {
    reports::CaseResult row;
    row.name = running_;
    row.parameters = parameters_of(running_);
    row.seed = settings_.seed;
    row.error = error;
    return row;
  }

  void describe_ending(reports::Record& record) {
    const std::string where = running_.empty()
                                  ? std::string(done_ > 0 ? "between two cases" : "before the first case")
                                  : fmt::format("in case {}", running_);
    const std::string phase =
        running_.empty() || state_.phase.empty() ? "" : fmt::format(", {}", state_.phase);
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
    reports::CaseResult row =
        row_of_running(state_.phase.empty() ? what : fmt::format("{}: {}", state_.phase, what));
    row.elapsed_seconds = cap_of(running_);  // at least: the next call's budget plans with it
    std::erase_if(record.cases, [&](const auto& result) { return result.name == running_; });
    record.cases.push_back(std::move(row));
  }

  const Registered& registered_;
  const RunContext& context_;
  const Settings& settings_;
  ProgressView& view_;
  ProgressState state_;
  Clock::time_point start_ = Clock::now();
  Assignment assignment_;
  MessageReader reader_;
  Outcome outcome_;
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
