// SPDX-License-Identifier: Apache-2.0
//
// From a name to an HDF5 file to a typed struct. An author of a dataset writes three things: a Definition
// (schema and generator as data), a struct, and a function that fills the struct from a Reader. No HDF5
// header is needed for any of them. The smallest that there is, datasets/science/noise.cpp (noise.h declares
// `extern const Definition noise_definition;`; the build finds the definition by its place and the start of
// this line; random.h has the numbers):
//
//   const Definition noise_definition = {
//       .name = "noise",
//       .title = "White noise",
//       .theme = "science",
//       .stands_for = "nothing: mean 0, variance 1", .source = "synthetic in the literature",
//       .arrays = {{.path = "/x", .axes = {"sample"}, .description = "independent N(0, 1)"}},
//       .extents = [](const Parameters& p) { return Extents{{"sample", p.extent("n")}}; },
//       .generate = [](const Parameters& p, Writer& out) {
//         std::vector<float> x(p.extent("n"));
//         for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(Philox(p.seed).normal(i));
//         out.array("/x", std::span<const float>(x), {x.size()});
//         out.attribute("mean_square", std::inner_product(x.begin(), x.end(), x.begin(), 0.0) /
//         double(x.size()));
//       },
//       .examples = {{.values = {{"n", "1000"}}}},
//   };
//   struct Noise { std::vector<float> x; };
//   Noise read_noise(Reader& reader) { return {reader.f32("/x")}; }
//
// Two makes of one version of HDF5 and zlib give the same bytes; the SHA-256 of the content
// (Provenance::sha256) is the same on every machine as long as the generator keeps to random.h and + - * /
// sqrt: libm differs between machines, and a compiler that fuses a * b + c changes last bits, so datasets/ is
// compiled with -ffp-contract=off. HDF5 is used by one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace remeasure::datasets {

/// Anything wrong with a dataset: names the file, the HDF5 object, what is there, what was expected, the
/// remedy.
struct DatasetError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Element types as stored. Half and bfloat16 are stored as uint16 with `logical_dtype` "float16" /
/// "bfloat16".
enum class ElementType { f32, f64, u8, i8, u16, i16, i32, u32, i64, u64 };

std::size_t size_of(ElementType type);
const char* to_string(ElementType type);  ///< "float32"

using Shape = std::vector<std::uint64_t>;
std::string to_string(const Shape& shape);  ///< "[2, 3]"

/// Lengths of axes by their names.
using Extents = std::map<std::string, std::uint64_t>;

/// One array of a schema. Reading checks type, rank, extents, range and NaN against it.
struct ArraySchema {
  std::string path;  ///< "/q"
  ElementType type = ElementType::f32;
  std::vector<std::string> axes = {};  ///< {"batch", "head", "token", "dim"}: rank and meaning
  std::string units = "1";
  std::string description = {};
  std::string logical_dtype = {};  ///< empty = the stored type
  std::optional<double> minimum = {}, maximum = {};
  bool nan_allowed = false;
  bool optional = false;
};

/// Parameters that select one file of a Definition: sorted, so that a file's name is unique.
/// Values print as they are written ("512", "gauss").
struct Parameters {
  std::map<std::string, std::string> values = {};
  std::uint64_t seed = 1;

  std::int64_t integer(const std::string& name) const;  ///< throws DatasetError if missing or no integer
  std::uint64_t extent(const std::string& name) const;  ///< an integer from 1 to 2^40
  double real(const std::string& name) const;           ///< finite
  const std::string& text(const std::string& name) const;
};

class Writer;
class Reader;

/// A catalogue entry: what `remeasure data list` shows and `data make` runs.
struct Definition {
  std::string name;  ///< "attention_inputs"; also the schema's name
  std::string title = {};
  std::string theme = {};
  int schema_version = 1;
  int generator_version = 1;    ///< raised whenever the generator's numbers change
  std::string stands_for = {};  ///< the real data that this imitates, and by which statistics
  std::string source = {};      ///< DOI or URL of the real data; "synthetic in the literature"
  std::string licence = "CC0-1.0 (generated)";
  std::vector<ArraySchema> arrays = {};
  /// Extents by axis name for these parameters; reading checks them ({"token", 512}). An axis that isn't
  /// named may have any length, the same in all arrays of the file.
  std::function<Extents(const Parameters&)> extents = {};
  std::function<void(const Parameters&, Writer&)> generate = {};
  /// From the real data's own files; empty where there is none.
  std::function<void(const std::filesystem::path&, const Parameters&, Writer&)> import = {};
  std::string import_help = {};  ///< which files, which layout
  std::vector<Parameters> examples =
      {};  ///< what `data make NAME` makes when no parameters are given (smoke sizes)
};

/// Collects arrays and attributes of one file. `finish` is called by the Store.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void array(const std::string& path, std::span<const float>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const double>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const std::uint8_t>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const std::int8_t>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const std::uint16_t>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const std::int16_t>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const std::int32_t>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const std::uint32_t>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const std::int64_t>, Shape) = 0;
  virtual void array(const std::string& path, std::span<const std::uint64_t>, Shape) = 0;
  /// A number or text of the root group: statistics that the generator reached, choices that it made.
  /// Parameters are attributes already ("param_n"); names of the format itself ("seed", "sha256", ...) are
  /// refused.
  virtual void attribute(const std::string& name, double value) = 0;
  virtual void attribute(const std::string& name, const std::string& value) = 0;
};

/// A verified, open file.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual std::vector<float> f32(const std::string& path) = 0;  ///< the whole array, row-major
  virtual std::vector<double> f64(const std::string& path) = 0;
  virtual std::vector<std::uint8_t> u8(const std::string& path) = 0;
  virtual std::vector<std::int8_t> i8(const std::string& path) = 0;
  virtual std::vector<std::uint16_t> u16(const std::string& path) = 0;
  virtual std::vector<std::int16_t> i16(const std::string& path) = 0;
  virtual std::vector<std::int32_t> i32(const std::string& path) = 0;
  virtual std::vector<std::uint32_t> u32(const std::string& path) = 0;
  virtual std::vector<std::int64_t> i64(const std::string& path) = 0;
  virtual std::vector<std::uint64_t> u64(const std::string& path) = 0;
  virtual bool has(const std::string& path) const = 0;
  virtual Shape shape(const std::string& path) = 0;
  /// Root attributes, by the name that the generator gave; a parameter "n" is found as "param_n".
  virtual double number(const std::string& attribute) = 0;
  virtual std::string text(const std::string& attribute) = 0;
};

/// Identity of an opened file, for records.
struct Provenance {
  std::string dataset;  ///< Definition::name
  std::filesystem::path file;
  std::string sha256;  ///< of the canonical content
  bool synthetic = true;
  std::uint64_t seed = 0;
};

struct Opened {
  std::unique_ptr<Reader> reader;
  Provenance provenance;
};

/// A folder of dataset files: `<root>/<name>/<parameters>-s<seed>-g<generator version>.h5`.
/// Real data imported under the same parameters is `<root>/<name>/<parameters>-real.h5`; it is what `open`
/// gives when `prefer_real`. It can't be made again, so a damaged one is an error.
class Store {
 public:
  explicit Store(std::filesystem::path root);
  const std::filesystem::path& root() const { return root_; }

  std::filesystem::path path_of(const Definition&, const Parameters&) const;
  std::filesystem::path real_path_of(const Definition&, const Parameters&) const;
  /// Opens and verifies; makes the file where it is missing; a corrupt file is set aside as
  /// `<file>.corrupt-<n>` with a warning, and made again. Safe when several processes ask at once.
  Opened open(const Definition&, const Parameters&);
  /// Makes the file even if one exists; returns its path. The bytes depend on the arguments alone.
  std::filesystem::path make(const Definition&, const Parameters&);
  std::filesystem::path import(const Definition&, const std::filesystem::path& source, const Parameters&);
  /// Everything that reading would check, for a file anywhere; throws DatasetError with the first fault.
  static Provenance verify(const std::filesystem::path& file, std::span<const Definition* const> catalogue);

  std::function<void(const std::string&)> warn;  ///< where warnings go; stderr by default
  bool prefer_real = true;

 private:
  std::filesystem::path root_;
};

/// What a file holds, for people: attributes, then each array with shape, type, storage and statistics. Reads
/// files of any catalogue and version; throws DatasetError where the file is damaged.
std::string describe(const std::filesystem::path& file);

/// The Definition of that name, or null.
const Definition* find_definition(std::span<const Definition* const> catalogue, std::string_view name);

/// All Definitions that are compiled in, sorted by name (generated list: one per
/// datasets/<theme>/<name>.cpp).
std::span<const Definition* const> catalogue();

}  // namespace remeasure::datasets
