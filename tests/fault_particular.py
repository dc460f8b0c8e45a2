from typing import NamedTuple
class Damage(NamedTuple):
    file: str
    place: str = ""
    allowed: set = frozenset({"named"})
    said: str = ""
ENTRY = "record|row|line|entry|member|byte|character|annotation|image id|[.]jpg|[.]JPEG"
KINDS = {}
