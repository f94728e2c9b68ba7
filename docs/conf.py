"""How the documentation is built: ``sphinx-build -W -b html docs OUT``; nothing is fetched."""

from __future__ import annotations

from pygments.lexers.shell import BashLexer
from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

project = "omniroute"
author = "the omniroute authors"
copyright = "the omniroute authors"  # noqa: A001 - the name that Sphinx reads
version = release = "0.1.0"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "omniroute"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
lexers["mermaid"] = TextLexer()  # drawn by many viewers of Markdown; here it is shown as it is written
lexers["console"] = BashLexer()  # commands without a prompt, which its own lexer takes for output and shows in grey
