// SPDX-License-Identifier: Apache-2.0
//
// What a worker process tells its parent: one line per event on a pipe, fields separated by tabs. The parent
// may get half a line (a crash in the middle of a write) or noise; neither may confuse it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remeasure::bench::runner {

/// How many variants of a case, an experiment or a run ended how.
struct Tally {
  int passed = 0;
  int incorrect = 0;      ///< wrong or not verified
  int not_run = 0;        ///< not run or not supported
  int failed = 0;         ///< failed or timed out
  int failed_checks = 0;  ///< a "must hold" of the experiment that doesn't

  Tally& operator+=(const Tally& other);
  bool operator==(const Tally&) const = default;
};

/// `begin` opens, `finished` closes and names the variants that the cases declared; `refused` means that the
/// worker can't go on for a reason that isn't the experiment's: a variant that can't run here, a full disk.
/// `device_broken` is a worker's last word too: no device call of this process can succeed any more (Broken).
enum class MessageKind { begin, case_started, phase, case_finished, note, refused, finished, device_broken };

/// Begins the text of `case_finished` for a case that was left out; any other text is an error.
inline const std::string kLeftOut = "left out: ";

struct Message {
  MessageKind kind = MessageKind::note;
  std::int64_t index = 0;  ///< case, from 1; for `begin` the number of cases taken over from an earlier run
  std::int64_t total = 0;  ///< cases of this experiment that are selected
  std::string name;        ///< case
  std::string detail;      ///< variant and phase, or a text
  Tally tally = {};        ///< case_finished
  double seconds = 0;      ///< case_finished

  bool operator==(const Message&) const = default;
};

/// What `device_broken` carries, packed into index and detail.
struct Broken {
  std::string variant;  ///< "kernel@gpu"; empty: the case itself
  std::string error;
  bool device = false;  ///< the device is gone for a fresh process too
};
Message to_message(const std::string& case_name, const Broken& broken);
Broken to_broken(const Message& message);

/// One line with its newline, at most 4,000 bytes, so that a pipe takes it in one piece (PIPE_BUF).
std::string encode(const Message& message);
/// The line without its newline; empty for anything that `encode` didn't write.
std::optional<Message> decode(std::string_view line);

/// Puts pieces of a byte stream together to messages. Lines that aren't messages are counted and dropped; a
/// line without an end stays out, and never grows beyond a limit.
class MessageReader {
 public:
  std::vector<Message> feed(std::string_view bytes);
  std::size_t rejected() const { return rejected_; }

 private:
  std::string pending_;
  bool overlong_ = false;
  std::size_t rejected_ = 0;
};

}  // namespace remeasure::bench::runner
