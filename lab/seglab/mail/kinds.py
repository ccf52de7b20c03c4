"""The kinds of generated mail: each has header fields, and a body of exactly the wanted length.

A body is a template that is filled with running text. Names in a template are cut at 32
characters, so that the shortest body of each kind is known before one is made.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from seglab.mail.filling import NAME_MAX, Filling, base64_lines
from seglab.mail.header import BOUNDARY_MAX_BYTES, HeaderTemplate
from seglab.mail.running_text import TEXT_MIN_BYTES
from seglab.mail.words import LexiconName, hexadecimal, number, token

_BASE64_MIN_BYTES = 200


@dataclass(frozen=True, slots=True)
class MailKind:
    """One kind of generated mail.

    Attributes:
        summary: one line for people.
        header: its header fields.
        lexicon: the source of its words.
        boundary: draws the delimiter of its parts.
        body: makes the text after the empty line, before dot-stuffing.
        body_min_bytes: the length of the shortest body that can always be made.
        subjects: its subjects; empty where the lexicon's subjects suit it.
    """

    summary: str
    header: HeaderTemplate
    lexicon: LexiconName
    boundary: Callable[[Random], str]
    body: Callable[[Filling], bytes]
    body_min_bytes: int
    subjects: tuple[str, ...] = ()


def _crlf(text: str) -> str:
    return text.removeprefix("\n").replace("\n", "\r\n")


def _max_bytes(*templates: str) -> int:
    """The most bytes that templates have once their names are filled in."""
    text = "".join(templates)
    boundaries = text.count("$boundary")
    names = text.count("$") - boundaries
    return len(text) + boundaries * BOUNDARY_MAX_BYTES + names * NAME_MAX


# Plain text --------------------------------------------------------------------------------


def _plain_text(filling: Filling) -> bytes:
    return filling.text(filling.size)


_TEXT = MailKind(
    summary="a letter in plain text",
    header=HeaderTemplate(
        order=(
            "Received", "Date", "From", "To", "Subject", "Message-ID", "MIME-Version",
            "Content-Type", "Content-Transfer-Encoding", "X-Mailer",
        ),
        required=frozenset({"Date", "From"}),
        fixed={
            "Content-Type": "text/plain; charset=us-ascii",
            "Content-Transfer-Encoding": "7bit",
        },
    ),
    lexicon="built-in",
    boundary=lambda _draw: "",
    body=_plain_text,
    body_min_bytes=TEXT_MIN_BYTES,
)  # fmt: skip

# Newsletter: HTML, as in Listing 6 -----------------------------------------------------------

_NEWSLETTER_TOP = _crlf("""
<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.0 Transitional//EN">
<HTML><HEAD>
<META content="text/html; charset=us-ascii" http-equiv=Content-Type>
<TITLE>$subject</TITLE></HEAD>
<BODY bgColor=#ffffff>
<H1>$company</H1>
<P style="MARGIN: 0cm 0cm 0pt" class=MsoNormal>
Dear $reader,</P>
<P style="MARGIN: 0cm 0cm 0pt" class=MsoNormal>
""")
_NEWSLETTER_END = _crlf("""
</P>
<P><A href="http://news.example/unsubscribe">Unsubscribe</A><BR>
$company,
$street, $city
</P></BODY></HTML>


""")
_HTML_PARAGRAPH = b'</P>\r\n<P style="MARGIN: 0cm 0cm 0pt" class=MsoNormal>\r\n'


def _newsletter(filling: Filling) -> bytes:
    top, end = filling.template(_NEWSLETTER_TOP), filling.template(_NEWSLETTER_END)
    return top + filling.text(filling.size - len(top) - len(end), _HTML_PARAGRAPH) + end


_NEWSLETTER = MailKind(
    summary="a newsletter in HTML",
    header=HeaderTemplate(
        order=(
            "Received", "From", "Subject", "To", "Reply-To", "List-Unsubscribe", "Message-ID",
            "Date", "X-Mailer", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
            "Content-Disposition",
        ),
        required=frozenset({
            "From", "Date", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
            "Content-Disposition",
        }),
        fixed={
            "Content-Type": 'text/html; charset="us-ascii"',
            "Content-Transfer-Encoding": "7bit",
            "Content-Disposition": "inline",
        },
    ),
    lexicon="faker",
    boundary=lambda _draw: "",
    body=_newsletter,
    body_min_bytes=_max_bytes(_NEWSLETTER_TOP, _NEWSLETTER_END) + TEXT_MIN_BYTES,
)  # fmt: skip

# Notification: HTML in base64, as in Listing 5 -------------------------------------------------

_NOTIFICATION_TOP = _crlf("""
<html><body><h3>$subject</h3>
<p>Hello $reader, your order from $company is on its way:</p>
<p>
""")
_NOTIFICATION_END = _crlf("""
</p><a href="http://shop.example/item.htm?spm=a2106.$ticker">
<img src="http://shop.example/bao/uploaded/$ticker.jpg" />""")


def _notification(filling: Filling) -> bytes:
    def html(size: int) -> bytes:
        top, end = filling.template(_NOTIFICATION_TOP), filling.template(_NOTIFICATION_END)
        return top + filling.text(size - len(top) - len(end), b"<br />\r\n", encoded=True) + end

    return base64_lines(html, filling.size)


_NOTIFICATION = MailKind(
    summary="a shop's notification, HTML in base64",
    header=HeaderTemplate(
        order=(
            "Received", "Date", "From", "To", "Subject", "Message-ID", "MIME-Version",
            "Content-Type", "Content-Transfer-Encoding",
        ),
        required=frozenset({
            "Date", "From", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
        }),
        fixed={
            "Content-Type": 'text/html; charset="utf-8"',
            "Content-Transfer-Encoding": "base64",
        },
    ),
    lexicon="faker",
    boundary=lambda _draw: "",
    body=_notification,
    body_min_bytes=(_max_bytes(_NOTIFICATION_TOP, _NOTIFICATION_END) + 10) * 3 // 2,
)  # fmt: skip

# Picture: multipart with a base64 JPEG, as in Listings 7 and 10 ----------------------------------

_PICTURE_TEXT = _crlf("""
--$boundary
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: base64

""")
_PICTURE_HTML = _crlf("""

--$boundary
Content-Type: text/html; charset="utf-8"
Content-Transfer-Encoding: quoted-printable

<html><body><p style=3D"color:#29594C; font-size:14pt">
""")
_PICTURE_IMAGE = _crlf("""
</p><img src=3D"cid:picture"></body></html>

--$boundary
Content-Type: image/jpeg; name="picture.jpg"
Content-Transfer-Encoding: base64
Content-ID: <picture>
Content-Disposition: attachment; filename="picture.jpg"

""")
_PICTURE_END = _crlf("""

--$boundary--

""")
_QP_PARAGRAPH = b'</p>\r\n<p style=3D"color:#29594C; =\r\nfont-size:14pt">\r\n'
_JPEG_START = bytes.fromhex("ffd8ffe000104a46494600010101004800480000")
_JPEG_END = bytes.fromhex("ffd9")


def _jpeg(draw: Random) -> Callable[[int], bytes]:
    seed = token(draw, 20).encode()

    def data(size: int) -> bytes:
        noise = hashlib.shake_128(seed).digest(size - len(_JPEG_START) - len(_JPEG_END))
        return _JPEG_START + noise + _JPEG_END

    return data


def _picture(filling: Filling) -> bytes:
    text, html, image, end = map(
        filling.template, (_PICTURE_TEXT, _PICTURE_HTML, _PICTURE_IMAGE, _PICTURE_END)
    )
    room = filling.size - len(text + html + image + end) - TEXT_MIN_BYTES
    quarter = max(_BASE64_MIN_BYTES, room // 4) & ~1
    picture = max(_BASE64_MIN_BYTES, room // 2) & ~1
    written = room - quarter - picture + TEXT_MIN_BYTES
    return b"".join(
        (
            text,
            base64_lines(filling.encoded_text, quarter),
            html,
            filling.text(written, _QP_PARAGRAPH),
            image,
            base64_lines(_jpeg(filling.draw), picture),
            end,
        )
    )


def _part_boundary(draw: Random) -> str:
    numbers = (number(draw, 100, 999), number(draw, 1000, 9999), number(draw, 10**9, 2 * 10**9))
    return "----=Part." + ".".join(map(str, numbers))


_PICTURE = MailKind(
    summary="multipart: base64 text, quoted-printable HTML and a base64 picture",
    header=HeaderTemplate(
        order=(
            "Received", "Date", "From", "To", "Subject", "Message-ID", "X-Mailer",
            "MIME-Version", "Content-Type",
        ),
        required=frozenset({"Date", "From", "MIME-Version", "Content-Type"}),
        fixed={"Content-Type": 'multipart/mixed; boundary="$boundary"'},
    ),
    lexicon="faker",
    boundary=_part_boundary,
    body=_picture,
    body_min_bytes=_max_bytes(_PICTURE_TEXT, _PICTURE_HTML, _PICTURE_IMAGE, _PICTURE_END)
    + 4 * _BASE64_MIN_BYTES,
)  # fmt: skip

# Stock tip: multipart/alternative from a webmail, as in Listings 3, 4, 9, 11 and 13 ---------------

_TIP_TEXT = _crlf("""
--$boundary
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: 7bit

$reader, if you are tired of playing the market for mediocre gains
then buy the new tip $ticker and hold it for a few weeks.

""")
_TIP_HTML = _crlf("""

Happy Trading,
I'm $author

--$boundary
Content-Type: text/html; charset="us-ascii"
Content-Transfer-Encoding: 7bit

<html>
<head>
<meta content="text/html; charset=us-ascii" http-equiv="Content-Type" />
</head>
<body>
""")
_TIP_END = _crlf("""
<br />
</body>
</html>

--$boundary--
""")


def _stock_tip(filling: Filling) -> bytes:
    text, html, end = map(filling.template, (_TIP_TEXT, _TIP_HTML, _TIP_END))
    room = filling.size - len(text + html + end)
    plain = room // 2
    return b"".join(
        (
            text,
            filling.text(plain),
            html,
            filling.text(room - plain, b"<br />\r\n"),
            end,
        )
    )


_STOCK_TIP = MailKind(
    summary="a stock tip in text and HTML, sent through a webmail",
    header=HeaderTemplate(
        order=(
            "MIME-Version", "X-Received", "Received", "Date", "Message-ID", "Subject", "From",
            "To", "Content-Type",
        ),
        required=frozenset({"Date", "From", "Content-Type"}),
        fixed={"Content-Type": "multipart/alternative; boundary=$boundary"},
    ),
    lexicon="faker",
    boundary=lambda draw: hexadecimal(draw, 28),
    body=_stock_tip,
    body_min_bytes=_max_bytes(_TIP_TEXT, _TIP_HTML, _TIP_END) + 2 * TEXT_MIN_BYTES,
    subjects=(
        "Alert: Best Stock to Buy Now",
        "This Stock is About to Move",
        "Our New Pick: Buy Before Friday",
        "Read This Before the Market Opens",
    ),
)  # fmt: skip

KINDS: Final[Mapping[str, MailKind]] = {
    "text": _TEXT,
    "newsletter": _NEWSLETTER,
    "notification": _NOTIFICATION,
    "picture": _PICTURE,
    "stock_tip": _STOCK_TIP,
}
"""All kinds of generated mail by name."""
