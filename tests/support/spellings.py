"""How addresses and dates are misspelt: what feeds, files and servers really send, and what somebody may try.

Nothing here is right or wrong for every reader; whoever takes one returns a value or an error of our own.
"""

import datetime as dt
from typing import Any

# ── addresses ────────────────────────────────────────────────────────────────────────────────────

_PORTS = (
    "8o80", "99999", "65536", "-1", "0", "00080", "", ":", "80:80", "port", "٨٠", "８０", "+80", " 80",
    "80 ", "1e3", "0x50", "8.0", "%38%30", "²", "9" * 5000, "\x00", "\ud800", "{port}", "$PORT", "[80]",
    "80;", "＃",
)  # fmt: skip
_HOSTS = (
    "[::1", "::1]", "[]", "[::1]x", "[v1.x]", "[vF.addr]", "[v.]", "[::1%25eth0]", "[fe80::1%eth0]",
    "[::ffff:1.2]", "[1:2:3:4:5:6:7:8:9]", "[g::1]", "[127.0.0.1]", "[[::1]]", "[::1].example", "x[::1]",
    "[" * 50, "]" * 50, "℀.example", "cafe．example", "cafe。example", "①②⑦.⓪.⓪.①", "ｃａｆｅ.example",
    "ﬀ.example", "cafe⁄x.example", "a＃b.example", "a？b.example", "a：8.example", "a＠b.example",
    "a／b.example", "℻.example", "㏂.example", "café.example", "xn--caf-dma.example", "xn--.example",
    "xn--a", "xn--\u2603", "☃.net", "ß.example", "faß.de", "İ.example", "ı.example", "\u200b.example",
    "\u200d.example", "a\u0300.example", "\u0300.example", "例え.テスト", "مثال.إختبار",
    "\u202ecafe.example", "\ufeffcafe.example", "\U0001f9c1.example", "\ud800.example", "\udfff",
    "a" * 64 + ".example", ".".join(["a" * 63] * 5), "a." * 200 + "example", ".", "..", "...", ".example",
    "example.", "cafe..example", "-cafe.example", "cafe-.example", "_cafe.example", "ca_fe.example",
    "cafe example", "*.example", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3.4.5",
    "256.256.256.256", "999999999999999999999", "localhost", "cafe", "%63afe.example", "%00.example",
    "%zz.example", "cafe.example%", "caf%C3%A9.example", "<cafe>", '"cafe"', "'cafe'", "{host}", "$HOST",
    "`id`", "cafe|x", "cafe^x", "cafe\\x", "cafe,x", "cafe;x", "\x00", "\x7f", "\x85", "\u2028", "\t",
    "\n", "\r\n", " ", "\xa0", "c\x00afe.example", "c\nafe.example",
)  # fmt: skip
_USERS = (
    "user", "user:pass", "user:p@ss", "@", ":", "user:8o80", "u%40s", "[user]", "℀", "\ud800", "\x00",
    "user:" * 50, "cafe.example", "http://cafe.example", "a\\", "%zz",
)  # fmt: skip
_TAILS = (
    "/%zz", "/%", "/%2", "/%00", "/%ED%A0%80", "/%FF%FE", "/\x00", "/\ud800", "/\udfff\ud800",
    "/\U0001f9c1", "/a b", "/a\tb", "/a\nb", "/a\\b", "/..", "/../../..", "/./.", "//", "///x", "/;p",
    "/a;b=c", "/[x]", "/]x[", "?", "?a", "?=", "?&&&", "?a=%zz", "?\ud800", "?a=\x00", "?" + "a&" * 600,
    "?" + "a=b&" * 5000, "?url=http://[::1",
    "#", "##", "#\ud800", "#%zz", "#[", "?#?#", "/<script>", '/"onload="', "/{{ page.url }}", "/'", "/`",
    "/" + "a" * 3000, "/" + "a" * 100_000, "/" + "%41" * 30_000, "/\u202e", "/\ufdd0", "/\uffff", "/İ",
    "/ﬀ", "?src=https://[v1.x]/a.jpg", "?image=//[::1/a.png", "/https://cafe.example:8o80/a.jpg",
    "/http:/[::1/a.jpg",
)  # fmt: skip
_WHOLE = (
    "", " ", "\t", "\x00", "\ud800", ".", "..", "/", "//", "///", "////", "?", "#", ":", "::", "://", "@",
    "[", "]", "http", "http:", "http:/", "http://", "http:///", "http:///x", "http://?", "http://#",
    "http:\\\\cafe.example", "https", "https:x", "https:/x", "https:cafe.example/p",
    "https:////cafe.example", "https://https://cafe.example", "http://cafe.example http://other.example",
    "<http://cafe.example>", "(http://cafe.example)", "url(http://x)", "//host:port/x", "//[::1/x", "//",
    "//@", "//℀/x", "//:80", "//\x00", "/\\cafe.example", "\\\\cafe.example\\x", "data:", "data:,x",
    "data:text/html,<script>", "data:image/png;base64,AAAA", "javascript:alert(1)", "JaVaScRiPt:1",
    "java\nscript:alert(1)", "vbscript:x", "mailto:", "mailto:a@b.example", "mailto:\x00", "tel:+1",
    "urn:uuid:1", "tag:cafe.example,2026:1", "file:///etc/passwd", "ftp://cafe.example", "gopher://x",
    "blob:https://x", "about:blank", "view-source:http://x", "xmpp:a@b", "magnet:?xt=1", "ipfs://x",
    "1http://x", "-http://x", "ht tp://x", "hät://x", "HTTP://CAFE.EXAMPLE", "hTTps://cafe.EXAMPLE:443/",
    "http+unix://%2ftmp", "http://cafe.example:8080:80/p", "\ufeffhttps://cafe.example/p",
    " https://cafe.example/p ", "https://cafe.example/p\r\nX-Evil: 1", "h\x00ttp://x", "../../../x", "a:b",
    "a/b:c", ":80/p", "%", "%zz", "%00", "&amp;", "&#x5b;", "{url}", "${url}", "null", "None", "undefined",
    "NaN", "true", "0", "[object Object]", "feed://cafe.example", "feed:https://cafe.example",
    "x" * 100_000, "https://" + "a" * 100_000, "https://[" + ":" * 100_000, "[" * 100_000,
    "https://cafe.example" + ":" * 5000, "http://" + "@" * 5000, "\U0001f9c1" * 500, "\u202e",
    "ｈｔｔｐｓ://cafe.example/p", "https：//cafe.example/p",
)  # fmt: skip

URLS: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *_WHOLE,
            *(f"https://cafe.example:{port}/p" for port in _PORTS),
            *(f"//cafe.example:{port}/p" for port in _PORTS[:6]),
            *(f"http://{host}/p" for host in _HOSTS),
            *(f"//{host}/p" for host in _HOSTS[:12]),
            *(f"https://{host}:8o80/p" for host in _HOSTS[:12]),
            *(f"https://{user}@cafe.example/p" for user in _USERS),
            *(f"https://cafe.example{tail}" for tail in _TAILS),
        )
    )
)

# ── dates ────────────────────────────────────────────────────────────────────────────────────────

_TIMES = (
    "24:00:00", "24:00:01", "23:59:60", "23:59:61", "25:00", "12:60", "12", "12:", "12:00:00.",
    "12:00:00." + "9" * 100, "-1:00", "12:00:00+25:00", "12:00:00+24:00", "12:00:00-99:99",
    "12:00:00+9999", "12:00:00 +99999999999", "12:00:00+23:59:59.999999", "12:00:00Z+01:00", "12:00:00 Z",
    "12:00:00z", "12:00:00 PST8PDT", "12:00:00 +-100", "12:00:00 AM", "13:00 PM", "١٢:٠٠", "１２:００",
    "12：00", "12h00", "12.00", "noon", "\x0012:00", "12:00\ud800",
)  # fmt: skip
_DAYS = (
    "0000-00-00", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "-0001-01-01", "+2026-05-01",
    "2026-00-10", "2026-13-01", "2026-02-29", "2026-02-30", "2026-04-31", "2026-05-00", "2026-05-32",
    "2026-366", "2026-W53-7", "2026-W54", "2026-W00-1", "2026-5-1", "26-05-01", "2026-05", "2026",
    "20260501", "2026050", "2026/05/01", "1/2/3", "99/99/9999", "31.02.2026", "2026.05.01", "٢٠٢٦-٠٥-٠١",
    "２０２６-０５-０１", "2026–05–01", "2026‑05‑01", "²⁰²⁶-05-01", "2026-05-01\x00", "2026-05-01\ud800",
    "\u202e2026-05-01", "2026 -05-01", "２０２６年５月１日", "1er mai 2026", "1. Mai 2026",
)  # fmt: skip
_RFC822 = (
    "Fri, 01 May 2026 10:00:00 GMT", "Fri, 32 May 2026 10:00:00 GMT", "Fri, 01 Foo 2026 10:00:00 GMT",
    "01 May 26", "Fri, 01 May 0 10:00:00 GMT", "Fri, 01 May 99999 10:00:00 GMT",
    "Fri, 01 May 2026 99:99:99 GMT", "Fri,", "Fri, 01 May 2026 10:00:00 +9999",
    "Fri, 01 May 2026 10:00:00 +99999999999999", "Fri, 01 May 2026 10:00:00 -",
    "Fri, 01 May 2026 10:00:00 +", "Fri, 01 May 2026 24:00:00 GMT", "Fri, 01 May 2026 23:59:60 GMT", "Fri",
    "Fri, 01 May 2026 10:00:00 XYZ", "Fri, 01 May 2026", "Fri 01 May 2026 10.00",
    "Fri, 01-May-2026 10:00:00 GMT", ", , , , ,", "Mon Mon Mon Mon Mon", "Fri, 01 May ² 10:00:00 GMT",
    "Fri, ٠١ May ٢٠٢٦ ١٠:٠٠:٠٠ GMT", "Fri, 1 May", "Fri, 01 May 2026 10:00:00 GMT GMT",
    "Fri, 01 May 2026 10:00:00 (comment", "0 Jan 0000 00:00:00 +0000", ":::",
    "Fri, 01 May 2026 1:2:3:4:5 GMT", "Fri, 01 May 2026 : GMT", "Fri, 01 May -2026 10:00 GMT",
    "Thu, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 0001 00:00:00 +1200",
    "Fri, 01 May 2026 10:00:00 +2460", "1 2 3 4 5", "1 Jan", "a b c d e f",
)  # fmt: skip
_NUMBERS = (
    "0", "-1", "1", "1777629600", "1777629600000", "17776296000000000", "-62135596801", "253402300800",
    "9" * 20, "9" * 5000, "-" + "9" * 5000, "1.5", "1777629600.5", "1e9", "1e400", "-1e400", "inf", "-inf",
    "Infinity", "nan", "NaN", "0x6a000000", "0b1", "0o17", "1_000", "١٢٣", "²", "½", "Ⅷ", "一", "+1",
    "--1", "-", "+", ".", "1,5", "1 000",
)  # fmt: skip
_WORDS = (
    "", " ", "\t\n", "\x00", "\ud800", "now", "today", "yesterday", "tomorrow", "never", "null", "None",
    "true", "false", "~", "{{ date }}", "%Y-%m-%d", "$DATE", "Invalid Date", "Invalid date", "undefined",
    "[object Object]", "TBD", "?", "date", "2026-05-01 or later", "May", "Mai", "Friday", "P1D", "PT1H",
    "R/2026", "2026-05-01/2026-05-02", "x" * 100_000, " " * 100_000, "2026-05-01" + " " * 10_000,
    "0" * 10_000, "-" * 10_000, ":" * 10_000, "[" * 5000, "\U0001f9c1" * 50,
)  # fmt: skip

DATES: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *_DAYS,
            *(f"{day}T12:00:00Z" for day in _DAYS),
            *(f"2026-05-01T{time}" for time in _TIMES),
            *(f"2026-05-01 {time}" for time in _TIMES[:12]),
            *(f"{day}T00:00:00+14:00" for day in ("0001-01-01", "9999-12-31", "0000-01-01")),
            *(f"{day}T23:59:59-14:00" for day in ("0001-01-01", "9999-12-31", "10000-01-01")),
            *_RFC822,
            *_NUMBERS,
            *_WORDS,
        )
    )
)

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**63,
        -(2**63),
        10**30,
        16**4000,
        -(16**4000),
        0.0,
        -0.5,
        1e308,
        float("inf"),
    ),
    *(
        float("-inf"),
        float("nan"),
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        {"": ""},
        [1, 2, 3],
        ["2026-05-01"],
        b"2026-05-01",
    ),
    *(
        dt.date.min,
        dt.date.max,
        dt.datetime.min,
        dt.datetime.max,
        dt.time(23, 59),
        dt.datetime.min.replace(tzinfo=dt.UTC),
    ),
    dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-23, minutes=-59))),
    dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=23, minutes=59))),
)
"""What stands where a text should: from JSON, YAML and TOML."""
