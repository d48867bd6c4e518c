// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace remeasure::bench::runner {
namespace {

constexpr std::string_view kTag = "remeasure-1";
constexpr std::array<std::string_view, 8> kKinds = {"begin", "case",    "phase",    "done",
                                                    "note",  "refused", "finished", "broken"};
constexpr std::size_t kFields = 12;  // tag, kind, index, total, name, detail, five tallies, seconds
constexpr std::size_t kLongestText = 1800;
constexpr std::size_t kLongestLine = 4000;

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= kLongestText) break;
    if (c == '\\')
      out += "\\\\";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    if (text[i] == 't')
      out += '\t';
    else if (text[i] == 'n')
      out += '\n';
    else if (text[i] == '\\')
      out += '\\';
    else
      return std::nullopt;
  }
  return out;
}

template <class Number>
bool parse_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  for (;;) {
    const auto tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

}  // namespace

Tally& Tally::operator+=(const Tally& other) {
  passed += other.passed;
  incorrect += other.incorrect;
  not_run += other.not_run;
  failed += other.failed;
  failed_checks += other.failed_checks;
  return *this;
}

Message to_message(const std::string& case_name, const Broken& broken) {
  return {.kind = MessageKind::device_broken,
          .index = broken.device ? 1 : 0,
          .name = case_name,
          .detail = broken.variant + "\n" + broken.error};
}

Broken to_broken(const Message& message) {
  const auto newline = message.detail.find('\n');
  if (newline == std::string::npos)
    return {.variant = {}, .error = message.detail, .device = message.index == 1};
  return {.variant = message.detail.substr(0, newline),
          .error = message.detail.substr(newline + 1),
          .device = message.index == 1};
}

std::string encode(const Message& message) {
  const Tally& tally = message.tally;
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:.6f}\n", kTag,
                     kKinds[static_cast<std::size_t>(message.kind)], message.index, message.total,
                     escape(message.name), escape(message.detail), tally.passed, tally.incorrect,
                     tally.not_run, tally.failed, tally.failed_checks, message.seconds);
}

std::optional<Message> decode(std::string_view line) {
  const auto fields = split(line);
  if (fields.size() != kFields || fields[0] != kTag) return std::nullopt;
  Message message;
  const auto kind = std::find(kKinds.begin(), kKinds.end(), fields[1]);
  if (kind == kKinds.end()) return std::nullopt;
  message.kind = static_cast<MessageKind>(kind - kKinds.begin());
  auto name = unescape(fields[4]);
  auto detail = unescape(fields[5]);
  if (!name || !detail) return std::nullopt;
  message.name = std::move(*name);
  message.detail = std::move(*detail);
  Tally& tally = message.tally;
  const bool numbers = parse_number(fields[2], message.index) && parse_number(fields[3], message.total) &&
                       parse_number(fields[6], tally.passed) && parse_number(fields[7], tally.incorrect) &&
                       parse_number(fields[8], tally.not_run) && parse_number(fields[9], tally.failed) &&
                       parse_number(fields[10], tally.failed_checks) &&
                       parse_number(fields[11], message.seconds);
  if (!numbers || !std::isfinite(message.seconds)) return std::nullopt;
  return message;
}

std::vector<Message> MessageReader::feed(std::string_view bytes) {
  std::vector<Message> messages;
  while (!bytes.empty()) {
    const auto newline = bytes.find('\n');
    pending_.append(bytes.substr(0, newline));
    if (pending_.size() > kLongestLine) {
      pending_.clear();
      overlong_ = true;
    }
    if (newline == std::string_view::npos) break;
    bytes.remove_prefix(newline + 1);
    auto message = overlong_ ? std::nullopt : decode(pending_);
    if (message)
      messages.push_back(std::move(*message));
    else
      ++rejected_;
    pending_.clear();
    overlong_ = false;
  }
  return messages;
}

}  // namespace remeasure::bench::runner
