// SPDX-License-Identifier: Apache-2.0
//
// The page: an index of all claims first, then a section per paper (html_paper.cpp). Nothing is loaded from
// elsewhere, there is no script, and the page says the same as the other reports.
#include <fmt/format.h>

#include <set>

#include "reports/escape.h"
#include "reports/html_parts.h"

namespace remeasure::reports {
namespace {

using namespace html;

constexpr const char* kHowToRead = R"html(<section id="how-to-read">
<h2>How to read this page</h2>
<dl>
<dt><span class="badge good">reproduced</span></dt><dd>inside the reported range or better, within the stated tolerance, at the stated setting</dd>
<dt><span class="badge fair">partly</span></dt><dd>the direction holds, the size doesn't</dd>
<dt><span class="badge bad">not reproduced</span></dt><dd>neither</dd>
<dt><span class="badge dim">not comparable</span></dt><dd>measured, but something that decides differs: the hardware for an absolute time, the size, the data</dd>
<dt><span class="badge dim">not measured</span></dt><dd>what it needs isn't here; the reason is beside it</dd>
<dt>time</dt><dd>median, with the distance to the further end of its 95 % interval; it exists only where the result passed its check in the same run</dd>
<dt>speedup</dt><dd>ratio of medians, measured interleaved, over the variant named beside it</dd>
<dt>error / limit</dt><dd>against an independent double-precision result, relative to its scale; of several outputs the one nearest to its limit</dd>
<dt>simt</dt><dd>the CUDA kernel's source run on the CPU, to check it; never timed</dd>
<dt>data</dt><dd><em>generated</em> from a seed with stated statistics, or <em>real</em> from the published files</dd>
</dl>
</section>
)html";

std::string totals(const std::vector<Record>& records) {
  const std::vector<std::pair<Verdict, Tone>> verdicts = {{Verdict::reproduced, Tone::good},
                                                          {Verdict::partly, Tone::fair},
                                                          {Verdict::not_reproduced, Tone::bad},
                                                          {Verdict::not_comparable, Tone::dim},
                                                          {Verdict::not_measured, Tone::dim}};
  std::string out = "<ul class=\"totals\" aria-label=\"Claims by verdict\">\n";
  for (const auto& [verdict, tone] : verdicts) {
    out += fmt::format("<li><strong>{}</strong>{}</li>\n", count_verdict(records, verdict),
                       badge(to_string(verdict), tone));
  }
  return out + "</ul>\n";
}

/// On a phone each row becomes a card, its labels from data-label; the roles keep it a table for screen
/// readers.
std::string index(const std::vector<Record>& records) {
  std::string rows;
  for (const Record& record : records) {
    for (const ClaimResult& claim : record.claims) {
      const ClaimRow row = view_claim(claim);
      const auto with_place = [](const std::string& value, const std::string& place) {
        return xml_text(value) + (place.empty() ? "" : "<small>" + xml_text(place) + "</small>");
      };
      const auto cell = [](const char* label, const std::string& html) {
        return fmt::format("<td role=\"cell\" data-label=\"{}\"><div>{}</div></td>", label, html);
      };
      rows += fmt::format("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\"><a href=\"#{}\">{}</a></th>",
                          anchor_text(record.experiment), xml_text(record.experiment));
      rows += cell("claim", xml_text(row.text)) +
              cell("reported", with_place(row.reported, row.reported_on)) +
              cell("measured", with_place(row.measured, row.measured_on)) +
              cell("verdict", badge(row.verdict, row.tone) + "<small>" + xml_text(row.why) + "</small>") +
              "</tr>\n";
    }
  }
  if (rows.empty()) return paragraph("No claims in these results.");
  std::string head;
  for (const char* column : {"paper", "claim", "reported", "measured", "verdict"}) {
    head += fmt::format("<th role=\"columnheader\" scope=\"col\">{}</th>", column);
  }
  return "<table class=\"index\" role=\"table\" aria-label=\"Every claim: reported and measured\">\n"
         "<thead role=\"rowgroup\"><tr role=\"row\">" +
         head + "</tr></thead>\n<tbody role=\"rowgroup\">\n" + rows + "</tbody>\n</table>\n";
}

}  // namespace

std::string html_report(const std::vector<Record>& records, const HtmlOptions& options) {
  std::set<std::string> machines;
  std::set<std::string> builds;
  for (const Record& record : records) {
    machines.insert(machine_line(record.system));
    builds.insert(build_line(record.build));
  }
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>Re-measured results</title>\n<style>";
  out += std::string(style) + "</style>\n</head>\n<body>\n<header>\n<h1>Re-measured results</h1>\n";
  out += paragraph(fmt::format("{} paper{}: what each reports, beside what was measured here.",
                               records.size(), records.size() == 1 ? "" : "s"));
  for (const std::string& machine : machines) out += paragraph(machine, "quiet");
  out += totals(records) + "</header>\n<main>\n<section id=\"index\">\n<h2>Claims</h2>\n" + index(records) +
         "</section>\n";
  for (const Record& record : records) {
    out += paper_section(record, options);
  }
  out += kHowToRead;
  out += "</main>\n<footer>\n";
  for (const std::string& build : builds) out += paragraph(build);
  return out + "</footer>\n</body>\n</html>\n";
}

}  // namespace remeasure::reports
