// SPDX-License-Identifier: Apache-2.0
//
// NumPy's .npz: a zip archive of .npy files, stored (numpy.savez) or deflated (numpy.savez_compressed). The
// format: PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "datasets/import/npy.h"

namespace remeasure::datasets {

/// Names of the arrays, without ".npy". Throws DatasetError where the file is no sound zip archive.
std::vector<std::string> npz_names(const std::filesystem::path& file);

/// One array of the archive, its checksum verified. Throws DatasetError for a name that isn't there, an
/// encrypted or zip64 member, another method of compression, and anything that read_npy refuses.
NpyArray read_npz(const std::filesystem::path& file, const std::string& name);

}  // namespace remeasure::datasets
