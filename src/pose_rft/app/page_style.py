"""The look of the chat page: system fonts, the report's colours, light and dark, wide and narrow."""

import gradio as gr

SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace"]

CSS = """
.gradio-container { max-width: 1500px !important; margin: 0 auto !important; }
#talk h1 { font-size: 1.5rem; margin: 0 0 4px; }
#talk p { margin: 0; }
#grid { gap: 14px; }
.body .model3D, .body canvas { height: min(56vh, 520px) !important; width: 100%; touch-action: none; }
.body canvas:focus-visible { outline: 2px solid var(--color-accent); outline-offset: -2px; }
#talk .row { gap: 10px; }
.downloads { flex-wrap: nowrap !important; gap: 8px; }
@media (max-width: 760px) { #chat { height: 30vh !important; }
  .body canvas, .body .model3D { height: 46vh !important; } }
"""


def theme() -> gr.themes.Base:
    """Gradio's plain theme with fonts that every machine has: nothing is fetched for it."""
    return gr.themes.Base(primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=SANS, font_mono=MONO)
