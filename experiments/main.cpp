// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/cli.h"

int main(int argc, char* argv[]) {
  return remeasure::bench::cli::run_program(
      argc, argv, {remeasure::bench::registry(), remeasure::datasets::catalogue()});
}
