// SPDX-License-Identifier: Apache-2.0
//
// Device errors on purpose, so that what happens after one can be tested on a machine where no device fails.
//
//   REMEASURE_FAULTS="allocate:3=out-of-memory"            the third allocation of each process is refused
//   REMEASURE_FAULTS="launch:2=launch-failure"             the second launch fails, the third may succeed
//   REMEASURE_FAULTS="file=/tmp/state;launch:5=sticky"     from the fifth launch on every call of that
//   process fails REMEASURE_FAULTS="file=/tmp/state;launch:5=lost"       ... and no later process finds the
//   device
//
// Items are separated by ';'. Calls: open, allocate, copy, launch, synchronize; each is counted from 1, in
// both targets together. With `file=` the counts go on from one process to the next, so a fault strikes once;
// without it every process counts for itself. `lost` needs the file: that's how the next process knows.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remeasure::faults {

inline constexpr const char* kVariable = "REMEASURE_FAULTS";

enum class Call { open, allocate, copy, launch, synchronize };
inline constexpr std::size_t kCalls = 5;
enum class Kind { out_of_memory, launch_failure, sticky, lost };

struct Fault {
  Call call = Call::launch;
  std::uint64_t number = 1;
  Kind kind = Kind::sticky;
};

struct Plan {
  std::vector<Fault> faults = {};
  std::string file = {};  ///< keeps the counts; empty: each process counts for itself
};

/// Throws std::invalid_argument that names the item and what could stand there.
Plan parse(std::string_view text);

/// Counts calls and says which of them fail. Not thread safe, as a Device isn't.
class Injector {
 public:
  explicit Injector(Plan plan);
  /// True if an allocation is to be refused; `what` is for the message. Throws DeviceError for every other
  /// fault.
  bool at(Call call, std::string_view what);
  bool lost() const { return lost_; }

 private:
  void load();
  void save() const;

  Plan plan_;
  std::array<std::uint64_t, kCalls> counts_{};
  bool lost_ = false;
  std::string sticky_;  ///< what broke this process; empty while nothing did
};

/// The variable's text; empty if it isn't set.
std::string planned_text();
/// True if this process is to believe that its device is gone.
bool device_lost();

namespace detail {
extern const bool planned;
bool at(Call call, std::string_view what);
}  // namespace detail

/// What every call of both targets passes: one branch on a constant where nothing is planned.
inline bool at(Call call, std::string_view what) {
  return detail::planned && detail::at(call, what);
}

}  // namespace remeasure::faults
