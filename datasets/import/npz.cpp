// SPDX-License-Identifier: Apache-2.0
#include "datasets/import/npz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string_view>

namespace remeasure::datasets {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kDeflateRatio = 1032;  // the most that deflate can gain, by zlib's technical notes
constexpr std::size_t kEndBytes = 22, kCentralBytes = 46, kLocalBytes = 30;

struct Member {
  std::string name;
  unsigned method = 0, flags = 0;
  std::uint32_t checksum = 0;
  std::uint64_t packed = 0, unpacked = 0, offset = 0;
};

class Archive {
 public:
  explicit Archive(const fs::path& file) : file_(file), in_(file, std::ios::binary) {
    std::error_code error;
    if (!fs::is_regular_file(file, error) || !in_)
      refuse("no such file, or no regular file; expected an .npz file");
    size_ = fs::file_size(file);
    // The archive's end may be followed by a comment of up to 65535 bytes; NumPy writes none.
    const std::uint64_t tail = std::min<std::uint64_t>(size_, kEndBytes + 65535);
    const std::string end = bytes(size_ - tail, tail);
    const std::size_t found = end.rfind("PK\5\6");
    if (found == std::string::npos || end.size() - found < kEndBytes)
      refuse("no zip archive: its end record is missing");
    const auto members = number(end, found + 10, 2), length = number(end, found + 12, 4),
               offset = number(end, found + 16, 4);
    if (offset + length > size_) refuse("truncated: its directory lies beyond its end");
    read_directory(bytes(offset, length), members);
  }

  const std::vector<Member>& members() const { return members_; }

  std::string unpacked(const Member& member) {
    const auto what = [&](const char* why) { refuse(fmt::format("member {}: {}", member.name, why)); };
    if ((member.flags & 1) != 0) what("encrypted");
    if (member.packed == 0xffffffff || member.unpacked == 0xffffffff || member.offset == 0xffffffff)
      what("zip64, which isn't read");
    if (member.offset + kLocalBytes > size_) what("lies beyond the archive's end");
    const std::string local = bytes(member.offset, kLocalBytes);
    if (!local.starts_with("PK\3\4")) what("its local header is missing");
    const std::uint64_t data = member.offset + kLocalBytes + number(local, 26, 2) + number(local, 28, 2);
    if (data + member.packed > size_) what("lies beyond the archive's end");
    if (member.unpacked > member.packed * kDeflateRatio + 64) what("claims more bytes than deflate can hold");
    std::string packed = bytes(data, member.packed), out;
    if (member.method == 0) {
      out = std::move(packed);
    } else if (member.method == 8) {
      out = inflated(packed, member);
    } else {
      what("neither stored nor deflated");
    }
    if (out.size() != member.unpacked) what("another length than its directory says");
    if (crc32(0, reinterpret_cast<const Bytef*>(out.data()), static_cast<uInt>(out.size())) !=
        member.checksum)
      what("its checksum is wrong");
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw DatasetError(fmt::format("{}: {}", file_.string(), why));
  }

  std::string bytes(std::uint64_t offset, std::uint64_t count) {
    std::string out(static_cast<std::size_t>(count), '\0');
    in_.seekg(static_cast<std::streamoff>(offset));
    in_.read(out.data(), static_cast<std::streamsize>(count));
    if (static_cast<std::uint64_t>(in_.gcount()) != count) refuse("can't be read to its end");
    return out;
  }
  static std::uint64_t number(std::string_view text, std::size_t offset, std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i)
      value |= std::uint64_t{static_cast<unsigned char>(text[offset + i])} << (8 * i);
    return value;
  }
  void read_directory(const std::string& text, std::uint64_t count) {
    std::size_t place = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (text.size() - place < kCentralBytes || text.compare(place, 4, "PK\1\2") != 0)
        refuse("a damaged zip directory");
      const auto field = [&](std::size_t offset, std::size_t length) {
        return number(text, place + offset, length);
      };
      const std::size_t name = field(28, 2), rest = field(30, 2) + field(32, 2);
      if (text.size() - place - kCentralBytes < name + rest) refuse("a damaged zip directory");
      members_.push_back({.name = text.substr(place + kCentralBytes, name),
                          .method = static_cast<unsigned>(field(10, 2)),
                          .flags = static_cast<unsigned>(field(8, 2)),
                          .checksum = static_cast<std::uint32_t>(field(16, 4)),
                          .packed = field(20, 4),
                          .unpacked = field(24, 4),
                          .offset = field(42, 4)});
      place += kCentralBytes + name + rest;
    }
  }
  std::string inflated(std::string& packed, const Member& member) {
    std::string out(static_cast<std::size_t>(member.unpacked), '\0');
    z_stream stream{};
    stream.next_in = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
      refuse("zlib can't be started");  // negative: a zip has no zlib header
    const int status = inflate(&stream, Z_FINISH);
    const uLong produced = stream.total_out;
    inflateEnd(&stream);
    if (status != Z_STREAM_END || produced != out.size())
      refuse(fmt::format("member {}: damaged deflate data", member.name));
    return out;
  }

  fs::path file_;
  std::ifstream in_;
  std::uint64_t size_ = 0;
  std::vector<Member> members_;
};

constexpr std::string_view kSuffix = ".npy";

}  // namespace

std::vector<std::string> npz_names(const fs::path& file) {
  std::vector<std::string> names;
  const Archive archive(file);
  for (const Member& member : archive.members()) {
    if (member.name.ends_with(kSuffix))
      names.push_back(member.name.substr(0, member.name.size() - kSuffix.size()));
  }
  return names;
}

NpyArray read_npz(const fs::path& file, const std::string& name) {
  Archive archive(file);
  for (const Member& member : archive.members()) {
    if (member.name == name + std::string(kSuffix))
      return npy_of_bytes(archive.unpacked(member), file / member.name);
  }
  throw DatasetError(
      fmt::format("{}: no array '{}'; it has: {}", file.string(), name, fmt::join(npz_names(file), ", ")));
}

}  // namespace remeasure::datasets
