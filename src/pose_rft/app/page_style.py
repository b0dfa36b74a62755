"""The look of the chat page: system fonts, the report's colours, light and dark, wide and narrow."""

import gradio as gr

SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace"]

CSS = """
.gradio-container { max-width: 1500px !important; margin: 0 auto !important; }
#page { display: grid; grid-template: "talk bodies" auto "settings bodies" 1fr / 4fr 6fr; gap: 16px; }
#talk { grid-area: talk; } #bodies { grid-area: bodies; } #settings { grid-area: settings; }
#page > * { min-width: 0 !important; }
#talk h1 { font-size: 1.5rem; margin: 0 0 4px; }
#talk p { margin: 0; }
#chat .placeholder { padding: 0 16px; text-align: center; }
#grid { gap: 14px; }
/* Out of sight at full size, for a 3D view frames its body by the size that it has. */
.absent { position: absolute !important; left: -9999px; width: 340px; visibility: hidden; }
.body .model3D, .body canvas { height: min(50vh, 480px) !important; width: 100%; touch-action: none; }
.body canvas:focus-visible { outline: 2px solid var(--color-accent); outline-offset: -2px; }
.downloads { flex-wrap: nowrap !important; gap: 8px; }
@media (max-width: 760px) {
  #page { grid-template: "talk" auto "bodies" auto "settings" auto / 1fr; }
  #chat { height: 28vh !important; }
  .body canvas, .body .model3D { height: 46vh !important; }
}
"""


def theme() -> gr.themes.Base:
    """Gradio's plain theme with fonts that every machine has: nothing is fetched for it."""
    return gr.themes.Base(primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=SANS, font_mono=MONO)
