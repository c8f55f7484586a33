"""Fields that carry identity: a record that has one is refused whole, whatever the value says."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

#: Words that, as a word of a field's name, say that the field is about a person or a vehicle one could name.
WORDS = frozenset(
    "face facial plate person phone telephone mobile cellphone email mail wechat openid passport biometric "
    "fingerprint iris gait photo picture image snapshot thumbnail jpeg jpg png portrait selfie video base64 tracklet "
    "username ssn idcard imei imsi mac birthday birthdate surname nickname gender ethnicity".split()
)
#: As ``WORDS``, but found anywhere in a name: Chinese sets no space between words.
CHINESE = frozenset("身份证 人脸 车牌 手机 姓名 电话 照片".split())
#: Pairs and whole names that only together are about a person.
NAMES = frozenset(
    "first_name last_name full_name given_name family_name person_name real_name user_name username reporter_name "
    "owner_name driver_name account_id device_id user_id open_id reporter_id citizen_id pedestrian_id person_id "
    "track_id id_number id_card id_no national_id license_plate licence_plate license_no licence_no number_plate "
    "plate_number vehicle_plate phone_number mobile_phone mac_address ip_address home_address date_of_birth face_id "
    "frame_data image_base64".split()
)
#: A string this long without a space is an encoded body (an image, a feature vector), not text.
ENCODED_CHARS = 512
#: Base64 comes in one piece or in lines (of 64 or 76 characters).
_ENCODED = re.compile(r"\s*(?:[A-Za-z0-9+/_=-]{60,}\r?\n)*[A-Za-z0-9+/_=-]+\s*")
_LONG_RUN = re.compile(rf"[A-Za-z0-9+/_=-]{{{ENCODED_CHARS}}}")
_LONG_LINES = re.compile(r"(?:[A-Za-z0-9+/_=-]{60,}+(?:\\[rn]|\s)++){6}")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
#: What stands before a colon or an equals sign, quoted or not; the parts that repeat never give back, to stay linear.
_NAMES_IN_TEXT = re.compile(r"""(?:"([^"\\\n]{1,200}+)"|'([^'\\\n]{1,200}+)'|(?<![\w-])([\w-]++)["']?+)\s*+[:=]""")
_SHORT_NAME = 64
_SPLIT = re.compile(r"[^0-9A-Za-z\u4e00-\u9fff]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class TooDeep(Exception):
    """The record nests deeper than is allowed."""


class PrivacyRule:
    """Knows which field names are refused: the built-in list and the operator's own additions."""

    def __init__(self, added: Iterable[str] = ()) -> None:
        extra = {"_".join(words_of(name)) for name in added}
        self._words = WORDS | {name for name in extra if "_" not in name}
        self._names = NAMES | extra
        self._run_together = {name.replace("_", "") for name in self._names}
        self._recall = lru_cache(maxsize=16_384)(self._refuses)

    def refuses(self, name: str) -> bool:
        """Return whether a field of this name carries identity."""
        # A stranger's long names must not fill the memory.
        return self._recall(name) if len(name) <= _SHORT_NAME else self._refuses(name)

    def find(self, value: Any, max_depth: int) -> str | None:
        """Return the name of the first field that carries identity at any depth, or None.

        Raises ``TooDeep`` when the value nests deeper than ``max_depth`` and has no such field.
        """
        stack: list[tuple[Any, int, str]] = [(value, 1, "")]
        too_deep = False
        while stack:
            item, depth, name = stack.pop()
            too_deep |= depth > max_depth and not isinstance(item, str)
            if isinstance(item, dict):
                for key, inner in item.items():
                    if self.refuses(key):
                        return str(key)
                    if isinstance(inner, dict | list | str):
                        stack.append((inner, depth + 1, key))
            elif isinstance(item, list):
                stack += [(inner, depth + 1, name) for inner in item if isinstance(inner, dict | list | str)]
            elif isinstance(item, str) and is_encoded(item):
                return name
        if too_deep:
            raise TooDeep
        return None

    def may_keep(self, body: bytes) -> bool:
        """Return whether the bytes of a refused record, JSON or not, may be kept: no name and no image in them.

        The record may have been refused for another reason before all of it was looked at, or another object of it
        may carry identity.
        """
        text = body.decode("utf-8", "replace")
        if ";base64," in text or _LONG_RUN.search(text) or _LONG_LINES.search(text):
            return False
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        return not any(self.refuses(a or b or c) for a, b, c in _NAMES_IN_TEXT.findall(text))

    def _refuses(self, name: str) -> bool:
        words = words_of(name)
        if "_".join(words) in self._names or any(word in name for word in CHINESE):
            return True
        forms = (words, [_root(word) for word in words])
        parts = {"_".join(form[i : i + n]) for form in forms for n in (1, 2, 3) for i in range(len(form) - n + 1)}
        return not (
            parts.isdisjoint(self._words) and parts.isdisjoint(self._names) and parts.isdisjoint(self._run_together)
        )


def words_of(name: str) -> list[str]:
    """Return the words of a field's name in lower case.

    >>> words_of("licensePlate"), words_of("service_name"), words_of("faceID")
    (['license', 'plate'], ['service', 'name'], ['face', 'id'])
    """
    return [word.lower() for word in _SPLIT.split(name) if word]


def _root(word: str) -> str:
    """Return a word without a number and a plural's s at its end.

    >>> _root("faces2"), _root("address")
    ('face', 'address')
    """
    bare = word.rstrip("0123456789")
    return bare if bare.endswith("ss") else bare.removesuffix("s")


def is_encoded(text: str) -> bool:
    """Return whether a string is an encoded body rather than text.

    >>> is_encoded("A" * 600), is_encoded("a man fell " * 60), is_encoded("data:image/png;base64,iVBORw0KGgo=")
    (True, False, True)
    """
    if ";base64," in text:
        return True
    return len(text) >= ENCODED_CHARS and _ENCODED.fullmatch(text) is not None
