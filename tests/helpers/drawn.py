"""What is in a figure, for tests of figures."""

from html import unescape
from xml.etree import ElementTree

from seglab.plots.rendering import render
from seglab.plots.sheet import Shape, Sheet, Words


def words(sheet: Sheet) -> list[Words]:
    """All texts of a figure, with their places."""
    return [item for item in sheet.items if isinstance(item, Words)]


def texts(sheet: Sheet) -> list[str]:
    """All texts of a figure."""
    return [item.text for item in words(sheet)]


def shapes(sheet: Sheet) -> list[Shape]:
    """All shapes of a figure, the lowest first."""
    return [item for item in sheet.items if isinstance(item, Shape)]


def svg_comments(sheet: Sheet) -> list[str]:
    """The texts of a figure as its SVG file names them; fails if the file is not valid XML.

    Letters are drawn as paths, and each text is named in a comment before its path.
    """
    data = render(lambda: sheet, ("svg",))["svg"]
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.fromstring(data, parser=parser)
    return [unescape(node.text).strip() for node in tree.iter(ElementTree.Comment)]
