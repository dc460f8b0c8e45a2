"""The first line of a CSV file, as people and spreadsheets write it."""

from collections.abc import Sequence


def column_names(cells: Sequence[str], known: Sequence[str]) -> list[str]:
    """The names in a first line, without spaces around; of `known` ones capitals do not count.

    Where several columns differ in capitals alone, they stay as they are: the exact one is meant.
    """
    names = [cell.strip().lstrip("\ufeff").strip() for cell in cells]
    small = [name.lower() for name in names]
    meant = {name.lower(): name for name in known}
    return [
        meant.get(key, name) if small.count(key) == 1 else name
        for name, key in zip(names, small, strict=True)
    ]
