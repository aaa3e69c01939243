"""Every word of the report, in Korean and in English: one table per language, the same keys.

Kinds of participants are codes joined by `+`, each looked up as `kind_<code>`.
"""

from collections.abc import Mapping
from typing import Literal

from commonwatt.web.report.words.english import ENGLISH
from commonwatt.web.report.words.korean import KOREAN

Language = Literal["ko", "en"]

LANGUAGES: tuple[Language, ...] = ("ko", "en")
WORDS: Mapping[Language, Mapping[str, str]] = {"ko": KOREAN, "en": ENGLISH}
