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

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

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

enum class Stop { none, interrupted, timed_out };

class Supervisor {
 public:
  Supervisor(const Registered& registered, int number, int count, const RunContext& context)
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

  Outcome run() {
    for (;;) {
      supervise();
      if (!outcome_.refused.empty()) break;
      settle();
      // What crashed gets its row, and a new worker goes on with the next case. A time limit is the experiment's, so
      // nothing is left of it after a hang.
      const bool go_on = outcome_.state == reports::RunState::crashed && !running_.empty() &&
                         stop_ == Stop::none && Clock::now() < limit();
      if (!go_on) break;
      view_.line(fmt::format("{} case {}/{} {}: CRASHED: {}", prefix(), state_.case_index, state_.cases, running_,
                             describe(ending_)));
      assignment_.crashed.push_back(running_);
      assignment_.settings.resume = true;
      assignment_.settings.timeout = std::chrono::duration<double>(limit() - Clock::now()).count();
      running_.clear();
      began_ = finished_ = false;
      reader_ = {};
    }
    outcome_.seconds = seconds_since(start_);
    return std::move(outcome_);
  }

 private:
  Clock::time_point limit() const {
    return start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(settings_.timeout));
  }

  void supervise() {
    ProcessSpec spec;
    spec.program = context_.worker.executable;
    spec.command = context_.worker.leading_arguments;
    spec.command.push_back(encode(assignment_));
    spec.log = log_path(settings_, outcome_.id);
    spec.append = !assignment_.crashed.empty();
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
      if (stop_ == Stop::none && (interrupts > 0 || Clock::now() >= limit())) {
        stop_ = interrupts > 0 ? Stop::interrupted : Stop::timed_out;
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
        if (!assignment_.crashed.empty()) break;
        outcome_.cases_reused = message.index;
        if (message.index > 0) {
          view_.line(fmt::format("{} {} of {} cases are finished already", prefix(), message.index, message.total));
        }
        break;
      case MessageKind::case_started:
        running_ = message.name;
        state_.case_index = message.index;
        state_.case_name = message.name;
        state_.phase.clear();
        break;
      case MessageKind::phase: state_.phase = message.detail; break;
      case MessageKind::case_finished:
        running_.clear();
        ++done_;
        done_seconds_ = seconds_since(start_);
        report_case(message);
        break;
      case MessageKind::note: view_.line(fmt::format("{} note: {}", prefix(), message.detail)); break;
      case MessageKind::refused: outcome_.refused = message.detail; break;
      case MessageKind::finished: {
        finished_ = true;
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
    view_.line(fmt::format("{} case {}/{} {}: {} ({})", prefix(), message.index, message.total, message.name, how,
                           format_duration(message.seconds)));
  }

  std::string prefix() const { return fmt::format("[{}/{}] {}", state_.experiment, state_.experiments, outcome_.id); }

  void show() {
    state_.elapsed = seconds_since(context_.start);
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
    std::filesystem::remove(path.parent_path() / fmt::format(".{}.{}.partial", path.filename().string(), pid_), ignored);
    if (began_ && outcome_.cases_total == 0 && ending_.clean()) return;  // nothing matches the filter
    outcome_.ran = true;
    read_own_record(path);
    reports::Record& record = outcome_.record;
    const bool clean = ending_.clean() && finished_;
    if (!clean) describe_ending(record);
    if (clean && !crashes_.empty() && record.state == reports::RunState::complete) {
      record.state = reports::RunState::crashed;  // another worker did the rest, but this isn't a complete run
      record.error = crashes_;
    }
    if (!clean || !crashes_.empty()) {
      record.elapsed_seconds = std::max(record.elapsed_seconds, seconds_since(start_));
      record.claims = judge_all(*registered_.experiment, record.cases, settings_.size);
      reports::write_record(record, path);
    }
    outcome_.state = record.state;
    outcome_.error = record.error;
  }

  void read_own_record(const std::filesystem::path& path) {
    try {
      if (std::filesystem::exists(path)) {
        outcome_.record = reports::read_record(path);
        if (outcome_.record.run_id == assignment_.run_id) return;
      }
    } catch (const reports::RecordError&) {
      // Somebody else's file, about to be replaced.
    }
    outcome_.record = blank_record(registered_, assignment_);
  }

  void describe_ending(reports::Record& record) {
    const std::string where = running_.empty() ? std::string(done_ > 0 ? "between two cases" : "before the first case")
                                               : fmt::format("in case {}", running_);
    const std::string phase = running_.empty() || state_.phase.empty() ? "" : fmt::format(", {}", state_.phase);
    std::string what;
    switch (stop_) {
      case Stop::interrupted:
        record.state = reports::RunState::interrupted;
        record.error = fmt::format("interrupted {}{}", where, phase);
        return;  // the case is to be done again: no row
      case Stop::timed_out:
        record.state = reports::RunState::timed_out;
        what = fmt::format("no end within the time limit of {:g} s", settings_.timeout);
        break;
      case Stop::none:
        record.state = reports::RunState::crashed;
        what = describe(ending_);
        if (ending_.clean()) what += " without finishing";
    }
    crashes_ += fmt::format("{}{}{}: {}", crashes_.empty() ? "" : "; ", where, phase, what);
    record.error = crashes_;
    if (running_.empty()) return;
    reports::CaseResult row;
    row.name = running_;
    row.parameters = parameters_of(running_);
    row.seed = settings_.seed;
    row.error = state_.phase.empty() ? what : fmt::format("{}: {}", state_.phase, what);
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
  bool began_ = false, finished_ = false;
  std::string running_, crashes_;
  std::int64_t done_ = 0;
  double done_seconds_ = 0;
  pid_t pid_ = -1;
};

}  // namespace

Outcome supervise(const Registered& registered, int number, int count, const RunContext& context) {
  return Supervisor(registered, number, count, context).run();
}

}  // namespace remeasure::bench::runner
