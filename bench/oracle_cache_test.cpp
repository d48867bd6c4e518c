// SPDX-License-Identifier: Apache-2.0
#include "bench/oracle_cache.h"

#include <testing/catch.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "bench/hash.h"
#include "bench/test_case.h"

using namespace remeasure::bench;

namespace {

struct Cached {
  testing::TemporaryFolder folder;
  OracleCache cache{folder.path() / ".oracle"};
  OracleKey key{"dfss", "smoke n=64", "out", 1, 1, "abc123"};
  int computed = 0;

  Cached() { cache.worth_storing_seconds = 0; }
  OracleOutput get() {
    return cache.get(key, [&] {
      ++computed;
      return OracleOutput{.values = {1, -INFINITY, 3}, .scale = {1, 2, 3}, .indices = {0, 5, 7}};
    });
  }
  std::string file() const {
    std::ifstream stream(cache.path_of(key), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  void write(const std::string& content) const {
    std::ofstream(cache.path_of(key), std::ios::binary) << content;
  }
};

}  // namespace

TEST_CASE("XXH64 gives the reference vectors", "[cpu]") {
  CHECK(hash_text("") == 0xEF46DB3751D8E999ULL);
  CHECK(hash_text("a") == 0xD24EC4F1A98C6E5BULL);
  CHECK(hash_text("abc") == 0x44BC2CF5AD770999ULL);
  CHECK(hash_text("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1ULL);
  CHECK(hex(0xEF46DB3751D8E999ULL) == "ef46db3751d8e999");
}

TEST_CASE("an oracle is computed once and read back to the bit", "[cpu]") {
  Cached cached;
  const OracleOutput first = cached.get(), second = cached.get();
  CHECK(cached.computed == 1);
  CHECK(second.values == first.values);
  CHECK(second.scale == first.scale);
  CHECK(second.indices == first.indices);
}

TEST_CASE("an oracle that is quick to compute leaves no file", "[cpu]") {
  Cached cached;
  cached.cache.worth_storing_seconds = 10;
  cached.get();
  cached.get();
  CHECK(cached.computed == 2);
  CHECK_FALSE(std::filesystem::exists(cached.cache.path_of(cached.key)));
}

TEST_CASE("every part of the key makes another oracle", "[cpu]") {
  Cached cached;
  cached.get();
  const OracleKey original = cached.key;
  int expected = 1;
  const auto changed = [&](auto change) {
    cached.key = original;
    change(cached.key);
    cached.get();
    CHECK(cached.computed == ++expected);
  };
  changed([](OracleKey& key) { key.experiment = "topml"; });
  changed([](OracleKey& key) { key.case_name = "smoke n=128"; });
  changed([](OracleKey& key) { key.output = "mask"; });
  changed([](OracleKey& key) { key.version = 2; });
  changed([](OracleKey& key) { key.seed = 2; });
  changed([](OracleKey& key) { key.data = "abc124"; });
}

TEST_CASE("a damaged file is ignored and replaced: every flipped byte, every truncation", "[cpu]") {
  Cached cached;
  cached.get();
  const std::string good = cached.file();
  REQUIRE(good.size() > 100);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    cached.write(bad);
    CHECK_FALSE(cached.cache.load(cached.key).has_value());
    cached.write(good.substr(0, i));
    CHECK_FALSE(cached.cache.load(cached.key).has_value());
  }
  cached.get();
  CHECK(cached.computed == 2);
  CHECK(cached.file() == good);
}

TEST_CASE("a length that lies, under a right checksum, isn't believed", "[cpu]") {
  Cached cached;
  cached.get();
  std::string bad = cached.file();
  bad[15] = '\x7f';  // the highest byte of the key's length
  const std::uint64_t checksum = hash_bytes(bad.data(), bad.size() - 8);
  bad.replace(bad.size() - 8, 8, reinterpret_cast<const char*>(&checksum), 8);
  cached.write(bad);
  CHECK_FALSE(cached.cache.load(cached.key).has_value());
}

TEST_CASE("a folder that can't be made costs the cache, not the run", "[cpu]") {
  Cached cached;
  std::ofstream(cached.folder.path() / ".oracle") << "a file where the folder should be";
  CHECK(cached.get().values.size() == 3);
  CHECK(cached.get().values.size() == 3);
  CHECK(cached.computed == 2);
}

TEST_CASE("oracles that can't judge are refused", "[cpu]") {
  CHECK_THROWS_AS(validate({}, "out"), std::invalid_argument);
  CHECK_THROWS_AS(validate({.values = {1, NAN}}, "out"), std::invalid_argument);
  CHECK_THROWS_AS(validate({.values = {1}, .scale = {1, 2}}, "out"), std::invalid_argument);
  CHECK_THROWS_AS(validate({.values = {1}, .indices = {1, 2}}, "out"), std::invalid_argument);
}
