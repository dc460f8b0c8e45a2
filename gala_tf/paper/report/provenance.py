"""Where a report's numbers are from: every run, its flags, versions, time; and what was not run."""

from gala_tf import config
from gala_tf.paper import published
from gala_tf.paper.report import lines, tables
from gala_tf.paper.report.page import Bullets, Heading, Paragraph, Table


def not_run_blocks(sections) -> list:
    """The paper's tables that no run belongs in, with their published numbers."""
    covered = {number for section in sections if section.lines for number in section.tables}
    blocks = []
    for numbers in ((1, 3), (2,), (4,)):
        if covered.isdisjoint(numbers):
            entry = published.document()["tables"][str(numbers[-1])]
            names = " and ".join(map(str, numbers))
            blocks += [
                Heading(3, f"Table{'s' * (len(numbers) > 1)} {names}: {entry['title']}"),
                tables.paper_table(numbers, [], {}, {}, True, True, True),
            ]
    return [Heading(2, "Not run"), *blocks] if blocks else []


def provenance_blocks(sections) -> list:
    """Where everything is from: every run, its flags, versions and time."""
    blocks = [Heading(2, "Provenance")]
    for section in sections:
        runs = section.runs
        values = {
            name: {str(getattr(run.config, name)) for run in runs}
            for name in config.names()
            if name == "seed" or name in lines.flags_of(run_config=runs[0].config)
        }
        differ = [name for name, found in values.items() if len(found) > 1]
        default = config.Config()
        shared = [
            f"--{name}={lines.flag_text(getattr(runs[0].config, name))}"
            for name in values
            if name not in differ and getattr(runs[0].config, name) != getattr(default, name)
        ]
        rows = [_provenance_row(run, differ) for run in runs]
        shards = sum(len(split.shards) for split in section.info.splits.values())
        blocks += [
            Heading(3, f"{section.info.name}, {section.split} split"),
            Paragraph(
                f"One data set: its {shards} shards' SHA-256 give {runs[0].data_set} in every run "
                f"below. Flags of all runs, where not the default: {' '.join(shared) or 'none'}."
            ),
            Table(
                ("run", "network", "flags that differ", "images", "step of the weights",
                 "training, s", "versions, sessions", "files missing"),
                tuple(rows),
            ),
        ]  # fmt: skip
    versions = dict.fromkeys(_versions(run) for section in sections for run in section.runs)
    words = tuple(f"v{i + 1}: {text}" for i, text in enumerate(versions))
    blocks = [_numbered(block, list(versions)) for block in blocks]
    return [*blocks, Paragraph("Versions of each run's last session:"), Bullets(words)]


def _numbered(block, versions):
    """Versions are long and mostly the same: the table has their number."""
    if not isinstance(block, Table):
        return block
    rows = []
    for row in block.rows:
        text, _, sessions = row[6].rpartition("; ")
        rows.append((*row[:6], f"v{versions.index(text) + 1}, {sessions}", row[7]))
    return Table(block.columns, tuple(rows))


def _provenance_row(run, differ):
    flags = " ".join(f"--{n}={lines.flag_text(getattr(run.config, n))}" for n in differ)
    results = run.results or {}
    return (
        run.name,
        lines.words_of(run.config),
        flags or tables.DASH,
        f"{results['examples']:,}" if results else "unfinished",
        f"{results['step']}" if "step" in results else tables.DASH,
        tables.DASH if run.seconds is None else f"{run.seconds:.0f}",
        f"{_versions(run)}; {len(run.environment)} session(s)",
        ", ".join(run.missing) or "none",
    )


def _versions(run):
    if not run.environment:
        return "not recorded"
    last = run.environment[-1]
    names = ", ".join(f"{name} {version}" for name, version in last.get("versions", {}).items())
    commit = last.get("git_commit")
    return names + (f", commit {commit}" if commit else "")
