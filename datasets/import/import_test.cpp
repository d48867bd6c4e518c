// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <cstring>

#include "datasets/import/hdf5_array.h"
#include "datasets/import/npy.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string npy(const std::string& dict, const std::string& data, int version = 1) {
  std::string header = dict;
  header.append((64 - (10 + header.size() + 1) % 64) % 64, ' ');
  header += '\n';
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) out += static_cast<char>(header.size() >> (8 * i) & 255);
  return out + header + data;
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

struct Npy {
  TemporaryFolder folder;
  fs::path file = folder.path() / "a.npy";

  NpyArray read(const std::string& bytes) {
    put_bytes(file, bytes);
    return read_npy(file);
  }
  std::string refusal(const std::string& bytes) {
    std::string message = message_of([&] { read(bytes); });
    CHECK_THAT(message, ContainsSubstring(file.string()));
    return message;
  }
};

}  // namespace

TEST_CASE("arrays of NumPy files are read in each type and version", "[cpu]") {
  Npy f;
  const NpyArray a = f.read(
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", raw<float>({1, 2, 3, 4, 5, 6})));
  CHECK(a.type == ElementType::f32);
  CHECK(a.shape == Shape{2, 3});
  CHECK(a.as_f32() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(f.read(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", raw<double>({0.1}), 2))
            .as_f64()[0] == 0.1);
  CHECK(f.read(npy("{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<i4\"}", raw<std::int32_t>({-7, 9})))
            .as_i32()[0] == -7);
  CHECK(f.read(npy("{'descr': '<i8', 'fortran_order': False, 'shape': ()}", raw<std::int64_t>({INT64_MIN})))
            .as_i64()[0] == INT64_MIN);
  CHECK(f.read(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", "\x01\x02\xff")).as_i32()[2] ==
        255);
  CHECK(f.read(npy("{'descr': '|i1', 'fortran_order': False, 'shape': (1,)}", "\xff")).as_f32()[0] == -1);
  CHECK(f.read(npy("{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", raw<std::uint64_t>({5})))
            .as_i64()[0] == 5);
  CHECK(f.read(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4)}", "")).as_f32().empty());
}

TEST_CASE("damaged and hostile NumPy files are refused", "[cpu]") {
  Npy f;
  const std::string good =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", raw<float>({1, 2, 3, 4, 5, 6}));
  for (std::size_t size = 0; size < good.size(); ++size) {
    INFO("size " << size);
    REQUIRE_THROWS_AS(f.read(good.substr(0, size)), DatasetError);
  }
  CHECK_THAT(f.refusal(good + "x"), ContainsSubstring("needs 24 bytes, the file has 25"));
  CHECK_THAT(f.refusal("id,value\n1,2\n"), ContainsSubstring("no .npy file"));
  CHECK_THAT(f.refusal(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "1234", 3)),
             ContainsSubstring(".npy format 3.0; expected 1.0 or 2.0"));
  const auto refused = [&](const std::string& dict) { return f.refusal(npy(dict, "1234")); };
  CHECK_THAT(refused("{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}"),
             ContainsSubstring("element type '>f4'"));
  CHECK_THAT(refused("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
             ContainsSubstring("element type '|O'"));
  CHECK_THAT(refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"),
             ContainsSubstring("expected a quoted word"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}"),
             ContainsSubstring("Fortran order"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}"),
             ContainsSubstring("True or False"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': False}"),
             ContainsSubstring("without descr, fortran_order or shape"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}"),
             ContainsSubstring("occurs twice"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"),
             ContainsSubstring("expected an extent"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}"),
             ContainsSubstring("expected an extent"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
             ContainsSubstring("overflows"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}"),
             ContainsSubstring("needs 4000000000000 bytes"));
  CHECK_THAT(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} + 1"),
             ContainsSubstring("end of the header"));
  CHECK_THAT(refused("{'descr': '<f4"), ContainsSubstring("closing quote"));
  std::string long_header = npy("{'descr': '<f4'", "", 2);
  std::memset(long_header.data() + 8, 0xff, 4);
  CHECK_THAT(f.refusal(long_header), ContainsSubstring("a header of 4294967295 bytes"));
  fs::remove(f.file);
  CHECK_THAT(message_of([&] { read_npy(f.file); }), ContainsSubstring("no such file"));
  CHECK_THAT(message_of([&] { read_npy(f.folder.path()); }), ContainsSubstring("no regular file"));
}

TEST_CASE("NumPy values that don't fit the type asked for are refused", "[cpu]") {
  Npy f;
  const NpyArray big = f.read(
      npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}", raw<std::int64_t>({(1LL << 53) + 1})));
  CHECK_THROWS_WITH(big.as_i32(), ContainsSubstring("doesn't fit 4 bytes"));
  CHECK_THROWS_WITH(big.as_f32(), ContainsSubstring("would be rounded"));
  CHECK_THROWS_WITH(big.as_f64(), ContainsSubstring("would be rounded"));
  const NpyArray real =
      f.read(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", raw<float>({1.5f})));
  CHECK_THROWS_WITH(real.as_i32(), ContainsSubstring("expected integers"));
}

TEST_CASE("arrays of foreign HDF5 files are read as they were published", "[cpu]") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "foreign.h5";
  const hdf5::Where here{"foreign", {}};
  {
    const hdf5::Quiet quiet;
    const hdf5::Handle h =
        hdf5::own(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, here, "create");
    const hdf5::Handle group =
        hdf5::own(H5Gcreate2(h, "/spikes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose, here, "group");
    const auto put = [&](const char* path, hid_t type, hid_t memory, std::vector<hsize_t> shape,
                         const void* data) {
      const hdf5::Handle space = hdf5::own(
          H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose, here, "space");
      const hdf5::Handle d = hdf5::own(
          H5Dcreate2(h, path, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose, here, "create");
      if (data != nullptr)
        hdf5::check(H5Dwrite(d, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), here, "write");
    };
    const double x[6] = {1, 2, 3, 4, 5, 6.5};
    put("/spikes/times", H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, {3, 2}, x);
    const std::uint64_t units[2] = {7, UINT64_MAX};
    put("/units", H5T_STD_U64LE, H5T_NATIVE_UINT64, {2}, units);
    put("/label", H5T_STD_U64LE, H5T_NATIVE_UINT64, {1}, units);
    const hid_t sequence = H5Tvlen_create(H5T_IEEE_F32BE), native = H5Tvlen_create(H5T_NATIVE_FLOAT);
    float first[2] = {0.5f, 1.25f}, third[1] = {9};
    const hvl_t ragged[3] = {{2, first}, {0, nullptr}, {1, third}};
    put("/ragged", sequence, native, {3}, ragged);
    const hid_t text = H5Tcopy(H5T_C_S1);
    put("/text", text, text, {1}, "a");
    put("/huge", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, {hsize_t{1} << 40}, nullptr);
    H5Lcreate_external("/etc/passwd", "/x", h, "/outside", H5P_DEFAULT, H5P_DEFAULT);
  }
  const ForeignHdf5 foreign(file);
  CHECK(foreign.shape("/spikes/times") == Shape{3, 2});
  CHECK(foreign.f32("/spikes/times") == std::vector<float>{1, 2, 3, 4, 5, 6.5f});
  CHECK(foreign.f64("/spikes/times")[5] == 6.5);
  CHECK(foreign.rows_f32("/spikes/times", 1, 2) == std::vector<float>{3, 4, 5, 6.5f});
  CHECK(foreign.i64("/label") == std::vector<std::int64_t>{7});
  CHECK(foreign.ragged_f64("/ragged") == std::vector<std::vector<double>>{{0.5, 1.25}, {}, {9}});
  CHECK_THROWS_WITH(foreign.ragged_f64("/units"),
                    ContainsSubstring("/units: type uint64, shape [2]; expected one axis of"));
  CHECK_THROWS_WITH(foreign.f32("/ragged"), ContainsSubstring("expected integers or floats"));
  CHECK_THROWS_WITH(foreign.i64("/units"),
                    ContainsSubstring("/units: value 18446744073709551615 doesn't fit int64"));
  CHECK_THROWS_WITH(foreign.i64("/spikes/times"), ContainsSubstring("expected integers"));
  CHECK_THROWS_WITH(foreign.rows_f32("/spikes/times", 2, 2),
                    ContainsSubstring("rows 2 to 4 of shape [3, 2]"));
  CHECK_THROWS_WITH(foreign.f32("/text"), ContainsSubstring("/text: type string"));
  CHECK_THROWS_WITH(foreign.f32("/spikes"), ContainsSubstring("/spikes: HDF5 can't open it as an array"));
  CHECK_THROWS_WITH(foreign.f32("/nothing/here"), ContainsSubstring("/nothing/here: no such array"));
  CHECK_THROWS_WITH(foreign.f32(""), ContainsSubstring("no such array"));
  CHECK_THROWS_WITH(foreign.f32("/huge"), ContainsSubstring("only 0 bytes are stored"));
  CHECK_THROWS_WITH(foreign.f32("/outside"), ContainsSubstring("a link into another file"));
  CHECK_THROWS_WITH(foreign.paths(), ContainsSubstring("/outside: a soft or external link"));
  put_bytes(folder.path() / "text.h5", "no HDF5");
  CHECK_THROWS_WITH(ForeignHdf5(folder.path() / "text.h5"), ContainsSubstring("HDF5 can't open it"));
  CHECK_THROWS_WITH(ForeignHdf5(folder.path() / "none.h5"), ContainsSubstring("no such file"));
}
