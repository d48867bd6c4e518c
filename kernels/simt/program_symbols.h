// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

namespace remeasure::simt {

/// The name that the linker has for a function.
struct ProgramSymbol {
  std::string name = {};  ///< mangled
  /// File name of the source, without folder, for a function of an unnamed namespace; else empty.
  std::string file = {};
};

/// Names of functions of the running program, by their addresses; what isn't found is left out. Reads the
/// program's symbol table, which dladdr can't: kernels lie in unnamed namespaces. A stripped program has
/// none.
std::map<const void*, ProgramSymbol> program_symbols(const std::set<const void*>& functions);

}  // namespace remeasure::simt
