"""An experiment in memory: a set of small stimuli, a clock that tests advance, people by name."""

import csv
import functools
import hashlib
import itertools
import json
import shutil
import tempfile
from pathlib import Path

from fastapi.testclient import TestClient
from PIL import Image
from study_world import clock, empty_database, shared_folder, tokens

from data_prep.humans.psychophysics import serving
from data_prep.humans.psychophysics.app import make_app
from data_prep.humans.psychophysics.levels import LEVEL_NAMES
from data_prep.humans.psychophysics.manifest import Row
from data_prep.humans.psychophysics.settings import Settings, Trials
from data_prep.humans.psychophysics.tables import lists, stimuli
from data_prep.humans.studies.security import Security
from data_prep.humans.studies.settings import StudySettings

LABELS = {"zebra": "target", "cat": "target", "couch": "distractor", "table": "distractor"}
SOURCES = ("salicon", "clickme")  # not by name: whose order counts is the study's
GATES = {
    "desktop": True,
    "width": 1280,
    "height": 800,
    "period_ms": 16.7,
    "period_p95_ms": 17.0,
    "canvas": True,
    "storage": True,
    "device_pixel_ratio": 1.0,
    "comprehension": True,
}


@functools.cache
def small_set(per_class: int = 5, training: int = 1, side: int = 8) -> Path:
    """A set of stimuli of one colour each, with manifest and settings; not to be written into."""
    folder = Path(tempfile.mkdtemp(dir=shared_folder()))
    rows, colour = [], itertools.count()
    for source in SOURCES:
        for label, which in LABELS.items():
            for number in range(per_class + training):
                for level in LEVEL_NAMES:
                    path = folder / source / f"{label}{number}" / f"{level}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    value = next(colour)
                    rgb = (value % 256, value // 256, 0)
                    Image.new("RGB", (side, side), rgb).save(path, compress_level=1)
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    values = dict.fromkeys(Row._fields, 0) | {
                        "source": source,
                        "image": f"{label}{number}.jpg",
                        "label": label,
                        "side": which,
                        "training": int(number >= per_class),
                        "level": level,
                        "path": path.relative_to(folder).as_posix(),
                        "share_of_image": 1.0 if level == "full" else float(level) / 600,
                        "sha256": digest,
                    }
                    rows.append(Row(**values))
    with open(folder / "manifest.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([Row._fields, *rows])
    (folder / "settings.json").write_text(json.dumps({"sources": SOURCES, "stand_in": ""}))
    return folder


class World:
    """An application and its people."""

    def __init__(
        self, folder: Path, database: str = "", stimuli_dir: Path | None = None, salt="", **trials
    ):
        if not database:
            database = str(folder / "study.db")
            shutil.copy(empty_database(), database)
        self.clock = clock()
        study = StudySettings(study="rapid", database=database, completion_url="https://done.test/")
        trials = {"training_passes": 1, "training_most": 3} | trials
        settings = Settings(study, Trials(**trials), str(stimuli_dir or small_set()))
        self.settings, self.database = serving.prepare(settings)
        self.new_token = tokens(f"{salt}token")
        app = make_app(self.settings, self.database, self.clock, self.new_token)
        self.app = Security(app)

    def person(self, name: str = "", **address) -> "Person":
        return Person(self, {"PROLIFIC_PID": name, **address} if name else address)

    def rows(self, table):
        with self.database.read() as connection:
            return connection.execute(table.select()).all()

    def close(self):
        self.database.close()


class Person:
    """Somebody with a browser."""

    def __init__(self, world: World, address):
        self.world, self.client = world, TestClient(world.app, base_url="http://127.0.0.1")
        self.device = f"device-{id(self)}"
        self.seen = []  # all texts that came
        self.address = address

    def post(self, address, body, status=200):
        answer = self.client.post(f"/api/{address}", json=body)
        self.seen.append(answer.text)
        assert answer.status_code == status, (address, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def consents(self):
        given = self.post("session", {"recruitment": self.address})
        self.post("consent", {"version": given["consent_version"], "accepted": True}, 204)
        return self

    def enters(self, **gates):
        self.consents()
        self.post("gates", GATES | gates)
        return self

    def takes_list(self, status=200):
        self.list = self.post("list", {"device": self.device}, status)
        return self.list

    def begins(self, **gates):
        """Everything before the first trial."""
        self.enters(**gates)
        given = self.takes_list()
        index = given["training_at"]
        while not given["trained"]:
            answer = self.train(index)
            index += 1
            if answer["done"]:
                break
        return self

    def train(self, index, right=True):
        item = self.list["training"][index]
        body = {"list": self.list["list"], "index": index, "rt_ms": 350.0}
        return self.post("training", body | {"response": self.key(item, right)})

    def key(self, item, right=True):
        """The right key, or the wrong one; tests look into the database, people cannot."""
        shown = next(r for r in self.world.rows(stimuli) if r.id == item["url"].split("/")[-1])
        is_target = (shown.side == "target") == right
        target = self.list["target_key"]
        return target if is_target else {"KeyS": "KeyL", "KeyL": "KeyS"}[target]

    def trial(self, index, **changes):
        return {
            "index": index,
            "response": "KeyS",
            "rt_ms": 400.0 + index,
            "fixation_ms": 1300.0,
            "stimulus_ms": 400.0,
            "blank_ms": 150.0,
            "frames": 120,
            "dropped": 0,
            "longest_gap_ms": 17.0,
            "period_ms": 16.7,
            "onset_ms": 5000.0,
            "time_elapsed_ms": 7000.0,
            "sha256": self.list["trials"][index]["sha256"],
        } | changes

    def sends(self, *trials, status=200):
        body = {"list": self.list["list"], "trials": list(trials)}
        return self.post("trials", body, status)

    def does_all(self, begin=0):
        for first in range(begin, len(self.list["trials"]), 4):
            last = min(first + 4, len(self.list["trials"]))
            answer = self.sends(*(self.trial(index) for index in range(first, last)))
        return answer

    def finishes(self, **answers):
        return self.post("finish", {"list": self.list["list"], **answers})

    def row(self):
        return next(row for row in self.world.rows(lists) if row.id == self.list["list"])
