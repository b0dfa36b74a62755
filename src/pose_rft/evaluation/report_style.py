"""The look of the report: one style sheet, light and dark, wide and narrow."""

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #17202b; --quiet: #5b6876; --rule: #dfe4ea; --track: #e9edf2;
  --before: #97a3b1; --after: #0b7285; --faint: #c9d1da; --good: #17713f; --bad: #b02a2a; --picture: #ffffff; }
@media (prefers-color-scheme: dark) { :root {
  --page: #10151b; --card: #19212a; --ink: #e8edf2; --quiet: #9aa8b6; --rule: #2c3742; --track: #26303a;
  --before: #7d8b9a; --after: #3bb8cc; --faint: #475563; --good: #5fd08f; --bad: #ff8b84; --picture: #eef1f4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "DejaVu Sans", sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 44px 0 4px; }
h3 { font-size: 0.95rem; margin: 0 0 10px; }
p { margin: 0 0 12px; max-width: 70ch; }
.quiet { color: var(--quiet); font-size: 0.92rem; }
.verdict { font-size: 1.15rem; margin: 0 0 24px; }
.verdict strong { color: var(--after); }
.grid { display: grid; gap: 16px; }
.two { grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }
.three { grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 16px 18px;
  min-width: 0; }
.figures { display: flex; align-items: baseline; flex-wrap: wrap; gap: 2px 12px; margin: 0 0 12px; }
.figures .was { font-size: 1.5rem; color: var(--quiet); }
.figures .now { font-size: 2.5rem; font-weight: 700; color: var(--after); line-height: 1.1; }
.figures .gain { font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); } .same { color: var(--quiet); }
.bar-row { display: grid; grid-template-columns: 10em 1fr 3.2em; gap: 10px; align-items: center; margin: 7px 0;
  font-size: 0.86rem; }
.bar-label { color: var(--quiet); } .bar-value { text-align: right; font-variant-numeric: tabular-nums; }
.track { position: relative; height: 14px; background: var(--track); border-radius: 4px; display: block; }
.bar { position: absolute; inset: 0 auto 0 0; border-radius: 4px; }
.bar.before { background: var(--before); } .bar.after { background: var(--after); }
  .bar.other { background: var(--faint); }
.whisker { position: absolute; top: 6px; height: 2px; background: var(--ink); opacity: 0.75; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; margin: 0 0 10px; }
.pair figure { margin: 0; }
.pair img { width: 100%; display: block; border-radius: 8px; background: var(--picture);
  border: 1px solid var(--rule); }
.pair .after img { border: 2px solid var(--after); }
figcaption { font-size: 0.8rem; color: var(--quiet); margin: 0 0 4px; }
.after figcaption { color: var(--after); font-weight: 600; }
.prompt { font-weight: 600; margin: 0 0 10px; overflow-wrap: anywhere; }
.note { color: var(--quiet); font-size: 0.86rem; margin: 0; }
.timeline img { max-width: 100%; display: block; border-radius: 8px; background: var(--picture); }
details { margin: 16px 0 0; } summary { color: var(--quiet); cursor: pointer; }
pre { overflow-x: auto; margin: 12px 0 0; font: 0.84rem/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas,
  "DejaVu Sans Mono", monospace; }
svg { width: 100%; height: auto; display: block; }
svg .line { fill: none; stroke: var(--after); stroke-width: 2; stroke-linejoin: round; }
svg .end { fill: var(--after); } svg .rule { stroke: var(--rule); stroke-width: 1; }
svg .tick { fill: var(--quiet); font-size: 11px; }
.curve-head { display: flex; justify-content: space-between; gap: 12px; margin: 0 0 6px; font-size: 0.9rem; }
.curve-head span:first-child { font-weight: 600; overflow-wrap: anywhere; }
.curve-head span:last-child { color: var(--quiet); white-space: nowrap; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 8px 10px; border-bottom: 1px solid var(--rule); white-space: nowrap;
  vertical-align: top; }
th { color: var(--quiet); font-weight: 600; } th:first-child, td:first-child { text-align: left;
  white-space: normal; min-width: 11em; }
tbody tr.part th { color: var(--ink); padding-top: 18px; } tbody tr:last-child td { border-bottom: 0; }
td small { display: block; color: var(--quiet); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 8px 18px; margin: 0; font-size: 0.92rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
dd code, .quiet code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media (max-width: 560px) { main { padding: 20px 14px 48px; } h1 { font-size: 1.45rem; }
  .verdict { font-size: 1.05rem; } .figures .now { font-size: 2.1rem; }
  .bar-row { grid-template-columns: 7.6em 1fr 3em; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin: 0 0 10px; } th, td { padding: 8px 6px; }
  .card { padding: 14px; }
  table.results, .results tbody { display: block; } .results thead { display: none; }
  .results tr { display: grid; grid-template-columns: 1fr 1fr 1fr; border-bottom: 1px solid var(--rule);
  padding: 8px 0; }
  .results th, .results td { border: 0; padding: 2px 0; text-align: left; white-space: normal; }
  .results td:first-child, .results tr.part th { grid-column: 1 / -1; padding-top: 4px; }
  .results td[data-name]::before { content: attr(data-name); display: block; color: var(--quiet);
  font-size: 0.75rem; } }
@media print { body { background: #fff; } .card { break-inside: avoid; } }
"""
