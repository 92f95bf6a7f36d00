"""Which of an entry's categories become hashtags, and what they are called there."""

from collections.abc import Mapping

from bridge.activitypub.content import hashtag
from bridge.config import SiteConfig
from bridge.model import Entry

# What WordPress files everything under that nobody filed.
_FILED_NOWHERE = frozenset(
    {
        "uncategorized",
        "uncategorised",
        "allgemein",
        "unkategorisiert",
        "non classé",
        "non catégorisé",
        "sin categoría",
        "sin categorizar",
        "sense categoria",
        "sem categoria",
        "senza categoria",
        "fără categorie",
        "geen categorie",
        "ongecategoriseerd",
        "ikke kategoriseret",
        "ukategorisert",
        "okategoriserade",
        "luokittelematon",
        "bez kategorii",
        "nezařazené",
        "nezaradené",
        "без рубрики",
        "без категорії",
        "χωρίς κατηγορία",
        "ללא קטגוריה",
        "غير مصنف",
        "未分類",
        "未分类",
        "미분류",
    }
)


def hashtags_of(entry: Entry, config: SiteConfig) -> tuple[str, ...]:
    """Return the names of a post's hashtags, without `#`, each once and as many as the site wants."""
    mapped = {spelling: name for known, name in config.hashtags.items() for spelling in _spellings(known)}
    distinct: dict[str, str] = {}
    for label in entry.tags:
        if name := _name(label, mapped):
            distinct.setdefault(name.casefold(), name)
    return tuple(distinct.values())[: config.max_hashtags]


def _name(label: str, mapped: Mapping[str, str]) -> str | None:
    for spelling in _spellings(label):
        if spelling in mapped:
            return mapped[spelling]
    return None if label.casefold() in _FILED_NOWHERE else hashtag(label)


def _spellings(label: str) -> tuple[str, str]:
    """Return a category as it is written and as the hashtag it would be, both in one case."""
    return label.casefold().removeprefix("#"), (hashtag(label) or "").casefold()
