// SPDX-License-Identifier: Apache-2.0
//
// What a command line says, as plain data: one struct per subcommand. parse.cpp fills them in, the commands
// read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace remeasure::bench::cli {

struct ListOptions {
  std::string theme;
  bool json = false;
};

struct DescribeOptions {
  std::string id;
};

struct RunCommand {
  std::vector<std::string> ids = {};
  bool all = false;
  std::string size = "smoke";
  std::string filter = {};
  std::vector<std::string> variants = {};
  std::optional<double> min_time = {};
  std::uint64_t seed = 1;
  std::optional<double> timeout = {};
  std::string out = "results";
  std::string data = {};  ///< empty: $REMEASURE_DATA, else "data"
  bool resume = false;
  std::string shard = {};   ///< "i/n", empty: all
  std::string budget = {};  ///< "8m", empty: none
};

struct DataOptions {
  enum class Action { list, make, verify, import, path };
  Action action = Action::list;
  std::string name;
  std::vector<std::string> settings;  ///< "key=value"
  std::optional<std::uint64_t> seed;
  std::vector<std::string> files;  ///< to verify or to import
  bool all = false;
  bool json = false;
  std::string data;
};

struct ReportOptions {
  std::string folder = "results";
  std::string format = "terminal";
  std::string output;  ///< empty: stdout
};

struct CheckOptions {
  std::vector<std::string> folders = {"results"};  ///< several: repeated runs of one program
  std::vector<std::string> against = {"recorded"};
  bool no_times = false;  ///< compare as between two machines
  std::string format = "terminal";
};

struct DoctorOptions {
  std::string out = "results";
  std::string data;
};

struct KernelsOptions {
  std::string id;                   ///< empty: the kernels of all experiments
  std::string results = "results";  ///< where the launch shapes are taken from
  std::string launches;             ///< log of further launches; empty: none
  bool all_launched = false;        ///< to fail where that log lacks a kernel
  bool json = false;
};

struct EngineOptions {
  bool json = false;
};

struct CeilingsOptions {
  bool again = false;
  bool json = false;
  std::string data;
};

struct HelpOptions {
  std::string topic;
};

struct VersionOptions {};

using Command =
    std::variant<ListOptions, DescribeOptions, RunCommand, DataOptions, ReportOptions, CheckOptions,
                 DoctorOptions, KernelsOptions, EngineOptions, CeilingsOptions, HelpOptions, VersionOptions>;

/// A command line that can't be understood. The text is the whole message.
struct UsageError {
  std::string text;
};

/// A help text that was asked for with --help.
struct HelpText {
  std::string text;
};

/// `arguments` without the program's name.
std::variant<Command, UsageError, HelpText> parse(const std::vector<std::string>& arguments);

/// The help text of the program (empty) or of a subcommand; no value if there is no such subcommand.
std::optional<std::string> help_text(const std::string& subcommand);
/// "list", "describe", ...
std::vector<std::string> subcommand_names();

}  // namespace remeasure::bench::cli
