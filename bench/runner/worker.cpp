// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/worker.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <regex>
#include <set>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "bench/cpu_ceilings.h"
#include "bench/kernel_figures.h"
#include "bench/run_case.h"
#include "bench/runner/channel.h"
#include "bench/runner/process.h"
#include "bench/runner/protocol.h"
#include "bench/runner/resume.h"
#include "bench/runner/worker_record.h"
#include "reports/record_io.h"
#include "reports/text_file.h"

namespace remeasure::bench::runner {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::optional<reports::Record> earlier_record(const Assignment& assignment, const Channel& channel) {
  const auto path = record_path(assignment.settings, assignment.experiment);
  if (!assignment.settings.resume || !std::filesystem::exists(path)) return std::nullopt;
  try {
    return reports::read_record(path);
  } catch (const reports::RecordError& error) {
    channel.send(
        {.kind = MessageKind::note, .name = {}, .detail = fmt::format("{}: measuring again", error.what())});
    return std::nullopt;
  }
}

/// The results folder can't be written: no experiment's fault, and the same for all that follow.
struct Unwritable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Worker {
 public:
  Worker(const Registered& registered, Assignment assignment, const OpenGpuProbes& gpu_probes,
         std::string_view ptxas_output)
      : registered_(registered),
        assignment_(std::move(assignment)),
        gpu_probes_(gpu_probes),
        settings_(assignment_.settings),
        ptxas_output_(ptxas_output),
        record_(blank_record(registered, assignment_)),
        reporter_(channel_) {}

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
    const auto rerun = std::count_if(selected.begin(), selected.end(), [&](const auto* definition) {
      return has_row(to_string(definition->name));
    });
    const auto total = reused + static_cast<std::int64_t>(selected.size()) - rerun;
    const auto all = selected.size();
    if (!assignment_.only.empty()) keep_turn(selected);
    channel_.send({.kind = MessageKind::begin, .index = reused, .total = total, .name = {}, .detail = {}});
    if (total == 0) return finish();  // nothing matches the filter: an earlier record stays as it is

    open_ceilings();
    save();
    first_case_ = Clock::now();
    for (std::size_t i = 0; i < selected.size(); ++i) {
      const std::string name = to_string(selected[i]->name);
      const auto index = reused + static_cast<std::int64_t>(i) + 1;
      if (i > 0 && !assignment_.only.empty() && seconds_since(first_case_) >= assignment_.turn_seconds) break;
      if (Clock::now() >= deadline()) {
        record_.state = reports::RunState::timed_out;
        record_.error =
            fmt::format("the time limit was reached before case {} ({} of {})", name, index, total);
        break;
      }
      reporter_.at(index, total, name);
      channel_.send(
          {.kind = MessageKind::case_started, .index = index, .total = total, .name = name, .detail = {}});
      if (!run_one(*selected[i], name, index, total, all)) break;
    }
    const bool every_case = static_cast<std::int64_t>(record_.cases.size()) == total;
    if (record_.state == reports::RunState::partial && every_case)
      record_.state = reports::RunState::complete;
    save();
    for (const auto* ceilings : {&ceilings_, &gpu_ceilings_}) {
      if (*ceilings) store_ceilings(**ceilings, ceilings_folder(settings_.data));
    }
    return finish();
  }

  /// The case that is running has no result yet; the parent starts a process that can use the device.
  void report_broken_device(const DeviceBroken& error) const {
    channel_.send(to_message(
        reporter_.case_name(),
        {.variant = error.variant, .error = error.what(), .device = error.reach == ErrorReach::device}));
  }

 private:
  /// The cases of a budget's turn, in its order.
  void keep_turn(std::vector<const CaseDefinition*>& selected) const {
    std::vector<const CaseDefinition*> turn;
    for (const auto& name : assignment_.only) {
      const auto found = std::find_if(selected.begin(), selected.end(), [&](const auto* definition) {
        return to_string(definition->name) == name;
      });
      if (found != selected.end()) turn.push_back(*found);
    }
    selected = std::move(turn);
  }

  void take_over_finished_cases() {
    const auto earlier = earlier_record(assignment_, channel_);
    if (earlier && earlier->run_id == assignment_.run_id) {
      // An earlier worker of this very run: what it did is done, also what failed, and its machine is this
      // one even if a GPU has fallen out meanwhile.
      record_.started = earlier->started;
      record_.system = earlier->system;
      for (const auto& result : earlier->cases) {
        if (result.not_reached.empty() && !contains(assignment_.only, result.name))
          finished_.insert(result.name);
      }
      finished_.insert(assignment_.crashed.begin(), assignment_.crashed.end());
    } else {
      const auto decision = decide_resume(earlier ? &*earlier : nullptr,
                                          resume_key(record_.command, record_.build, record_.system));
      if (!decision.refused.empty()) throw Unwritable(decision.refused);
      finished_ = decision.finished;
      if (earlier && decision.why_not.empty() && !assignment_.only.empty()) keep_unfinished_rows(*earlier);
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

  bool has_row(const std::string& name) const {
    return std::any_of(record_.cases.begin(), record_.cases.end(),
                       [&](const auto& result) { return result.name == name; });
  }

  /// Under a budget a case that failed earlier keeps its row until its turn comes.
  void keep_unfinished_rows(const reports::Record& earlier) {
    for (const auto& result : earlier.cases) {
      if (result.not_reached.empty() && !finished_.contains(result.name)) record_.cases.push_back(result);
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
      channel_.send(
          {.kind = MessageKind::note,
           .name = {},
           .detail = fmt::format("no ceilings of the GPU, so its times have no floor: {}", error.what())});
    }
  }

  Clock::time_point deadline() const {
    // A tenth is left for the round that is running and for writing, before the parent ends the process.
    return start_ + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(0.9 * settings_.timeout));
  }

  /// The case's own end under a budget; a tenth is left for the round that is running.
  Clock::time_point deadline_of(const std::string& name) const {
    const auto found = std::find(assignment_.only.begin(), assignment_.only.end(), name);
    if (found == assignment_.only.end()) return deadline();
    const double cap = assignment_.caps[static_cast<std::size_t>(found - assignment_.only.begin())];
    return std::min(deadline(), Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                   std::chrono::duration<double>(0.9 * cap)));
  }

  /// The budget's end came before the case had its due: it waits for the next call, which is no failure.
  bool cut_by_budget(const reports::CaseResult& result) const {
    const auto found = std::find(assignment_.only.begin(), assignment_.only.end(), result.name);
    if (found == assignment_.only.end() ||
        !assignment_.clipped[static_cast<std::size_t>(found - assignment_.only.begin())])
      return false;
    return std::any_of(result.variants.begin(), result.variants.end(),
                       [](const auto& variant) { return variant.status == reports::Status::timed_out; });
  }

  /// False if the budget ended the case: then it has no result.
  bool run_one(const CaseDefinition& definition, const std::string& name, std::int64_t index,
               std::int64_t total, std::size_t cases) {
    const auto begin = Clock::now();
    RunOptions options;
    options.size = settings_.size;
    options.seed = settings_.seed;
    options.data_root = settings_.data;
    options.variants = settings_.variants;
    options.min_time = settings_.min_time;
    options.cases = cases;
    options.deadline = deadline_of(name);
    options.ceilings = ceilings_ ? &*ceilings_ : nullptr;
    options.gpu_ceilings = gpu_ceilings_ ? &*gpu_ceilings_ : nullptr;
    options.progress = &reporter_;
    options.cpu_use = cpu_use;
    if (const auto broken = assignment_.broken.find(name); broken != assignment_.broken.end())
      options.broken = broken->second;
    options.launches = &launches_;
    options.given_up = assignment_.given_up;
    auto measured = run_case(registered_, definition, options);
    if (cut_by_budget(measured)) return false;
    std::erase_if(record_.cases, [&](const auto& result) { return result.name == name; });
    record_.cases.push_back(std::move(measured));
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
    channel_.send({.kind = MessageKind::case_finished,
                   .index = index,
                   .total = total,
                   .name = name,
                   .detail = result.left_out.empty() ? result.error : kLeftOut + result.left_out,
                   .tally = tally_of(result),
                   .seconds = seconds_since(begin)});
    return true;
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
      channel_.send({.kind = MessageKind::note,
                     .name = {},
                     .detail = fmt::format("no static kernel figures: {}", error.what())});
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
  Clock::time_point start_ = Clock::now(), first_case_ = start_;
};

}  // namespace

int run_worker(const std::string& text, std::span<const Registered> experiments,
               const OpenGpuProbes& gpu_probes, std::string_view ptxas_output) {
  const Assignment assignment = decode_assignment(text);
  die_with_parent(assignment.parent);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file-size limit (ulimit -f) is a full disk: a failed write, not a crash
  const auto found = std::find_if(experiments.begin(), experiments.end(), [&](const Registered& entry) {
    return entry.experiment->paper.id == assignment.experiment;
  });
  if (found == experiments.end()) throw std::invalid_argument("no experiment " + assignment.experiment);
  Channel channel;
  const auto refuse = [&](const std::exception& error) {
    channel.send({.kind = MessageKind::refused, .name = {}, .detail = error.what()});
    return 2;
  };
  Worker worker(*found, assignment, gpu_probes, ptxas_output);
  try {
    return worker.run();
  } catch (const DeviceBroken& error) {
    worker.report_broken_device(error);
    std::fflush(nullptr);
    ::_exit(0);  // a driver whose context is broken may hang or crash while it is torn down
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
