"""The server: gates, lists, trials in order, training, the end; what the browser never learns."""

import collections
import csv
import dataclasses
import json
import threading
from pathlib import Path

import pytest
from experiment_world import GATES, World, small_set

from data_prep.humans import psychophysics
from data_prep.humans.psychophysics import export, invariants, service, serving
from data_prep.humans.psychophysics import tables as t
from data_prep.humans.psychophysics.messages import GateValues
from data_prep.humans.psychophysics.service import why_not
from data_prep.humans.studies.invariants import violations

HOUR, MINUTE = 3_600_000, 60_000


def broken(world):
    with world.database.read() as connection:
        found = violations(connection, [invariants.EXPERIMENT])
    return {name: count for name, count in found.items() if count}


def test_a_whole_session(world):
    anna = world.person("anna").begins()
    answer = anna.does_all()
    assert answer["next"] == 20 and answer["feedback"]["block"] == 4
    found = anna.finishes(handedness="left", odd="no")
    assert found == {"complete": True, "missing": 0, "lost": 0, "link": "https://done.test/"}
    assert anna.row().state == "finished"
    assert json.loads(anna.row().answers)["handedness"] == "left"
    assert anna.finishes() == found  # asked again, after a lost answer
    assert not broken(world)


def test_level_side_and_source_never_reach_the_browser(world):
    anna = world.person("anna").begins()
    anna.does_all()
    anna.finishes()
    for text in anna.seen:
        for word in ("clickme", "salicon", "zebra", "distractor0", "39.8", '"level"', '"side"'):
            assert word not in text, text[:300]


def test_trials_come_in_order_once(world):
    anna = world.person("anna").begins()
    problem = anna.sends(anna.trial(1), status=409)
    assert problem["next"] == 0 and not world.rows(t.trials)
    assert anna.sends(anna.trial(0), anna.trial(1))["stored"] == 2
    again = anna.sends(anna.trial(0, rt_ms=1.0), anna.trial(1), anna.trial(2))
    assert (again["stored"], again["next"]) == (1, 3)
    assert [row.rt_ms for row in world.rows(t.trials)] == [400.0, 401.0, 402.0]
    anna.sends(anna.trial(4), status=409)
    assert len(world.rows(t.trials)) == 3


def test_feedback_is_given_at_the_end_of_a_block_and_again_if_asked_again(world):
    anna = world.person("anna").begins()
    items = anna.list["trials"]
    right = [anna.key(items[i], right=i != 2) for i in range(4)]
    sent = [anna.trial(i, response=right[i], rt_ms=300.0 + 10 * i) for i in range(3)]
    sent.append(anna.trial(3, response=None, rt_ms=None, late_key_ms=700.0))
    assert anna.sends(*sent[:3])["feedback"] is None
    feedback = anna.sends(sent[3])["feedback"]
    assert feedback == {"block": 0, "accuracy": 2 / 3, "rt_ms": 310.0, "too_slow": 1}
    assert anna.sends(sent[3])["feedback"] == feedback


def test_the_server_judges_keys_and_timing(world):
    anna = world.person("anna").begins()
    item = anna.list["trials"]
    anna.sends(
        anna.trial(0, response=anna.key(item[0])),
        anna.trial(1, response=anna.key(item[1], right=False), stimulus_ms=418.0),
        anna.trial(2, stimulus_ms=415.0, events=["blur"]),
        anna.trial(3, response=None, rt_ms=None),
    )
    rows = world.rows(t.trials)
    assert [row.correct for row in rows][:2] == [True, False]
    assert [row.timing_ok for row in rows] == [True, False, False, True]
    assert (rows[3].correct, rows[3].too_slow) == (None, True)
    assert rows[0].fixation_planned_ms == item[0]["fixation_ms"]


def test_another_picture_than_the_lists_is_refused(world):
    anna = world.person("anna").begins()
    other = anna.list["trials"][1]["sha256"]
    assert anna.sends(anna.trial(0, sha256=other), status=422)["index"] == 0


def test_training_ends_by_the_rule_and_trials_wait_for_it(tmp_path):
    world = World(tmp_path, training_passes=2, training_most=5)
    anna = world.person("anna").enters()
    anna.takes_list()
    anna.sends(anna.trial(0), status=409)
    assert anna.train(0, right=False) == {"correct": False, "done": False}
    assert anna.train(0, right=True)["correct"] is False  # judged as before
    assert not anna.train(1)["done"]
    assert anna.train(2)["done"]
    anna.sends(anna.trial(0))
    berta = world.person("berta").enters()
    berta.takes_list()
    answers = [berta.train(index, right=False)["done"] for index in range(5)]
    assert answers == [False] * 4 + [True]
    world.close()


def test_gates_say_why_not(world):
    for number, (values, reason) in enumerate(
        [
            ({"desktop": False}, "keyboard"),
            ({"width": 600}, "640 x 560"),
            ({"period_ms": 33.3, "period_p95_ms": 34.0}, "fewer than 50"),
            ({"period_p95_ms": 40.0}, "too irregularly"),
            ({"storage": False}, "storage"),
            ({"comprehension": False}, "questions"),
        ]
    ):
        anna = world.person(f"anna{number}").consents()
        found = anna.post("gates", GATES | values)
        assert not found["ok"] and reason in found["reason"]
        assert reason in anna.takes_list(status=403)["reason"]


def test_the_page_refuses_before_consent_in_the_same_words():
    page = Path(psychophysics.__file__).with_name("pages").joinpath("gates.js").read_text()
    good = GateValues(**GATES)
    for values in (
        {"desktop": False},
        {"width": 600},
        {"period_ms": 33.3, "period_p95_ms": 34.0},
        {"period_p95_ms": 40.0},
        {"storage": False},
    ):
        assert f'"{why_not(good.model_copy(update=values))}"' in page
    width, height = service.LEAST_WINDOW
    assert f"width < {width} || height < {height}" in page
    assert f"MOST_P95 = {service.MOST_P95};" in page


def test_who_took_part_is_told_at_the_gates_and_gets_the_link_again(world):
    anna = world.person("anna").begins()
    anna.does_all()
    anna.finishes()
    for again in (anna.post("gates", GATES, 403), anna.takes_list(status=403)):
        assert again["error"].startswith("You have taken part")
        assert again["link"] == "https://done.test/"


def test_who_failed_the_check_twice_is_not_asked_a_third_time(world):
    anna = world.person("anna").consents()
    anna.post("gates", GATES | {"comprehension": False})
    assert "questions" in anna.post("gates", GATES)["reason"]
    anna.takes_list(status=403)


def test_gates_do_not_fill_the_disk(world, monkeypatch):
    monkeypatch.setattr("data_prep.humans.psychophysics.service.MOST_GATES", 3)
    anna = world.person("anna").consents()
    for _ in range(3):
        anna.post("gates", GATES)
    assert "error" in anna.post("gates", GATES, 429) and len(world.rows(t.gates)) == 3
    assert anna.takes_list()["list"]


def test_screens_of_50_to_240_hz_pass(world):
    anna = world.person("anna").consents()
    for rate in (50, 60, 75, 144, 240):
        values = {"period_ms": 1000 / rate, "period_p95_ms": 1100 / rate}
        assert anna.post("gates", GATES | values)["ok"], rate


def test_nothing_without_consent_or_gates(world):
    anna = world.person("anna")
    anna.post("session", {"recruitment": {}})
    anna.post("gates", GATES, 403)
    anna.consents().takes_list(status=403)
    world.person("nobody").post("gates", GATES, 401)


def test_a_reload_goes_on_and_marks_the_block(world):
    anna = world.person("anna").begins()
    anna.sends(*(anna.trial(i) for i in range(6)))
    given = anna.takes_list()
    assert given["resume_at"] == 6 and given["trained"]
    assert [row.interrupted for row in world.rows(t.trials)] == [False] * 4 + [True] * 2
    anna.sends({"index": 6, "lost": True})
    anna.does_all(begin=7)
    assert anna.finishes()["lost"] == 1


def test_after_a_long_absence_training_comes_again_and_then_the_list_is_over(world):
    anna = world.person("anna").begins()
    anna.sends(anna.trial(0))
    world.clock.advance(21 * MINUTE)
    assert not anna.takes_list()["trained"]
    anna.train(0)
    anna.sends(anna.trial(1))
    world.clock.advance(4 * HOUR)
    berta = world.person("berta").begins()  # whoever comes finds the list abandoned
    assert anna.row().state == "abandoned"
    anna.sends(anna.trial(2), status=410)
    anna.takes_list(status=410)
    assert berta.row().state == "active"


def test_too_many_lost_trials_end_without_the_link(world):
    anna = world.person("anna").begins()
    anna.sends(*({"index": index, "lost": True} for index in range(17)))
    assert anna.finishes()["missing"] == 3
    anna.sends(*(anna.trial(index) for index in range(17, 20)))
    assert anna.finishes() == {"complete": False, "missing": 0, "lost": 17, "link": ""}


def test_another_device_and_a_second_visit_are_refused(world):
    anna = world.person("anna").begins()
    elsewhere = world.person("anna").enters()
    elsewhere.takes_list(status=409)
    anna.does_all()
    anna.finishes()
    elsewhere.takes_list(status=403)
    anna.takes_list(status=403)


def test_nobody_is_in_two_studies_of_a_pool(world, tmp_path):
    anna = world.person("anna").begins()
    study = dataclasses.replace(world.settings.study, study="second")
    trials = dataclasses.replace(world.settings.trials, exclusion_pool="rapid")
    second = World(tmp_path, world.settings.study.database, salt="2")  # the same database
    second.settings, _ = serving.prepare(
        dataclasses.replace(world.settings, study=study, trials=trials)
    )
    app = second.app._app
    app.state.service.settings = second.settings
    again = second.person("anna").consents()
    again.post("gates", GATES, 403)
    again.takes_list(status=403)
    assert second.person("berta").enters().takes_list()["resume_at"] == 0
    assert anna.row().study == "rapid"
    second.close()


def test_a_list_of_somebody_else_is_not_there(world):
    anna, berta = world.person("anna").begins(), world.person("berta").begins()
    url = anna.list["trials"][0]["url"]
    assert anna.client.get(url).status_code == 200
    assert berta.client.get(url).status_code == 404
    assert anna.client.get(url[:-4] + "0000").status_code == 404
    berta.list = anna.list
    berta.sends(anna.trial(0), status=404)


def test_a_stimulus_that_changed_is_not_shown(tmp_path):
    import shutil

    folder = tmp_path / "set"
    shutil.copytree(small_set(1), folder)
    world = World(tmp_path, stimuli_dir=folder, blocks=1)
    anna = world.person("anna").begins()
    for path in folder.rglob("*.png"):
        path.write_bytes(path.read_bytes() + b" ")
    answer = anna.client.get(anna.list["trials"][0]["url"])
    assert answer.status_code == 503 and "damaged" in answer.json()["error"]
    with pytest.raises(ValueError, match="has changed since"):
        serving.prepare(world.settings)
    world.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stimulus_ms": 300}, "other rules"),
        ({"blocks": 3}, "20 images do not make --blocks=3"),
    ],
)
def test_a_study_does_not_go_on_with_other_settings(world, changes, message):
    trials = dataclasses.replace(world.settings.trials, **changes)
    with pytest.raises(ValueError, match=message):
        serving.prepare(dataclasses.replace(world.settings, trials=trials))
    other = dataclasses.replace(world.settings, stimuli=str(small_set(5, 2)))
    with pytest.raises(ValueError, match="other stimuli"):
        serving.prepare(other)


def test_training_images_are_asked_for(world):
    bare = dataclasses.replace(world.settings, stimuli=str(small_set(5, 0)))
    with pytest.raises(ValueError, match="No image of the list has the role"):
        serving.prepare(bare)


def test_events_are_kept_once(world):
    anna = world.person("anna").begins()
    body = {"list": anna.list["list"], "events": [{"number": 0, "kind": "blur", "at_ms": 5.0}]}
    assert anna.post("events", body) == {"stored": 1}
    assert anna.post("events", body) == {"stored": 0}
    assert len(world.rows(t.events)) == 1


def test_malformed_messages_are_refused(world):
    anna = world.person("anna").begins()
    for address, body in (
        ("trials", {"list": "x" * 12, "trials": []}),
        ("trials", {"list": "x" * 12, "trials": [{"index": -1}]}),
        ("trials", {"list": "x" * 12, "trials": [{"index": 0, "level": "full"}]}),
        ("trials", {"list": "x" * 12, "trials": [{"index": 0, "rt_ms": float("1e300")}]}),
        ("trials", {"list": "x" * 12, "trials": [{"index": 0, "response": "KeyA"}]}),
        ("trials", {"list": "x" * 12, "trials": [{"index": 0, "response": "KeyS"}]}),  # no time
        ("gates", GATES | {"period_ms": "16"}),
        ("list", {"device": "../../etc"}),
        ("finish", {"list": "x" * 12, "handedness": "both hands"}),
    ):
        assert "error" in anna.post(address, body, 422), body


def test_what_people_typed_is_no_formula_in_the_tables(world, tmp_path):
    anna = world.person("anna").begins(browser="=1+1")
    anna.does_all()
    anna.finishes(odd='=HYPERLINK("http://elsewhere","x")')
    with world.database.read() as connection:
        export.write(connection, "rapid", tmp_path / "tables")
    cells = [
        cell
        for name in ("participants.csv", "sessions.csv")
        for row in csv.reader(open(tmp_path / "tables" / name, newline=""))
        for cell in row
    ]
    assert {"'=1+1", '\'=HYPERLINK("http://elsewhere","x")'} <= set(cells)
    assert not [cell for cell in cells if cell.startswith("=")]


def test_addresses_of_no_stimulus_are_not_there(world):
    anna = world.person("anna").begins()
    mine, shown = anna.list["list"], anna.list["trials"][0]["url"]
    assert anna.client.get(shown).status_code == 200
    for address in (f"{mine}/%00", f"%00/{shown[-32:]}", f"{mine}/..%2f..%2fstudy.db", f"{mine}/x"):
        assert anna.client.get(f"/api/stimuli/{address}").status_code == 404, address


def test_the_end_is_not_asked_for_without_end(world):
    anna = world.person("anna").enters()
    body = {"list": anna.takes_list()["list"]}
    statuses = [anna.client.post("/api/finish", json=body).status_code for _ in range(61)]
    assert statuses[:60] == [200] * 60 and statuses[60] == 429


def test_me_shows_all_and_withdrawal_deletes_it(world):
    anna = world.person("anna").begins()
    anna.sends(anna.trial(0))
    mine = anna.client.get("/api/me").json()
    assert len(mine["trials"]) == 1 and mine["gates"] and mine["lists"]
    assert anna.client.delete("/api/me").status_code == 204
    assert not world.rows(t.trials) and not world.rows(t.gates)
    assert [row.state for row in world.rows(t.lists)] == ["withdrawn"]
    assert not broken(world)


def test_who_knows_an_outside_id_neither_sees_nor_deletes_the_data(world):
    """Outside ids are no secrets: workers' ids are known, and a lab's may be 1, 2, 3."""
    anna = world.person("anna").begins()
    anna.sends(anna.trial(0))
    world.clock.advance(1)
    mallory = world.person("anna").consents()
    for method in ("GET", "DELETE"):
        answer = mallory.client.request(method, "/api/me")
        assert answer.status_code == 403 and "first came with" in answer.json()["remedy"]
    mine = anna.client.get("/api/me").json()
    assert len(mine["trials"]) == 1 and len(mine["sessions"]) == 2
    assert anna.client.delete("/api/me").status_code == 204 and not world.rows(t.trials)


@pytest.mark.parametrize(
    ("method", "address", "body", "status"),
    [
        ("POST", "consent", {"version": 1, "accepted": True}, 204),
        ("GET", "me", None, 200),
        ("DELETE", "me", None, 401),  # after the first, nobody knows who asks
    ],
)
def test_requests_about_oneself_are_limited(world, method, address, body, status):
    anna = world.person("anna")
    anna.post("session", {"recruitment": anna.address})
    cookie = {"Cookie": f"study_session={anna.client.cookies['study_session']}"}

    def ask():
        anna.client.cookies.clear()
        return anna.client.request(method, f"/api/{address}", json=body, headers=cookie)

    for _ in range(10):
        last = ask()
    assert last.status_code == status
    assert ask().status_code == 429
    world.clock.advance(500)
    assert ask().status_code == status


def test_no_address_or_agent_is_stored(world):
    anna = world.person("anna")
    anna.client.headers["user-agent"] = "Mozilla/5.0 (X11) Chrome/130.0.6723.58 secret-agent"
    anna.begins().does_all()
    with world.database.read() as connection:
        for name in ("sessions", "lists", "trials", "gates", "participants"):
            rows = str(connection.exec_driver_sql(f"SELECT * FROM {name}").all())
            assert "testclient" not in rows and "secret-agent" not in rows
            assert name != "lists" or "anna" not in rows


def test_of_two_at_once_each_gets_a_list_and_one_person_one(world):
    anna = world.person("anna").enters()
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(anna.post("list", {"device": anna.device})))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({given["list"] for given in got}) == 1 and len(world.rows(t.lists)) == 1


def test_eight_who_come_at_once_fill_groups_and_lists_evenly(world):
    """On PostgreSQL they counted together, and took one another's places."""
    people = [world.person(f"anna{number}").enters() for number in range(8)]
    gate = threading.Barrier(len(people))

    def come(person):
        gate.wait()
        person.takes_list()

    threads = [threading.Thread(target=come, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = world.rows(t.lists)
    assert len(rows) == len({(row.group, row.number) for row in rows}) == 8
    groups = collections.Counter(row.group for row in rows)
    assert set(groups.values()) == {4}
    keys = collections.Counter((row.group, row.target_key) for row in rows)
    assert set(keys.values()) == {2}


def test_health(world):
    anna = world.person()
    assert anna.client.get("/healthz").json() == {"status": "alive"}
    assert anna.client.get("/readyz").json() == {"status": "ready"}
    assert anna.client.get("/api/about").json()["stimulus_ms"] == 400
