// SPDX-License-Identifier: Apache-2.0
#include "reports/html_parts.h"

namespace remeasure::reports::html {

const std::string_view style = R"css(
:root {
  color-scheme: light dark;
  --ground: #fcfcfb; --panel: #f3f3f0; --ink: #1d1f21; --quiet: #5b6067; --line: #d9d9d4; --link: #0b5cad;
  --good: #146c2e; --good-ground: #e3f3e6; --fair: #7a4b00; --fair-ground: #fbeecb;
  --bad: #a01c1c; --bad-ground: #fbe4e2; --dim: #4e545b; --dim-ground: #eaeae6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #16181b; --panel: #1f2226; --ink: #e4e6e8; --quiet: #a0a7af; --line: #363b41; --link: #8ec2ff;
    --good: #8fdba0; --good-ground: #17361f; --fair: #f0c766; --fair-ground: #3b2e0c;
    --bad: #ff9d94; --bad-ground: #451b18; --dim: #bac0c7; --dim-ground: #2b2f34;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: break-word;
}
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.25rem; }
footer { padding-top: 1rem; padding-bottom: 3rem; color: var(--quiet); font-size: .875rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .25rem; }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p { margin: .4rem 0; max-width: 46rem; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: .15em; }
section { margin-top: 2.5rem; }
section.paper { border-top: 1px solid var(--line); padding-top: 1.75rem; }
.quiet { color: var(--quiet); font-size: .875rem; }
.alarm { color: var(--bad); font-weight: 600; }
ul { padding-left: 1.25rem; margin: .4rem 0; max-width: 52rem; }
ul.notes { font-size: .875rem; color: var(--quiet); list-style: none; padding: 0; }
ul.totals { list-style: none; padding: 0; margin: 1.25rem 0 0; display: flex; flex-wrap: wrap; gap: .5rem; max-width: none; }
ul.totals li { background: var(--panel); border-radius: .5rem; padding: .5rem .9rem; }
ul.totals strong { font-size: 1.35rem; margin-right: .35rem; font-variant-numeric: tabular-nums; }
.badge {
  display: inline-block; border-radius: .35rem; padding: .05rem .45rem; font-size: .8125rem; font-weight: 600;
  white-space: nowrap; color: var(--dim); background: var(--dim-ground);
}
.badge.good { color: var(--good); background: var(--good-ground); }
.badge.fair { color: var(--fair); background: var(--fair-ground); }
.badge.bad { color: var(--bad); background: var(--bad-ground); }
.scroll { overflow-x: auto; margin: .5rem 0; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; font-size: 1rem; padding: 1.25rem 0 .35rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
thead th { color: var(--quiet); font-weight: 500; font-size: .8125rem; white-space: nowrap; }
tbody th[scope=row] { font-weight: 500; }
.scroll td, .scroll tbody th { white-space: nowrap; }
.scroll td.wide { white-space: normal; min-width: 16rem; }
th.number, td.number { text-align: right; }
th[scope=rowgroup] { padding-top: 1rem; }
th[scope=rowgroup] span { color: var(--quiet); font-weight: 400; }
table.index { width: 100%; }
table.index td { max-width: 26rem; }
table.index small { display: block; color: var(--quiet); font-size: .8125rem; }
td > .badge + small { margin-top: .15rem; }
figure { margin: 1rem 0; max-width: 46rem; }
figcaption { font-weight: 600; }
figure svg { width: 100%; height: auto; display: block; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 32rem), 1fr)); gap: 0 2rem; }
details { margin: .5rem 0; font-size: .875rem; }
summary { cursor: pointer; color: var(--link); padding: .2rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .5rem 0; font-size: .875rem; }
dt { color: var(--quiet); }
dd { margin: 0; min-width: 0; }
code { font: .875em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media (max-width: 46rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  h1 { font-size: 1.55rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .4rem; }
  table.index, table.index tbody, table.index tr, table.index td, table.index th { display: block; max-width: none; }
  table.index thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table.index tr { border-bottom: 1px solid var(--line); padding: .8rem 0; }
  table.index td, table.index tbody th { border: 0; padding: .1rem 0; }
  table.index td[data-label] { display: grid; grid-template-columns: 5.5rem 1fr; }
  table.index td[data-label]::before { content: attr(data-label); color: var(--quiet); font-size: .8125rem; }
  table.index td[data-label] > small { grid-column: 2; }
  table.index td[data-label] > .badge { justify-self: start; }
}
@media print {
  .scroll { overflow: visible; }
  section.paper { break-before: page; }
}
)css";

}  // namespace remeasure::reports::html
