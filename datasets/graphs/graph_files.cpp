// SPDX-License-Identifier: Apache-2.0
#include "datasets/graphs/graph_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

#include "datasets/import/npz.h"

namespace remeasure::datasets {
namespace {

namespace fs = std::filesystem;

/// Lines of a text file with their numbers, for errors.
class Lines {
 public:
  explicit Lines(const fs::path& file) : file_(file) {
    std::error_code error;
    std::ifstream in(file, std::ios::binary);
    if (!fs::is_regular_file(file, error) || !in) refuse("no such file, or no regular file");
    text_.resize(static_cast<std::size_t>(fs::file_size(file)));
    in.read(text_.data(), static_cast<std::streamsize>(text_.size()));
    rest_ = text_;
  }
  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++number_;
    return true;
  }
  [[noreturn]] void refuse(const std::string& why) const {
    throw DatasetError(number_ == 0 ? fmt::format("{}: {}", file_.string(), why)
                                    : fmt::format("{}, line {}: {}", file_.string(), number_, why));
  }
  /// The next number of a line; takes it off.
  template <class Number>
  Number number(std::string_view& line, const char* what) const {
    skip_space(line);
    Number value{};
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    const auto taken = static_cast<std::size_t>(end - line.data());
    if (error != std::errc() || (taken < line.size() && !is_space(line[taken]))) {
      refuse(fmt::format("expected {} at \"{}\"", what, line.substr(0, 20)));
    }
    line.remove_prefix(taken);
    return value;
  }
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == ','; }
  static void skip_space(std::string_view& line) {
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  }

 private:
  fs::path file_;
  std::string text_;
  std::string_view rest_;
  std::size_t number_ = 0;
};

bool is_blank_or_comment(std::string_view line) {
  Lines::skip_space(line);
  return line.empty() || line.front() == '#' || line.front() == '%';
}

std::int32_t index_of(std::int64_t value, const Lines& lines) {
  if (value < 0 || value >= std::numeric_limits<std::int32_t>::max())
    lines.refuse(fmt::format("index {} doesn't fit 31 bits", value));
  return static_cast<std::int32_t>(value);
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

Csr read_matrix_market(const fs::path& file) {
  Lines lines(file);
  std::string_view line;
  if (!lines.next(line)) lines.refuse("an empty file; expected a MatrixMarket header");
  std::istringstream header(lower_case(line));
  std::string banner, object, format, field, symmetry;
  header >> banner >> object >> format >> field >> symmetry;
  if (banner != "%%matrixmarket" || object != "matrix" || format != "coordinate" ||
      (field != "real" && field != "integer" && field != "pattern") ||
      (symmetry != "general" && symmetry != "symmetric")) {
    lines.refuse(fmt::format(
        "\"{}\"; expected %%MatrixMarket matrix coordinate real|integer|pattern general|symmetric", line));
  }
  const bool pattern = field == "pattern", symmetric = symmetry == "symmetric";
  do {
    if (!lines.next(line)) lines.refuse("ends before its size line");
  } while (is_blank_or_comment(line));
  const auto rows = lines.number<std::int64_t>(line, "rows"),
             columns = lines.number<std::int64_t>(line, "columns"),
             stored = lines.number<std::int64_t>(line, "nonzeros");
  if (symmetric && rows != columns) lines.refuse(fmt::format("a symmetric matrix of {} x {}", rows, columns));
  std::vector<Edge> edges;
  std::vector<float> values;
  std::int64_t seen = 0;
  while (lines.next(line)) {
    if (is_blank_or_comment(line)) continue;
    if (++seen > stored) lines.refuse(fmt::format("more nonzeros than the {} of its size line", stored));
    const Edge edge{index_of(lines.number<std::int64_t>(line, "a row") - 1, lines),
                    index_of(lines.number<std::int64_t>(line, "a column") - 1, lines)};
    const float value = pattern ? 1 : static_cast<float>(lines.number<double>(line, "a value"));
    edges.push_back(edge);
    if (!pattern) values.push_back(value);
    if (symmetric && edge.row != edge.column) {
      edges.push_back({edge.column, edge.row});
      if (!pattern) values.push_back(value);
    }
  }
  if (seen != stored) lines.refuse(fmt::format("{} nonzeros; its size line says {}", seen, stored));
  try {
    return csr_of_edges(rows, columns, edges, values);
  } catch (const DatasetError& error) {
    lines.refuse(error.what());
  }
}

Csr read_edge_list(const fs::path& file, std::int64_t nodes) {
  Lines lines(file);
  std::vector<Edge> edges;
  std::int32_t smallest = std::numeric_limits<std::int32_t>::max(), largest = -1;
  for (std::string_view line; lines.next(line);) {
    if (is_blank_or_comment(line)) continue;
    const std::int32_t source = index_of(lines.number<std::int64_t>(line, "a source"), lines),
                       destination = index_of(lines.number<std::int64_t>(line, "a destination"), lines);
    edges.push_back({destination, source});
    smallest = std::min({smallest, source, destination});
    largest = std::max({largest, source, destination});
  }
  if (edges.empty()) lines.refuse("no edge");
  if (nodes == 0) nodes = std::int64_t{largest} + 1;
  if (largest == nodes && smallest > 0) {
    for (Edge& edge : edges) edge = {edge.row - 1, edge.column - 1};
  } else if (largest >= nodes) {
    lines.refuse(
        fmt::format("nodes {} to {}; expected {} nodes, counted from 0 or 1", smallest, largest, nodes));
  }
  return csr_of_edges(nodes, nodes, edges);
}

Csr read_graph_npz(const fs::path& file) {
  const NpyArray count = read_npz(file, "num_nodes");
  const std::vector<std::int32_t> nodes = count.as_i32(), source = read_npz(file, "src_li").as_i32(),
                                  destination = read_npz(file, "dst_li").as_i32();
  if (nodes.size() != 1 || source.size() != destination.size()) {
    throw DatasetError(fmt::format(
        "{}: {} num_nodes, {} src_li and {} dst_li; expected one, and as many of the one as of the other",
        file.string(), nodes.size(), source.size(), destination.size()));
  }
  std::vector<Edge> edges(source.size());
  for (std::size_t i = 0; i < edges.size(); ++i) edges[i] = {destination[i], source[i]};
  try {
    return csr_of_edges(nodes[0], nodes[0], edges);
  } catch (const DatasetError& error) {
    throw DatasetError(fmt::format("{}: {}", file.string(), error.what()));
  }
}

Csr read_graph_file(const fs::path& file, std::int64_t nodes) {
  const std::string suffix = lower_case(file.extension().string());
  if (suffix == ".mtx") return read_matrix_market(file);
  if (suffix == ".npz") return read_graph_npz(file);
  return read_edge_list(file, nodes);
}

}  // namespace remeasure::datasets
