// SPDX-License-Identifier: Apache-2.0
//
// What a worker process says to its parent while it runs cases.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "bench/progress.h"
#include "bench/runner/protocol.h"
#include "reports/record.h"

namespace remeasure::bench::runner {

/// The worker's end of the pipe. A parent that is gone ends the worker by itself, so a failed write is no
/// error.
class Channel {
 public:
  void send(const Message& message) const;
};

/// Passes on what a case says of itself, and remembers which variants there are.
class Reporter : public Progress {
 public:
  explicit Reporter(const Channel& channel) : channel_(channel) {}
  void at(std::int64_t index, std::int64_t total, std::string name);
  void phase(const std::string& what) override;
  void variant_declared(const std::string& variant, reports::Where) override;
  void variant_started(const std::string& variant, reports::Where where) override;
  const std::string& case_name() const { return message_.name; }
  /// "eigen,kernel,method"
  std::string declared() const;

 private:
  void say(const std::string& what);

  const Channel& channel_;
  Message message_;
  std::set<std::string> declared_;
};

}  // namespace remeasure::bench::runner
