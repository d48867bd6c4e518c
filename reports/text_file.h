// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace remeasure::reports {

/// Writes a temporary file beside `path`, syncs it, renames it: a reader sees the old or the new file, never
/// half. Throws std::runtime_error that names the file and the system's reason (disk full, no permission,
/// ...); then the old file is untouched and no temporary one is left.
void write_text_file(const std::filesystem::path& path, std::string_view text);

/// The whole file. Throws std::runtime_error that names the file and the reason.
std::string read_text_file(const std::filesystem::path& path);

}  // namespace remeasure::reports
