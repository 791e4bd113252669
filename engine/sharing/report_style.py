"""The style of the report: light and dark as the reader's system is, and A4 when it is printed."""

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1917; --quiet: #57534e; --line: #e7e5e4;
  --accent: #b33c0b; --link: #a83709; --one: #0072b2; --two: #009e73; --three: #a8527f; }
@media (prefers-color-scheme: dark) { :root { --paper: #16161a; --ink: #f0efed; --quiet: #b5b1ac;
  --line: #34343a; --accent: #fb7b43; --link: #fb9a6e; --one: #56b4e9; --two: #29c99c; --three: #cc79a7; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system,
  "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans", "Noto Sans CJK SC", sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; display: grid;
  grid-template-columns: minmax(0, 1fr); gap: 2rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: .1rem 0 .4rem; letter-spacing: -.01em; text-wrap: balance; }
h2 { font-size: 1.0625rem; margin: 0 0 .5rem; }
p { margin: 0; } ul { margin: 0; padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
a { color: var(--link); overflow-wrap: anywhere; }
.quiet { color: var(--quiet); } .verdict { font-size: 1.0625rem; } .fooled { color: var(--accent); }
.pictures { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 1rem; }
.maps { align-items: end; margin: .5rem 0 1.5rem; }
figure { margin: 0; } figcaption { font-weight: 600; margin-bottom: .25rem; }
img { display: block; width: 100%; border-radius: 4px; } .coarse { image-rendering: pixelated; }
figure p { margin-top: .3rem; color: var(--quiet); }
svg { display: block; width: 100%; height: auto; }
polyline { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
polyline.original, polyline.goal { stroke-width: 2.5; }
.n0 { stroke: var(--one); } .n1 { stroke: var(--two); } .n2 { stroke: var(--three); }
.original { stroke: var(--ink); } .goal { stroke: var(--accent); }
text { font-size: 13px; fill: var(--quiet); stroke: none; }
text.n0 { fill: var(--one); } text.n1 { fill: var(--two); } text.n2 { fill: var(--three); }
text.original { fill: var(--ink); font-weight: 600; } text.goal { fill: var(--accent); font-weight: 600; }
text.name { stroke: none; } .tick { text-anchor: end; } .step { text-anchor: middle; }
.grid { stroke: var(--line); fill: none; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 2rem 3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 400; color: var(--quiet); padding-right: 1rem; } td { overflow-wrap: anywhere; }
.pair td { text-align: right; } .answers th { color: var(--ink); font-weight: 600; }
.answers .number { text-align: right; padding-right: 2.5rem; white-space: nowrap; }
.answers .number:last-child { padding-right: 0; }
.again { display: grid; grid-template-columns: minmax(0, 1fr) 9rem; gap: 1.5rem; align-items: start; }
.qr svg { border-radius: 4px; }
summary { cursor: pointer; color: var(--quiet); }
pre { font-size: .8125rem; white-space: pre-wrap; overflow-wrap: anywhere; color: var(--quiet); }
@media (max-width: 40rem) { main { padding: 1.5rem 1rem 3rem; } h1 { font-size: 1.5rem; }
  .pair { grid-template-columns: minmax(0, 1fr); } .pictures { gap: .5rem; font-size: .875rem; }
  .again { grid-template-columns: minmax(0, 1fr); } .qr { width: 9rem; }
  .answers .number { padding-right: .75rem; } text { font-size: 20px; } }
@page { size: A4; margin: 14mm; }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --quiet: #444; --line: #ccc;
  --accent: #b33c0b; --link: #000; --one: #0072b2; --two: #00805d; --three: #a8527f; }
  body { font-size: 10.5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; gap: 5mm; } h1 { font-size: 18pt; }
  section, figure, tr { break-inside: avoid; } h2 { break-after: avoid; }
  details:not([open]) { display: none; }
  th, td { padding: .15rem 0; } .qr { max-width: 32mm; } }
"""
