// SPDX-License-Identifier: Apache-2.0
//
// The only file that includes CLI11, which takes seconds to compile.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "bench/cli/conflict.h"
#include "bench/cli/nearest.h"
#include "bench/cli/options.h"
#include "bench/cli/values.h"

namespace remeasure::bench::cli {
namespace {

const std::vector<std::string> kReportFormats = {"terminal", "md",    "html",      "csv",
                                                 "json",     "junit", "benchmark", "all"};
const std::vector<std::string> kCheckFormats = {"terminal", "json"};

std::string path_of(const CLI::App* app) {
  std::string path = app->get_name();
  for (const auto* parent = app->get_parent(); parent != nullptr; parent = parent->get_parent()) {
    path = parent->get_name() + " " + path;
  }
  return path;
}

/// A parser and the structs that it fills in.
struct Parser : Options {
  CLI::App app{
      "Re-measures what research papers report: speedup, accuracy and memory on this machine, beside the\n"
      "reported numbers, with a verdict.",
      "remeasure"};
  bool version = false;

  Parser() {
    app.add_flag("--version", version, "Commit, compiler and CUDA toolkit of this program");
    app.footer(
        "Start with:\n  remeasure list\n  remeasure run dfss\n  remeasure help exit-codes\n"
        "`remeasure SUBCOMMAND --help` has examples.");
    app.get_formatter()->column_width(26);
    app.require_subcommand(0, 1);
    add_list();
    add_describe();
    add_run();
    add_data();
    add_report();
    add_check();
    add_others();
  }

  CLI::App* add(const std::string& name, const std::string& text, const std::string& examples) {
    CLI::App* command = app.add_subcommand(name, text);
    command->footer("Examples:\n" + examples);
    return command;
  }

  void add_list() {
    auto* command = add("list", "What can be measured: the experiments by theme",
                        "  remeasure list\n  remeasure list --theme attention\n"
                        "  remeasure list --json | jq -r '.[].id'");
    command->add_option("--theme", list.theme, "Only this theme")->type_name("THEME");
    command->add_flag("--json", list.json, "For programs");
  }

  void add_describe() {
    auto* command =
        add("describe", "One experiment: paper, claims, cases, notes", "  remeasure describe dfss");
    command->add_option("ID", describe.id, "Experiment, see `remeasure list`")->required()->type_name("");
  }

  void add_run() {
    auto* command = add("run", "Measure: writes one record per experiment",
                        "  remeasure run dfss                          one paper, small sizes, seconds\n"
                        "  remeasure run --all --size paper            everything at the papers' sizes\n"
                        "  remeasure run --all --resume                go on after Ctrl-C or a crash\n"
                        "  remeasure run dfss --filter 'n=(512|1024)'  some cases\n"
                        "  remeasure run dfss --variant kernel --variant vendor\n"
                        "  remeasure run dfss --variant kernel@simt    the kernel on the SIMT engine only\n"
                        "  remeasure run --all --size paper --budget 8m --resume     what fits into 8 "
                        "minutes; again: the next 8\n"
                        "  remeasure run --all --size paper --resume --shard $SLURM_ARRAY_TASK_ID/8");
    command->add_option("ID", run.ids, "Experiments, see `remeasure list`")->type_name("");
    command->add_flag("--all", run.all, "Every experiment");
    command->add_option("--size", run.size, "smoke (seconds, what CI runs) or paper")
        ->check(one_of("size", {"smoke", "paper"}))
        ->type_name("SIZE")
        ->capture_default_str();
    command
        ->add_option("--filter", run.filter,
                     "Only cases whose 'experiment/case' matches this regular expression")
        ->type_name("REGEX");
    command
        ->add_option("--variant", run.variants,
                     "Only this variant, where needed with its place: kernel@gpu (repeatable)")
        ->type_name("NAME")
        ->allow_extra_args(false);
    command->add_option("--min-time", run.min_time, "Measure every variant at least this long")
        ->type_name("SECONDS")
        ->check(positive_number);
    command->add_option("--seed", run.seed, "Seed of the generated data")
        ->type_name("N")
        ->check(whole_number)
        ->capture_default_str();
    command->add_option("--timeout", run.timeout, "Limit per experiment (300 for smoke, 7200 for paper)")
        ->type_name("SECONDS")
        ->check(positive_number);
    command
        ->add_option(
            "--budget", run.budget,
            "Stop after so long, the most important cases of every experiment first; --resume goes on")
        ->type_name("DURATION")
        ->check(duration);
    command->add_option("--out", run.out, "Folder of the results")->type_name("DIR")->capture_default_str();
    add_data_folder(command, run.data);
    command->add_flag("--resume", run.resume,
                      "Keep what an earlier run of the same build, size and seed has finished; do the rest");
    command
        ->add_option("--shard", run.shard,
                     "Part i of n: in name order every n-th experiment from the i-th on")
        ->type_name("I/N");
  }

  static void add_data_folder(CLI::App* command, std::string& folder) {
    command->add_option("--data", folder, "Folder of the datasets ($REMEASURE_DATA, else data)")
        ->type_name("DIR");
  }

  CLI::App* data_action(CLI::App* parent, const std::string& name, DataOptions::Action action,
                        const std::string& text, const std::string& examples) {
    auto* command = parent->add_subcommand(name, text);
    command->footer("Examples:\n" + examples);
    command->callback([this, action] { data.action = action; });
    add_data_folder(command, data.data);
    return command;
  }

  void add_parameters(CLI::App* command) {
    command->add_option("--set", data.settings, "A parameter of the dataset (repeatable)")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    command->add_option("--seed", data.seed, "Seed of the generator")->type_name("N")->check(whole_number);
  }

  void add_data() {
    using Action = DataOptions::Action;
    auto* command = add("data", "Datasets: list, make, verify, import, path",
                        "  remeasure data list\n  remeasure data make attention_inputs\n"
                        "  remeasure data verify --all");
    command->require_subcommand(0, 1);
    auto* list_command = data_action(command, "list", Action::list, "The catalogue", "  remeasure data list");
    list_command->add_flag("--json", data.json, "For programs");
    auto* make = data_action(command, "make", Action::make, "Generate a file, or all examples of a dataset",
                             "  remeasure data make attention_inputs\n"
                             "  remeasure data make attention_inputs --set tokens=512 --seed 7");
    make->add_option("NAME", data.name, "Dataset")->required()->type_name("");
    add_parameters(make);
    auto* verify =
        data_action(command, "verify", Action::verify, "Check structure, ranges and checksum of files",
                    "  remeasure data verify data/attention_inputs/*.h5\n  remeasure data verify --all");
    verify->add_option("FILE", data.files, "HDF5 files")->type_name("");
    verify->add_flag("--all", data.all, "Every file of the data folder");
    auto* import = data_action(command, "import", Action::import, "Take over the real data's own files",
                               "  remeasure data import NAME shd_train.h5");
    import->add_option("NAME", data.name, "Dataset")->required()->type_name("");
    import->add_option("PATH", data.files, "File or folder of the real data")->required()->type_name("");
    add_parameters(import);
    auto* path = data_action(command, "path", Action::path, "Where a file of a dataset lies, or would lie",
                             "  remeasure data path attention_inputs --set tokens=512");
    path->add_option("NAME", data.name, "Dataset")->required()->type_name("");
    add_parameters(path);
  }

  void add_report() {
    auto* command =
        add("report", "Tables and pages from the records of a folder",
            "  remeasure report\n  remeasure report results --format html --output results/index.html\n"
            "  remeasure report results --format junit --output results/junit.xml");
    command->add_option("DIR", report.folder, "Folder of the results")->type_name("")->capture_default_str();
    command
        ->add_option("--format", report.format,
                     "terminal, md, html, csv, json, junit, benchmark, or all: every file, in DIR")
        ->check(one_of("format", kReportFormats))
        ->type_name("FORMAT")
        ->capture_default_str();
    command->add_option("--output", report.output, "File to write instead of the terminal")
        ->type_name("FILE");
  }

  void add_check() {
    auto* command =
        add("check", "Compare results with a reference: what regressed, by how much",
            "  remeasure check\n  remeasure check results --against results-before\n"
            "  remeasure check now/1 now/2 now/3 --against before/1 --against before/2 --against before/3\n"
            "  remeasure check results --format json");
    command
        ->add_option("DIR", check.folders,
                     "Folders of results: one run, or three and more of the same program")
        ->type_name("")
        ->capture_default_str();
    command
        ->add_option("--against", check.against,
                     "A folder of results (repeatable), or: recorded, the committed reference")
        ->type_name("DIR")
        ->allow_extra_args(false)
        ->capture_default_str();
    command->add_flag("--no-times", check.no_times,
                      "Compare as between two machines: no times, memory loosely (for shared CI runners)");
    command->add_option("--format", check.format, "terminal or json")
        ->check(one_of("format", kCheckFormats))
        ->type_name("FORMAT")
        ->capture_default_str();
  }

  void add_others() {
    auto* doctor_command = add("doctor", "What this machine can measure, what it can't, and the remedy",
                               "  remeasure doctor\n  remeasure doctor --out /scratch/results");
    doctor_command->add_option("--out", doctor.out, "Folder of the results")
        ->type_name("DIR")
        ->capture_default_str();
    add_data_folder(doctor_command, doctor.data);
    auto* kernels_command =
        add("kernels", "Registers, spills, shared memory and occupancy of the CUDA kernels; needs no GPU",
            "  remeasure kernels\n  remeasure kernels dfss\n"
            "  remeasure kernels --launches build/launches.txt --all-launched      what `make kernels` runs\n"
            "  remeasure kernels --json | jq '.[] | select(.spill_bytes > 0)'");
    kernels_command->add_option("ID", kernels.id, "Only this experiment's, see `remeasure list`")
        ->type_name("");
    kernels_command
        ->add_option("--results", kernels.results,
                     "Folder of results: what they launched decides about occupancy")
        ->type_name("DIR")
        ->capture_default_str();
    kernels_command
        ->add_option("--launches", kernels.launches,
                     "Log of more launches, as `make kernels` writes it: those of the tests")
        ->type_name("FILE")
        ->check(CLI::ExistingFile);
    kernels_command->add_flag(
        "--all-launched", kernels.all_launched,
        "Fail, with their names, if that log lacks kernels, or no GPU holds their blocks");
    kernels_command->add_flag("--json", kernels.json, "For programs");
    auto* engine_command = add("engine", "Speed of the SIMT engine, which runs kernels on the CPU",
                               "  remeasure engine\n  remeasure engine --json");
    engine_command->add_flag("--json", engine.json, "For programs");
    auto* ceilings_command =
        add("ceilings", "What this machine's CPU and GPU can reach: bandwidths and rates, measured",
            "  remeasure ceilings\n  remeasure ceilings --again\n"
            "  remeasure ceilings --json | jq .gpu.values");
    ceilings_command->add_flag("--again", ceilings.again, "Measure, whatever is stored");
    ceilings_command->add_flag("--json", ceilings.json, "For programs");
    add_data_folder(ceilings_command, ceilings.data);
    auto* help_command = add("help", "Help for a subcommand, or for: exit-codes",
                             "  remeasure help run\n  remeasure help exit-codes");
    help_command->add_option("TOPIC", help.topic, "Subcommand or exit-codes")->type_name("");
  }

  /// The deepest subcommand that the command line names.
  const CLI::App* chosen() const {
    const CLI::App* current = &app;
    while (!current->get_subcommands().empty()) current = current->get_subcommands().front();
    return current;
  }

  Command command() const {
    const std::string name = app.get_subcommands().front()->get_name();
    if (name == "list") return list;
    if (name == "describe") return describe;
    if (name == "run") return run;
    if (name == "data") return data;
    if (name == "report") return report;
    if (name == "check") return check;
    if (name == "doctor") return doctor;
    if (name == "kernels") return kernels;
    if (name == "engine") return engine;
    if (name == "ceilings") return ceilings;
    return help;
  }
};

/// The text before "[OPTIONS]" in a usage line, without the command's own name, which CLI11 adds.
std::string help_of(const CLI::App* app) {
  return app->help(app->get_parent() == nullptr ? "" : path_of(app->get_parent()));
}

std::vector<std::string> names_of(const CLI::App* app, bool options) {
  std::vector<std::string> names;
  if (options) {
    for (const auto* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
  } else {
    for (const auto* command : app->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(command->get_name());
    }
  }
  return names;
}

/// CLI11 says that it didn't expect a word; a user wants to know which word was meant.
std::string unexpected_word(const CLI::App* app, const std::string& word) {
  const std::string remedy = fmt::format("see `{} --help`", path_of(app));
  if (!word.empty() && word[0] == '-') {
    return unknown_name("option", word.substr(0, word.find('=')), names_of(app, true), remedy);
  }
  const auto commands = names_of(app, false);
  if (!commands.empty()) return unknown_name("subcommand", word, commands, remedy);
  return fmt::format("unexpected argument '{}'; {}", word, remedy);
}

}  // namespace

std::variant<Command, UsageError, HelpText> parse(const std::vector<std::string>& arguments) {
  const auto parser = std::make_unique<Parser>();
  // An unknown first word would be reported as a missing subcommand of the program.
  if (!arguments.empty() && !arguments[0].empty() && arguments[0][0] != '-') {
    const auto commands = subcommand_names();
    if (std::find(commands.begin(), commands.end(), arguments[0]) == commands.end()) {
      return UsageError{unexpected_word(&parser->app, arguments[0])};
    }
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    parser->app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return HelpText{help_of(parser->chosen())};
  } catch (const CLI::ExtrasError&) {
    const auto extras = parser->app.remaining(true);
    return UsageError{unexpected_word(parser->chosen(), extras.empty() ? "" : extras.front())};
  } catch (const CLI::ParseError& error) {
    return UsageError{fmt::format("{}; see `{} --help`", error.what(), path_of(parser->chosen()))};
  }
  if (parser->version) {
    if (!parser->app.get_subcommands().empty()) return UsageError{"--version stands alone"};
    return Command{VersionOptions{}};
  }
  if (parser->app.get_subcommands().empty()) return HelpText{parser->app.help()};
  const std::string wrong = conflict(path_of(parser->chosen()), *parser);
  if (!wrong.empty()) return UsageError{fmt::format("{}; see `{} --help`", wrong, path_of(parser->chosen()))};
  return parser->command();
}

std::optional<std::string> help_text(const std::string& subcommand) {
  Parser parser;
  if (subcommand.empty()) return parser.app.help();
  for (const auto* command : parser.app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == subcommand) return help_of(command);
  }
  return std::nullopt;
}

std::vector<std::string> subcommand_names() {
  Parser parser;
  return names_of(&parser.app, false);
}

}  // namespace remeasure::bench::cli
