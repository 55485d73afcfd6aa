"""HTML as a tree, read by the standard library alone."""

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

VOID = {"meta", "link", "img", "input", "br", "hr", "wbr"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.builder, self.open = TreeBuilder(), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.builder.data(data)


def parsed(html: str) -> Element:
    """The root; every element has to be closed, in order."""
    reader = _Reader()
    reader.feed(html)
    assert reader.open == []
    return reader.builder.close()


def text(element: Element) -> str:
    """Return the text that a browser shows, white space folded."""
    return " ".join("".join(element.itertext()).split())


def cells(table: Element) -> list[list[str]]:
    """The rows of a table; of a cell that leads to facts, only what stands in the table."""
    rows = table.iter("tr")
    return [[_cell(cell) for cell in row if cell.tag in ("td", "th")] for row in rows]


def _cell(cell: Element) -> str:
    lead = cell.find("button")
    return text(cell if lead is None else lead)
