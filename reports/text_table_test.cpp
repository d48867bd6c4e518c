// SPDX-License-Identifier: Apache-2.0
#include "reports/text_table.h"

#include <testing/catch.h>
#include <stdexcept>

namespace remeasure::reports {
namespace {

using Lines = std::vector<std::string>;

TEST_CASE("widths count characters, not bytes", "[cpu]") {
  CHECK(text_width("") == 0);
  CHECK(text_width("42.1 µs ±0.2 %") == 14);
  CHECK(text_width("β\u0302") == 1);  // a hat over the letter takes no column
}

TEST_CASE("text wraps at words, then at joints, then anywhere", "[cpu]") {
  CHECK(wrapped("one two three", 7) == Lines{"one two", "three"});
  CHECK(wrapped("attention/cudnn-sdpa", 12) == Lines{"attention/", "cudnn-sdpa"});
  CHECK(wrapped("aaaaaaa", 3) == Lines{"aaa", "aaa", "a"});
  CHECK(wrapped("µµµµ", 3) == Lines{"µµµ", "µ"});
  CHECK(wrapped("a\nb", 10) == Lines{"a", "b"});
  CHECK(wrapped("", 10) == Lines{""});
}

TEST_CASE("a table squeezes its widest column and stays inside its width", "[cpu]") {
  TextTable table({{"name", false, 4, true}, {"text", false, 4, false}, {"n", true, 1, true}});
  table.add({{"a"}, {"some words that are long"}, {"1"}});
  table.add_heading("group");
  table.add({{"bb"}, {"short"}, {"22"}});
  CHECK(table.text(24, 2, false) ==
        "  name  text           n\n"
        "  ──────────────────────\n"
        "  a     some words     1\n"
        "        that are\n"
        "        long\n"
        "  group\n"
        "  bb    short         22\n");
  CHECK_THROWS_AS(table.add({{"too few"}}), std::invalid_argument);
}

TEST_CASE("colour surrounds cells and changes no width", "[cpu]") {
  TextTable table({{"a", false, 1, false}, {"b", false, 1, false}});
  table.add({{"x", Tone::bad}, {"y"}});
  const std::string text = table.text(40, 0, true);
  CHECK(text.find("\x1b[1;31mx\x1b[0m  y\n") != std::string::npos);
}

}  // namespace
}  // namespace remeasure::reports
