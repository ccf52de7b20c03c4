"""What is in a figure, for tests of figures."""

from html import unescape
from xml.etree import ElementTree

from matplotlib.figure import Figure

from seglab.plots.style import render


def texts(figure: Figure) -> list[str]:
    """All texts of a figure, without the labels of ticks and axes."""
    drawn = [text for axes in figure.axes for text in axes.texts] + figure.texts
    return [text.get_text() for text in drawn]


def svg_comments(figure: Figure) -> list[str]:
    """The texts of a figure as its SVG file names them; fails if the file is not valid XML.

    Matplotlib draws letters as paths, and names each text in a comment before its path.
    """
    data = render(lambda: figure, ("svg",))["svg"]
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.fromstring(data, parser=parser)
    return [unescape(node.text).strip() for node in tree.iter(ElementTree.Comment)]
