// SPDX-License-Identifier: Apache-2.0
#include "bench/runner/protocol.h"

#include <testing/catch.h>

using namespace remeasure::bench::runner;

namespace {

const Message kDone = {.kind = MessageKind::case_finished,
                       .index = 2,
                       .total = 3,
                       .name = "n=512 pattern=2:4",
                       .detail = "tab\there, line\nbreak, back\\slash",
                       .tally = {.passed = 1, .incorrect = 2, .not_run = 3, .failed = 4, .failed_checks = 5},
                       .seconds = 1.25};

}  // namespace

TEST_CASE("a message survives the line", "[cpu]") {
  const std::string line = encode(kDone);
  REQUIRE(line.back() == '\n');
  CHECK(line.find('\n') == line.size() - 1);
  const auto back = decode(std::string_view(line).substr(0, line.size() - 1));
  REQUIRE(back.has_value());
  CHECK(*back == kDone);
}

TEST_CASE("what broke a device survives the line: variant, error and how far it reaches", "[cpu]") {
  const std::string line =
      encode(to_message("n=1", {.variant = "kernel@gpu", .error = "a\tb\nc", .device = true}));
  const auto back = decode(std::string_view(line).substr(0, line.size() - 1));
  REQUIRE(back.has_value());
  CHECK(back->kind == MessageKind::device_broken);
  CHECK(back->name == "n=1");
  const Broken broken = to_broken(*back);
  CHECK(broken.variant == "kernel@gpu");
  CHECK(broken.error == "a\tb\nc");
  CHECK(broken.device);
  CHECK_FALSE(to_broken(to_message("n=1", {.variant = "", .error = "x"})).device);
}

TEST_CASE("a line that isn't a message is refused", "[cpu]") {
  const std::string line = encode(kDone);
  const std::string_view whole = std::string_view(line).substr(0, line.size() - 1);
  CHECK_FALSE(decode(""));
  CHECK_FALSE(decode("hello"));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto torn = decode(whole.substr(0, length));
    // Only the last field, the seconds, can lose digits without the line losing its form.
    if (torn) CHECK(torn->name == kDone.name);
    if (length + 8 < whole.size()) CHECK_FALSE(torn);
  }
  CHECK_FALSE(decode(std::string(whole) + "\textra"));
  CHECK_FALSE(decode("remeasure-1\tdone\tx\t3\t\t\t0\t0\t0\t0\t0\t1.0"));
  CHECK_FALSE(decode("remeasure-1\tdance\t1\t3\t\t\t0\t0\t0\t0\t0\t1.0"));
  CHECK_FALSE(decode("remeasure-1\tdone\t1\t3\tbad \\x\t\t0\t0\t0\t0\t0\t1.0"));
  CHECK_FALSE(decode("remeasure-1\tdone\t1\t3\t\t\t0\t0\t0\t0\t0\tnan"));
}

TEST_CASE("messages are put together from any pieces, and a torn end is dropped", "[cpu]") {
  Message note;
  note.detail = "hello";
  const std::string stream = encode(kDone) + "noise from a library\n" + encode(note);
  for (std::size_t piece = 1; piece < stream.size(); piece += 7) {
    MessageReader reader;
    std::vector<Message> messages;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      for (auto& message : reader.feed(std::string_view(stream).substr(at, piece)))
        messages.push_back(message);
    }
    REQUIRE(messages.size() == 2);
    CHECK(messages[0] == kDone);
    CHECK(messages[1] == note);
    CHECK(reader.rejected() == 1);
  }
  MessageReader reader;
  CHECK(reader.feed(std::string_view(stream).substr(0, 40)).empty());
}

TEST_CASE("a line without an end doesn't grow without bound, and the next line is good again", "[cpu]") {
  MessageReader reader;
  const std::string junk(100000, 'x');
  for (int i = 0; i < 100; ++i) CHECK(reader.feed(junk).empty());
  CHECK(reader.feed("\n").empty());
  CHECK(reader.rejected() == 1);
  CHECK(reader.feed(encode(kDone)).size() == 1);
}

TEST_CASE("a line always fits into what a pipe takes in one piece", "[cpu]") {
  Message message = kDone;
  message.name = std::string(100000, '\t');
  message.detail = std::string(100000, '\n');
  CHECK(encode(message).size() <= 4000);
  CHECK(MessageReader().feed(encode(message)).size() == 1);
}
