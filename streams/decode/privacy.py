"""Fields that carry identity: a record that has one is refused whole, whatever the value says."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

#: Words that, as a word of a field's name, say that the field is about a person or a vehicle one could name.
WORDS = frozenset(
    "face faces facial plate plates person persons pedestrian_id phone telephone mobile cellphone email mail wechat "
    "openid passport biometric fingerprint iris gait photo photos picture image images snapshot thumbnail jpeg png "
    "portrait selfie video frame_data ssn idcard imei imsi mac birthday birthdate surname nickname gender ethnicity "
    "身份证 人脸 车牌 手机 姓名 电话 照片".split()
)
#: Pairs and whole names that only together are about a person.
NAMES = frozenset(
    "first_name last_name full_name given_name family_name person_name real_name user_name username reporter_name "
    "owner_name driver_name account_id device_id user_id reporter_id citizen_id person_id track_id track_ids tracklet "
    "id_number id_card id_no national_id license_plate licence_plate license_no licence_no number_plate plate_number "
    "vehicle_plate mac_address ip_address home_address date_of_birth face_id image_base64 base64".split()
)
#: A string this long without a space is an encoded body (an image, a feature vector), not text.
ENCODED_CHARS = 512
_ENCODED = re.compile(r"(?:data:[\w/+.-]+;base64,)?[A-Za-z0-9+/_=-]+")
_SPLIT = re.compile(r"[^0-9A-Za-z\u4e00-\u9fff]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class TooDeep(Exception):
    """The record nests deeper than is allowed."""


class PrivacyRule:
    """Knows which field names are refused: the built-in list and the operator's own additions."""

    def __init__(self, added: Iterable[str] = ()) -> None:
        extra = {"_".join(words_of(name)) for name in added}
        self._words = WORDS | {name for name in extra if "_" not in name}
        self._names = NAMES | extra
        self.refuses = lru_cache(maxsize=65_536)(self._refuses)

    def find(self, value: Any, max_depth: int) -> str | None:
        """Return the name of the first field that carries identity at any depth, or None.

        Raises ``TooDeep`` when the value nests deeper than ``max_depth``.
        """
        stack: list[tuple[Any, int, str]] = [(value, 1, "")]
        while stack:
            item, depth, name = stack.pop()
            if depth > max_depth:
                raise TooDeep
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
        return None

    def _refuses(self, name: str) -> bool:
        words = words_of(name)
        joined = "_".join(words)
        return (
            joined in self._names
            or not self._words.isdisjoint(words)
            or any("_".join(words[i : i + 2]) in self._names for i in range(len(words) - 1))
        )


def words_of(name: str) -> list[str]:
    """Return the words of a field's name in lower case.

    >>> words_of("licensePlate"), words_of("service_name"), words_of("faceID")
    (['license', 'plate'], ['service', 'name'], ['face', 'id'])
    """
    return [word.lower() for word in _SPLIT.split(name) if word]


def is_encoded(text: str) -> bool:
    """Return whether a string is an encoded body rather than text.

    >>> is_encoded("A" * 600), is_encoded("a man fell " * 60), is_encoded("data:image/png;base64,iVBORw0KGgo=")
    (True, False, True)
    """
    if text.startswith("data:") and ";base64," in text[:100]:
        return True
    return len(text) >= ENCODED_CHARS and _ENCODED.fullmatch(text) is not None
