// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/site.h"

namespace remeasure::simt {

/// The source line of a place in the program's code: from the debug information through libbacktrace where it
/// was found at build time, else the function's name from the dynamic symbols. Slow; for messages. The
/// strings live for ever.
Site locate(const void* program_address);

/// Program addresses in 32 bits: relative to the program's own code.
std::uint32_t compress_address(const void* program_address);
const void* expand_address(std::uint32_t compressed);

}  // namespace remeasure::simt
