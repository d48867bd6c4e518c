// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/graph_files.h"

#include <zlib.h>

#include <testing/catch.h>
#include <cstring>
#include <utility>

#include "datasets/graphs/graph.h"
#include "datasets/import/npz.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Files {
  TemporaryFolder folder;

  fs::path put(const char* name, const std::string& text) {
    put_bytes(folder.path() / name, text);
    return folder.path() / name;
  }
};

std::string little(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
  return out;
}

std::string npy_i64(const std::string& shape, const std::vector<std::int64_t>& values) {
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  return "\x93NUMPY" + little(1, 1) + little(0, 1) + little(header.size(), 2) + header +
         std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof values[0]);
}

std::string deflated(const std::string& data) {
  std::string out(compressBound(data.size()), '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// A zip archive as numpy.savez and savez_compressed write it: local headers with zip64 extras, then the
/// directory.
std::string zip(const std::vector<std::pair<std::string, std::string>>& members, bool compressed) {
  std::string data, directory;
  for (const auto& [name, content] : members) {
    const std::string packed = compressed ? deflated(content) : content;
    const std::uint64_t checksum =
        crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
    const std::string extra =
        little(1, 2) + little(16, 2) + little(content.size(), 8) + little(packed.size(), 8);
    const std::string middle =
        little(0, 2) + little(compressed ? 8 : 0, 2) + little(0, 4) + little(checksum, 4);
    directory += "PK\1\2" + little(45, 2) + little(45, 2) + middle + little(packed.size(), 4) +
                 little(content.size(), 4) + little(name.size(), 2) + std::string(12, '\0') +
                 little(data.size(), 4) + name;
    data += "PK\3\4" + little(45, 2) + middle + little(0xffffffff, 4) + little(0xffffffff, 4) +
            little(name.size(), 2) + little(extra.size(), 2) + name + extra + packed;
  }
  return data + directory + "PK\5\6" + little(0, 4) + little(members.size(), 2) + little(members.size(), 2) +
         little(directory.size(), 4) + little(data.size(), 4) + little(0, 2);
}

std::vector<std::pair<std::string, std::string>> artifact() {
  return {{"src_li.npy", npy_i64("(5,)", {1, 2, 0, 3, 1})},
          {"dst_li.npy", npy_i64("(5,)", {0, 0, 2, 2, 0})},
          {"num_nodes.npy", npy_i64("()", {4})}};
}

}  // namespace

TEST_CASE("MatrixMarket files are read in each of their forms", "[cpu]") {
  Files f;
  const Csr real =
      read_matrix_market(f.put("a.mtx",
                               "%%MatrixMarket matrix coordinate real general\n% a comment\n\n3 4 4\n"
                               "1 1 2.5\n3 4 -1e-3\r\n1\t3 7\n  3 4 1\n"));
  CHECK(real.rows == 3);
  CHECK(real.columns == 4);
  CHECK(real.row_pointers == std::vector<std::int32_t>{0, 2, 2, 3});
  CHECK(real.column_indices == std::vector<std::int32_t>{0, 2, 3});
  CHECK(real.values == std::vector<float>{2.5f, 7, -1e-3f + 1});
  const Csr pattern = read_graph_file(
      f.put("b.MTX", "%%MatrixMarket Matrix Coordinate Pattern Symmetric\n3 3 2\n2 1\n3 3\n"));
  CHECK(pattern.row_pointers == std::vector<std::int32_t>{0, 1, 2, 3});
  CHECK(pattern.column_indices == std::vector<std::int32_t>{1, 0, 2});
  CHECK(pattern.values.empty());
  const Csr integer = read_matrix_market(
      f.put("c.mtx", "%%MatrixMarket matrix coordinate integer symmetric\n2 2 2\n2 1 -3\n2 2 9"));
  CHECK(integer.values == std::vector<float>{-3, -3, 9});
}

TEST_CASE("MatrixMarket files that aren't one are refused with their line", "[cpu]") {
  Files f;
  const auto refused = [&](const std::string& text) {
    return message_of([&] { read_matrix_market(f.put("a.mtx", text)); });
  };
  const std::string head = "%%MatrixMarket matrix coordinate real general\n";
  CHECK_THAT(refused(""), ContainsSubstring("an empty file"));
  CHECK_THAT(refused("1 2\n"), ContainsSubstring("a.mtx, line 1: \"1 2\"; expected %%MatrixMarket"));
  CHECK_THAT(refused("%%MatrixMarket matrix array real general\n2 2\n"),
             ContainsSubstring("expected %%MatrixMarket"));
  CHECK_THAT(refused("%%MatrixMarket matrix coordinate complex general\n"),
             ContainsSubstring("expected %%MatrixMarket"));
  CHECK_THAT(refused(head), ContainsSubstring("ends before its size line"));
  CHECK_THAT(refused(head + "2 2 1\n1 x 3\n"), ContainsSubstring("line 3: expected a column at \"x 3\""));
  CHECK_THAT(refused(head + "2 2 1\n1 1\n"), ContainsSubstring("expected a value"));
  CHECK_THAT(refused(head + "2 2 1\n3 1 1\n"), ContainsSubstring("a nonzero at (2, 0)"));
  CHECK_THAT(refused(head + "2 2 1\n0 1 1\n"), ContainsSubstring("index -1"));
  CHECK_THAT(refused(head + "2 2 2\n1 1 1\n"), ContainsSubstring("1 nonzeros; its size line says 2"));
  CHECK_THAT(refused(head + "2 2 1\n1 1 1\n1 2 1\n"), ContainsSubstring("more nonzeros than the 1"));
  CHECK_THAT(refused("%%MatrixMarket matrix coordinate real symmetric\n2 3 0\n"),
             ContainsSubstring("a symmetric matrix of 2 x 3"));
  CHECK_THAT(message_of([&] { read_matrix_market(f.folder.path() / "none.mtx"); }),
             ContainsSubstring("no such file"));
}

TEST_CASE("edge lists count from 0 or 1; rows are destinations", "[cpu]") {
  Files f;
  const Csr zero = read_edge_list(f.put("a.txt", "# nodes: 4\n0 1\n3\t1\n% more\n0,2 0.5\n0 1\n"));
  CHECK(zero.rows == 4);
  CHECK(zero.row_pointers == std::vector<std::int32_t>{0, 0, 2, 3, 3});
  CHECK(zero.column_indices == std::vector<std::int32_t>{0, 3, 0});
  const Csr one = read_edge_list(f.put("b.txt", "1 2\n4 2\n"), 4);
  CHECK(one.row_pointers == std::vector<std::int32_t>{0, 0, 2, 2, 2});
  CHECK(one.column_indices == std::vector<std::int32_t>{0, 3});
  CHECK(read_edge_list(f.put("c.txt", "1 2\n"), 5).row_pointers ==
        std::vector<std::int32_t>{0, 0, 0, 1, 1, 1});
  const auto refused = [&](const std::string& text) {
    return message_of([&] { read_edge_list(f.put("d.txt", text), 4); });
  };
  CHECK_THAT(refused("0 4\n"), ContainsSubstring("nodes 0 to 4; expected 4 nodes"));
  CHECK_THAT(refused("1 9\n"), ContainsSubstring("nodes 1 to 9"));
  CHECK_THAT(refused("a b\n"), ContainsSubstring("expected a source"));
  CHECK_THAT(refused("1 \n"), ContainsSubstring("expected a destination"));
  CHECK_THAT(refused("1 -2\n"), ContainsSubstring("index -2"));
  CHECK_THAT(refused("# nothing\n"), ContainsSubstring("no edge"));
}

TEST_CASE("the artifact's .npz is read, stored and deflated", "[cpu]") {
  Files f;
  for (const bool compressed : {false, true}) {
    const fs::path file = f.put("g.npz", zip(artifact(), compressed));
    CHECK(npz_names(file) == std::vector<std::string>{"src_li", "dst_li", "num_nodes"});
    CHECK(read_npz(file, "num_nodes").as_i32() == std::vector<std::int32_t>{4});
    const Csr graph = read_graph_file(file);
    CHECK(graph.rows == 4);
    CHECK(graph.row_pointers == std::vector<std::int32_t>{0, 2, 2, 4, 4});  // the edge 1 -> 0 occurs twice
    CHECK(graph.column_indices == std::vector<std::int32_t>{1, 2, 0, 3});
  }
  CHECK_THROWS_WITH(read_npz(f.put("g.npz", zip(artifact(), false)), "edges"),
                    ContainsSubstring("no array 'edges'; it has: src_li, dst_li, num_nodes"));
}

TEST_CASE("damaged archives are refused at every length and with every wrong byte", "[cpu]") {
  Files f;
  for (const bool compressed : {false, true}) {
    const std::string good = zip(artifact(), compressed);
    const Csr whole = read_graph_npz(f.put("g.npz", good));
    for (std::size_t size = 0; size < good.size(); size += 7) {
      INFO("size " << size);
      REQUIRE_THROWS_AS(read_graph_npz(f.put("g.npz", good.substr(0, size))), DatasetError);
    }
    for (std::size_t place = 0; place < good.size(); place += 3) {
      std::string bad = good;
      bad[place] = static_cast<char>(bad[place] ^ 0x24);
      INFO("byte " << place);
      try {  // bytes that nobody reads (versions, times) may differ; the numbers may not
        const Csr read = read_graph_npz(f.put("g.npz", bad));
        CHECK(read.column_indices == whole.column_indices);
      } catch (const DatasetError&) {
      }
    }
  }
  auto uneven = artifact();
  uneven[1].second = npy_i64("(4,)", {0, 0, 2, 2});
  CHECK_THROWS_WITH(read_graph_npz(f.put("g.npz", zip(uneven, true))),
                    ContainsSubstring("1 num_nodes, 5 src_li and 4 dst_li"));
  auto beyond = artifact();
  beyond[2].second = npy_i64("()", {2});
  CHECK_THROWS_WITH(read_graph_npz(f.put("g.npz", zip(beyond, true))),
                    ContainsSubstring("g.npz: sparse matrix of 2 x 2: a nonzero at (0, 2)"));
}

TEST_CASE("an imported graph stands in for the generated one of its parameters", "[cpu]") {
  Files f;
  Store store(f.folder.path() / "data");
  const fs::path file = f.put("g.npz", zip(artifact(), true));
  const Parameters parameters = graph(citation_graph(4, 6), 1);
  store.import(graph_definition, file, parameters);
  const Opened opened = store.open(graph_definition, parameters);
  CHECK_FALSE(opened.provenance.synthetic);
  CHECK(read_graph(*opened.reader).column_indices == std::vector<std::int32_t>{1, 2, 0, 3});
  CHECK_THROWS_WITH(store.import(graph_definition, file, graph(citation_graph(5, 6), 1)),
                    ContainsSubstring("4 x 4 nodes; the parameter says 5"));
}
