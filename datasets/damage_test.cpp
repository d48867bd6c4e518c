// SPDX-License-Identifier: Apache-2.0
//
// Each fault that a file can have is planted in a good file, one at a time: each must be one DatasetError
// that names the file, the object, what is there and what was expected.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <testing/catch.h>
#include <csignal>
#include <limits>

#include "datasets/hdf5_object.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;
using hdf5::Handle;
using hdf5::own;
using hdf5::Where;

namespace {

const Where kHere{"planting a fault", {}};

/// A good file of 30 x 20, faults planted in copies of it.
struct Patient {
  TemporaryFolder folder;
  Definition definition = small_definition();
  Parameters parameters = small_parameters();
  Store store{folder.path()};
  fs::path file = store.make(definition, parameters);
  std::string good = bytes_of(file);

  /// What `verify` says about the file with this fault, and that `describe` doesn't crash on it.
  std::string after(const std::function<void(hid_t)>& edit) {
    put_bytes(file, good);
    edit_behind_the_seal(file, edit);
    return verify();
  }
  std::string verify() {
    const Definition* const list[] = {&definition};
    message_of([&] { describe(file); });
    std::string message = message_of([&] { Store::verify(file, list); });
    CHECK_THAT(message, ContainsSubstring(file.string()));
    return message;
  }
};

Handle array(hid_t file, const char* path) {
  return own(H5Dopen2(file, path, H5P_DEFAULT), H5Dclose, kHere, "open");
}

void create(hid_t file, const char* path, hid_t type, std::vector<hsize_t> shape,
            hid_t properties = H5P_DEFAULT) {
  H5Ldelete(file, path, H5P_DEFAULT);
  const Handle space = own(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose,
                           kHere, "make a space");
  own(H5Dcreate2(file, path, type, space, H5P_DEFAULT, properties, H5P_DEFAULT), H5Dclose, kHere, "create");
}

void change_first(hid_t file, float value) {
  const Handle x = array(file, "/x");
  std::vector<float> data(600);
  hdf5::check(H5Dread(x, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data()), kHere, "read");
  data[7] = value;
  hdf5::check(H5Dwrite(x, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data()), kHere, "write");
}

void replace_attribute(hid_t file, const char* name, std::uint64_t value) {
  hdf5::check(H5Adelete(file, name), kHere, "delete");
  hdf5::write_attribute(file, name, value, kHere);
}

/// Runs in a child without root's right to read and write everything; gives what `run` gives.
std::string as_nobody(const std::function<std::string()>& run) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string text = "can't become another user";
    if (::geteuid() != 0 || (::setgid(65534) == 0 && ::setuid(65534) == 0)) text = run();
    const ssize_t written = ::write(ends[1], text.data(), text.size());
    ::_exit(written < 0);
  }
  ::close(ends[1]);
  std::string text(4096, '\0');
  const ssize_t size = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return text;
}

}  // namespace

TEST_CASE("a file whose arrays break the schema is refused", "[cpu]") {
  Patient p;
  CHECK_THAT(p.after([](hid_t f) {
    create(f, "/x", H5T_IEEE_F64LE, {30, 20});
  }),
             ContainsSubstring("/x: ") && ContainsSubstring("only 0 bytes are stored"));
  CHECK_THAT(
      p.after([](hid_t f) {
        create(f, "/x", H5T_IEEE_F64LE, {30, 20});
        const std::vector<double> data(600, 1.0);
        H5Dwrite(array(f, "/x"), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data());
      }),
      ContainsSubstring("/x: type float64, expected float32") && ContainsSubstring("remeasure data make"));
  CHECK_THAT(p.after([](hid_t f) {
    create(f, "/x", H5T_IEEE_F32BE, {30, 20});
    const std::vector<float> data(600, 1.0f);
    H5Dwrite(array(f, "/x"), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data());
  }),
             ContainsSubstring("/x: type big-endian float32, expected float32"));
  const auto reshape = [](const std::vector<hsize_t>& shape) {
    return [shape](hid_t f) {
      create(f, "/x", H5T_IEEE_F32LE, shape);
      const std::vector<float> data(1000, 1.0f);
      H5Dwrite(array(f, "/x"), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data());
    };
  };
  CHECK_THAT(p.after(reshape({600})),
             ContainsSubstring("/x: shape [600] has rank 1, expected rank 2 (row, column)"));
  CHECK_THAT(p.after(reshape({30, 21})),
             ContainsSubstring("/x: shape [30, 21]: axis 1 (column) has length 21, expected 20"));
  CHECK_THAT(p.after([](hid_t f) { H5Ldelete(f, "/x", H5P_DEFAULT); }),
             ContainsSubstring("/x: missing; expected float32 (row, column)"));
  CHECK_THAT(p.after([](hid_t f) { create(f, "/extra", H5T_STD_I8LE, {1}); }),
             ContainsSubstring("/extra: isn't in the schema of small"));
  CHECK_THAT(p.after([](hid_t f) { change_first(f, std::numeric_limits<float>::quiet_NaN()); }),
             ContainsSubstring("/x: NaN at element 7; the schema allows none"));
  CHECK_THAT(p.after([](hid_t f) { change_first(f, 10.5f); }),
             ContainsSubstring("/x: 10.5 at element 7; the schema allows -10 to 10"));
  CHECK_THAT(p.after([](hid_t f) { change_first(f, -10.5f); }),
             ContainsSubstring("/x: -10.5 at element 7; the schema allows -10 to 10"));
  CHECK_THAT(p.after([](hid_t f) { change_first(f, std::numeric_limits<float>::infinity()); }),
             ContainsSubstring("/x: inf at element 7"));
  CHECK_THAT(p.after([](hid_t f) { change_first(f, 0.25f); }),
             ContainsSubstring("its content has SHA-256") && ContainsSubstring("its attribute sha256 says"));
}

TEST_CASE("a file of another format, schema, version or parameters is refused", "[cpu]") {
  Patient p;
  CHECK_THAT(p.after([](hid_t f) { replace_attribute(f, "schema_version", 7); }),
             ContainsSubstring("attribute schema_version: 7, expected 1 for small") &&
                 ContainsSubstring("data make"));
  CHECK_THAT(p.after([](hid_t f) { replace_attribute(f, "generator_version", 0); }),
             ContainsSubstring("attribute generator_version: 0, expected 1"));
  CHECK_THAT(p.after([](hid_t f) { replace_attribute(f, "format_version", 9); }),
             ContainsSubstring("format version 9, expected 1"));
  CHECK_THAT(p.after([](hid_t f) { H5Adelete(f, "schema"); }),
             ContainsSubstring("attribute schema: missing"));
  CHECK_THAT(p.after([](hid_t f) { replace_attribute(f, "schema", 1); }),
             ContainsSubstring("attribute schema: a uint64 that is no text"));
  CHECK_THAT(p.after([](hid_t f) {
    H5Adelete(f, "seed");
    hdf5::write_attribute(f, "seed", std::string("four"), kHere);
  }),
             ContainsSubstring("attribute seed: a string; expected an integer"));

  put_bytes(p.file, p.good);
  Definition other = p.definition;
  other.name = "other";
  fs::create_directories(p.store.path_of(other, p.parameters).parent_path());
  fs::copy_file(p.file, p.store.path_of(other, p.parameters));
  std::string warning;
  p.store.warn = [&](const std::string& text) { warning = text; };
  p.store.open(other, p.parameters);
  CHECK_THAT(warning, ContainsSubstring("holds dataset \"small\", expected \"other\""));
  fs::copy_file(p.file, p.store.path_of(p.definition, small_parameters(30, 21)));
  p.store.open(p.definition, small_parameters(30, 21));
  CHECK_THAT(warning, ContainsSubstring("attribute param_columns: \"20\", expected \"21\""));
  Parameters seed = p.parameters;
  seed.seed = 5;
  fs::copy_file(p.file, p.store.path_of(p.definition, seed));
  p.store.open(p.definition, seed);
  CHECK_THAT(warning, ContainsSubstring("attribute seed: 4, expected 5"));
}

TEST_CASE("hostile structures are refused before anything is allocated", "[cpu]") {
  Patient p;
  const hsize_t huge = hsize_t{1} << 60;
  const auto chunked = [](std::vector<hsize_t> chunk) {
    Handle list = own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, kHere, "make a list");
    H5Pset_chunk(list, static_cast<int>(chunk.size()), chunk.data());
    return list;
  };
  CHECK_THAT(p.after([&](hid_t f) {
    create(f, "/x", H5T_IEEE_F32LE, {huge, 20}, chunked({1, 20}));
  }),
             ContainsSubstring("/x: claims shape [1152921504606846976, 20]") &&
                 ContainsSubstring("0 bytes are stored"));
  CHECK_THAT(p.after([&](hid_t f) {
    create(f, "/x", H5T_IEEE_F32LE, {huge, 20}, chunked({30, 20}));
    const Handle x = array(f, "/x");
    const Handle space = own(H5Dget_space(x), H5Sclose, kHere, "space");
    const hsize_t start[] = {0, 0}, count[] = {30, 20}, n = 600;
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nullptr, count, nullptr);
    const Handle memory = own(H5Screate_simple(1, &n, nullptr), H5Sclose, kHere, "space");
    const std::vector<float> data(600, 1.0f);
    hdf5::check(H5Dwrite(x, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, data.data()), kHere, "write");
  }),
             ContainsSubstring("but only 2400 bytes are stored"));
  CHECK_THAT(p.after([&](hid_t f) {
    create(f, "/x", H5T_IEEE_F32LE, {1 << 14, 1 << 14}, chunked({1 << 13, 1 << 13}));
  }),
             ContainsSubstring("/x: chunks larger than 64 MiB"));
  CHECK_THAT(p.after([&](hid_t f) {
    const Handle list = own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, kHere, "make a list");
    H5Pset_external(list, "/etc/passwd", 0, 600 * sizeof(float));
    create(f, "/x", H5T_IEEE_F32LE, {30, 20}, list);
  }),
             ContainsSubstring("/x: its data lie in another file"));
  CHECK_THAT(p.after([&](hid_t f) {
    H5Ldelete(f, "/x", H5P_DEFAULT);
    H5Lcreate_external("/etc/passwd", "/x", f, "/x", H5P_DEFAULT, H5P_DEFAULT);
  }),
             ContainsSubstring("/x: a soft or external link"));
  CHECK_THAT(p.after([&](hid_t f) { H5Lcreate_hard(f, "/", f, "/group/loop", H5P_DEFAULT, H5P_DEFAULT); }),
             ContainsSubstring("groups nested deeper than 8"));
  CHECK_THAT(p.after([&](hid_t f) {
    const Handle type = own(H5Tcreate(H5T_COMPOUND, 8), H5Tclose, kHere, "type");
    H5Tinsert(type, "a", 0, H5T_NATIVE_FLOAT);
    H5Tinsert(type, "b", 4, H5T_NATIVE_FLOAT);
    create(f, "/x", type, {1});
    const float data[2] = {};
    H5Dwrite(array(f, "/x"), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
  }),
             ContainsSubstring("/x: type compound, expected float32"));
}

TEST_CASE("a chunk with a flipped bit behind the seal is found by fletcher32", "[cpu]") {
  Patient p;
  std::string bytes = p.good.substr(0, p.good.size() - kSealBytes);
  const std::size_t start = bytes.find("x\x5e");  // zlib's header at level 4
  REQUIRE(start != std::string::npos);
  bytes[start + 100] = static_cast<char>(bytes[start + 100] ^ 16);
  write_sealed(p.file, std::as_bytes(std::span(bytes.data(), bytes.size())), true);
  // HDF5 1.10 names the filter, 1.14 the pipeline that it stopped.
  CHECK_THAT(p.verify(), ContainsSubstring("HDF5 can't read it") &&
                             (ContainsSubstring("fletcher32") || ContainsSubstring("H5Z_pipeline")));
}

TEST_CASE("a truncated file is refused, wherever it ends", "[cpu]") {
  Patient p;
  for (std::size_t size = 0; size < p.good.size(); size += 1 + size / 50) {
    put_bytes(p.file, p.good.substr(0, size));
    const std::string message = p.verify();
    INFO("size " << size << ": " << message);
    if (size == 0)
      REQUIRE_THAT(message, ContainsSubstring("the file is empty"));
    else if (size < 8)
      REQUIRE_THAT(message, ContainsSubstring("not an HDF5 file"));
    else
      REQUIRE_THAT(message, ContainsSubstring("truncated or damaged") &&
                                ContainsSubstring(std::to_string(size) + " bytes"));
  }
  put_bytes(p.file, p.good + "more");
  CHECK_THAT(p.verify(), ContainsSubstring("without remeasure's seal"));
}

TEST_CASE("a flipped bit anywhere is found", "[cpu]") {
  Patient p;
  for (std::size_t i = 0; i < p.good.size(); i += i < 2048 ? 1 : 13) {
    std::string bytes = p.good;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
    put_bytes(p.file, bytes);
    const Definition* const list[] = {&p.definition};
    INFO("byte " << i);
    REQUIRE_THROWS_AS(Store::verify(p.file, list), DatasetError);
  }
}

TEST_CASE("what is no dataset file is named for what it is", "[cpu]") {
  Patient p;
  put_bytes(p.file, "id,value\n1,2\n");
  CHECK_THAT(p.verify(), ContainsSubstring("not an HDF5 file but text, 13 bytes"));
  put_bytes(p.file, std::string(100, '\x01'));
  CHECK_THAT(p.verify(), ContainsSubstring("not an HDF5 file but something else"));
  put_bytes(p.file, "");
  CHECK_THAT(p.verify(), ContainsSubstring("the file is empty"));
  put_bytes(p.file, p.good.substr(0, p.good.size() - kSealBytes) + std::string(kSealBytes, ' '));
  CHECK_THAT(p.verify(), ContainsSubstring("an HDF5 file without remeasure's seal"));
  fs::remove(p.file);
  CHECK_THAT(p.verify(), ContainsSubstring("can't be opened for reading (No such file or directory)"));
  fs::create_directory(p.file);
  CHECK_THAT(p.verify(), ContainsSubstring("is a folder; expected an HDF5 file"));
  CHECK_THAT(message_of([&] { p.store.open(p.definition, p.parameters); }), ContainsSubstring("is a folder"));
  fs::remove(p.file);
  REQUIRE(::mkfifo(p.file.c_str(), 0600) == 0);
  CHECK_THAT(p.verify(), ContainsSubstring("is no regular file"));
}

TEST_CASE("a file or folder without permission is an error that says so", "[cpu]") {
  Patient p;
  fs::permissions(p.folder.path(), fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
  fs::permissions(p.file, fs::perms::none);
  const auto open = [&] { return message_of([&] { p.store.open(p.definition, p.parameters); }); };
  CHECK_THAT(as_nobody(open), ContainsSubstring("can't be opened for reading (Permission denied)") &&
                                  ContainsSubstring("give read permission"));
  CHECK(fs::exists(p.file));  // not taken for a corrupt one
  fs::remove(p.file);
  fs::permissions(p.file.parent_path(), fs::perms::owner_read | fs::perms::owner_exec |
                                            fs::perms::others_exec | fs::perms::others_read);
  CHECK_THAT(as_nobody(open), ContainsSubstring("can't create the file (Permission denied)"));
  const Store elsewhere("/proc/remeasure");
  CHECK_THAT(message_of([&] { Store(elsewhere.root()).open(p.definition, p.parameters); }),
             ContainsSubstring("/proc/remeasure") && ContainsSubstring("can't make the folder"));
}

TEST_CASE("a full disk is an error that says so and leaves nothing behind", "[cpu]") {
  const TemporaryFolder folder;
  const Definition d = small_definition();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // A limit on the size of files fails in the same write() as a full disk (EFBIG for ENOSPC).
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{2000, 2000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = message_of([&] { Store(folder.path()).open(d, small_parameters()); });
    const bool good = message.find("can't write the dataset (File too large)") != std::string::npos &&
                      message.find("free some space") != std::string::npos;
    ::_exit(good ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  for (const auto& entry : fs::directory_iterator(folder.path() / "small")) {
    CHECK(entry.path().extension() == ".lock");
  }
}

TEST_CASE("a corrupt cached file is set aside with a warning and made again", "[cpu]") {
  Patient p;
  std::vector<std::string> warnings;
  p.store.warn = [&](const std::string& text) { warnings.push_back(text); };
  std::string bad = p.good;
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
  for (int n = 1; n <= 2; ++n) {
    put_bytes(p.file, bad);
    CHECK(p.store.open(p.definition, p.parameters).reader->f32("/x").size() == 600);
    const bool same = bytes_of(p.file) == p.good;
    CHECK(same);
    const fs::path aside = p.file.string() + ".corrupt-" + std::to_string(n);
    const bool kept = bytes_of(aside) == bad;
    CHECK(kept);
    REQUIRE(warnings.size() == static_cast<std::size_t>(n));
    CHECK_THAT(warnings.back(),
               ContainsSubstring("damaged: its bytes changed") && ContainsSubstring(aside.string()));
  }
  p.store.open(p.definition, p.parameters);
  CHECK(warnings.size() == 2);
}
