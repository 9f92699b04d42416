"""Filter patterns of CloudWatch Logs for unstructured events (its "Filter pattern syntax").

Terms between blanks must all be in a message, in their own case; `"a phrase"` is one term, `-term` must not be there,
and of the terms with a question mark one must be, wherever there are any. Patterns over JSON members, over fields
between blanks and regular expressions are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from batchyard.errors import InvalidParameter

_TERM = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)')
_ESCAPED = re.compile(r"\\(.)")
_OTHERS = {
    "{": "JSON patterns such as { $.level = ... }",
    "[": "patterns of fields such as [ip, user, ...]",
    "%": "regular expressions such as %...%",
}


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a message matches. InvalidParameter for a pattern that cannot be understood."""
    pattern = pattern.strip()
    if pattern[:1] in _OTHERS:
        raise InvalidParameter(
            f"filterPattern: Batchyard does not support {_OTHERS[pattern[0]]}.",
            'Use terms, "quoted phrases", -terms and ?terms, and filter what comes on your side.',
        )
    terms: dict[str, list[str]] = {"": [], "-": [], "?": []}
    at = 0
    while at < len(pattern):
        term = _TERM.match(pattern, at)
        if term is None:
            raise InvalidParameter(
                f"filterPattern cannot be read from character {at + 1} on: {pattern[at : at + 50].strip()!r}.",
                'Close every quotation mark; a quote within a phrase is \\".',
            )
        sign, phrase, word = term.groups()
        terms[sign].append(word if phrase is None else _ESCAPED.sub(r"\1", phrase))
        at = term.end()
    return _matcher(terms[""], terms["-"], terms["?"])


def _matcher(needed: list[str], banned: list[str], optional: list[str]) -> Callable[[str], bool]:
    def matches(message: str) -> bool:
        return (
            all(term in message for term in needed)
            and not any(term in message for term in banned)
            and (not optional or any(term in message for term in optional))
        )

    return matches
