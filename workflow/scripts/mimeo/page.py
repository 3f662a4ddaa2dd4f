"""A Markdown document as a web page of its own: no network, readable on a phone and in print."""

from markdown_it import MarkdownIt

from mimeo.store import save_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #37352f; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid #e6e6e6; white-space: nowrap; }
th { text-align: left; border-bottom: 2px solid #37352f; }
tbody tr:hover { background: #f6f5f4; }
"""


def save_document(text: str, web: str, title: str, markdown: str) -> None:
    """Writes a document twice: as Markdown for readers and as a page for browsers."""
    save_text(text, markdown)
    save_text(web, page(title, markdown))


def page(title: str, markdown: str) -> str:
    """The document as HTML.

    Args:
        title: of the browser's tab.
        markdown: CommonMark with tables; raw HTML in it is shown, not interpreted.
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{_plain(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n{body}</body>\n</html>\n"
    )


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
