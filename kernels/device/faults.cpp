// SPDX-License-Identifier: Apache-2.0
#include "kernels/device/faults.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "kernels/device/device_error.h"

namespace remeasure::faults {
namespace {

constexpr std::array<std::string_view, kCalls> kCallNames = {"open", "allocate", "copy", "launch",
                                                             "synchronize"};
constexpr std::array<std::string_view, 4> kKindNames = {"out-of-memory", "launch-failure", "sticky", "lost"};

template <std::size_t N>
std::size_t index_of(const std::array<std::string_view, N>& names, std::string_view name,
                     std::string_view item) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  std::string all;
  for (const auto& each : names) all += (all.empty() ? "" : ", ") + std::string(each);
  throw std::invalid_argument(std::string(kVariable) + ": '" + std::string(name) + "' in '" +
                              std::string(item) + "' is none of " + all);
}

[[noreturn]] void refuse(std::string_view item, const std::string& why) {
  throw std::invalid_argument(std::string(kVariable) + ": '" + std::string(item) + "': " + why);
}

Fault parse_fault(std::string_view item) {
  const auto colon = item.find(':'), equals = item.find('=');
  if (colon == std::string_view::npos || equals == std::string_view::npos || equals < colon) {
    refuse(item, "write call:number=fault, for example launch:5=sticky");
  }
  const std::string_view number = item.substr(colon + 1, equals - colon - 1);
  Fault fault;
  fault.call = static_cast<Call>(index_of(kCallNames, item.substr(0, colon), item));
  fault.kind = static_cast<Kind>(index_of(kKindNames, item.substr(equals + 1), item));
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), fault.number);
  if (error != std::errc{} || end != number.data() + number.size() || fault.number == 0) {
    refuse(item, "the number is a whole one from 1");
  }
  if (fault.kind == Kind::out_of_memory && fault.call != Call::allocate)
    refuse(item, "only an allocation runs out of memory");
  if (fault.kind == Kind::launch_failure && fault.call != Call::launch)
    refuse(item, "only a launch fails this way");
  return fault;
}

}  // namespace

Plan parse(std::string_view text) {
  Plan plan;
  while (!text.empty()) {
    const auto end = text.find(';');
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (item.empty()) continue;
    if (item.starts_with("file="))
      plan.file = item.substr(5);
    else
      plan.faults.push_back(parse_fault(item));
  }
  const auto lost = [](const Fault& fault) { return fault.kind == Kind::lost; };
  if (plan.file.empty() && std::any_of(plan.faults.begin(), plan.faults.end(), lost)) {
    refuse("lost", "needs file=PATH too, or the next process would find the device again");
  }
  return plan;
}

Injector::Injector(Plan plan) : plan_(std::move(plan)) {
  load();
}

void Injector::load() {
  if (plan_.file.empty()) return;
  std::ifstream file(plan_.file);
  for (auto& count : counts_) file >> count;
  file >> lost_;
}

void Injector::save() const {
  if (plan_.file.empty()) return;
  std::ofstream file(plan_.file, std::ios::trunc);
  for (const auto count : counts_) file << count << ' ';
  file << lost_ << '\n';
}

bool Injector::at(Call call, std::string_view what) {
  const std::string name(kCallNames[static_cast<std::size_t>(call)]);
  const std::string where = name + (what.empty() ? "" : " of " + std::string(what));
  if (lost_) throw DeviceError(where + ": the device was lost (" + kVariable + ")", ErrorReach::device);
  if (!sticky_.empty()) throw DeviceError(where + ": after " + sticky_, ErrorReach::process);
  const std::uint64_t number = ++counts_[static_cast<std::size_t>(call)];
  const auto fault = std::find_if(plan_.faults.begin(), plan_.faults.end(), [&](const Fault& each) {
    return each.call == call && each.number == number;
  });
  const bool strikes = fault != plan_.faults.end();
  lost_ = strikes && fault->kind == Kind::lost;
  save();
  if (!strikes) return false;
  const std::string text = where + ", number " + std::to_string(number) + ": ";
  switch (fault->kind) {
    case Kind::out_of_memory:
      return true;
    case Kind::launch_failure:
      throw DeviceError(text + "launch failure (" + kVariable + ")");
    case Kind::sticky:
      sticky_ = text + "sticky error (" + kVariable + ")";
      throw DeviceError(sticky_, ErrorReach::process);
    case Kind::lost:
      throw DeviceError(text + "the device was lost (" + kVariable + ")", ErrorReach::device);
  }
  return false;
}

std::string planned_text() {
  const char* text = std::getenv(kVariable);
  return text == nullptr ? std::string() : text;
}

namespace {

Injector& injector() {
  static Injector of_this_process(parse(planned_text()));
  return of_this_process;
}

}  // namespace

bool device_lost() {
  return detail::planned && injector().lost();
}

namespace detail {
const bool planned = !planned_text().empty();
bool at(Call call, std::string_view what) {
  return injector().at(call, what);
}
}  // namespace detail

}  // namespace remeasure::faults
