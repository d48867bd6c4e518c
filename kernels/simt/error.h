// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/simt/dim3.h"
#include "kernels/simt/error_kind.h"
#include "kernels/simt/site.h"

namespace remeasure::simt {

/// What the engine found wrong with a launch, in fields; what() is the same in words.
struct Finding {
  ErrorKind kind = ErrorKind::device_assert;
  std::string message;  ///< what happened, with values and the remedy; without kernel, block and threads
  std::string kernel;
  bool in_block = false;  ///< false: the launch itself was refused; block and threads mean nothing
  Dim3 block;
  std::vector<Dim3> threads;  ///< the threads that are at fault or stand in the way, ascending
  std::vector<Site> sites;    ///< the source lines concerned: one, or two that conflict
};

/// Thrown by Engine::launch. The engine can be used again afterwards.
class EngineError : public std::runtime_error {
 public:
  explicit EngineError(Finding finding);

  ErrorKind kind() const { return finding_.kind; }
  const std::string& kernel() const { return finding_.kernel; }
  Dim3 block() const { return finding_.block; }
  const std::vector<Dim3>& threads() const { return finding_.threads; }
  const std::vector<Site>& sites() const { return finding_.sites; }
  const Finding& finding() const { return finding_; }

 private:
  Finding finding_;
};

/// "(1,0,0)-(7,0,0)" and the like: consecutive threads are joined, long lists shortened.
std::string describe_threads(const std::vector<Dim3>& threads, Dim3 block_dim);
std::string describe(Dim3 index);
std::string describe(const Site& site);

}  // namespace remeasure::simt
