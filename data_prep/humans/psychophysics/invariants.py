"""What must hold in an experiment's database, whatever was interrupted: `studies check`."""

from collections.abc import Mapping

EXPERIMENT: Mapping[str, str] = {
    "a list's `next` is the number of its trials, without a gap": (
        "SELECT count(*) FROM lists WHERE next <> (SELECT count(*) FROM trials"
        " WHERE list_id = lists.id) OR next <> (SELECT coalesce(max(trial_index) + 1, 0)"
        " FROM trials WHERE list_id = lists.id)"
    ),
    "an answer has a time, and a judgement": (
        "SELECT count(*) FROM trials WHERE (response IS NULL) <> (rt_ms IS NULL)"
        " OR (response IS NULL) <> (correct IS NULL)"
    ),
    "an answer is right exactly if its key is": (
        "SELECT count(*) FROM trials WHERE response IS NOT NULL"
        " AND correct <> (response = correct_key)"
    ),
    "nobody sees stimuli of another group": (
        "SELECT count(*) FROM trials JOIN lists ON lists.id = trials.list_id"
        " JOIN stimuli ON stimuli.id = trials.stimulus_id"
        ' WHERE stimuli.source <> lists."group"'
    ),
    "nobody sees an image twice": (
        "SELECT count(*) FROM (SELECT 1 FROM trials JOIN stimuli"
        " ON stimuli.id = trials.stimulus_id GROUP BY list_id, image HAVING count(*) > 1) AS seen"
    ),
    "a list is active exactly if it has no end": (
        "SELECT count(*) FROM lists WHERE (state = 'active') = (ended_at IS NOT NULL)"
    ),
}
