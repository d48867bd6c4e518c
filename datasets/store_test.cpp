// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>

#include <testing/catch.h>
#include <cmath>
#include <csignal>
#include <limits>
#include <numeric>

#include "datasets/file_writer.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace remeasure::datasets {

// The example at the head of dataset.h, as it stands there.
extern const Definition noise_definition;
const Definition noise_definition = {
    .name = "noise",
    .title = "White noise",
    .theme = "science",
    .stands_for = "nothing: mean 0, variance 1",
    .source = "synthetic in the literature",
    .arrays = {{.path = "/x", .axes = {"sample"}, .description = "independent N(0, 1)"}},
    .extents =
        [](const Parameters& p) {
          return Extents{{"sample", p.extent("n")}};
        },
    .generate =
        [](const Parameters& p, Writer& out) {
          std::vector<float> x(p.extent("n"));
          for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(Philox(p.seed).normal(i));
          out.array("/x", std::span<const float>(x), {x.size()});
          out.attribute("mean_square",
                        std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / double(x.size()));
        },
    .examples = {{.values = {{"n", "1000"}}}},
};
struct Noise {
  std::vector<float> x;
};
Noise read_noise(Reader& reader) {
  return {reader.f32("/x")};
}

}  // namespace remeasure::datasets

TEST_CASE("the example in dataset.h works", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const Opened opened = store.open(noise_definition, noise_definition.examples[0]);
  CHECK(read_noise(*opened.reader).x.size() == 1000);
  CHECK(std::fabs(opened.reader->number("mean_square") - 1) < 0.3);
}

TEST_CASE("a dataset is generated on first use and read back bit for bit", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  const Definition d = small_definition();
  const Opened opened = store.open(d, small_parameters());
  Reader& reader = *opened.reader;

  const std::vector<float> x = reader.f32("/x");
  REQUIRE(x.size() == 600);
  for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(x[i] == static_cast<float>(Philox(4, 0).normal(i)));
  CHECK(reader.i32("/group/label").size() == 30);
  CHECK(reader.shape("/x") == Shape{30, 20});
  CHECK(reader.has("/x"));
  CHECK_FALSE(reader.has("/y"));
  CHECK(reader.number("first") == static_cast<double>(x[0]));
  CHECK(reader.text("generator_note") == "counter-based");
  CHECK(reader.text("param_rows") == "30");
  CHECK(reader.number("seed") == 4);
  CHECK(reader.text("licence") == "CC0-1.0 (generated)");

  const Provenance& provenance = opened.provenance;
  CHECK(provenance.dataset == "small");
  CHECK(provenance.file == folder.path() / "data" / "small" / "columns=20,rows=30-s4-g1.h5");
  CHECK(provenance.synthetic);
  CHECK(provenance.seed == 4);
  CHECK(provenance.sha256.size() == 64);
  CHECK(provenance.sha256 == reader.text("sha256"));
  CHECK_THROWS_WITH(reader.f64("/x"),
                    ContainsSubstring("asked for as float64") && ContainsSubstring("float32"));
  CHECK_THROWS_WITH(reader.f32("/y"), ContainsSubstring("no such array"));
  CHECK_THROWS_WITH(reader.number("second"), ContainsSubstring("attribute second: missing"));
  CHECK_THROWS_WITH(reader.number("generator_note"), ContainsSubstring("expected a number"));
}

TEST_CASE("two makes of the same parameters give the same bytes, other seeds give others", "[cpu]") {
  const TemporaryFolder folder;
  Store a(folder.path() / "a"), b(folder.path() / "b");
  const Definition d = small_definition();
  Parameters p = small_parameters(700, 500);  // several chunks
  const std::string first = bytes_of(a.make(d, p));
  ::sleep(1);                                         // a stored time would differ by now
  const bool same = first == bytes_of(b.make(d, p));  // not inside CHECK, which would print them
  CHECK(same);
  const std::string content = a.open(d, p).provenance.sha256;
  p.seed = 5;
  CHECK(a.open(d, p).provenance.sha256 != content);
}

TEST_CASE("an existing good file is used, not made again", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  Definition d = small_definition();
  store.open(d, small_parameters());
  d.generate = [](const Parameters&, Writer&) { throw DatasetError("generated again"); };
  CHECK_NOTHROW(store.open(d, small_parameters()));
  CHECK_THROWS_WITH(store.make(d, small_parameters()), ContainsSubstring("generated again"));
  CHECK_NOTHROW(store.open(d, small_parameters()));  // a failed make leaves the old file
}

TEST_CASE("arrays are chunked in whole rows of at most 1 MiB with shuffle, deflate and fletcher32", "[cpu]") {
  CHECK(chunk_of({10, 20}, 4) == Shape{10, 20});
  CHECK(chunk_of({5000, 512}, 4) == Shape{512, 512});
  CHECK(chunk_of({8, 128, 2048}, 4) == Shape{1, 128, 2048});
  CHECK(chunk_of({8, 100, 2048}, 4) == Shape{1, 100, 2048});
  CHECK(chunk_of({1 << 20}, 8) == Shape{1 << 17});
  CHECK(chunk_of({3, 1 << 20}, 8) == Shape{1, 1 << 17});
  CHECK(chunk_of({0, 5}, 8) == Shape{1, 5});

  const TemporaryFolder folder;
  Store store(folder.path());
  const std::string text = describe(store.make(small_definition(), small_parameters()));
  CHECK_THAT(text, ContainsSubstring("/x  float32 [30, 20]") && ContainsSubstring("chunks [30, 20]") &&
                       ContainsSubstring("shuffle, deflate(4), fletcher32") &&
                       ContainsSubstring("param_rows"));
  CHECK_THAT(text, ContainsSubstring("axes                 row,column") &&
                       ContainsSubstring("valid_max            10") &&
                       ContainsSubstring("logical_dtype        float32") && ContainsSubstring("mean "));
}

TEST_CASE("every element type, NaN where allowed, empty and optional arrays survive the round trip",
          "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  Definition d;
  d.name = "types";
  const auto add = [&](const char* path, ElementType type) {
    d.arrays.push_back({.path = path, .type = type, .axes = {"i"}, .nan_allowed = true});
  };
  add("/f32", ElementType::f32), add("/f64", ElementType::f64), add("/u8", ElementType::u8),
      add("/i8", ElementType::i8);
  add("/u16", ElementType::u16), add("/i16", ElementType::i16), add("/i32", ElementType::i32);
  add("/u32", ElementType::u32), add("/i64", ElementType::i64), add("/u64", ElementType::u64);
  d.arrays.push_back({.path = "/empty", .axes = {"none", "i"}});
  d.arrays.push_back({.path = "/left/out", .axes = {"i"}, .optional = true});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> f32{-1.5f, nan};
  const std::vector<double> f64{1e300, -0.0};
  const std::vector<std::uint8_t> u8{0, 255};
  const std::vector<std::int8_t> i8{-128, 127};
  const std::vector<std::uint16_t> u16{0, 65535};
  const std::vector<std::int16_t> i16{-32768, 32767};
  const std::vector<std::int32_t> i32{INT32_MIN, INT32_MAX};
  const std::vector<std::uint32_t> u32{0, UINT32_MAX};
  const std::vector<std::int64_t> i64{INT64_MIN, INT64_MAX};
  const std::vector<std::uint64_t> u64{0, UINT64_MAX};
  d.generate = [&](const Parameters&, Writer& out) {
    out.array("/f32", f32, {2}), out.array("/f64", f64, {2}), out.array("/u8", u8, {2}),
        out.array("/i8", i8, {2});
    out.array("/u16", u16, {2}), out.array("/i16", i16, {2}), out.array("/i32", i32, {2}),
        out.array("/u32", u32, {2});
    out.array("/i64", i64, {2}), out.array("/u64", u64, {2}),
        out.array("/empty", std::vector<float>(), {0, 2});
  };
  const Opened opened = store.open(d, {});
  Reader& r = *opened.reader;
  CHECK(opened.provenance.file.filename() == "default-s1-g1.h5");
  CHECK(r.f32("/f32")[0] == -1.5f);
  CHECK(std::isnan(r.f32("/f32")[1]));
  CHECK(r.f64("/f64") == f64);
  CHECK(r.u8("/u8") == u8);
  CHECK(r.i8("/i8") == i8);
  CHECK(r.u16("/u16") == u16);
  CHECK(r.i16("/i16") == i16);
  CHECK(r.i32("/i32") == i32);
  CHECK(r.u32("/u32") == u32);
  CHECK(r.i64("/i64") == i64);
  CHECK(r.u64("/u64") == u64);
  CHECK(r.f32("/empty").empty());
  CHECK(r.shape("/empty") == Shape{0, 2});
  CHECK_FALSE(r.has("/left/out"));
}

TEST_CASE("a generator that breaks its own schema is one clear error and leaves no file", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  Definition d = small_definition();
  const auto fault = [&](const std::function<void(Writer&)>& generate) {
    d.generate = [generate](const Parameters&, Writer& out) { generate(out); };
    const std::string message = message_of([&] { store.open(d, small_parameters(2, 3)); });
    CHECK_FALSE(fs::exists(store.path_of(d, small_parameters(2, 3))));
    CHECK_THAT(message, ContainsSubstring(store.path_of(d, small_parameters(2, 3)).string()));
    return message;
  };
  const std::vector<float> six(6, 1.0f);
  const std::vector<std::int32_t> two(2, 3);
  CHECK_THAT(fault([&](Writer& out) {
               out.array("/x", six, {2, 3});
             }),
             ContainsSubstring("/group/label: the generator of small didn't write it"));
  CHECK_THAT(fault([&](Writer& out) {
               out.array("/z", six, {2, 3});
             }),
             ContainsSubstring("/z: isn't in the schema"));
  CHECK_THAT(fault([&](Writer& out) { out.array("/x", two, {2}); }),
             ContainsSubstring("/x: written as int32, expected float32"));
  CHECK_THAT(fault([&](Writer& out) { out.array("/x", six, {6}); }),
             ContainsSubstring("has rank 1, expected rank 2 (row, column)"));
  CHECK_THAT(fault([&](Writer& out) {
               out.array("/x", six, {3, 2});
             }),
             ContainsSubstring("axis 0 (row) has length 3, expected 2"));
  CHECK_THAT(fault([&](Writer& out) {
               out.array("/x", std::span(six).first(5), {2, 3});
             }),
             ContainsSubstring("5 elements given for shape [2, 3]"));
  CHECK_THAT(fault([&](Writer& out) {
               out.array("/x", six, {2, 3}), out.array("/x", six, {2, 3});
             }),
             ContainsSubstring("written twice"));
  CHECK_THAT(fault([&](Writer& out) {
               out.array("/x", std::vector<float>(6, 11.0f), {2, 3});
             }),
             ContainsSubstring("11 at element 0; the schema allows -10 to 10"));
  CHECK_THAT(fault([&](Writer& out) { out.attribute("seed", 3.0); }),
             ContainsSubstring("belongs to the file format"));
  CHECK_THAT(fault([&](Writer& out) { out.attribute("long", std::string(70000, 'x')); }),
             ContainsSubstring("70000 bytes of text"));
}

TEST_CASE("parameters are checked where they are used", "[cpu]") {
  const Parameters p{.values = {{"n", "12"}, {"x", "0.5"}, {"bad", "12z"}, {"neg", "-1"}, {"inf", "inf"}}};
  CHECK(p.integer("n") == 12);
  CHECK(p.extent("n") == 12);
  CHECK(p.real("x") == 0.5);
  CHECK(p.text("bad") == "12z");
  CHECK_THROWS_WITH(p.integer("bad"), ContainsSubstring("bad=\"12z\": expected an integer"));
  CHECK_THROWS_WITH(p.integer("x"), ContainsSubstring("expected an integer"));
  CHECK_THROWS_WITH(p.extent("neg"), ContainsSubstring("expected a length"));
  CHECK_THROWS_WITH(p.real("inf"), ContainsSubstring("finite"));
  CHECK_THROWS_WITH(p.integer("m"), ContainsSubstring("\"m\" is missing") && ContainsSubstring("n=12"));

  const TemporaryFolder folder;
  const Store store(folder.path());
  Parameters path{.values = {{"n", "../../etc/passwd"}}};
  CHECK_THROWS_WITH(store.path_of(small_definition(), path),
                    ContainsSubstring("becomes part of a file's name"));
  Parameters a{.values = {{"n", std::string(200, '1') + "2"}}},
      b{.values = {{"n", std::string(200, '1') + "3"}}};
  CHECK(store.path_of(small_definition(), a) != store.path_of(small_definition(), b));
  CHECK(store.path_of(small_definition(), a).filename().string().size() < 200);
}

TEST_CASE("imported data is marked as real and preferred", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  Definition d = small_definition();
  const Parameters p = small_parameters(2, 3);
  CHECK_THROWS_WITH(store.import(d, "x.bin", p), ContainsSubstring("has no importer"));
  d.import = [](const fs::path& source, const Parameters&, Writer& out) {
    if (!fs::exists(source)) throw DatasetError(source.string() + ": no such file");
    out.array("/x", std::vector<float>(6, 7.0f), {2, 3});
    out.array("/group/label", std::vector<std::int32_t>{1, 2}, {2});
  };
  CHECK_THROWS_WITH(store.import(d, folder.path() / "none.bin", p),
                    ContainsSubstring("none.bin: no such file"));
  CHECK(store.open(d, p).provenance.synthetic);
  put_bytes(folder.path() / "real.bin", "x");
  const fs::path file = store.import(d, folder.path() / "real.bin", p);
  CHECK(file.filename() == "columns=3,rows=2-real.h5");
  {
    const Opened opened = store.open(d, p);
    CHECK_FALSE(opened.provenance.synthetic);
    CHECK(opened.reader->f32("/x")[0] == 7.0f);
    CHECK(opened.reader->text("imported_from") == "real.bin");
    CHECK(opened.reader->number("synthetic") == 0);
  }
  store.prefer_real = false;
  CHECK(store.open(d, p).provenance.synthetic);
  // Real data can't be made again: a damaged file is an error, not set aside.
  store.prefer_real = true;
  put_bytes(file, "damaged");
  CHECK_THROWS_WITH(store.open(d, p), ContainsSubstring("-real.h5: not an HDF5 file but text"));
  CHECK(fs::exists(file));
}

TEST_CASE("verify finds the schema of a file by itself", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const Definition d = small_definition();
  const Definition* const list[] = {&d};
  const fs::path file = store.make(d, small_parameters());
  CHECK(Store::verify(file, list).sha256 == store.open(d, small_parameters()).provenance.sha256);
  CHECK_THROWS_WITH(Store::verify(file, {}),
                    ContainsSubstring("dataset \"small\" isn't in this program's catalogue"));
  CHECK(find_definition(list, "small") == &d);
  CHECK(find_definition(list, "smal") == nullptr);
}

TEST_CASE("a process that is killed while it writes leaves no half file", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  Definition d = small_definition();
  const Parameters p = small_parameters(300, 200);
  const fs::path file = store.path_of(d, p);
  store.make(d, p);  // on a busy machine the first child may be killed before it has made the folder
  int killed_in_the_middle = 0;
  for (int delay = 0; delay < 20; ++delay) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (;;) Store(folder.path()).make(d, p);
    }
    ::usleep(20000 + static_cast<unsigned>(delay) * 2500);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (const auto& entry : fs::directory_iterator(file.parent_path())) {
      killed_in_the_middle += entry.path().string().find(".part-") != std::string::npos;
    }
    REQUIRE_NOTHROW(Store::verify(file, std::vector<const Definition*>{&d}));
  }
  INFO("killed between creating and renaming " << killed_in_the_middle << " times");
  store.make(d, p);  // removes what the killed ones left
  for (const auto& entry : fs::directory_iterator(file.parent_path())) {
    CHECK(entry.path().string().find(".part-") == std::string::npos);
  }
}

TEST_CASE("processes that ask at once get one file, made once", "[cpu]") {
  const TemporaryFolder folder;
  Definition d = small_definition();
  const auto generate = d.generate;
  const fs::path log = folder.path() / "log";
  d.generate = [&](const Parameters& p, Writer& out) {
    std::ofstream(log, std::ios::app) << "made\n";
    ::usleep(50000);
    generate(p, out);
  };
  // A corrupt file to begin with: exactly one process may set it aside.
  const Parameters p = small_parameters();
  Store store(folder.path() / "data");
  fs::create_directories(store.path_of(d, p).parent_path());
  put_bytes(store.path_of(d, p), "not HDF5");
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int status = 1;
      try {
        Store mine(folder.path() / "data");
        mine.warn = [](const std::string&) {};
        status = mine.open(d, p).reader->f32("/x").size() == 600 ? 0 : 2;
      } catch (...) {
      }
      ::_exit(status);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  CHECK(bytes_of(log) == "made\n");
  CHECK(fs::exists(store.path_of(d, p).string() + ".corrupt-1"));
  CHECK_FALSE(fs::exists(store.path_of(d, p).string() + ".corrupt-2"));
}
