// SPDX-License-Identifier: Apache-2.0
#include "bench/cli/exit_codes.h"

namespace remeasure::bench::cli {

std::string exit_codes_text() {
  return R"(Exit codes:
    0  fine: all that was asked for was done
    1  check: a regression, or a claim that no longer holds; kernels --all-launched: a kernel
       that nothing launched
    2  wrong usage, or the tool can't work: unknown name, a variant asked for by name that can't
       run here, unwritable folder, full disk, broken file
    3  check: nothing comparable, no reference for this device
    4  an incorrect result, or a "must hold" that doesn't; wins over every other code
    5  an experiment crashed, hung, threw or ran out of memory
  130  run: interrupted (Ctrl-C, SIGTERM); what is finished is kept, --resume goes on

What can't run on this machine (no GPU, no toolkit) is a row "not run" with the reason, and no error.
)";
}

}  // namespace remeasure::bench::cli
