// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/cli/options.h"

namespace remeasure::bench::cli {

/// Every subcommand's options; of those that the command line doesn't name, the defaults.
struct Options {
  ListOptions list;
  DescribeOptions describe;
  RunCommand run;
  DataOptions data;
  ReportOptions report;
  CheckOptions check;
  DoctorOptions doctor;
  KernelsOptions kernels;
  EngineOptions engine;
  CeilingsOptions ceilings;
  HelpOptions help;
};

/// What a parser of single options can't see: options that exclude each other or need one another. `name` is
/// the subcommand with those above it: "remeasure data verify". Empty if all is well.
std::string conflict(const std::string& name, const Options& options);

}  // namespace remeasure::bench::cli
