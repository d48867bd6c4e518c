// SPDX-License-Identifier: Apache-2.0
#include "datasets/spiking/spike_tracks.h"

#include <hdf5.h>

#include <testing/catch.h>
#include <array>
#include <set>

#include "datasets/hdf5_handle.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

SpikeTrains open(Store& store, std::size_t train, std::size_t test, std::size_t units, std::size_t steps,
                 std::uint64_t seed = 1) {
  return read_spike_tracks(
      *store.open(spike_tracks_definition, spike_tracks(train, test, units, steps, seed)).reader);
}

/// Events of a sample per unit, and the mean step of those of each unit.
struct Profile {
  std::vector<double> count, mean_step;
};

Profile profile(const SpikeTrains& trains, std::size_t of_class) {
  Profile result{std::vector<double>(trains.units, 0.0), std::vector<double>(trains.units, 0.0)};
  for (std::size_t sample = 0; sample < trains.samples(); ++sample) {
    if (trains.label[sample] != of_class) continue;
    const auto begin = static_cast<std::size_t>(trains.offset[sample]),
               end = static_cast<std::size_t>(trains.offset[sample + 1]);
    const double last = trains.time[end - 1];
    for (std::size_t i = begin; i < end; ++i) {
      result.count[trains.unit[i]] += 1;
      result.mean_step[trains.unit[i]] += trains.time[i] / last;
    }
  }
  for (std::size_t unit = 0; unit < trains.units; ++unit)
    result.mean_step[unit] /= std::max(1.0, result.count[unit]);
  return result;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ma += a[i] / static_cast<double>(a.size());
    mb += b[i] / static_cast<double>(b.size());
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return ab / std::sqrt(aa * bb);
}

/// A file laid out as SHD's: two samples.
void write_shd(const std::filesystem::path& path, std::array<double, 2> first_times, int label) {
  const hdf5::Where here{"shd", {}};
  const hdf5::Handle file =
      hdf5::own(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, here, "create");
  const hdf5::Handle group =
      hdf5::own(H5Gcreate2(file, "/spikes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose, here, "group");
  const hsize_t two = 2;
  const hdf5::Handle space = hdf5::own(H5Screate_simple(1, &two, nullptr), H5Sclose, here, "space");
  const auto put = [&](const char* name, hid_t type, const void* data) {
    const hdf5::Handle set = hdf5::own(
        H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose, here, "create");
    hdf5::check(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), here, "write");
  };
  double last_times[1] = {0.0004};
  std::uint16_t first_units[2] = {699, 3}, last_units[1] = {0};
  const hvl_t times[2] = {{2, first_times.data()}, {1, last_times}},
              units[2] = {{2, first_units}, {1, last_units}};
  const std::int32_t labels[2] = {label, 3};
  put("/spikes/times", H5Tvlen_create(H5T_NATIVE_DOUBLE), times);
  put("/spikes/units", H5Tvlen_create(H5T_NATIVE_UINT16), units);
  put("/labels", H5T_NATIVE_INT32, labels);
}

}  // namespace

TEST_CASE("spike tracks have two events per track and step, in order, one per unit and step", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  for (const auto& [units, steps] : {std::pair<std::size_t, std::size_t>{70, 100}, {700, 1000}}) {
    const SpikeTrains trains = open(store, 20, 0, units, steps);
    REQUIRE(trains.samples() == 20);
    const double active = 0.6 * static_cast<double>(20 * steps);  // the mean duration is 0.6 of the steps
    const double events = static_cast<double>(trains.time.size()) / active;
    CHECK(events > 6);  // 8 + 1, less what is cut at the borders or coincides
    CHECK(events < 9.5);
    for (std::size_t sample = 0; sample < trains.samples(); ++sample) {
      CHECK(trains.label[sample] == sample % 20);
      std::set<std::pair<int, int>> seen;
      const auto begin = static_cast<std::size_t>(trains.offset[sample]),
                 end = static_cast<std::size_t>(trains.offset[sample + 1]);
      for (std::size_t i = begin; i < end; ++i) {
        if (i > begin) CHECK(trains.time[i] >= trains.time[i - 1]);
        seen.emplace(trains.time[i], trains.unit[i]);
      }
      CHECK(seen.size() == end - begin);
    }
  }
}

TEST_CASE("classes 2k and 2k + 1 have the same counts per unit and opposite times", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const SpikeTrains trains = open(store, 800, 0, 70, 100);
  for (std::size_t pair = 0; pair < 10; ++pair) {
    INFO("classes " << 2 * pair << ", " << 2 * pair + 1);
    const Profile forward = profile(trains, 2 * pair), backward = profile(trains, 2 * pair + 1);
    CHECK(correlation(forward.count, backward.count) > 0.97);
    std::vector<double> mirrored = backward.mean_step;
    for (double& step : mirrored) step = 1 - step;
    CHECK(correlation(forward.mean_step, mirrored) > 0.7);
    CHECK(correlation(forward.mean_step, backward.mean_step) < 0);
  }
}

TEST_CASE("spike tracks differ between seeds, and extents have limits", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  CHECK(open(store, 20, 0, 70, 50, 1).unit != open(store, 20, 0, 70, 50, 2).unit);
  CHECK_THROWS_WITH(open(store, 20, 0, 7, 50), ContainsSubstring("units is 7; it must be from 8 to 65536"));
}

TEST_CASE("SHD's published files are imported: seconds to steps, sorted, both sets", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  write_shd(folder.path() / "shd_train.h5", {0.0105, 0.002}, 19);
  write_shd(folder.path() / "shd_test.h5", {0.5, 0.001}, 4);
  const Parameters parameters = spike_tracks(2, 1, 700, 100, 1);
  store.import(spike_tracks_definition, folder.path(), parameters);
  const Opened opened = store.open(spike_tracks_definition, parameters);
  CHECK_FALSE(opened.provenance.synthetic);
  const SpikeTrains trains = read_spike_tracks(*opened.reader);
  CHECK(trains.offset == std::vector<std::int64_t>{0, 2, 3, 4});
  CHECK(trains.time == std::vector<std::uint16_t>{2, 10, 0, 1});
  CHECK(trains.unit == std::vector<std::uint16_t>{3, 699, 0, 3});  // 0.5 s lies beyond 100 steps
  CHECK(trains.label == std::vector<std::uint8_t>{19, 3, 4});
  CHECK_THROWS_WITH(store.import(spike_tracks_definition, folder.path(), spike_tracks(3, 1, 700, 100, 1)),
                    ContainsSubstring("expected equal numbers, at least 3"));
  CHECK_THROWS_WITH(store.import(spike_tracks_definition, folder.path(), spike_tracks(2, 1, 600, 100, 1)),
                    ContainsSubstring("on unit 699; expected a time from 0 and a unit below 600"));
}
