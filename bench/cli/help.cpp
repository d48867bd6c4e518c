// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "bench/cli/commands.h"
#include "bench/cli/exit_codes.h"
#include "bench/cli/nearest.h"
#include "bench/system.h"
#include "reports/view.h"

namespace remeasure::bench::cli {

int help(const HelpOptions& options, Console& console) {
  if (options.topic == "exit-codes") {
    console.print(exit_codes_text());
    return kFine;
  }
  const auto text = help_text(options.topic);
  if (!text) {
    auto topics = subcommand_names();
    topics.push_back("exit-codes");
    throw CommandError(
        unknown_name("topic", options.topic, topics, fmt::format("there are: {}", fmt::join(topics, ", "))));
  }
  console.print(*text);
  return kFine;
}

int version(Console& console) {
  const auto build = build_info();
  console.print(fmt::format(
      "remeasure {}\ncommit    {}{}\ncompiler  {}\nflags     {}\nSIMD      {}\nCUDA      {}\n", build.version,
      build.git_commit, build.git_dirty ? " (modified)" : "", build.compiler, build.flags, build.simd,
      build.cuda_toolkit.empty() ? "built without the toolkit" : build.cuda_toolkit));
  return kFine;
}

}  // namespace remeasure::bench::cli
