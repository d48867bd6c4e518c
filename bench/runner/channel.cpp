// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/channel.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "bench/runner/process.h"

namespace remeasure::bench::runner {

void Channel::send(const Message& message) const {
  std::string text = encode(message);
  while (::write(kMessageDescriptor, text.data(), text.size()) < 0 && errno == EINTR) {
  }
}

void Reporter::at(std::int64_t index, std::int64_t total, std::string name) {
  message_ = {
      .kind = MessageKind::phase, .index = index, .total = total, .name = std::move(name), .detail = ""};
}

void Reporter::phase(const std::string& what) {
  say(what);
}

void Reporter::variant_declared(const std::string& variant, reports::Where) {
  declared_.insert(variant);
}

void Reporter::variant_started(const std::string& variant, reports::Where where) {
  say(fmt::format("{} ({})", variant, reports::to_string(where)));
}

std::string Reporter::declared() const {
  return fmt::format("{}", fmt::join(declared_, ","));
}

void Reporter::say(const std::string& what) {
  if (what == message_.detail) return;
  message_.detail = what;
  channel_.send(message_);
}

}  // namespace remeasure::bench::runner
