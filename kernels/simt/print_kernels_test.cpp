// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "kernels/simt/test_support.h"

using namespace remeasure::simt;
using namespace remeasure::simt::testing;

namespace {

std::string printed(Engine& engine, unsigned grid, unsigned block) {
  std::string text;
  engine.capture_prints(&text);
  engine.launch({.name = "prints", .grid = grid, .block = block}, [] {
    print("%u", global_number());
    print("%s", thread_number() % 2 == 0 ? " even\n" : " odd\n");
  });
  engine.capture_prints(nullptr);
  return text;
}

}  // namespace

TEST_CASE("what threads print comes in the order of blocks and threads, on any number of workers", "[simt]") {
  std::string expected;
  for (unsigned i = 0; i < 64 * 256; ++i) expected += std::to_string(i) + (i % 2 == 0 ? " even\n" : " odd\n");
  for (const int workers : {1, 4}) {
    Engine engine({.workers = workers});
    CHECK(printed(engine, 64, 256) == expected);
    CHECK(printed(engine, 64, 256) == expected);
  }
}

TEST_CASE("under a seed the order is another, and the same each time", "[simt]") {
  Engine engine;
  const std::string ascending = printed(engine, 5, 64);
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    engine.set_schedule(seed);
    const std::string first = printed(engine, 5, 64);
    CHECK(first == printed(engine, 5, 64));
    CHECK(first != ascending);
    CHECK(first.size() == ascending.size());
  }
}

TEST_CASE("a text longer than a buffer is printed whole, and what was printed before an error is not lost",
          "[simt]") {
  Engine engine({.workers = 2});
  std::string text;
  engine.capture_prints(&text);
  const std::string large(5000, 'x');
  int length = 0;
  engine.launch({.name = "large", .grid = 1, .block = 1}, [&] { length = print("<%s>", large.c_str()); });
  CHECK(length == 5002);
  CHECK(text == "<" + large + ">");
  text.clear();
  failing_launch(engine, {.name = "fails", .grid = 64, .block = 256}, [] {
    if (global_number() == 0) print("before\n");
    block_barrier();
    if (global_number() == 0) fail(ErrorKind::device_assert, "on purpose");
  });
  CHECK(text == "before\n");
}
