"""Posts that WordPress lists in its feed although only people with a password may read them."""

import re

# The form that stands in the place of the text, and the sentence in the place of the excerpt, which is
# translated with WordPress.
_FORM = re.compile(r"<form\b[^<>]{0,500}(?:post-password-form|action=postpass)", re.IGNORECASE)
_SENTENCES = (
    "There is no excerpt because this is a protected post.",
    "Es gibt keinen Textauszug, da dies ein geschützter Beitrag ist.",
    "Il n’y a pas d’extrait, car cette publication est protégée.",
    "No hay extracto porque es una entrada protegida.",
    "Non è presente alcun riassunto di questo articolo in quanto protetto.",
    "Er is geen samenvatting omdat dit een beschermd bericht is.",
    "Não há um resumo porque este post está protegido.",
    "Det finns inget utdrag eftersom detta är ett lösenordsskyddat inlägg.",
    "Brak zajawki, ponieważ wpis jest zabezpieczony hasłem.",
    "この投稿はパスワードで保護されているため抜粋文はありません。",
)
WHY = "is protected by a password, and stays off the fediverse."


def is_withheld(html: str) -> bool:
    """Say whether the author's HTML is what WordPress shows to those who do not have the password."""
    if _FORM.search(html):
        return True
    return len(html) < 500 and any(sentence in html for sentence in _SENTENCES)
