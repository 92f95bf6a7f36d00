"""A bakery's settings, in the shape that pelican-quickstart leaves behind; nothing here is ever run."""

import os

raise SystemExit("whoever runs this has lost")

AUTHOR = "Ada"
SITENAME = "The bakery"
PATH = "content"
TIMEZONE = "Europe/Berlin"
DEFAULT_LANG = "en"
DEFAULT_METADATA = {"status": "published"}
THEME = os.path.join("themes", "bread")
MARKDOWN = {
    "extension_configs": {
        "markdown.extensions.codehilite": {"css_class": "highlight"},
        "markdown.extensions.extra": {},
        "markdown.extensions.meta": {},
    },
    "output_format": "html5",
}
