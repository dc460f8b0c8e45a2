"""Arrays by name and replica in one file: what two programs are compared by."""

import numpy as np

Values = dict[str, list[np.ndarray]]  # {name: one array a replica}


def save(path: str, values: Values) -> None:
    """Writes a `.npz`; what a replica has like the first is kept once."""
    columns = {}
    for name, replicas in values.items():
        for i, array in enumerate(replicas):
            if not i or not np.array_equal(array, replicas[0], equal_nan=array.dtype.kind == "f"):
                columns[f"{i} {len(replicas)} {name}"] = array
    np.savez(path, **columns)


class Saved:
    """The values of a file, each read when it is asked for: a large network's fill gigabytes."""

    def __init__(self, path: str):
        self._file = np.load(path, allow_pickle=False)
        self._replicas = {}
        for key in self._file.files:
            _, count, name = key.split(" ", 2)
            self._replicas[name] = int(count)

    @property
    def names(self) -> list[str]:
        return list(self._replicas)

    def __contains__(self, name) -> bool:
        return name in self._replicas

    def __getitem__(self, name) -> list[np.ndarray]:
        count = self._replicas[name]
        first = self._file[f"0 {count} {name}"]
        keys = [f"{i} {count} {name}" for i in range(1, count)]
        return [first, *(self._file[key] if key in self._file else first for key in keys)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
