// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/worker.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <optional>
#include <regex>
#include <set>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "bench/cpu_ceilings.h"
#include "bench/kernel_figures.h"
#include "bench/plant.h"
#include "bench/runner/process.h"
#include "bench/runner/protocol.h"
#include "bench/runner/resume.h"
#include "bench/run_case.h"
#include "bench/system.h"
#include "reports/record_io.h"
#include "reports/text_file.h"

namespace remeasure::bench::runner {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The worker's end of the pipe. A parent that is gone ends the worker by itself, so a failed write is no error.
class Channel {
 public:
  void send(const Message& message) const {
    std::string text = encode(message);
    while (::write(kMessageDescriptor, text.data(), text.size()) < 0 && errno == EINTR) {
    }
  }
};

/// Passes on what a case says of itself, and remembers which variants there are.
class Reporter : public Progress {
 public:
  explicit Reporter(const Channel& channel) : channel_(channel) {}
  void at(std::int64_t index, std::int64_t total, std::string name) {
    message_ = {.kind = MessageKind::phase, .index = index, .total = total, .name = std::move(name), .detail = ""};
  }
  void phase(const std::string& what) override { say(what); }
  void variant_declared(const std::string& variant, reports::Where) override { declared_.insert(variant); }
  void variant_started(const std::string& variant, reports::Where where) override {
    say(fmt::format("{} ({})", variant, reports::to_string(where)));
  }
  /// "eigen,kernel,method"
  std::string declared() const { return fmt::format("{}", fmt::join(declared_, ",")); }

 private:
  void say(const std::string& what) {
    if (what == message_.detail) return;
    message_.detail = what;
    channel_.send(message_);
  }
  const Channel& channel_;
  Message message_;
  std::set<std::string> declared_;
};

std::optional<reports::Record> earlier_record(const Assignment& assignment, const Channel& channel) {
  const auto path = record_path(assignment.settings, assignment.experiment);
  if (!assignment.settings.resume || !std::filesystem::exists(path)) return std::nullopt;
  try {
    return reports::read_record(path);
  } catch (const reports::RecordError& error) {
    channel.send({.kind = MessageKind::note, .name = {}, .detail = fmt::format("{}: measuring again", error.what())});
    return std::nullopt;
  }
}

/// The results folder can't be written: no experiment's fault, and the same for all that follow.
struct Unwritable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Worker {
 public:
  Worker(const Registered& registered, Assignment assignment, const OpenGpuProbes& gpu_probes, std::string_view ptxas_output)
      : registered_(registered), assignment_(std::move(assignment)), gpu_probes_(gpu_probes), settings_(assignment_.settings),
        ptxas_output_(ptxas_output), record_(blank_record(registered, assignment_)), reporter_(channel_) {}

  int run() {
    const std::regex filter(settings_.filter.empty() ? ".*" : settings_.filter);
    const auto definitions = registered_.experiment->cases(settings_.size);
    take_over_finished_cases();
    std::vector<const CaseDefinition*> selected;
    for (const auto& definition : definitions) {
      const std::string name = to_string(definition.name);
      if (finished_.contains(name)) continue;
      if (std::regex_search(assignment_.experiment + "/" + name, filter)) selected.push_back(&definition);
    }
    const auto reused = static_cast<std::int64_t>(record_.cases.size());
    const auto total = reused + static_cast<std::int64_t>(selected.size());
    channel_.send({.kind = MessageKind::begin, .index = reused, .total = total, .name = {}, .detail = {}});
    if (total == 0) return finish();  // nothing matches the filter: an earlier record stays as it is

    open_ceilings();
    save();
    for (std::size_t i = 0; i < selected.size(); ++i) {
      const std::string name = to_string(selected[i]->name);
      const auto index = reused + static_cast<std::int64_t>(i) + 1;
      if (Clock::now() >= deadline()) {
        record_.state = reports::RunState::timed_out;
        record_.error = fmt::format("the time limit was reached before case {} ({} of {})", name, index, total);
        break;
      }
      reporter_.at(index, total, name);
      channel_.send({.kind = MessageKind::case_started, .index = index, .total = total, .name = name, .detail = {}});
      run_one(*selected[i], name, index, total, selected.size());
    }
    if (record_.state == reports::RunState::partial) record_.state = reports::RunState::complete;
    save();
    for (const auto* ceilings : {&ceilings_, &gpu_ceilings_}) {
      if (*ceilings) store_ceilings(**ceilings, ceilings_folder(settings_.data));
    }
    return finish();
  }

 private:
  void take_over_finished_cases() {
    const auto earlier = earlier_record(assignment_, channel_);
    const auto decision = decide_resume(earlier ? &*earlier : nullptr,
                                        {.command = record_.command,
                                         .git_commit = record_.build.git_commit,
                                         .git_dirty = record_.build.git_dirty,
                                         .system_id = record_.system.id});
    finished_ = decision.finished;
    finished_.insert(assignment_.crashed.begin(), assignment_.crashed.end());
    if (assignment_.crashed.empty()) {
      for (const auto& text : {decision.why_not, decision.warning}) {
        if (!text.empty()) channel_.send({.kind = MessageKind::note, .name = {}, .detail = text});
      }
    }
    if (!earlier || finished_.empty()) return;
    record_.kernels = earlier->kernels;
    earlier_launches_ = launches_of(earlier->kernels);
    for (const auto& result : earlier->cases) {
      if (!finished_.contains(result.name)) continue;
      record_.cases.push_back(result);
      earlier_seconds_ += result.elapsed_seconds;
    }
  }

  void open_ceilings() {
    channel_.send({.kind = MessageKind::phase, .name = {}, .detail = "ceilings of this machine"});
    ceilings_ = measured_ceilings(cpu_ceiling_plan(), ceilings_folder(settings_.data));
    try {
      if (const auto probes = gpu_probes_ ? gpu_probes_() : std::nullopt) {
        gpu_ceilings_ = measured_ceilings(gpu_ceiling_plan(*probes), ceilings_folder(settings_.data));
      }
    } catch (const std::exception& error) {
      channel_.send({.kind = MessageKind::note, .name = {},
                     .detail = fmt::format("no ceilings of the GPU, so its times have no floor: {}", error.what())});
    }
  }

  Clock::time_point deadline() const {
    // A tenth is left for the round that is running and for writing, before the parent ends the process.
    return start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(0.9 * settings_.timeout));
  }

  void run_one(const CaseDefinition& definition, const std::string& name, std::int64_t index, std::int64_t total,
               std::size_t cases) {
    const auto begin = Clock::now();
    RunOptions options;
    options.size = settings_.size;
    options.seed = settings_.seed;
    options.data_root = settings_.data;
    options.variants = settings_.variants;
    options.min_time = settings_.min_time;
    options.cases = cases;
    options.deadline = deadline();
    options.ceilings = ceilings_ ? &*ceilings_ : nullptr;
    options.gpu_ceilings = gpu_ceilings_ ? &*gpu_ceilings_ : nullptr;
    options.progress = &reporter_;
    options.launches = &launches_;
    record_.cases.push_back(run_case(registered_, definition, options));
    if (record_.cases.back().error == "std::bad_alloc") {
      record_.cases.back().error = "out of memory: an allocation was refused (std::bad_alloc)";
    }
    try {
      save();
    } catch (const reports::RecordError& error) {
      // The case broke a rule of the record (a NaN, a name twice): its author's error, so its row says so.
      reports::CaseResult broken;
      broken.name = name;
      broken.parameters = record_.cases.back().parameters;
      broken.seed = settings_.seed;
      broken.elapsed_seconds = seconds_since(begin);
      broken.error = fmt::format("no valid result: {}", error.what());
      record_.cases.back() = std::move(broken);
      save();
    }
    const auto& result = record_.cases.back();
    channel_.send({.kind = MessageKind::case_finished, .index = index, .total = total, .name = name,
                   .detail = result.left_out.empty() ? result.error : kLeftOut + result.left_out, .tally = tally_of(result), .seconds = seconds_since(begin)});
  }

  /// What the cases have launched so far decides which kernels are this experiment's.
  void describe_kernels() {
    if (launches_.size() == described_launches_) return;
    described_launches_ = launches_.size();
    std::vector<KernelLaunch> launches = named_launches(launches_);
    launches.insert(launches.end(), earlier_launches_.begin(), earlier_launches_.end());
    try {
      record_.kernels = used_kernel_figures(ptxas_output_, launches);
    } catch (const std::exception& error) {
      channel_.send({.kind = MessageKind::note, .name = {}, .detail = fmt::format("no static kernel figures: {}", error.what())});
    }
  }

  void save() {
    describe_kernels();
    record_.claims = judge_all(*registered_.experiment, record_.cases, settings_.size);
    record_.elapsed_seconds = earlier_seconds_ + seconds_since(start_);
    if (ceilings_) record_.ceilings = ceilings_->values;
    if (gpu_ceilings_) record_.ceilings.insert(gpu_ceilings_->values.begin(), gpu_ceilings_->values.end());
    const std::string text = reports::to_json(record_);  // throws RecordError where the record breaks a rule
    try {
      reports::write_text_file(record_path(settings_, assignment_.experiment), text);
    } catch (const std::exception& error) {
      throw Unwritable(error.what());
    }
  }

  int finish() {
    channel_.send({.kind = MessageKind::finished, .name = {}, .detail = reporter_.declared()});
    return 0;
  }

  const Registered& registered_;
  Assignment assignment_;
  const OpenGpuProbes& gpu_probes_;
  const Settings& settings_;
  std::string_view ptxas_output_;
  Channel channel_;
  reports::Record record_;
  Reporter reporter_;
  std::set<std::string> finished_;
  std::set<simt::LaunchShape> launches_;
  std::size_t described_launches_ = 0;
  std::vector<KernelLaunch> earlier_launches_;
  std::optional<Ceilings> ceilings_, gpu_ceilings_;
  double earlier_seconds_ = 0;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

std::string utc_now() {
  const auto now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", utc);
}

reports::Record blank_record(const Registered& registered, const Assignment& assignment) {
  const Paper& paper = registered.experiment->paper;
  reports::Record record;
  record.run_id = assignment.run_id;
  record.started = utc_now();
  record.command = canonical_command(assignment.experiment, assignment.settings);
  record.experiment = paper.id;
  record.theme = std::string(registered.theme);
  record.title = paper.title;
  record.authors = paper.authors;
  record.venue = paper.venue;
  record.arxiv = paper.arxiv;
  record.summary = paper.summary;
  record.notes = registered.experiment->notes;
  if (const std::string planted = plant(); !planted.empty()) {
    record.notes.insert(record.notes.begin(), "NOT A MEASUREMENT: a test of the comparison, with REMEASURE_PLANT=" + planted);
  }
  record.size = to_string(assignment.settings.size);
  record.build = build_info();
  record.system = system_info();
  return record;
}

int run_worker(const std::string& text, std::span<const Registered> experiments, const OpenGpuProbes& gpu_probes,
               std::string_view ptxas_output) {
  const Assignment assignment = decode_assignment(text);
  die_with_parent(assignment.parent);
  ::signal(SIGPIPE, SIG_IGN);
  const auto found = std::find_if(experiments.begin(), experiments.end(), [&](const Registered& entry) {
    return entry.experiment->paper.id == assignment.experiment;
  });
  if (found == experiments.end()) throw std::invalid_argument("no experiment " + assignment.experiment);
  Channel channel;
  const auto refuse = [&](const std::exception& error) {
    channel.send({.kind = MessageKind::refused, .name = {}, .detail = error.what()});
    return 2;
  };
  try {
    return Worker(*found, assignment, gpu_probes, ptxas_output).run();
  } catch (const VariantUnavailable& error) {
    return refuse(error);
  } catch (const Unwritable& error) {
    return refuse(error);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "out of memory\n");
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}

}  // namespace remeasure::bench::runner
