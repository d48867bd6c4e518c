// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace remeasure::reports {

/// Text inside an XML or HTML element or attribute. What isn't UTF-8, and characters that XML 1.0 forbids,
/// become U+FFFD.
std::string xml_text(const std::string& text);

/// Text inside a cell of a Markdown table.
std::string markdown_text(const std::string& text);

/// A field of a CSV file (RFC 4180): quoted where it must be.
std::string csv_text(const std::string& text);

/// An id for an anchor or a file: letters, digits and dashes.
std::string anchor_text(const std::string& text);

}  // namespace remeasure::reports
